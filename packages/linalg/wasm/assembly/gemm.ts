// C <- alpha op(A) op(B) + beta C. Leading dimensions are in bytes.
// op(B) is packed into panels of four columns, a block of DEPTH x WIDTH at a time (half a megabyte, second-level cache).
// A is packed in panels of four rows, eight rows at a time; for few columns its rows are read in place, and small
// products pack nothing.

import { setEdge, tilePacked, tileRows, tileStrided } from "./tile";
import { VECTOR_SCRATCH, matrixVector, setVectorScratch } from "./matrixVector";
import { blend } from "./vector";

const DEPTH: i32 = 256;
const WIDTH: i32 = 256;
/** Rows of a transposed A packed together, so that whole cache lines are used. */
const STRIP: i32 = 8;
let blockB: usize = 0;
let panelA: usize = 0;

/** Bytes of scratch used by products. */
export const PRODUCT_SCRATCH: usize = 128 + (DEPTH * WIDTH + DEPTH * STRIP) * 8 + VECTOR_SCRATCH;

export function setProductScratch(at: usize): void {
  setEdge(at);
  blockB = at + 128;
  panelA = blockB + DEPTH * WIDTH * 8;
  setVectorScratch(panelA + DEPTH * STRIP * 8);
}

/** `lower`: only tiles that touch the lower triangle are computed (C square). */
export function multiply(
  lower: bool, transposeA: bool, transposeB: bool, m: i32, n: i32, k: i32, alpha: f64,
  a: usize, lda: usize, b: usize, ldb: usize, beta: f64, c: usize, ldc: usize,
): void {
  if (m == 0 || n == 0) return;
  if (alpha == 0 || k == 0) {
    scaleRows(lower, m, n, beta, c, ldc);
    return;
  }
  if (n == 1) {
    matrixVector(transposeA, m, k, alpha, a, lda, b, transposeB ? 8 : ldb, beta, c, ldc);
    return;
  }
  if (m == 1) {
    matrixVector(!transposeB, n, k, alpha, b, ldb, a, transposeA ? lda : 8, beta, c, 8);
    return;
  }
  const volume = <f64>m * <f64>n * <f64>k;
  const direct = !transposeB && (m <= 8 || volume <= 1000);
  const packA = !direct && n > (transposeA ? 8 : 16);
  const rowA: usize = transposeA ? 8 : lda;
  const stepA: usize = transposeA ? lda : 8;
  for (let j0 = 0; j0 < n; j0 += WIDTH) {
    const width = min(WIDTH, n - j0);
    for (let p0 = 0; p0 < k; p0 += DEPTH) {
      const depth = min(DEPTH, k - p0);
      const panel = <usize>(depth << 5);
      const beta0 = p0 == 0 ? beta : 1;
      if (transposeB) packLong(b + <usize>j0 * ldb + <usize>(p0 << 3), ldb, width, depth, blockB);
      else packWide(b + <usize>p0 * ldb + <usize>(j0 << 3), ldb, direct ? width & ~3 : 0, width, depth, blockB);
      const first = lower ? j0 & ~(STRIP - 1) : 0;
      for (let s = first; s < m; s += STRIP) {
        const strip = min(STRIP, m - s);
        if (packA) {
          if (transposeA) packWide(a + <usize>p0 * lda + <usize>(s << 3), lda, 0, strip, depth, panelA);
          else packLong(a + <usize>s * lda + <usize>(p0 << 3), lda, strip, depth, panelA);
        }
        for (let i = s; i < s + strip; i += 4) {
          const rows = min(4, m - i);
          const end = lower ? min(width, i + rows - j0) : width;
          const a0 = a + <usize>i * rowA + <usize>p0 * stepA;
          const a1 = rows > 1 ? a0 + rowA : a0;
          const a2 = rows > 2 ? a1 + rowA : a1;
          const a3 = rows > 3 ? a2 + rowA : a2;
          let to = c + <usize>i * ldc + <usize>(j0 << 3);
          let from = blockB;
          for (let j = 0; j < end; j += 4) {
            const columns = min(4, width - j);
            if (packA) {
              tilePacked(depth, panelA + <usize>((i - s) >> 2) * panel, from, alpha, beta0, to, ldc, rows, columns);
            } else if (direct && columns == 4) {
              const at = b + <usize>p0 * ldb + <usize>((j0 + j) << 3);
              tileStrided(depth, a0, a1, a2, a3, stepA, at, ldb, alpha, beta0, to, ldc, rows, 4);
            } else if (transposeA) {
              tileStrided(depth, a0, a1, a2, a3, stepA, from, 32, alpha, beta0, to, ldc, rows, columns);
            } else {
              tileRows(depth, a0, a1, a2, a3, from, alpha, beta0, to, ldc, rows, columns);
            }
            from += panel;
            to += 32;
          }
        }
      }
    }
  }
}

function scaleRows(lower: bool, m: i32, n: i32, beta: f64, c: usize, ldc: usize): void {
  for (let i = 0; i < m; i++) {
    const row = c + <usize>i * ldc;
    const end = lower ? min(n, i + 1) : n;
    for (let j = 0; j < end; j++) blend(row + <usize>(j << 3), 0, 0, beta);
  }
}

/** Panels of four adjacent columns, columns `from` to `width`; source rows are `ld` apart. */
function packWide(x: usize, ld: usize, from: i32, width: i32, depth: i32, to: usize): void {
  to += <usize>(from * depth) << 3;
  for (let j = from; j < width; j += 4) {
    let at = x + <usize>(j << 3);
    const columns = width - j;
    if (columns >= 4) {
      for (let p = 0; p < depth; p++) {
        v128.store(to, v128.load(at));
        v128.store(to, v128.load(at, 16), 16);
        at += ld;
        to += 32;
      }
    } else {
      for (let p = 0; p < depth; p++) {
        f64.store(to, f64.load(at));
        f64.store(to, columns > 1 ? f64.load(at, 8) : 0, 8);
        f64.store(to, columns > 2 ? f64.load(at, 16) : 0, 16);
        f64.store(to, 0, 24);
        at += ld;
        to += 32;
      }
    }
  }
}

/** Panels of four rows of x, transposed on the way: a transposed B, or A as it is. */
function packLong(x: usize, ld: usize, width: i32, depth: i32, to: usize): void {
  for (let j = 0; j < width; j += 4) {
    let x0 = x + <usize>j * ld;
    let x1 = j + 1 < width ? x0 + ld : x0;
    let x2 = j + 2 < width ? x1 + ld : x1;
    let x3 = j + 3 < width ? x2 + ld : x2;
    let p = 0;
    for (; p + 1 < depth; p += 2) {
      const v0 = v128.load(x0), v1 = v128.load(x1), v2 = v128.load(x2), v3 = v128.load(x3);
      v128.store(to, v128.shuffle<f64>(v0, v1, 0, 2));
      v128.store(to, v128.shuffle<f64>(v2, v3, 0, 2), 16);
      v128.store(to, v128.shuffle<f64>(v0, v1, 1, 3), 32);
      v128.store(to, v128.shuffle<f64>(v2, v3, 1, 3), 48);
      x0 += 16;
      x1 += 16;
      x2 += 16;
      x3 += 16;
      to += 64;
    }
    if (p < depth) {
      f64.store(to, f64.load(x0));
      f64.store(to, f64.load(x1), 8);
      f64.store(to, f64.load(x2), 16);
      f64.store(to, f64.load(x3), 24);
      to += 32;
    }
  }
}

/** Copies the lower triangle of C [n, n] to the upper one, two by two, in blocks of 16 so that both sides stay in cache. */
export function mirror(n: i32, c: usize, ldc: usize): void {
  for (let i0 = 0; i0 < n; i0 += 16) {
    const last = min(n, i0 + 16);
    for (let j0 = 0; j0 <= i0; j0 += 16) {
      let i = i0;
      for (; i + 1 < last; i += 2) {
        let from = c + <usize>i * ldc + <usize>(j0 << 3);
        let to = c + <usize>j0 * ldc + <usize>(i << 3);
        for (let j = j0, end = min(i, j0 + 16); j < end; j += 2) {
          const v0 = v128.load(from), v1 = v128.load(from + ldc);
          v128.store(to, v128.shuffle<f64>(v0, v1, 0, 2));
          to += ldc;
          v128.store(to, v128.shuffle<f64>(v0, v1, 1, 3));
          to += ldc;
          from += 16;
        }
        if (j0 == i0) f64.store(to, f64.load(from + ldc), 8);
      }
      if (i < last) {
        let from = c + <usize>i * ldc + <usize>(j0 << 3);
        let to = c + <usize>j0 * ldc + <usize>(i << 3);
        for (let j = j0, end = min(i, j0 + 16); j < end; j++) {
          f64.store(to, f64.load(from));
          from += 8;
          to += ldc;
        }
      }
    }
  }
}
