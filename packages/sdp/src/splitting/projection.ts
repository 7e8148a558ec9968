// Splits W = S - T with S, T in the cone and <S, T> = 0: S is the projection of W on the cone, T that of -W (Moreau).
//   psd: from W = sum l_k v_k v_k', T = sum over l_k < 0 of -l_k v_k v_k'. Only the side with fewer eigenvalues is formed, as one
//   product V'V of scaled eigenvectors (rows); the other side is S = W + T. To have that side first among the ascending
//   eigenvalues, W or -W is decomposed, whichever had fewer negative eigenvalues in the previous call.
//   nonnegative: componentwise.   zero cone: S = 0, T = -W.

import { type Workspace, workspaceSize } from "@worstcase/linalg/kernels";
import type { ConePart } from "./scaledProblem.js";

export interface Projection {
  /** Fills slack S and dual T from w; all `[N]` arrays of the workspace. False when an eigendecomposition failed. */
  split(w: Float64Array, slack: Float64Array, dual: Float64Array): boolean;
  /** Smallest eigenvalue (or component) of w in each part at the last split; 0 in the zero cone. `[parts]`. */
  readonly smallest: Float64Array;
}

export function projectionSize(parts: readonly ConePart[]): number {
  const order = largestOrder(parts);
  return workspaceSize(order * order, order * order, order);
}

const psdParts = (parts: readonly ConePart[]) => parts.filter(({ kind }) => kind === "psd");
const largestOrder = (parts: readonly ConePart[]) =>
  psdParts(parts).reduce((most, { size }) => Math.max(most, size), 0);

export function createProjection(parts: readonly ConePart[], workspace: Workspace): Projection {
  const order = largestOrder(parts);
  const vectors = workspace.float64(order * order);
  const product = workspace.float64(order * order);
  const eigenvalues = workspace.float64(order);
  const sign = new Int8Array(parts.length).fill(1);
  const smallest = new Float64Array(parts.length);

  /** One psd part; returns false when the decomposition failed. */
  function splitMatrix(b: number, w: Float64Array, slack: Float64Array, dual: Float64Array): boolean {
    const { size: n, from } = parts[b];
    const side = sign[b];
    const end = from + n * n;
    for (let p = from, q = 0; p < end; p++, q++) vectors[q] = side * w[p];
    if (workspace.syevd(n, vectors, n, eigenvalues) !== 0) return false;
    smallest[b] = side > 0 ? eigenvalues[0] : -eigenvalues[n - 1];
    let count = 0;
    while (count < n && eigenvalues[count] < 0) {
      const root = Math.sqrt(-eigenvalues[count]);
      for (let q = count * n; q < (count + 1) * n; q++) vectors[q] *= root;
      count++;
    }
    workspace.syrk(true, n, count, 1, vectors, n, 0, product, n);
    // side = 1: product = T;  side = -1: product = S
    if (side > 0) {
      for (let p = from, q = 0; p < end; p++, q++) {
        dual[p] = product[q];
        slack[p] = w[p] + product[q];
      }
    } else {
      for (let p = from, q = 0; p < end; p++, q++) {
        slack[p] = product[q];
        dual[p] = product[q] - w[p];
      }
    }
    if (2 * count > n) sign[b] = -side;
    return true;
  }

  function split(w: Float64Array, slack: Float64Array, dual: Float64Array): boolean {
    for (let b = 0; b < parts.length; b++) {
      const { kind, size, from } = parts[b];
      smallest[b] = 0;
      if (kind === "psd" && size > 1) {
        if (!splitMatrix(b, w, slack, dual)) return false;
        continue;
      }
      for (let p = from; p < from + size; p++) {
        slack[p] = kind === "zero" || !(w[p] > 0) ? 0 : w[p];
        dual[p] = slack[p] - w[p];
        if (kind !== "zero" && w[p] < smallest[b]) smallest[b] = w[p];
      }
    }
    return true;
  }

  return { split, smallest };
}
