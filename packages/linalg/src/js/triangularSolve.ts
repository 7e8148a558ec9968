// B <- op(L)^-1 B (left) or B op(L)^-1 (right) for lower-triangular L: blocks of columns are solved by substitution,
// the rest of B is updated by a matrix product.

import { type PackingScratch, product, strided } from "./gemm.js";

const BLOCK = 32;

export function solveTriangular(
  x: Float64Array,
  scratch: PackingScratch,
  left: boolean,
  transpose: boolean,
  m: number,
  n: number,
  l: number,
  ldl: number,
  b: number,
  ldb: number,
): void {
  const order = left ? m : n;
  const forward = left !== transpose; // L X = B and X L' = B run from the first unknown to the last
  const blocks = Math.ceil(order / BLOCK);
  for (let step = 0; step < blocks; step++) {
    const k = (forward ? step : blocks - 1 - step) * BLOCK;
    const end = Math.min(order, k + BLOCK);
    const size = end - k;
    const diagonal = l + k * ldl + k;
    const below = l + end * ldl + k; // L[end.., k..end]
    const beside = l + k * ldl; // L[k..end, ..k]
    if (left) {
      const rows = b + k * ldb;
      if (transpose) backwardRows(x, size, n, diagonal, ldl, rows, ldb);
      else forwardRows(x, size, n, diagonal, ldl, rows, ldb);
      if (transpose) {
        product(x, scratch, k, n, size, -1, strided(beside, ldl, true), strided(rows, ldb, false), 1, b, ldb);
      } else {
        const rest = b + end * ldb;
        product(x, scratch, m - end, n, size, -1, strided(below, ldl, false), strided(rows, ldb, false), 1, rest, ldb);
      }
    } else {
      const columns = strided(b + k, ldb, false);
      if (transpose) forwardColumns(x, m, size, diagonal, ldl, b + k, ldb);
      else backwardColumns(x, m, size, diagonal, ldl, b + k, ldb);
      if (transpose) product(x, scratch, m, n - end, size, -1, columns, strided(below, ldl, true), 1, b + end, ldb);
      else product(x, scratch, m, k, size, -1, columns, strided(beside, ldl, false), 1, b, ldb);
    }
  }
}

/** L X = B. */
function forwardRows(x: Float64Array, m: number, n: number, l: number, ldl: number, b: number, ldb: number): void {
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < i; p++) subtractRow(x, n, x[l + i * ldl + p], b + p * ldb, b + i * ldb);
    divideRow(x, n, x[l + i * ldl + i], b + i * ldb);
  }
}

/** L' X = B. */
function backwardRows(x: Float64Array, m: number, n: number, l: number, ldl: number, b: number, ldb: number): void {
  for (let i = m - 1; i >= 0; i--) {
    divideRow(x, n, x[l + i * ldl + i], b + i * ldb);
    for (let p = 0; p < i; p++) subtractRow(x, n, x[l + i * ldl + p], b + i * ldb, b + p * ldb);
  }
}

function subtractRow(x: Float64Array, n: number, factor: number, from: number, to: number): void {
  for (let j = 0; j < n; j++) x[to + j] -= factor * x[from + j];
}

function divideRow(x: Float64Array, n: number, divisor: number, at: number): void {
  for (let j = 0; j < n; j++) x[at + j] /= divisor;
}

/** X L' = B, row by row of B. */
function forwardColumns(x: Float64Array, m: number, n: number, l: number, ldl: number, b: number, ldb: number): void {
  for (let i = 0; i < m; i++, b += ldb) {
    for (let j = 0; j < n; j++) {
      const row = l + j * ldl;
      let sum = x[b + j];
      for (let p = 0; p < j; p++) sum -= x[b + p] * x[row + p];
      x[b + j] = sum / x[row + j];
    }
  }
}

/** X L = B, row by row of B. */
function backwardColumns(x: Float64Array, m: number, n: number, l: number, ldl: number, b: number, ldb: number): void {
  for (let i = 0; i < m; i++, b += ldb) {
    for (let j = n - 1; j >= 0; j--) {
      const row = l + j * ldl;
      const value = (x[b + j] /= x[row + j]);
      for (let p = 0; p < j; p++) x[b + p] -= value * x[row + p];
    }
  }
}
