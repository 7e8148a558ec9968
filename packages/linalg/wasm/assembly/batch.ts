// Many small problems in one call: blocks of one shape lie `stride` apart. Positions, leading dimensions and strides are
// in bytes.

import { mirror, multiply } from "./gemm";
import { invertLower, lowerGram } from "./inverse";
import { clearUpper, factor, solveLeft, solveRight } from "./triangular";

export function multiplyMany(
  count: i32, transposeA: bool, transposeB: bool, m: i32, n: i32, k: i32, alpha: f64, a: usize, lda: usize, strideA: usize,
  b: usize, ldb: usize, strideB: usize, beta: f64, c: usize, ldc: usize, strideC: usize,
): void {
  for (let i = 0; i < count; i++) {
    multiply(false, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    a += strideA;
    b += strideB;
    c += strideC;
  }
}

/** status [count]: 0 or the 1-based failing pivot of each block. Returns how many failed. */
export function factorMany(count: i32, n: i32, a: usize, lda: usize, stride: usize, status: usize): i32 {
  let failures = 0;
  for (let i = 0; i < count; i++) {
    const failed = factor(n, a, lda);
    if (failed) failures++;
    else clearUpper(n, a, lda);
    f64.store(status, failed);
    status += 8;
    a += stride;
  }
  return failures;
}

export function invertMany(count: i32, n: i32, l: usize, ldl: usize, stride: usize): void {
  for (let i = 0; i < count; i++) {
    invertLower(n, l, ldl);
    lowerGram(n, l, ldl);
    mirror(n, l, ldl);
    l += stride;
  }
}

export function solveMany(
  count: i32, left: bool, transpose: bool, m: i32, n: i32, l: usize, ldl: usize, strideL: usize,
  b: usize, ldb: usize, strideB: usize,
): void {
  for (let i = 0; i < count; i++) {
    if (left) solveLeft(transpose, m, n, l, ldl, b, ldb);
    else solveRight(transpose, m, n, l, ldl, b, ldb);
    l += strideL;
    b += strideB;
  }
}

/** out_i [n, n] <- T_i' Q T_i with symmetric Q [m, m] and T_i [m, n]; of the second product only the lower triangle. */
export function congruenceMany(
  count: i32, m: i32, n: i32, t: usize, ldt: usize, strideT: usize, q: usize, ldq: usize, work: usize,
  out: usize, ldo: usize, strideOut: usize,
): void {
  const ldw = <usize>n << 3;
  for (let i = 0; i < count; i++) {
    multiply(false, false, false, m, n, m, 1, q, ldq, t, ldt, 0, work, ldw);
    multiply(true, true, false, n, n, m, 1, t, ldt, work, ldw, 0, out, ldo);
    mirror(n, out, ldo);
    t += strideT;
    out += strideOut;
  }
}
