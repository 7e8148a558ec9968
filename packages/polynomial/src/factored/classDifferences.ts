// Directions in which the two classes differ most in mean and second moments.

import { workspaceSize } from "@worstcase/linalg";
import type { ObjectiveProblem } from "./objective.js";

/** Signed second moment `[d, d]` and mean `[d]` of all points under weights p. */
export interface SignedMoments {
  readonly matrix: Float64Array;
  readonly mean: Float64Array;
}

/** Orthonormal rows: the difference of the means, then the eigenvectors with the largest eigenvalues of either sign. */
export function differences({ data }: ObjectiveProblem, { matrix, mean }: SignedMoments, count: number): Float64Array {
  const { dimension: d, kernels } = data;
  const workspace = kernels.workspace(workspaceSize(d * d, d));
  const vectors = workspace.float64(d * d);
  const values = workspace.float64(d);
  vectors.set(matrix);
  const failed = workspace.syevd(d, vectors, d, values) !== 0;
  const order = failed ? [] : Array.from(values.keys()).sort((i, j) => Math.abs(values[j]) - Math.abs(values[i]));
  return extendBasis(new Float64Array(0), d, [mean, ...order.map((k) => vectors.subarray(k * d, (k + 1) * d))], count);
}

/**
 * An orthonormal basis `[k, d]` with what the candidates `[d]` have outside of it as further rows, in their order, up to `most`
 * rows; candidates that lie in it but for a hundredth are left out. The same basis when none is left.
 */
export function extendBasis(
  basis: Float64Array,
  d: number,
  candidates: readonly Float64Array[],
  most: number,
): Float64Array {
  const rows = new Float64Array(most * d);
  rows.set(basis);
  let held = basis.length / d;
  for (const candidate of candidates) {
    if (held >= most) break;
    const row = rows.subarray(held * d, (held + 1) * d);
    row.set(candidate);
    const size = Math.hypot(...row);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < held; j++) {
        let product = 0;
        for (let l = 0; l < d; l++) product += rows[j * d + l] * row[l];
        for (let l = 0; l < d; l++) row[l] -= product * rows[j * d + l];
      }
    }
    const rest = Math.hypot(...row);
    if (!(rest > 1e-2 * size)) {
      row.fill(0);
      continue;
    }
    for (let l = 0; l < d; l++) row[l] /= rest;
    held++;
  }
  return held * d === basis.length ? basis : rows.slice(0, held * d);
}
