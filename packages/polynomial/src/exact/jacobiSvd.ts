// Singular values of a small square matrix to high relative accuracy, by one-sided Jacobi rotations. The scalings of the
// interior point need singular values that range over ten decades (solvers.md 3), which an eigendecomposition of A'A loses.
//   A V = U diag(s).  columns: rows of the given array are the COLUMNS of A, `[p, p]`; they become the columns of U diag(s).
//   rotations: becomes V', `[p, p]` (row k is the right singular vector of s_k). values: s, unsorted, `[p]`.

const maximumSweeps = 40;

export function jacobiSvd(p: number, columns: Float64Array, rotations: Float64Array, values: Float64Array): void {
  const tolerance = 2 ** -52;
  for (let k = 0; k < p * p; k++) rotations[k] = 0;
  for (let k = 0; k < p; k++) rotations[k * p + k] = 1;
  for (let sweep = 0; sweep < maximumSweeps; sweep++) {
    let rotated = false;
    // Squared lengths, measured once a sweep and updated by the rotations.
    for (let i = 0; i < p; i++) values[i] = squaredLength(columns, i * p, p);
    for (let i = 0; i < p - 1; i++) {
      const a = i * p;
      for (let j = i + 1; j < p; j++) {
        const b = j * p;
        let ab = 0;
        for (let k = 0; k < p; k++) ab += columns[a + k] * columns[b + k];
        const aa = values[i];
        const bb = values[j];
        if (!(ab * ab > tolerance * tolerance * aa * bb)) continue;
        rotated = true;
        const zeta = (bb - aa) / (2 * ab);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        const s = c * t;
        rotate(columns, a, b, p, c, s);
        rotate(rotations, a, b, p, c, s);
        // The smaller one is measured again: the update would cancel.
        values[i] = aa - t * ab;
        values[j] = bb + t * ab;
        if (values[i] < 0.1 * aa) values[i] = squaredLength(columns, a, p);
        if (values[j] < 0.1 * bb) values[j] = squaredLength(columns, b, p);
      }
    }
    if (!rotated) break;
  }
  for (let i = 0; i < p; i++) values[i] = Math.sqrt(squaredLength(columns, i * p, p));
}

function squaredLength(matrix: Float64Array, at: number, p: number): number {
  let square = 0;
  for (let k = at; k < at + p; k++) square += matrix[k] * matrix[k];
  return square;
}

function rotate(matrix: Float64Array, a: number, b: number, p: number, c: number, s: number): void {
  for (let k = 0; k < p; k++) {
    const x = matrix[a + k];
    const y = matrix[b + k];
    matrix[a + k] = c * x - s * y;
    matrix[b + k] = s * x + c * y;
  }
}
