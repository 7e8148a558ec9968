// Moves between the triangles of a square matrix [n, n] at position `a` with leading dimension `lda`.

const BLOCK = 32;

/** Zeros above the diagonal. */
export function clearUpper(x: Float64Array, n: number, a: number, lda: number): void {
  for (let i = 0; i < n - 1; i++) {
    const row = a + i * lda;
    if (n - i > BLOCK) x.fill(0, row + i + 1, row + n);
    else for (let p = row + i + 1; p < row + n; p++) x[p] = 0;
  }
}

/** Copies the lower triangle to the upper one, in blocks so that both sides stay in cache. */
export function mirrorLower(x: Float64Array, n: number, a: number, lda: number): void {
  for (let i0 = 0; i0 < n; i0 += BLOCK) {
    const end = Math.min(n, i0 + BLOCK);
    for (let j0 = 0; j0 <= i0; j0 += BLOCK) {
      for (let i = i0; i < end; i++) {
        const row = a + i * lda;
        const last = Math.min(i, j0 + BLOCK);
        for (let j = j0; j < last; j++) x[a + j * lda + i] = x[row + j];
      }
    }
  }
}
