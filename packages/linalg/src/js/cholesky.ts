// A = L L', blocked and right-looking: factor a diagonal block with the panel below it, then subtract the panel's
// symmetric product from what remains, strip by strip of the lower triangle.

import { type PackingScratch, product, strided } from "./gemm.js";
import { clearUpper } from "./triangles.js";

const BLOCK = 48;

/** Returns 0 or the 1-based index of the first pivot that is not positive and finite. */
export function factorCholesky(x: Float64Array, scratch: PackingScratch, n: number, a: number, lda: number): number {
  for (let k = 0; k < n; k += BLOCK) {
    const end = Math.min(n, k + BLOCK);
    const failed = factorPanel(x, n, a, lda, k, end);
    if (failed) return failed;
    for (let j = end; j < n; j += BLOCK) {
      const width = Math.min(BLOCK, n - j);
      const rows = strided(a + j * lda + k, lda, false);
      const columns = strided(a + j * lda + k, lda, true);
      product(x, scratch, n - j, width, end - k, -1, rows, columns, 1, a + j * lda + j, lda);
    }
  }
  clearUpper(x, n, a, lda);
  return 0;
}

/** Columns k .. end of L for rows k .. n; what columns before k contribute has been subtracted already. */
function factorPanel(x: Float64Array, n: number, a: number, lda: number, k: number, end: number): number {
  for (let i = k; i < n; i++) {
    const rowI = a + i * lda;
    const last = Math.min(i, end - 1);
    for (let j = k; j <= last; j++) {
      const rowJ = a + j * lda;
      let sum = x[rowI + j];
      for (let p = k; p < j; p++) sum -= x[rowI + p] * x[rowJ + p];
      if (j < i) x[rowI + j] = sum / x[rowJ + j];
      else if (sum > 0 && sum < Number.POSITIVE_INFINITY) x[rowI + i] = Math.sqrt(sum);
      else return i + 1;
    }
  }
  return 0;
}
