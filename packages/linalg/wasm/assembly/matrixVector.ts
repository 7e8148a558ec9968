// Products of a matrix and a vector, and triangular solves with one right-hand side. Bound by memory: every entry of the
// matrix is read once. Leading dimensions and steps are in bytes.

import { addScaled, addTwoScaled, blend, clear, dot, get, laneSum, madd, scale, set } from "./vector";

/** Length of the pieces in which vectors are copied. */
const PIECE: i32 = 4096;
/** Rows of a triangular solve handled by substitution; what the others contribute is a matrix-vector product. */
const SOLVE_BLOCK: i32 = 16;

/** Bytes of scratch. */
export const VECTOR_SCRATCH: usize = 2 * PIECE * 8;
let vectors: usize = 0;
export function setVectorScratch(at: usize): void {
  vectors = at;
}

/** lengths_i <- ||row i of A||, A [m, n]. */
export function rowLengthsOf(m: i32, n: i32, a: usize, lda: usize, lengths: usize): void {
  for (let i = 0; i < m; i++) {
    set(lengths, i, Math.sqrt(dot(n, a, a)));
    a += lda;
  }
}

/** y <- alpha op(A) x + beta y with op(A) [m, k]; x and y have steps. */
export function matrixVector(
  transpose: bool, m: i32, k: i32, alpha: f64, a: usize, lda: usize, x: usize, stepX: usize,
  beta: f64, y: usize, stepY: usize,
): void {
  const copied = vectors;
  const sums = vectors + (PIECE << 3);
  if (!transpose) {
    for (let p0 = 0; p0 < k; p0 += PIECE) {
      const length = min(PIECE, k - p0);
      for (let p = 0; p < length; p++) f64.store(copied + <usize>(p << 3), f64.load(x + <usize>(p0 + p) * stepX));
      const beta0 = p0 == 0 ? beta : 1;
      for (let i = 0; i < m; i += 4) {
        const rows = min(4, m - i);
        const a0 = a + <usize>i * lda + (<usize>p0 << 3);
        fourDots(length, a0, rows > 1 ? lda : 0, rows > 2 ? lda : 0, rows > 3 ? lda : 0, copied, sums);
        for (let r = 0; r < rows; r++) blend(y + <usize>(i + r) * stepY, alpha, get(sums, r), beta0);
      }
    }
    return;
  }
  for (let i0 = 0; i0 < m; i0 += PIECE) {
    const length = min(PIECE, m - i0);
    clear(length, sums);
    const at = a + (<usize>i0 << 3);
    let p = 0;
    for (; p + 1 < k; p += 2) {
      const row = at + <usize>p * lda;
      addTwoScaled(length, f64.load(x + <usize>p * stepX), row, f64.load(x + <usize>(p + 1) * stepX), row + lda, sums);
    }
    if (p < k) addScaled(length, f64.load(x + <usize>p * stepX), at + <usize>p * lda, sums);
    for (let i = 0; i < length; i++) blend(y + <usize>(i0 + i) * stepY, alpha, get(sums, i), beta);
  }
}

/** Four row sums at once; d1, d2, d3 are the distances from each row to the next. */
function fourDots(n: i32, a0: usize, d1: usize, d2: usize, d3: usize, x: usize, sums: usize): void {
  let a1 = a0 + d1;
  let a2 = a1 + d2;
  let a3 = a2 + d3;
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let k = 0;
  for (; k + 1 < n; k += 2) {
    const v = v128.load(x);
    s0 = madd(v, v128.load(a0), s0);
    s1 = madd(v, v128.load(a1), s1);
    s2 = madd(v, v128.load(a2), s2);
    s3 = madd(v, v128.load(a3), s3);
    x += 16;
    a0 += 16;
    a1 += 16;
    a2 += 16;
    a3 += 16;
  }
  const last = k < n ? f64.load(x) : 0;
  f64.store(sums, laneSum(s0) + (k < n ? last * f64.load(a0) : 0));
  f64.store(sums, laneSum(s1) + (k < n ? last * f64.load(a1) : 0), 8);
  f64.store(sums, laneSum(s2) + (k < n ? last * f64.load(a2) : 0), 16);
  f64.store(sums, laneSum(s3) + (k < n ? last * f64.load(a3) : 0), 24);
}

/** y <- alpha A x + beta y with the lower triangle of A [n, n], every entry read once, four rows at a time. */
export function symmetricTimes(n: i32, alpha: f64, a: usize, lda: usize, x: usize, beta: f64, y: usize): void {
  if (beta == 0) clear(n, y);
  else if (beta != 1) scale(n, beta, y);
  if (alpha == 0) return;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    // columns 0 .. i of rows i .. i + 3, then the 4 x 4 block on the diagonal
    let r0 = a + <usize>i * lda;
    let r1 = r0 + lda;
    let r2 = r1 + lda;
    let r3 = r2 + lda;
    const x0 = alpha * get(x, i), x1 = alpha * get(x, i + 1), x2 = alpha * get(x, i + 2), x3 = alpha * get(x, i + 3);
    const f0 = f64x2.splat(x0), f1 = f64x2.splat(x1), f2 = f64x2.splat(x2), f3 = f64x2.splat(x3);
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let px = x;
    let py = y;
    for (let k = 0; k < i; k += 2) {
      const v = v128.load(px);
      let sum = v128.load(py);
      let r = v128.load(r0);
      s0 = madd(r, v, s0);
      sum = madd(r, f0, sum);
      r = v128.load(r1);
      s1 = madd(r, v, s1);
      sum = madd(r, f1, sum);
      r = v128.load(r2);
      s2 = madd(r, v, s2);
      sum = madd(r, f2, sum);
      r = v128.load(r3);
      s3 = madd(r, v, s3);
      sum = madd(r, f3, sum);
      v128.store(py, sum);
      px += 16;
      py += 16;
      r0 += 16;
      r1 += 16;
      r2 += 16;
      r3 += 16;
    }
    const a10 = get(r1, 0), a20 = get(r2, 0), a21 = get(r2, 1), a30 = get(r3, 0), a31 = get(r3, 1), a32 = get(r3, 2);
    set(y, i, get(y, i) + alpha * laneSum(s0) + get(r0, 0) * x0 + a10 * x1 + a20 * x2 + a30 * x3);
    set(y, i + 1, get(y, i + 1) + alpha * laneSum(s1) + a10 * x0 + get(r1, 1) * x1 + a21 * x2 + a31 * x3);
    set(y, i + 2, get(y, i + 2) + alpha * laneSum(s2) + a20 * x0 + a21 * x1 + get(r2, 2) * x2 + a32 * x3);
    set(y, i + 3, get(y, i + 3) + alpha * laneSum(s3) + a30 * x0 + a31 * x1 + a32 * x2 + get(r3, 3) * x3);
  }
  for (; i < n; i++) {
    const row = a + <usize>i * lda;
    const xi = alpha * get(x, i);
    set(y, i, get(y, i) + alpha * dot(i, row, x) + get(row, i) * xi);
    addScaled(i, xi, row, y);
  }
}

/** op(L) x = b in place, L [n, n] lower triangular. */
export function solveVector(transpose: bool, n: i32, l: usize, ldl: usize, x: usize): void {
  if (!transpose) {
    for (let k = 0; k < n; k += SOLVE_BLOCK) {
      const end = min(n, k + SOLVE_BLOCK);
      const rows = l + <usize>k * ldl;
      const block = x + (<usize>k << 3);
      if (k > 0) matrixVector(false, end - k, k, -1, rows, ldl, x, 8, 1, block, 8);
      for (let i = k; i < end; i++) {
        const row = l + <usize>i * ldl;
        set(x, i, (get(x, i) - dot(i - k, row + (<usize>k << 3), block)) / get(row, i));
      }
    }
    return;
  }
  for (let k = (n - 1) & ~(SOLVE_BLOCK - 1); k >= 0; k -= SOLVE_BLOCK) {
    const end = min(n, k + SOLVE_BLOCK);
    const block = x + (<usize>k << 3);
    for (let i = end - 1; i >= k; i--) {
      const row = l + <usize>i * ldl;
      const value = get(x, i) / get(row, i);
      set(x, i, value);
      addScaled(i - k, -value, row + (<usize>k << 3), block);
    }
    if (k > 0) matrixVector(true, k, end - k, -1, l + <usize>k * ldl, ldl, block, 8, 1, x, 8);
  }
}
