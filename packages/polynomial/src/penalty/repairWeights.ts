// Makes a symmetric matrix a feasible weight matrix of the convex program (solvers.md 2.1): negative eigenvalues are clipped, then
// the corner is raised to the trace of the rest, or the missing trace is spread over the diagonal. Both keep it semidefinite.

import type { Kernels } from "@worstcase/linalg";
import { spectrumOf } from "../exact/extractNeurons.js";

/** matrix `[p, p]`; returns Z >= 0 with trace(Z1) = z4, `[p, p]`. */
export function repairWeights(matrix: Float64Array, order: number, kernels: Kernels): Float64Array {
  const p = order;
  const { values, vectors } = spectrumOf(matrix, p, kernels);
  const repaired = new Float64Array(p * p);
  for (let k = 0; k < p; k++) {
    if (!(values[k] > 0)) continue;
    for (let a = 0; a < p; a++) {
      const factor = values[k] * vectors[k * p + a];
      for (let b = 0; b < p; b++) repaired[a * p + b] += factor * vectors[k * p + b];
    }
  }
  let defect = -repaired[p * p - 1];
  for (let a = 0; a < p - 1; a++) defect += repaired[a * (p + 1)];
  if (defect > 0) repaired[p * p - 1] += defect;
  else for (let a = 0; a < p - 1; a++) repaired[a * (p + 1)] -= defect / (p - 1);
  return repaired;
}
