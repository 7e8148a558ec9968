// Exports of the kernel module. Positions are byte offsets in the imported memory; leading dimensions count numbers.

import { minimaOverBalls } from "./ballMinima";
import { congruenceMany, factorMany, invertMany, multiplyMany, solveMany } from "./batch";
import { BIT_SCRATCH, multiplyBits, setBitScratch } from "./bitProduct";
import { eigen, eigenScratch } from "./eigen";
import { PRODUCT_SCRATCH, mirror as mirrorLower, multiply, setProductScratch } from "./gemm";
import { INVERSE_SCRATCH, invertLower, lowerGram, setInverseScratch } from "./inverse";
import { matrixVector, rowLengthsOf, solveVector, symmetricTimes } from "./matrixVector";
import { SOLVE_SCRATCH, clearUpper, factor, setSolveScratch, solveLeft, solveRight } from "./triangular";

let eigenAt: usize = 0;

/** Bytes of scratch needed when eigenproblems go up to `order`. */
export function scratchBytes(order: i32): usize {
  return PRODUCT_SCRATCH + SOLVE_SCRATCH + INVERSE_SCRATCH + BIT_SCRATCH + eigenScratch(order);
}

export function setScratch(at: usize): void {
  setProductScratch(at);
  setSolveScratch(at + PRODUCT_SCRATCH);
  setInverseScratch(at + PRODUCT_SCRATCH + SOLVE_SCRATCH);
  setBitScratch(at + PRODUCT_SCRATCH + SOLVE_SCRATCH + INVERSE_SCRATCH);
  eigenAt = at + PRODUCT_SCRATCH + SOLVE_SCRATCH + INVERSE_SCRATCH + BIT_SCRATCH;
}

export function gemm(
  transposeA: bool, transposeB: bool, m: i32, n: i32, k: i32, alpha: f64, a: usize, lda: usize,
  b: usize, ldb: usize, beta: f64, c: usize, ldc: usize,
): void {
  multiply(false, transposeA, transposeB, m, n, k, alpha, a, lda << 3, b, ldb << 3, beta, c, ldc << 3);
}

/** `ldd` counts words of 64 bits. */
export function gemmBits(
  transpose: bool, m: i32, n: i32, k: i32, alpha: f64, d: usize, ldd: usize, b: usize, ldb: usize, beta: f64, c: usize, ldc: usize,
): void {
  multiplyBits(transpose, m, n, k, alpha, d, ldd << 3, b, ldb << 3, beta, c, ldc << 3);
}

export function syrk(
  transpose: bool, n: i32, k: i32, alpha: f64, a: usize, lda: usize, beta: f64, c: usize, ldc: usize,
): void {
  multiply(true, transpose, !transpose, n, n, k, alpha, a, lda << 3, a, lda << 3, beta, c, ldc << 3);
  mirrorLower(n, c, ldc << 3);
}

/** Copies the lower triangle to the upper one. */
export function mirror(n: i32, a: usize, lda: usize): void {
  mirrorLower(n, a, lda << 3);
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

export function trtri(n: i32, l: usize, ldl: usize): void {
  invertLower(n, l, ldl << 3);
  clearUpper(n, l, ldl << 3);
}

export function potri(n: i32, l: usize, ldl: usize): void {
  invertLower(n, l, ldl << 3);
  lowerGram(n, l, ldl << 3);
  mirrorLower(n, l, ldl << 3);
}

export function gemv(transpose: bool, m: i32, n: i32, alpha: f64, a: usize, lda: usize, x: usize, beta: f64, y: usize): void {
  matrixVector(transpose, transpose ? n : m, transpose ? m : n, alpha, a, lda << 3, x, 8, beta, y, 8);
}

export function symv(n: i32, alpha: f64, a: usize, lda: usize, x: usize, beta: f64, y: usize): void {
  symmetricTimes(n, alpha, a, lda << 3, x, beta, y);
}

export function trsv(transpose: bool, n: i32, l: usize, ldl: usize, x: usize): void {
  solveVector(transpose, n, l, ldl << 3, x);
}

/** `stepConstants` is 0 or 1; leading dimensions count numbers; `moves` 0 for none. */
export function ballMinima(
  rows: i32, n: i32, x: usize, ldx: usize, h: usize, l: usize, ldl: usize, constants: usize, stepConstants: usize,
  signs: usize, radius: f64, tolerance: f64, work: usize, values: usize, multipliers: usize, moves: usize, ldm: usize,
): void {
  minimaOverBalls(
    rows, n, x, ldx << 3, h, l, ldl << 3, constants, stepConstants << 3,
    signs, radius, tolerance, work, values, multipliers, moves, ldm << 3,
  );
}

export function rowLengths(m: i32, n: i32, a: usize, lda: usize, lengths: usize): void {
  rowLengthsOf(m, n, a, lda << 3, lengths);
}

// Batches: strides count numbers.

export function batchGemm(
  count: i32, transposeA: bool, transposeB: bool, m: i32, n: i32, k: i32, alpha: f64, a: usize, lda: usize, strideA: usize,
  b: usize, ldb: usize, strideB: usize, beta: f64, c: usize, ldc: usize, strideC: usize,
): void {
  multiplyMany(
    count, transposeA, transposeB, m, n, k, alpha, a, lda << 3, strideA << 3,
    b, ldb << 3, strideB << 3, beta, c, ldc << 3, strideC << 3,
  );
}

export function batchPotrf(count: i32, n: i32, a: usize, lda: usize, stride: usize, status: usize): i32 {
  return factorMany(count, n, a, lda << 3, stride << 3, status);
}

export function batchPotri(count: i32, n: i32, l: usize, ldl: usize, stride: usize): void {
  invertMany(count, n, l, ldl << 3, stride << 3);
}

export function batchTrsm(
  count: i32, left: bool, transpose: bool, m: i32, n: i32, l: usize, ldl: usize, strideL: usize,
  b: usize, ldb: usize, strideB: usize,
): void {
  solveMany(count, left, transpose, m, n, l, ldl << 3, strideL << 3, b, ldb << 3, strideB << 3);
}

export function batchCongruence(
  count: i32, m: i32, n: i32, t: usize, ldt: usize, strideT: usize, q: usize, ldq: usize, work: usize,
  out: usize, ldo: usize, strideOut: usize,
): void {
  congruenceMany(count, m, n, t, ldt << 3, strideT << 3, q, ldq << 3, work, out, ldo << 3, strideOut << 3);
}
