// Register tiles: C[4, 4] <- alpha A[4, depth] B[depth, 4] + beta C for three ways A and B may lie in memory.
// Accumulator cij holds row i, columns 2j and 2j + 1.

import { blend, madd } from "./vector";

/** Where an incomplete tile is put before its valid part is blended into C: 16 numbers. */
let edge: usize = 0;
export function setEdge(at: usize): void {
  edge = at;
}

// @ts-ignore: decorator
@inline
function blendRow(c: usize, v0: v128, v1: v128, alpha: v128, beta: f64): void {
  if (beta == 0) {
    v128.store(c, f64x2.mul(alpha, v0));
    v128.store(c, f64x2.mul(alpha, v1), 16);
  } else if (beta == 1) {
    v128.store(c, madd(alpha, v0, v128.load(c)));
    v128.store(c, madd(alpha, v1, v128.load(c, 16)), 16);
  } else {
    const b = f64x2.splat(beta);
    v128.store(c, madd(alpha, v0, f64x2.mul(b, v128.load(c))));
    v128.store(c, madd(alpha, v1, f64x2.mul(b, v128.load(c, 16))), 16);
  }
}

function write(
  c00: v128, c01: v128, c10: v128, c11: v128, c20: v128, c21: v128, c30: v128, c31: v128,
  alpha: f64, beta: f64, c: usize, ldc: usize, rows: i32, columns: i32,
): void {
  if (rows == 4 && columns == 4) {
    const a = f64x2.splat(alpha);
    blendRow(c, c00, c01, a, beta);
    blendRow(c + ldc, c10, c11, a, beta);
    blendRow(c + 2 * ldc, c20, c21, a, beta);
    blendRow(c + 3 * ldc, c30, c31, a, beta);
    return;
  }
  const t = edge;
  v128.store(t, c00);
  v128.store(t, c01, 16);
  v128.store(t, c10, 32);
  v128.store(t, c11, 48);
  v128.store(t, c20, 64);
  v128.store(t, c21, 80);
  v128.store(t, c30, 96);
  v128.store(t, c31, 112);
  for (let i = 0; i < rows; i++) {
    let from = t + <usize>(i << 5);
    let to = c + <usize>i * ldc;
    for (let j = 0; j < columns; j++) {
      blend(to, alpha, f64.load(from), beta);
      from += 8;
      to += 8;
    }
  }
}

/** A by four row pointers with a common step, B with a step: no packing at all. */
export function tileStrided(
  depth: i32, a0: usize, a1: usize, a2: usize, a3: usize, stepA: usize, b: usize, stepB: usize,
  alpha: f64, beta: f64, c: usize, ldc: usize, rows: i32, columns: i32,
): void {
  let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let p = 0; p < depth; p++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load64_splat(a0);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load64_splat(a1);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load64_splat(a2);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load64_splat(a3);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    a0 += stepA;
    a1 += stepA;
    a2 += stepA;
    a3 += stepA;
    b += stepB;
  }
  write(c00, c01, c10, c11, c20, c21, c30, c31, alpha, beta, c, ldc, rows, columns);
}

/** A by four row pointers whose elements are adjacent, B packed: [depth][4]. */
export function tileRows(
  depth: i32, a0: usize, a1: usize, a2: usize, a3: usize, b: usize,
  alpha: f64, beta: f64, c: usize, ldc: usize, rows: i32, columns: i32,
): void {
  let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let p = 0; p < depth; p++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load64_splat(a0);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load64_splat(a1);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load64_splat(a2);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load64_splat(a3);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    a0 += 8;
    a1 += 8;
    a2 += 8;
    a3 += 8;
    b += 32;
  }
  write(c00, c01, c10, c11, c20, c21, c30, c31, alpha, beta, c, ldc, rows, columns);
}

/** A and B both packed: [depth][4]. */
export function tilePacked(
  depth: i32, a: usize, b: usize, alpha: f64, beta: f64, c: usize, ldc: usize, rows: i32, columns: i32,
): void {
  let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let p = 0; p < depth; p++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load64_splat(a, 8);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load64_splat(a, 16);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load64_splat(a, 24);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    a += 32;
    b += 32;
  }
  write(c00, c01, c10, c11, c20, c21, c30, c31, alpha, beta, c, ldc, rows, columns);
}
