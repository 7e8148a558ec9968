// Inverse of a lower triangle and of a symmetric matrix from its Cholesky factor, in place, by recursion on halves:
//   [L11 0; L21 L22]^-1 = [L11^-1 0; -L22^-1 L21 L11^-1, L22^-1]
//   M' M for lower M = [M11' M11 + M21' M21, .; M22' M21, M22' M22]
// Each costs n^3 / 3 multiplications, nearly all in matrix products. Leading dimensions are in bytes.

import { multiply } from "./gemm";
import { half, solveLeft, solveRight } from "./triangular";
import { addScaled, addTwoScaled, clear, copyShort, get, madd, scale, set } from "./vector";

const BASE: i32 = 16;

/** One row of a base block. */
export const INVERSE_SCRATCH: usize = BASE * 8;
let kept: usize = 0;
export function setInverseScratch(at: usize): void {
  kept = at;
}

/** L <- L^-1; what lies above the diagonal is neither read nor written. */
export function invertLower(n: i32, l: usize, ldl: usize): void {
  if (n <= BASE) {
    invertSmall(n, l, ldl);
    return;
  }
  const n1 = half(n);
  const n2 = n - n1;
  const l21 = l + <usize>n1 * ldl;
  const l22 = l21 + <usize>(n1 << 3);
  solveLeft(false, n2, n1, l22, ldl, l21, ldl);
  solveRight(false, n2, n1, l, ldl, l21, ldl);
  for (let i = 0; i < n2; i++) scale(n1, -1, l21 + <usize>i * ldl);
  invertLower(n1, l, ldl);
  invertLower(n2, l22, ldl);
}

/** Row i of the inverse is -1 / L[i, i] times the sum of L[i, p] and row p of the inverse. */
function invertSmall(n: i32, l: usize, ldl: usize): void {
  for (let i = 0; i < n; i++) {
    const row = l + <usize>i * ldl;
    const pivot = 1 / get(row, i);
    copyShort(i, row, kept);
    clear(i, row);
    let other = l;
    let p = 0;
    for (; p + 1 < i; p += 2) {
      const next = other + ldl;
      const factor = -pivot * get(kept, p + 1);
      addTwoScaled(p + 1, -pivot * get(kept, p), other, factor, next, row);
      set(row, p + 1, factor * get(next, p + 1));
      other = next + ldl;
    }
    if (p < i) addScaled(p + 1, -pivot * get(kept, p), other, row);
    set(row, i, pivot);
  }
}

/** Lower triangle of M' M in place of the lower triangle M. */
export function lowerGram(n: i32, m: usize, ldm: usize): void {
  if (n <= BASE) {
    for (let i = 0; i < n; i++) {
      const row = m + <usize>i * ldm;
      scale(i + 1, get(row, i), row);
      let other = row + ldm;
      let p = i + 1;
      for (; p + 1 < n; p += 2) {
        const next = other + ldm;
        addTwoScaled(i + 1, get(other, i), other, get(next, i), next, row);
        other = next + ldm;
      }
      if (p < n) addScaled(i + 1, get(other, i), other, row);
    }
    return;
  }
  const n1 = half(n);
  const n2 = n - n1;
  const m21 = m + <usize>n1 * ldm;
  const m22 = m21 + <usize>(n1 << 3);
  lowerGram(n1, m, ldm);
  multiply(true, true, false, n1, n1, n2, 1, m21, ldm, m21, ldm, 1, m, ldm);
  multiplyTransposed(n2, n1, m22, ldm, m21, ldm);
  lowerGram(n2, m22, ldm);
}

/** B <- M' B with lower M [m, m], B [m, n]. */
function multiplyTransposed(m: i32, n: i32, t: usize, ldt: usize, b: usize, ldb: usize): void {
  if (m <= BASE) {
    multiplySmall(m, n, t, ldt, b, ldb);
    return;
  }
  const m1 = half(m);
  const m2 = m - m1;
  const t21 = t + <usize>m1 * ldt;
  const b2 = b + <usize>m1 * ldb;
  multiplyTransposed(m1, n, t, ldt, b, ldb);
  multiply(false, true, false, m1, n, m2, 1, t21, ldt, b2, ldb, 1, b, ldb);
  multiplyTransposed(m2, n, t21 + <usize>(m1 << 3), ldt, b2, ldb);
}

/** Row i becomes the sum over p >= i of M[p, i] and row p, eight columns at a time. */
function multiplySmall(m: i32, n: i32, t: usize, ldt: usize, b: usize, ldb: usize): void {
  for (let i = 0; i < m; i++) {
    const first = t + <usize>i * ldt + (<usize>i << 3);
    const row = b + <usize>i * ldb;
    let j = 0;
    for (; j + 7 < n; j += 8) {
      const at = row + (<usize>j << 3);
      const own = v128.load64_splat(first);
      let v0 = f64x2.mul(own, v128.load(at)), v1 = f64x2.mul(own, v128.load(at, 16));
      let v2 = f64x2.mul(own, v128.load(at, 32)), v3 = f64x2.mul(own, v128.load(at, 48));
      let coefficient = first;
      let from = at;
      for (let p = i + 1; p < m; p++) {
        coefficient += ldt;
        from += ldb;
        const f = v128.load64_splat(coefficient);
        v0 = madd(f, v128.load(from), v0);
        v1 = madd(f, v128.load(from, 16), v1);
        v2 = madd(f, v128.load(from, 32), v2);
        v3 = madd(f, v128.load(from, 48), v3);
      }
      v128.store(at, v0);
      v128.store(at, v1, 16);
      v128.store(at, v2, 32);
      v128.store(at, v3, 48);
    }
    for (; j < n; j++) {
      let value = f64.load(first) * get(row, j);
      let coefficient = first;
      let from = row + (<usize>j << 3);
      for (let p = i + 1; p < m; p++) {
        coefficient += ldt;
        from += ldb;
        value += f64.load(coefficient) * f64.load(from);
      }
      set(row, j, value);
    }
  }
}
