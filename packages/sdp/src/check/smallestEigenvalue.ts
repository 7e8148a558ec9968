// Smallest eigenvalue of a symmetric matrix of any order, at the price of a few Cholesky factorisations.
// Small orders: all eigenvalues. Large orders: the least shift t among 0, 1e-15 |A|, 1e-14 |A|, ... for which A + t I = L L'
// exists, then Lanczos on (A + t I)^-1, whose largest eigenvalue is 1 / (smallest eigenvalue of A + t). Because t is at most
// ten times what is needed, that eigenvalue stands apart from the rest and a few dozen steps settle it.

import { createRng } from "@worstcase/core";
import { chooseKernels, type Workspace, workspaceSize } from "@worstcase/linalg/kernels";
import type { Block } from "../problem.js";
import { dot, largestEntry } from "./evaluate.js";

/** Up to this order all eigenvalues are computed; beyond it that costs more than factorising. */
const smallOrder = 100;
const lanczosSteps = 60;

export interface EigenvalueFinder {
  /**
   * Smallest eigenvalue of (A + A') / 2 for A `[order, order]` with finite entries; +Infinity for order 0. Exact to rounding
   * up to order 100; beyond it relative to the shift, so that a positive definite A is never given a negative value.
   */
  smallest(order: number, a: Float64Array): number;
  /** Hands the memory back. */
  dispose(): void;
}

/** Smallest eigenvalue of a psd block, or smallest entry of a nonnegative one; +Infinity for size 0. */
export function smallestInBlock(finder: EigenvalueFinder, { kind, size }: Block, values: Float64Array): number {
  return kind === "psd" ? finder.smallest(size, values) : values.reduce((a, b) => Math.min(a, b), Infinity);
}

/** Holds the memory for the largest psd block. */
export function eigenvalueFinder(blocks: readonly Block[]): EigenvalueFinder {
  const orders = blocks.map(({ kind, size }) => (kind === "psd" ? size : 0));
  const largest = orders.reduce((most, order) => Math.max(most, order), 0);
  const steps = largest > smallOrder ? lanczosSteps : 0;
  // matrix, eigenvalues or two vectors, Krylov basis, tridiagonal matrix and its eigenvalues
  const lengths = [largest * largest, largest, largest, (steps + 1) * largest, steps * steps, steps];
  // ten n^3 operations each for all eigenvalues, of S and of Y
  const small = { largestOrder: largest, flops: orders.reduce((sum, n) => sum + 20 * n ** 3, 0) };
  const kernels = chooseKernels("auto", largest > smallOrder ? undefined : small);
  const workspace = kernels.workspace(workspaceSize(...lengths));
  return {
    dispose: () => workspace.dispose(),
    smallest(order, a) {
      if (order === 0) return Number.POSITIVE_INFINITY;
      if (order === 1) return a[0];
      const mark = workspace.mark();
      try {
        return order <= smallOrder ? fromSpectrum(workspace, order, a) : fromInverse(workspace, order, a);
      } finally {
        workspace.release(mark);
      }
    },
  };
}

function fromSpectrum(workspace: Workspace, n: number, a: Float64Array): number {
  const values = workspace.float64(n * n);
  const eigenvalues = workspace.float64(n);
  copyShifted(n, a, 0, 1, values);
  return workspace.syevd(n, values, n, eigenvalues) === 0 ? eigenvalues[0] : Number.NaN;
}

function fromInverse(workspace: Workspace, n: number, a: Float64Array): number {
  const factor = workspace.float64(n * n);
  const largest = largestEntry(a);
  if (largest === 0) return 0;
  const scale = 1 / largest;
  let shift = 0;
  copyShifted(n, a, shift, scale, factor);
  while (workspace.potrf(n, factor, n) > 0) {
    // the matrix is scaled to largest entry 1, so its eigenvalues lie in [-n, n] and the shifts end at 10 n
    shift = shift === 0 ? 1e-15 : shift * 10;
    if (shift > 100 * n) return Number.NaN;
    copyShifted(n, a, shift, scale, factor);
  }
  return (1 / largestOfInverse(workspace, n, factor) - shift) / scale;
}

/** Largest eigenvalue of (L L')^-1 by Lanczos with full reorthogonalisation, from a fixed start. */
function largestOfInverse(workspace: Workspace, n: number, factor: Float64Array): number {
  const limit = Math.min(lanczosSteps, n);
  const basis = workspace.float64((limit + 1) * n);
  const next = workspace.float64(n);
  const projected = workspace.float64(limit * limit);
  const eigenvalues = workspace.float64(limit);
  const diagonal: number[] = [];
  const beside: number[] = [];
  const random = createRng(0).fork("smallest eigenvalue");
  for (let i = 0; i < n; i++) next[i] = random.normal();
  let length = norm(next);
  let found = 0;
  for (let step = 0; step < limit; step++) {
    const vector = basis.subarray(step * n, (step + 1) * n);
    for (let i = 0; i < n; i++) vector[i] = next[i] / length;
    next.set(vector);
    workspace.trsv(false, n, factor, n, next);
    workspace.trsv(true, n, factor, n, next);
    const image = norm(next);
    diagonal.push(dot(vector, next));
    for (let pass = 0; pass < 2; pass++) {
      for (let k = step; k >= 0; k--) {
        const earlier = basis.subarray(k * n, (k + 1) * n);
        const along = dot(earlier, next);
        for (let i = 0; i < n; i++) next[i] -= along * earlier[i];
      }
    }
    length = norm(next);
    const order = step + 1;
    projected.fill(0);
    diagonal.forEach((value, k) => {
      projected[k * order + k] = value;
    });
    beside.forEach((value, k) => {
      projected[(k + 1) * order + k] = value;
    });
    workspace.syevd(order, projected, order, eigenvalues);
    found = eigenvalues[order - 1];
    // rows of `projected` are eigenvectors now: the residual of the Ritz value is length times the last component
    const residual = length * Math.abs(projected[order * order - 1]);
    if (residual <= 1e-6 * found || length <= 1e-14 * image) break;
    beside.push(length);
  }
  return found;
}

/** Lower triangle of out <- scale (A + A') / 2 + shift I. */
function copyShifted(n: number, a: Float64Array, shift: number, scale: number, out: Float64Array): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      out[i * n + j] = (scale * a[i * n + j] + scale * a[j * n + i]) / 2;
    }
    out[i * n + i] = scale * a[i * n + i] + shift;
  }
}

const norm = (vector: Float64Array) => Math.sqrt(dot(vector, vector));
