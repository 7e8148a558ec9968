// Matrices with known answers and error measures for the conformance suite. All are row-major Float64Array.

import type { Rng } from "@worstcase/core";
import type { Workspace } from "../kernels.js";

export const EPSILON = 2 ** -52;

export function randomArray(rng: Rng, length: number, scale = 1): Float64Array {
  return Float64Array.from({ length }, () => scale * rng.normal());
}

/** Orthogonal Q [n, n]: modified Gram-Schmidt, twice, on random rows. */
function randomOrthogonal(rng: Rng, n: number): Float64Array {
  const q = randomArray(rng, n * n);
  for (let i = 0; i < n; i++) {
    const row = q.subarray(i * n, (i + 1) * n);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = q.subarray(j * n, (j + 1) * n);
        const along = inner(row, other);
        for (let k = 0; k < n; k++) row[k] -= along * other[k];
      }
      const length = Math.sqrt(inner(row, row));
      for (let k = 0; k < n; k++) row[k] /= length;
    }
  }
  return q;
}

/** Q' diag(spectrum) Q, exactly symmetric. */
export function withSpectrum(rng: Rng, spectrum: ArrayLike<number>): Float64Array {
  const n = spectrum.length;
  const q = randomOrthogonal(rng, n);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += spectrum[k] * q[k * n + i] * q[k * n + j];
      a[i * n + j] = sum;
      a[j * n + i] = sum;
    }
  }
  return a;
}

/** Well-conditioned lower triangle with positive diagonal near 2. */
export function randomLower(rng: Rng, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) l[i * n + j] = rng.normal() / Math.sqrt(n);
    l[i * n + i] = 2 + rng.uniform();
  }
  return l;
}

function inner(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

/** op(A) op(B) by the definition, [m, n]. */
export function plainProduct(
  transposeA: boolean,
  transposeB: boolean,
  m: number,
  n: number,
  k: number,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
      c[i * n + j] = sum;
    }
  }
  return c;
}

export function transposed(rows: number, columns: number, a: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)]);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference; // keeps NaN
  }
  return largest;
}

export function largestEntry(a: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]));
  return largest;
}

/** A matrix in workspace memory with padding between rows; the padding holds a value that must survive. */
export interface Padded {
  readonly array: Float64Array;
  readonly leading: number;
  /** The matrix without its padding. */
  values(): Float64Array;
  /** Whether every number of the padding is untouched. */
  intact(): boolean;
}

const GUARD = -123456.789;

/** Numbers a padded matrix takes. */
export function paddedLength(rows: number, columns: number, padding: number): number {
  return rows * (columns + padding) + padding;
}

export function padded(
  workspace: Workspace,
  rows: number,
  columns: number,
  padding: number,
  values: ArrayLike<number>,
): Padded {
  const leading = columns + padding;
  const array = workspace.float64(paddedLength(rows, columns, padding)).fill(GUARD);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) array[i * leading + j] = values[i * columns + j];
  return {
    array,
    leading,
    values: () =>
      Float64Array.from({ length: rows * columns }, (_, i) => array[Math.floor(i / columns) * leading + (i % columns)]),
    intact: () => array.every((value, i) => (i < rows * leading && i % leading < columns) || value === GUARD),
  };
}

/** Whether two arrays hold the same numbers; NaN equals NaN. */
export function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return false;
  return true;
}
