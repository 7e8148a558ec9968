// Products of a matrix and a vector, and triangular solves with one right-hand side; every loop runs along rows.

/** y <- alpha op(A) v + beta y, A [m, n] as stored. */
export function matrixVector(
  x: Float64Array,
  transpose: boolean,
  m: number,
  n: number,
  alpha: number,
  a: number,
  lda: number,
  v: number,
  beta: number,
  y: number,
): void {
  scaleBy(x, transpose ? n : m, beta, y);
  for (let i = 0; i < m; i++) {
    const row = a + i * lda;
    if (transpose) addRow(x, n, alpha * x[v + i], row, y);
    else x[y + i] += alpha * inner(x, n, row, v);
  }
}

/** lengths_i <- ||row i of A||, A [m, n]; four sums side by side, since one waits for itself. */
export function rowLengths(x: Float64Array, m: number, n: number, a: number, lda: number, lengths: number): void {
  for (let i = 0; i < m; i++) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    let p = a + i * lda;
    const end = p + n;
    for (; p + 3 < end; p += 4) {
      s0 += x[p] * x[p];
      s1 += x[p + 1] * x[p + 1];
      s2 += x[p + 2] * x[p + 2];
      s3 += x[p + 3] * x[p + 3];
    }
    for (; p < end; p++) s0 += x[p] * x[p];
    x[lengths + i] = Math.sqrt(s0 + s1 + (s2 + s3));
  }
}

/** y <- alpha A v + beta y with the lower triangle of a symmetric A [n, n]. */
export function symmetricVector(
  x: Float64Array,
  n: number,
  alpha: number,
  a: number,
  lda: number,
  v: number,
  beta: number,
  y: number,
): void {
  scaleBy(x, n, beta, y);
  for (let i = 0; i < n; i++) {
    const row = a + i * lda;
    const factor = alpha * x[v + i];
    let sum = 0;
    for (let j = 0; j < i; j++) {
      sum += x[row + j] * x[v + j];
      x[y + j] += factor * x[row + j];
    }
    x[y + i] += alpha * sum + factor * x[row + i];
  }
}

/** op(L) v = v in place, L [n, n] lower triangular. */
export function solveVector(x: Float64Array, transpose: boolean, n: number, l: number, ldl: number, v: number): void {
  for (let step = 0; step < n; step++) {
    const i = transpose ? n - 1 - step : step;
    const row = l + i * ldl;
    if (transpose) addRow(x, i, -(x[v + i] /= x[row + i]), row, v);
    else x[v + i] = (x[v + i] - inner(x, i, row, v)) / x[row + i];
  }
}

function scaleBy(x: Float64Array, n: number, beta: number, y: number): void {
  if (beta === 0) x.fill(0, y, y + n);
  else if (beta !== 1) for (let p = y; p < y + n; p++) x[p] *= beta;
}

function inner(x: Float64Array, n: number, p: number, q: number): number {
  let sum = 0;
  for (let j = 0; j < n; j++) sum += x[p + j] * x[q + j];
  return sum;
}

function addRow(x: Float64Array, n: number, factor: number, from: number, to: number): void {
  for (let j = 0; j < n; j++) x[to + j] += factor * x[from + j];
}
