// Exports of the kernel module. Positions are byte offsets in the imported memory; leading dimensions count numbers.

import { eigen, eigenScratch } from "./eigen";
import { PRODUCT_SCRATCH, mirror, multiply, setProductScratch } from "./gemm";
import { SOLVE_SCRATCH, clearUpper, factor, setSolveScratch, solveLeft, solveRight } from "./triangular";

let eigenAt: usize = 0;

/** Bytes of scratch needed when eigenproblems go up to `order`. */
export function scratchBytes(order: i32): usize {
  return PRODUCT_SCRATCH + SOLVE_SCRATCH + eigenScratch(order);
}

export function setScratch(at: usize): void {
  setProductScratch(at);
  setSolveScratch(at + PRODUCT_SCRATCH);
  eigenAt = at + PRODUCT_SCRATCH + SOLVE_SCRATCH;
}

export function gemm(
  transposeA: bool, transposeB: bool, m: i32, n: i32, k: i32, alpha: f64, a: usize, lda: usize,
  b: usize, ldb: usize, beta: f64, c: usize, ldc: usize,
): void {
  multiply(false, transposeA, transposeB, m, n, k, alpha, a, lda << 3, b, ldb << 3, beta, c, ldc << 3);
}

export function syrk(
  transpose: bool, n: i32, k: i32, alpha: f64, a: usize, lda: usize, beta: f64, c: usize, ldc: usize,
): void {
  multiply(true, transpose, !transpose, n, n, k, alpha, a, lda << 3, a, lda << 3, beta, c, ldc << 3);
  mirror(n, c, ldc << 3);
}

export function potrf(n: i32, a: usize, lda: usize): i32 {
  const failed = factor(n, a, lda << 3);
  if (!failed) clearUpper(n, a, lda << 3);
  return failed;
}

export function trsm(left: bool, transpose: bool, m: i32, n: i32, l: usize, ldl: usize, b: usize, ldb: usize): void {
  if (left) solveLeft(transpose, m, n, l, ldl << 3, b, ldb << 3);
  else solveRight(transpose, m, n, l, ldl << 3, b, ldb << 3);
}

export function syevd(n: i32, a: usize, lda: usize, eigenvalues: usize): i32 {
  return eigen(n, a, lda << 3, eigenvalues, eigenAt);
}
