// Inverse of a lower triangle and of a symmetric matrix from its Cholesky factor, in place, by recursion on halves:
//   [L11 0; L21 L22]^-1 = [L11^-1 0; -L22^-1 L21 L11^-1, L22^-1]
//   M' M for lower M = [M11' M11 + M21' M21, .; M22' M21, M22' M22]

import { type PackingScratch, product, strided } from "./gemm.js";
import { clearUpper, mirrorLower } from "./triangles.js";
import { solveTriangular } from "./triangularSolve.js";

const BASE = 16;
const half = (n: number) => Math.max(BASE, (n >> 1) & ~(BASE - 1));

/** L <- L^-1 for lower-triangular L [n, n], zeros above. */
export function invertLower(x: Float64Array, scratch: PackingScratch, n: number, l: number, ldl: number): void {
  invert(x, scratch, n, l, ldl);
  clearUpper(x, n, l, ldl);
}

/** (L L')^-1 in place of L [n, n], both triangles. */
export function symmetricInverse(x: Float64Array, scratch: PackingScratch, n: number, l: number, ldl: number): void {
  invert(x, scratch, n, l, ldl);
  gram(x, scratch, n, l, ldl);
  mirrorLower(x, n, l, ldl);
}

function invert(x: Float64Array, scratch: PackingScratch, n: number, l: number, ldl: number): void {
  if (n <= BASE) {
    for (let i = 0; i < n; i++) invertRow(x, i, l, ldl);
    return;
  }
  const n1 = half(n);
  const l21 = l + n1 * ldl;
  const l22 = l21 + n1;
  solveTriangular(x, scratch, true, false, n - n1, n1, l22, ldl, l21, ldl);
  solveTriangular(x, scratch, false, false, n - n1, n1, l, ldl, l21, ldl);
  for (let i = 0; i < n - n1; i++) for (let p = l21 + i * ldl, end = p + n1; p < end; p++) x[p] = -x[p];
  invert(x, scratch, n1, l, ldl);
  invert(x, scratch, n - n1, l22, ldl);
}

/** Row i of the inverse, rows before it being done: -1 / L[i, i] times the sum over p of L[i, p] and row p. */
function invertRow(x: Float64Array, i: number, l: number, ldl: number): void {
  const row = l + i * ldl;
  const pivot = 1 / x[row + i];
  for (let j = 0; j < i; j++) {
    let sum = 0;
    for (let p = j; p < i; p++) sum += x[row + p] * x[l + p * ldl + j];
    x[row + j] = -pivot * sum;
  }
  x[row + i] = pivot;
}

/** Lower triangle of M' M in place of lower-triangular M. */
function gram(x: Float64Array, scratch: PackingScratch, n: number, m: number, ldm: number): void {
  if (n <= BASE) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let p = i; p < n; p++) sum += x[m + p * ldm + i] * x[m + p * ldm + j];
        x[m + i * ldm + j] = sum;
      }
    }
    return;
  }
  const n1 = half(n);
  const n2 = n - n1;
  const m21 = m + n1 * ldm;
  gram(x, scratch, n1, m, ldm);
  for (let k = 0; k < n1; k += BASE) {
    const rows = Math.min(BASE, n1 - k);
    product(
      x,
      scratch,
      rows,
      k + rows,
      n2,
      1,
      strided(m21 + k, ldm, true),
      strided(m21, ldm, false),
      1,
      m + k * ldm,
      ldm,
    );
  }
  multiplyTransposed(x, scratch, n2, n1, m21 + n1, ldm, m21, ldm);
  gram(x, scratch, n2, m21 + n1, ldm);
}

/** B <- M' B with lower M [m, m], B [m, n]: block rows from the top. */
function multiplyTransposed(
  x: Float64Array,
  scratch: PackingScratch,
  m: number,
  n: number,
  t: number,
  ldt: number,
  b: number,
  ldb: number,
): void {
  for (let k = 0; k < m; k += BASE) {
    const end = Math.min(m, k + BASE);
    for (let i = k; i < end; i++) {
      for (let j = 0; j < n; j++) x[b + i * ldb + j] *= x[t + i * ldt + i];
      for (let p = i + 1; p < end; p++) {
        const factor = x[t + p * ldt + i];
        for (let j = 0; j < n; j++) x[b + i * ldb + j] += factor * x[b + p * ldb + j];
      }
    }
    const below = strided(t + end * ldt + k, ldt, true);
    product(x, scratch, end - k, n, m - end, 1, below, strided(b + end * ldb, ldb, false), 1, b + k * ldb, ldb);
  }
}
