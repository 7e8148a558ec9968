// Orthonormal basis of the span of some rows, by classical Gram-Schmidt done twice, dropping rows that add nothing.
//   rows[j] = sum_k coordinates[j, k] basis[k] + rest_j,   ||rest_j|| <= dropTolerance * ||rows[j]||
// rows: [count, dimension]   basis: [rank, dimension]   coordinates: [count, stride]

const dropTolerance = 1e-13;

export interface Span {
  rank: number;
  /** Orthonormal rows, at least `[min(count, dimension), dimension]` values. */
  readonly basis: Float64Array;
  /** `[count, stride]`; columns beyond `rank` are zero. */
  readonly coordinates: Float64Array;
  readonly stride: number;
}

export function allocateSpan(maxCount: number, dimension: number): Span {
  const stride = Math.max(1, Math.min(maxCount, dimension));
  return {
    rank: 0,
    basis: new Float64Array(stride * dimension),
    coordinates: new Float64Array(maxCount * stride),
    stride,
  };
}

/** Fills `span` from `rows`; allocates nothing. */
export function orthonormalise(rows: Float64Array, count: number, dimension: number, span: Span): void {
  const { basis, coordinates, stride } = span;
  let rank = 0;
  coordinates.fill(0, 0, count * stride);
  for (let j = 0; j < count; j++) {
    const row = j * dimension;
    const slot = rank * dimension;
    let length = 0;
    for (let l = 0; l < dimension; l++) length += rows[row + l] * rows[row + l];
    length = Math.sqrt(length);
    if (length === 0) continue;
    const full = rank === stride;
    // A full basis spans everything: project only.
    if (full) {
      for (let k = 0; k < rank; k++) coordinates[j * stride + k] = dotRows(basis, k * dimension, rows, row, dimension);
      continue;
    }
    for (let l = 0; l < dimension; l++) basis[slot + l] = rows[row + l];
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < rank; k++) {
        const from = k * dimension;
        const product = dotRows(basis, from, basis, slot, dimension);
        coordinates[j * stride + k] += product;
        for (let l = 0; l < dimension; l++) basis[slot + l] -= product * basis[from + l];
      }
    }
    const rest = Math.sqrt(dotRows(basis, slot, basis, slot, dimension));
    if (rest <= dropTolerance * length) continue;
    for (let l = 0; l < dimension; l++) basis[slot + l] /= rest;
    coordinates[j * stride + rank] = rest;
    rank++;
  }
  span.rank = rank;
}

function dotRows(a: Float64Array, aFrom: number, b: Float64Array, bFrom: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let l = 0;
  for (; l + 1 < length; l += 2) {
    s0 += a[aFrom + l] * b[bFrom + l];
    s1 += a[aFrom + l + 1] * b[bFrom + l + 1];
  }
  if (l < length) s0 += a[aFrom + l] * b[bFrom + l];
  return s0 + s1;
}
