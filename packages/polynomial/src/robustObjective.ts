// The robust objective of a given network, evaluated from the data alone (math.md 4):
//   sum_i kappa_i max(0, 1 - w_i) + beta sum_j |alpha_j|,  w_i = rigorous lower bound of the exact worst margin.
// Used to report every trained network, whatever trained it; an upper bound of the optimum.

import type { NumericBatch, Radius } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import type { SignLabels } from "./inputs.js";
import type { Quadratic } from "./quadratic.js";
import { prepareWorstCase } from "./worstCase/worstCase.js";

export interface ObjectiveParts {
  /** hinge + regulariser */
  readonly total: number;
  readonly hinge: number;
  readonly regulariser: number;
}

/** Throws on the same misuse as `worstCase`. hingeWeights: `[samples]`; the quadratic must carry its neurons. */
export function robustObjective(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  radius: number | Radius,
  hingeWeights: Float64Array,
  beta: number,
  kernels?: Kernels,
): ObjectiveParts {
  const oracle = prepareWorstCase(quadratic, kernels ? { kernels } : {});
  const { values } = oracle.solve(points, labels, radius, { points: false });
  let hinge = 0;
  for (let i = 0; i < values.length; i++) hinge += hingeWeights[i] * Math.max(0, 1 - values[i]);
  let mass = 0;
  for (const alpha of quadratic.neurons?.weights ?? []) mass += Math.abs(alpha);
  const regulariser = beta * mass;
  return { total: hinge + regulariser, hinge, regulariser };
}
