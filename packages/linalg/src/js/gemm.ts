// C <- alpha op(A) op(B) + beta C and the symmetric product, in plain TypeScript.
// Transposes are strides: element (i, p) of op(A) lies at a + i * rowA + p * columnA. Blocks of op(A) and op(B) are
// packed into panels of four rows and four columns, which a 4 x 4 register tile then runs through.

import { mirrorLower } from "./triangles.js";

const TILE = 4;
/** Depth of a packed block: two panels of 256 x 4 numbers stay in the first-level cache. */
const DEPTH = 256;
/** Columns of op(B) packed at once: 256 x 256 numbers, half a megabyte. */
const WIDTH = 256;
/** Below this many multiplications packing costs more than it saves. */
const SMALL = 6 * 6 * 6;

/** Numbers in the scratch of the packed path. */
export const PACKED_NUMBERS = TILE * DEPTH + DEPTH * WIDTH;

/** Scratch of the packed path: one panel of A, one block of B. */
export interface PackingScratch {
  readonly panelA: Float64Array;
  readonly blockB: Float64Array;
}

export function packingScratch(): PackingScratch {
  return { panelA: new Float64Array(TILE * DEPTH), blockB: new Float64Array(DEPTH * WIDTH) };
}

/** A matrix by position and strides; transposing it exchanges the strides. */
export interface Strided {
  readonly at: number;
  readonly row: number;
  readonly column: number;
}

export function strided(at: number, leading: number, transpose: boolean): Strided {
  return transpose ? { at, row: 1, column: leading } : { at, row: leading, column: 1 };
}

/** C [m, n] <- alpha A B + beta C with A [m, k], B [k, n] given by strides. */
export function product(
  x: Float64Array,
  scratch: PackingScratch,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Strided,
  b: Strided,
  beta: number,
  c: number,
  ldc: number,
): void {
  scaleRows(x, m, n, beta, c, ldc);
  if (alpha === 0 || k === 0) return;
  if (m * n * k <= SMALL) smallProduct(x, m, n, k, alpha, a, b, c, ldc);
  else packedProduct(x, scratch, m, n, k, alpha, a, b, c, ldc);
}

function scaleRows(x: Float64Array, m: number, n: number, beta: number, c: number, ldc: number): void {
  if (beta === 1) return;
  for (let i = 0; i < m; i++) {
    const from = c + i * ldc;
    if (beta === 0) x.fill(0, from, from + n);
    else for (let p = from; p < from + n; p++) x[p] *= beta;
  }
}

function smallProduct(
  x: Float64Array,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Strided,
  b: Strided,
  c: number,
  ldc: number,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let pa = a.at + i * a.row;
      let pb = b.at + j * b.column;
      for (let p = 0; p < k; p++, pa += a.column, pb += b.row) sum += x[pa] * x[pb];
      x[c + i * ldc + j] += alpha * sum;
    }
  }
}

function packedProduct(
  x: Float64Array,
  { panelA, blockB }: PackingScratch,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Strided,
  b: Strided,
  c: number,
  ldc: number,
): void {
  for (let j0 = 0; j0 < n; j0 += WIDTH) {
    const width = Math.min(WIDTH, n - j0);
    for (let p0 = 0; p0 < k; p0 += DEPTH) {
      const depth = Math.min(DEPTH, k - p0);
      for (let j = 0; j < width; j += TILE) {
        pack(x, b.at + p0 * b.row + (j0 + j) * b.column, b.column, b.row, Math.min(TILE, width - j), depth, blockB, j);
      }
      for (let i = 0; i < m; i += TILE) {
        const rows = Math.min(TILE, m - i);
        pack(x, a.at + i * a.row + p0 * a.column, a.row, a.column, rows, depth, panelA, 0);
        for (let j = 0; j < width; j += TILE) {
          tile(x, panelA, blockB, j * depth, depth, alpha, c + i * ldc + j0 + j, ldc, rows, Math.min(TILE, width - j));
        }
      }
    }
  }
}

/** Writes panel `first / 4`: for each of `depth` steps the four values across, zeros beyond `count`. */
function pack(
  x: Float64Array,
  at: number,
  across: number,
  along: number,
  count: number,
  depth: number,
  panel: Float64Array,
  first: number,
): void {
  let to = first * depth;
  for (let p = 0; p < depth; p++, at += along, to += TILE) {
    panel[to] = x[at];
    panel[to + 1] = count > 1 ? x[at + across] : 0;
    panel[to + 2] = count > 2 ? x[at + 2 * across] : 0;
    panel[to + 3] = count > 3 ? x[at + 3 * across] : 0;
  }
}

const edge = new Float64Array(TILE * TILE);

/** C tile += alpha * (panel of A, depth x 4)' (panel of B, depth x 4). */
function tile(
  x: Float64Array,
  a: Float64Array,
  b: Float64Array,
  pb: number,
  depth: number,
  alpha: number,
  c: number,
  ldc: number,
  rows: number,
  columns: number,
): void {
  let c00 = 0,
    c01 = 0,
    c02 = 0,
    c03 = 0,
    c10 = 0,
    c11 = 0,
    c12 = 0,
    c13 = 0;
  let c20 = 0,
    c21 = 0,
    c22 = 0,
    c23 = 0,
    c30 = 0,
    c31 = 0,
    c32 = 0,
    c33 = 0;
  for (let pa = 0, end = depth * TILE; pa < end; pa += TILE, pb += TILE) {
    const b0 = b[pb],
      b1 = b[pb + 1],
      b2 = b[pb + 2],
      b3 = b[pb + 3];
    let v = a[pa];
    c00 += v * b0;
    c01 += v * b1;
    c02 += v * b2;
    c03 += v * b3;
    v = a[pa + 1];
    c10 += v * b0;
    c11 += v * b1;
    c12 += v * b2;
    c13 += v * b3;
    v = a[pa + 2];
    c20 += v * b0;
    c21 += v * b1;
    c22 += v * b2;
    c23 += v * b3;
    v = a[pa + 3];
    c30 += v * b0;
    c31 += v * b1;
    c32 += v * b2;
    c33 += v * b3;
  }
  const t = edge;
  t[0] = c00;
  t[1] = c01;
  t[2] = c02;
  t[3] = c03;
  t[4] = c10;
  t[5] = c11;
  t[6] = c12;
  t[7] = c13;
  t[8] = c20;
  t[9] = c21;
  t[10] = c22;
  t[11] = c23;
  t[12] = c30;
  t[13] = c31;
  t[14] = c32;
  t[15] = c33;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) x[c + i * ldc + j] += alpha * t[i * TILE + j];
  }
}

/** Rows of the symmetric product computed at once; the part above the diagonal block is mirrored. */
const STRIP = 64;

/** C [n, n] <- alpha A A' + beta C with A [n, k] by strides; reads the lower triangle of C, writes both. */
export function symmetricProduct(
  x: Float64Array,
  scratch: PackingScratch,
  n: number,
  k: number,
  alpha: number,
  a: Strided,
  beta: number,
  c: number,
  ldc: number,
): void {
  for (let i0 = 0; i0 < n; i0 += STRIP) {
    const rows = Math.min(STRIP, n - i0);
    const left: Strided = { ...a, at: a.at + i0 * a.row };
    const right: Strided = { at: a.at, row: a.column, column: a.row };
    product(x, scratch, rows, i0 + rows, k, alpha, left, right, beta, c + i0 * ldc, ldc);
  }
  mirrorLower(x, n, c, ldc);
}
