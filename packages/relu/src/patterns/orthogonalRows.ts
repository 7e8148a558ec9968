// Orthonormal bases grown one vector at a time (modified Gram-Schmidt, applied twice), for row spaces and normals of hyperplanes.
// basis Q: [rank, length], rows orthonormal

/** A vector counts as dependent when what is left of it is below this share of its length. */
const DEPENDENT = 1e-9;

export class OrthogonalRows {
  rank = 0;
  readonly rows: Float64Array;

  constructor(
    readonly length: number,
    capacity: number,
  ) {
    this.rows = new Float64Array(capacity * length);
  }

  clear(): void {
    this.rank = 0;
  }

  /** Takes from `vector` [length], in place, its part in the span. */
  reduce(vector: Float64Array): void {
    const { rows, length } = this;
    for (let pass = 0; pass < 2; pass++) {
      for (let q = 0; q < this.rank; q++) {
        let share = 0;
        for (let k = 0; k < length; k++) share += rows[q * length + k] * vector[k];
        for (let k = 0; k < length; k++) vector[k] -= share * rows[q * length + k];
      }
    }
  }

  /** Adds the direction of `vector` [length], which is overwritten; false when it lies in the span already. */
  add(vector: Float64Array): boolean {
    const before = lengthOf(vector);
    if (!(before > 0)) return false;
    this.reduce(vector);
    const after = lengthOf(vector);
    if (after <= DEPENDENT * before) return false;
    for (let k = 0; k < this.length; k++) this.rows[this.rank * this.length + k] = vector[k] / after;
    this.rank++;
    return true;
  }
}

export function lengthOf(vector: Float64Array): number {
  let square = 0;
  for (let k = 0; k < vector.length; k++) square += vector[k] * vector[k];
  return Math.sqrt(square);
}
