// Standardisation that belongs to the model: z = (x - mean) / scale per feature, with the training points' mean and population
// standard deviation. A constant feature keeps scale 1, so it is only centred.   means, scales: [features]

import type { NumericBatch } from "@worstcase/core";
import { checkPoints } from "../inputs.js";

export interface Standardisation {
  readonly means: Float64Array;
  readonly scales: Float64Array;
}

/** Throws as other checks of points `[samples, features]`. */
export function fitStandardisation(points: NumericBatch): Standardisation {
  const [n, d] = checkPoints(points, "points");
  const means = new Float64Array(d);
  const scales = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let k = 0; k < d; k++) means[k] += points.data[i * d + k] / n;
  for (let i = 0; i < n; i++) for (let k = 0; k < d; k++) scales[k] += (points.data[i * d + k] - means[k]) ** 2 / n;
  for (let k = 0; k < d; k++) {
    const deviation = Math.sqrt(scales[k]);
    // Rounding of the mean alone can leave this much.
    scales[k] = deviation > 1e-14 * Math.abs(means[k]) * Math.sqrt(n) ? deviation : 1;
  }
  return { means, scales };
}

/** z for every row, float64. Null is the identity. */
export function standardise(points: NumericBatch, standardisation: Standardisation | null): NumericBatch {
  if (!standardisation) return points;
  const { means, scales } = standardisation;
  const d = means.length;
  return {
    data: Float64Array.from(points.data, (value, i) => (value - means[i % d]) / scales[i % d]),
    shape: points.shape,
  };
}
