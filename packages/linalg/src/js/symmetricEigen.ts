// A = sum_k w_k v_k v_k': Householder reduction to tridiagonal form, then implicit QL with rotations of the rows of V.
// Follows the EISPACK pair tred2 and tql2 (Martin, Reinsch, Wilkinson 1968; Bowdler and others 1968), stored transposed:
// row k of the array is column k of V, so every inner loop runs along memory.

import { mirrorLower } from "./triangles.js";

/** Sweeps allowed per eigenvalue; two or three are usual. */
const SWEEPS = 60;
const EPSILON = 2 ** -52;
/** Couplings below EPSILON times this are dropped even among small entries; the whole matrix is of size 1e-9 to 1e9. */
const SMALLEST = 1e-120;

/** Eigenvalues ascend in x[w ..]; row k of a becomes eigenvector k. Returns 0 or the index of the one that stalled. */
export function decomposeSymmetric(x: Float64Array, n: number, a: number, lda: number, w: number): number {
  const d = x.subarray(w, w + n);
  const e = new Float64Array(n);
  mirrorLower(x, n, a, lda);
  reduceToTridiagonal(x, n, a, lda, d, e);
  accumulateReflections(x, n, a, lda, d);
  e.copyWithin(0, 1);
  e[n - 1] = 0;
  const stalled = implicitQl(x, n, a, lda, d, e);
  if (stalled === 0) sortAscending(x, n, a, lda, d);
  return stalled;
}

function reduceToTridiagonal(
  v: Float64Array,
  n: number,
  a: number,
  lda: number,
  d: Float64Array,
  e: Float64Array,
): void {
  for (let j = 0; j < n; j++) d[j] = v[a + j * lda + n - 1];
  for (let i = n - 1; i > 0; i--) {
    let scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(d[k]);
    let h = 0;
    if (scale === 0) {
      e[i] = d[i - 1];
      for (let j = 0; j < i; j++) {
        d[j] = v[a + j * lda + i - 1];
        v[a + j * lda + i] = 0;
        v[a + i * lda + j] = 0;
      }
      d[i] = 0;
      continue;
    }
    for (let k = 0; k < i; k++) {
      d[k] /= scale;
      h += d[k] * d[k];
    }
    const last = d[i - 1];
    const g = last > 0 ? -Math.sqrt(h) : Math.sqrt(h);
    e[i] = scale * g;
    h -= last * g;
    d[i - 1] = last - g;
    e.fill(0, 0, i);
    for (let j = 0; j < i; j++) {
      const f = d[j];
      const row = a + j * lda;
      v[a + i * lda + j] = f;
      let sum = e[j] + v[row + j] * f;
      for (let k = j + 1; k < i; k++) {
        const value = v[row + k];
        sum += value * d[k];
        e[k] += value * f;
      }
      e[j] = sum;
    }
    let f = 0;
    for (let j = 0; j < i; j++) {
      e[j] /= h;
      f += e[j] * d[j];
    }
    const shift = f / (h + h);
    for (let j = 0; j < i; j++) e[j] -= shift * d[j];
    for (let j = 0; j < i; j++) {
      const fj = d[j];
      const gj = e[j];
      const row = a + j * lda;
      for (let k = j; k < i; k++) v[row + k] -= fj * e[k] + gj * d[k];
      d[j] = v[row + i - 1];
      v[row + i] = 0;
    }
    d[i] = h;
  }
}

function accumulateReflections(v: Float64Array, n: number, a: number, lda: number, d: Float64Array): void {
  for (let i = 0; i < n - 1; i++) {
    v[a + i * lda + n - 1] = v[a + i * lda + i];
    v[a + i * lda + i] = 1;
    const h = d[i + 1];
    const next = a + (i + 1) * lda;
    if (h !== 0) {
      for (let k = 0; k <= i; k++) d[k] = v[next + k] / h;
      for (let j = 0; j <= i; j++) {
        const row = a + j * lda;
        let g = 0;
        for (let k = 0; k <= i; k++) g += v[next + k] * v[row + k];
        for (let k = 0; k <= i; k++) v[row + k] -= g * d[k];
      }
    }
    v.fill(0, next, next + i + 1);
  }
  for (let j = 0; j < n; j++) {
    d[j] = v[a + j * lda + n - 1];
    v[a + j * lda + n - 1] = 0;
  }
  v[a + (n - 1) * lda + n - 1] = 1;
}

function implicitQl(v: Float64Array, n: number, a: number, lda: number, d: Float64Array, e: Float64Array): number {
  let shift = 0;
  let size = SMALLEST;
  for (let l = 0; l < n; l++) {
    size = Math.max(size, Math.abs(d[l]) + Math.abs(e[l]));
    let m = l;
    while (m < n - 1 && !(Math.abs(e[m]) <= EPSILON * size)) m++;
    for (let sweep = 0; m > l; sweep++) {
      if (sweep === SWEEPS) return l + 1;
      let g = d[l];
      let p = (d[l + 1] - g) / (2 * e[l]);
      const root = p < 0 ? -Math.sqrt(p * p + 1) : Math.sqrt(p * p + 1);
      d[l] = e[l] / (p + root);
      d[l + 1] = e[l] * (p + root);
      const next = d[l + 1];
      let h = g - d[l];
      for (let i = l + 2; i < n; i++) d[i] -= h;
      shift += h;
      p = d[m];
      let c = 1,
        c2 = 1,
        c3 = 1,
        s = 0,
        s2 = 0;
      const coupling = e[l + 1];
      for (let i = m - 1; i >= l; i--) {
        c3 = c2;
        c2 = c;
        s2 = s;
        g = c * e[i];
        h = c * p;
        const r = Math.sqrt(p * p + e[i] * e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        rotateRows(v, n, a + i * lda, a + (i + 1) * lda, c, s);
      }
      p = (-s * s2 * c3 * coupling * e[l]) / next;
      e[l] = s * p;
      d[l] = c * p;
      if (!(Math.abs(e[l]) > EPSILON * size)) break;
    }
    d[l] += shift;
    e[l] = 0;
  }
  return 0;
}

function rotateRows(v: Float64Array, n: number, first: number, second: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const low = v[first + k];
    const high = v[second + k];
    v[second + k] = s * low + c * high;
    v[first + k] = c * low - s * high;
  }
}

function sortAscending(v: Float64Array, n: number, a: number, lda: number, d: Float64Array): void {
  for (let i = 0; i < n - 1; i++) {
    let least = i;
    for (let j = i + 1; j < n; j++) if (d[j] < d[least]) least = j;
    if (least === i) continue;
    [d[i], d[least]] = [d[least], d[i]];
    for (let k = 0; k < n; k++) {
      const kept = v[a + i * lda + k];
      v[a + i * lda + k] = v[a + least * lda + k];
      v[a + least * lda + k] = kept;
    }
  }
}
