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
  const candidates = [mean, ...order.map((k) => vectors.subarray(k * d, (k + 1) * d))];
  const basis = new Float64Array(count * d);
  let held = 0;
  for (const candidate of candidates) {
    if (held === count) break;
    const row = basis.subarray(held * d, (held + 1) * d);
    row.set(candidate);
    const size = Math.hypot(...row);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < held; j++) {
        let product = 0;
        for (let l = 0; l < d; l++) product += basis[j * d + l] * row[l];
        for (let l = 0; l < d; l++) row[l] -= product * basis[j * d + l];
      }
    }
    const rest = Math.hypot(...row);
    if (!(rest > 1e-6 * size)) {
      row.fill(0);
      continue;
    }
    for (let l = 0; l < d; l++) row[l] /= rest;
    held++;
  }
  return basis.slice(0, held * d);
}
