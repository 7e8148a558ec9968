// A = Q T Q' with T tridiagonal, by Householder reflections taken from the last row upwards, and X <- X Q'.
// Row i of the lower triangle gives v_i (length i, v_i[i-1] = 1) and H_i = I - tau_i v_i v_i';
// Q = H_{n-1} ... H_1. Blocks of reflections are applied together as A - V' W - W' V.

import { multiply } from "./gemm";
import { symmetricTimes } from "./matrixVector";
import { addScaled, addTwoScaled, dot, get, scale, set } from "./vector";

/** Reflections per block. */
export const BLOCK: i32 = 32;
/** Up to this order reflections are applied one by one. */
const UNBLOCKED: i32 = 48;

/** a: lower triangle in, reflections out; d [n], e [n] (e[i] couples i and i + 1), tau [n], w: scratch BLOCK x n. */
export function reduce(n: i32, a: usize, lda: usize, d: usize, e: usize, tau: usize, w: usize): void {
  const ldw = <usize>n << 3;
  let high = n - 1;
  while (high >= UNBLOCKED) {
    const low = high - BLOCK + 1;
    for (let i = high; i >= low; i--) {
      const row = a + <usize>i * lda;
      for (let j = high; j > i; j--) {
        const vj = a + <usize>j * lda;
        const wj = w + <usize>(high - j) * ldw;
        addTwoScaled(i + 1, -get(wj, i), vj, -get(vj, i), wj, row);
      }
      set(d, i, get(row, i));
      const t = reflect(i, row, e);
      set(tau, i, t);
      const wi = w + <usize>(high - i) * ldw;
      if (t == 0) {
        memory.fill(wi, 0, <usize>i << 3);
        continue;
      }
      symmetricTimes(i, 1, a, lda, row, 0, wi);
      for (let j = high; j > i; j--) {
        const vj = a + <usize>j * lda;
        const wj = w + <usize>(high - j) * ldw;
        addTwoScaled(i, -dot(i, wj, row), vj, -dot(i, vj, row), wj, wi);
      }
      finish(i, t, row, wi);
    }
    const v = a + <usize>low * lda;
    const wl = w + <usize>(high - low) * ldw;
    rankUpdate(low, v, lda, w, ldw, wl, a, lda, high - low + 1);
    high = low - 1;
  }
  for (let i = high; i > 0; i--) {
    const row = a + <usize>i * lda;
    set(d, i, get(row, i));
    const t = reflect(i, row, e);
    set(tau, i, t);
    if (t == 0) continue;
    symmetricTimes(i, 1, a, lda, row, 0, w);
    finish(i, t, row, w);
    for (let r = 0; r < i; r++) addTwoScaled(r + 1, -get(row, r), w, -get(w, r), row, a + <usize>r * lda);
  }
  set(d, 0, f64.load(a));
  set(tau, 0, 0);
  set(e, n - 1, 0);
}

/** A[m, m] -= V' W + W' V, lower triangle; V rows ascend, W rows descend, so W is reversed first. */
function rankUpdate(
  m: i32, v: usize, lda: usize, w: usize, ldw: usize, last: usize, a: usize, ldaA: usize, count: i32,
): void {
  let top = w;
  let bottom = last;
  while (top < bottom) {
    for (let k = 0; k < m; k++) {
      const kept = get(top, k);
      set(top, k, get(bottom, k));
      set(bottom, k, kept);
    }
    top += ldw;
    bottom -= ldw;
  }
  multiply(true, true, false, m, m, count, -1, v, lda, w, ldw, 1, a, ldaA);
  multiply(true, true, false, m, m, count, -1, w, ldw, v, lda, 1, a, ldaA);
}

/** w <- tau w - (tau^2 / 2) (w'v) v on input w = A v. */
function finish(n: i32, t: f64, v: usize, w: usize): void {
  scale(n, t, w);
  addScaled(n, -0.5 * t * dot(n, w, v), v, w);
}

/** Turns x [m] into v with v[m-1] = 1 and (I - tau v v') x = e[m-1] unit; returns tau. */
function reflect(m: i32, x: usize, e: usize): f64 {
  let largest: f64 = 0;
  for (let k = 0; k < m - 1; k++) largest = Math.max(largest, Math.abs(get(x, k)));
  let alpha = get(x, m - 1);
  set(x, m - 1, 1);
  if (largest < 1e-290) {
    memory.fill(x, 0, <usize>(m - 1) << 3);
    set(e, m - 1, alpha);
    return 0;
  }
  // squares of entries below 1e-140 lose digits; then the row is scaled to 1 (v does not depend on the scale)
  let size: f64 = 1;
  if (largest < 1e-140) {
    size = Math.max(largest, Math.abs(alpha));
    scale(m - 1, 1 / size, x);
    alpha /= size;
  }
  const rest = dot(m - 1, x, x);
  const length = Math.sqrt(alpha * alpha + rest);
  const beta = alpha > 0 ? -length : length;
  scale(m - 1, 1 / (alpha - beta), x);
  set(e, m - 1, beta * size);
  return (beta - alpha) / beta;
}

/**
 * X <- X H_1 H_2 ... H_{n-1}, X [n, n]: rows that are eigenvectors of T become eigenvectors of A.
 * Blocks I - V' T V with T upper triangular. v, tv: scratch BLOCK x n; y: n x BLOCK; t: BLOCK x BLOCK.
 */
export function backTransform(
  n: i32, a: usize, lda: usize, tau: usize, x: usize, ldx: usize, v: usize, tv: usize, y: usize, t: usize,
): void {
  for (let low = 1; low < n; low += BLOCK) {
    const count = min(BLOCK, n - low);
    const length = low + count - 1;
    const ld = <usize>length << 3;
    for (let r = 0; r < count; r++) {
      const used = <usize>(low + r) << 3;
      memory.copy(v + <usize>r * ld, a + <usize>(low + r) * lda, used);
      memory.fill(v + <usize>r * ld + used, 0, ld - used);
    }
    // T: column j is -tau_j T V v_j, diagonal tau_j
    memory.fill(t, 0, BLOCK * BLOCK * 8);
    for (let j = 0; j < count; j++) {
      const tj = get(tau, low + j);
      const vj = v + <usize>j * ld;
      for (let r = 0; r < j; r++) set(y, r, dot(low + r, v + <usize>r * ld, vj));
      for (let r = 0; r < j; r++) {
        let sum: f64 = 0;
        for (let q = r; q < j; q++) sum += get(t, r * BLOCK + q) * get(y, q);
        set(t, r * BLOCK + j, -tj * sum);
      }
      set(t, j * BLOCK + j, tj);
    }
    multiply(false, false, false, count, length, count, 1, t, BLOCK * 8, v, ld, 0, tv, ld);
    multiply(false, false, true, n, count, length, 1, x, ldx, v, ld, 0, y, BLOCK * 8);
    multiply(false, false, false, n, length, count, -1, y, BLOCK * 8, tv, ld, 1, x, ldx);
  }
}
