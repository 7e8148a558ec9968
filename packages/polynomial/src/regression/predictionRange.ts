// Exact range of a quadratic prediction on every l2 ball (math.md 6, applied to f and to -f):
//   lowest_i <= min over ||D|| <= r of f(x_i + D),   highest_i >= max of the same, both exact up to rounding.

import type { NumericBatch, Radius } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import { checkPoints } from "../inputs.js";
import type { MoveOptions } from "../moveSet.js";
import type { Quadratic } from "../quadratic.js";
import { prepareWorstCase } from "../worstCase/worstCase.js";

export interface PredictionRange {
  /** `[samples]` */
  readonly lowest: Float64Array;
  readonly highest: Float64Array;
}

/** points `[samples, features]`; radius in feature space; over the moves that `immutable` and `ellipsoid` allow. Throws as `worstCase`. */
export function predictionRange(
  quadratic: Quadratic,
  points: NumericBatch,
  radius: number | Radius,
  options: MoveOptions & { readonly kernels?: Kernels } = {},
): PredictionRange {
  const [samples] = checkPoints(points, "points", quadratic.dimension);
  const oracle = prepareWorstCase(quadratic, options);
  const side = (label: number) =>
    oracle.solve(points, new Float64Array(samples).fill(label), radius, { points: false }).values;
  return { lowest: Float64Array.from(side(1)), highest: side(-1).map((value) => -value) };
}
