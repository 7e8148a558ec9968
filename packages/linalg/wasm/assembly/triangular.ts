// Triangular solves and Cholesky by recursion: halves meet in matrix products, blocks of at most 16 are substituted.
// Leading dimensions are in bytes; L is lower triangular.

import { multiply } from "./gemm";
import { clear, dot, get, laneSum, madd, nmadd, set } from "./vector";

const BASE: i32 = 16;

/** 16 columns of eight rows, interleaved. */
export const SOLVE_SCRATCH: usize = BASE * 8 * 8;
let lanes: usize = 0;
export function setSolveScratch(at: usize): void {
  lanes = at;
}

/** About half, a multiple of the base block. */
// @ts-ignore: decorator
@inline
export function half(n: i32): i32 {
  return max(BASE, (n >> 1) & ~(BASE - 1));
}

/** op(L) X = B, B [m, n]. */
export function solveLeft(transpose: bool, m: i32, n: i32, l: usize, ldl: usize, b: usize, ldb: usize): void {
  if (m <= BASE) {
    substituteRows(transpose, m, n, l, ldl, b, ldb);
    return;
  }
  const m1 = half(m);
  const m2 = m - m1;
  const l21 = l + <usize>m1 * ldl;
  const l22 = l21 + <usize>(m1 << 3);
  const b2 = b + <usize>m1 * ldb;
  if (transpose) {
    solveLeft(true, m2, n, l22, ldl, b2, ldb);
    multiply(false, true, false, m1, n, m2, -1, l21, ldl, b2, ldb, 1, b, ldb);
    solveLeft(true, m1, n, l, ldl, b, ldb);
  } else {
    solveLeft(false, m1, n, l, ldl, b, ldb);
    multiply(false, false, false, m2, n, m1, -1, l21, ldl, b, ldb, 1, b2, ldb);
    solveLeft(false, m2, n, l22, ldl, b2, ldb);
  }
}

/** X op(L) = B, B [m, n]. */
export function solveRight(transpose: bool, m: i32, n: i32, l: usize, ldl: usize, b: usize, ldb: usize): void {
  if (n <= BASE) {
    for (let i = 0; i < m; i += 8) substituteColumns(transpose, min(8, m - i), n, l, ldl, b + <usize>i * ldb, ldb);
    return;
  }
  const n1 = half(n);
  const n2 = n - n1;
  const l21 = l + <usize>n1 * ldl;
  const l22 = l21 + <usize>(n1 << 3);
  const b2 = b + <usize>(n1 << 3);
  if (transpose) {
    solveRight(true, m, n1, l, ldl, b, ldb);
    multiply(false, false, true, m, n2, n1, -1, b, ldb, l21, ldl, 1, b2, ldb);
    solveRight(true, m, n2, l22, ldl, b2, ldb);
  } else {
    solveRight(false, m, n2, l22, ldl, b2, ldb);
    multiply(false, false, false, m, n1, n2, -1, b2, ldb, l21, ldl, 1, b, ldb);
    solveRight(false, m, n1, l, ldl, b, ldb);
  }
}

/** Substitution on at most 16 rows of B, eight columns at a time. */
function substituteRows(transpose: bool, m: i32, n: i32, l: usize, ldl: usize, b: usize, ldb: usize): void {
  for (let s = 0; s < m; s++) {
    const i = transpose ? m - 1 - s : s;
    const row = b + <usize>i * ldb;
    const pivot = get(l + <usize>i * ldl, i);
    const divisor = f64x2.splat(pivot);
    // coefficients of the rows already solved: L[i, 0..i] or L[i+1.., i]
    const count = s;
    const first = transpose ? l + <usize>(i + 1) * ldl + <usize>(i << 3) : l + <usize>i * ldl;
    const step: usize = transpose ? ldl : 8;
    const solved = transpose ? row + ldb : b;
    let j = 0;
    for (; j + 7 < n; j += 8) {
      const at = row + <usize>(j << 3);
      let v0 = v128.load(at), v1 = v128.load(at, 16), v2 = v128.load(at, 32), v3 = v128.load(at, 48);
      let coefficient = first;
      let from = solved + <usize>(j << 3);
      for (let p = 0; p < count; p++) {
        const f = v128.load64_splat(coefficient);
        v0 = nmadd(f, v128.load(from), v0);
        v1 = nmadd(f, v128.load(from, 16), v1);
        v2 = nmadd(f, v128.load(from, 32), v2);
        v3 = nmadd(f, v128.load(from, 48), v3);
        coefficient += step;
        from += ldb;
      }
      v128.store(at, f64x2.div(v0, divisor));
      v128.store(at, f64x2.div(v1, divisor), 16);
      v128.store(at, f64x2.div(v2, divisor), 32);
      v128.store(at, f64x2.div(v3, divisor), 48);
    }
    for (; j < n; j++) {
      let value = get(row, j);
      let coefficient = first;
      let from = solved + <usize>(j << 3);
      for (let p = 0; p < count; p++) {
        value -= f64.load(coefficient) * f64.load(from);
        coefficient += step;
        from += ldb;
      }
      set(row, j, value / pivot);
    }
  }
}

/** Substitution on up to eight rows of B and at most 16 columns, the rows interleaved in four registers. */
function substituteColumns(transpose: bool, rows: i32, n: i32, l: usize, ldl: usize, b: usize, ldb: usize): void {
  if (rows < 8) memory.fill(lanes, 0, <usize>n << 6);
  for (let r = 0; r < rows; r++) {
    const row = b + <usize>r * ldb;
    for (let j = 0; j < n; j++) f64.store(lanes + <usize>((j << 6) + (r << 3)), get(row, j));
  }
  for (let s = 0; s < n; s++) {
    const j = transpose ? s : n - 1 - s;
    const at = lanes + <usize>(j << 6);
    let v0 = v128.load(at), v1 = v128.load(at, 16), v2 = v128.load(at, 32), v3 = v128.load(at, 48);
    let coefficient = transpose ? l + <usize>j * ldl : l + <usize>(j + 1) * ldl + <usize>(j << 3);
    const step: usize = transpose ? 8 : ldl;
    let from = transpose ? lanes : at + 64;
    for (let p = 0; p < s; p++) {
      const f = v128.load64_splat(coefficient);
      v0 = nmadd(f, v128.load(from), v0);
      v1 = nmadd(f, v128.load(from, 16), v1);
      v2 = nmadd(f, v128.load(from, 32), v2);
      v3 = nmadd(f, v128.load(from, 48), v3);
      coefficient += step;
      from += 64;
    }
    const divisor = f64x2.splat(get(l + <usize>j * ldl, j));
    v128.store(at, f64x2.div(v0, divisor));
    v128.store(at, f64x2.div(v1, divisor), 16);
    v128.store(at, f64x2.div(v2, divisor), 32);
    v128.store(at, f64x2.div(v3, divisor), 48);
  }
  for (let r = 0; r < rows; r++) {
    const row = b + <usize>r * ldb;
    for (let j = 0; j < n; j++) set(row, j, f64.load(lanes + <usize>((j << 6) + (r << 3))));
  }
}

/** Lower Cholesky in place, upper triangle untouched or overwritten; 0 or the 1-based failing pivot. */
export function factor(n: i32, a: usize, lda: usize): i32 {
  if (n <= BASE) return factorSmall(n, a, lda);
  const n1 = half(n);
  const n2 = n - n1;
  const a21 = a + <usize>n1 * lda;
  const a22 = a21 + <usize>(n1 << 3);
  let failed = factor(n1, a, lda);
  if (failed) return failed;
  solveRight(true, n2, n1, a, lda, a21, lda);
  multiply(true, false, true, n2, n2, n1, -1, a21, lda, a21, lda, 1, a22, lda);
  failed = factor(n2, a22, lda);
  return failed ? n1 + failed : 0;
}

/** Column by column; four rows at a time share the loads of row j and keep the arithmetic units busy. */
function factorSmall(n: i32, a: usize, lda: usize): i32 {
  for (let j = 0; j < n; j++) {
    const own = a + <usize>j * lda;
    const column = <usize>j << 3;
    const pivot = get(own, j) - dot(j, own, own);
    if (!(pivot > 0 && pivot < Infinity)) return j + 1;
    const root = Math.sqrt(pivot);
    set(own, j, root);
    for (let i = j + 1; i < n; i += 4) {
      const rows = n - i;
      const r0 = a + <usize>i * lda;
      const r1 = rows > 1 ? r0 + lda : r0;
      const r2 = rows > 2 ? r1 + lda : r1;
      const r3 = rows > 3 ? r2 + lda : r2;
      let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
      let at: usize = 0;
      for (; at + 8 < column; at += 16) {
        const v = v128.load(own + at);
        s0 = madd(v, v128.load(r0 + at), s0);
        s1 = madd(v, v128.load(r1 + at), s1);
        s2 = madd(v, v128.load(r2 + at), s2);
        s3 = madd(v, v128.load(r3 + at), s3);
      }
      if (at < column) {
        // lane 1 of an odd last element meets a zero
        const v = v128.load64_zero(own + at);
        s0 = madd(v, v128.load64_zero(r0 + at), s0);
        s1 = madd(v, v128.load64_zero(r1 + at), s1);
        s2 = madd(v, v128.load64_zero(r2 + at), s2);
        s3 = madd(v, v128.load64_zero(r3 + at), s3);
      }
      const t0 = (f64.load(r0 + column) - laneSum(s0)) / root;
      const t1 = (f64.load(r1 + column) - laneSum(s1)) / root;
      const t2 = (f64.load(r2 + column) - laneSum(s2)) / root;
      const t3 = (f64.load(r3 + column) - laneSum(s3)) / root;
      f64.store(r3 + column, t3);
      f64.store(r2 + column, t2);
      f64.store(r1 + column, t1);
      f64.store(r0 + column, t0);
    }
  }
  return 0;
}

export function clearUpper(n: i32, a: usize, lda: usize): void {
  for (let i = 0; i < n - 1; i++) clear(n - 1 - i, a + <usize>i * lda + <usize>((i + 1) << 3));
}
