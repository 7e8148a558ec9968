// C <- alpha op(D) B + beta C with D of zeros and ones, 64 to a number: additions of rows of B. B [k, n], C [m, n].

/** All positions are indices into `x`; D is stored [m, k], or [k, m] when `transpose`. */
export function bitProduct(
  x: Float64Array,
  transpose: boolean,
  m: number,
  n: number,
  k: number,
  alpha: number,
  d: number,
  ldd: number,
  b: number,
  ldb: number,
  beta: number,
  c: number,
  ldc: number,
): void {
  const bytes = new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  for (let i = 0; i < m; i++) {
    const row = c + i * ldc;
    if (beta === 0) x.fill(0, row, row + n);
    else for (let j = row; j < row + n; j++) x[j] *= beta;
  }
  // Rows of B on the outside, so that a row stays in cache while it is added to many rows of C.
  for (let p = 0; p < k; p++) {
    const from = b + p * ldb;
    for (let i = 0; i < m; i++) {
      const column = transpose ? i : p;
      const byte = bytes[8 * (d + (transpose ? p : i) * ldd) + (column >> 3)];
      if ((byte & (1 << (column & 7))) === 0) continue;
      const row = c + i * ldc;
      for (let j = 0; j < n; j++) x[row + j] += alpha * x[from + j];
    }
  }
}
