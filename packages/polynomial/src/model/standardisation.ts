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
  // Squares of deviations of 1e300 or 1e-300 do not fit: take them relative to a power of two near the largest.
  const units = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < d; k++) units[k] = Math.max(units[k], Math.abs(0.5 * points.data[i * d + k] - 0.5 * means[k]));
  }
  for (let k = 0; k < d; k++) units[k] = units[k] > 0 ? 2 ** Math.floor(Math.log2(units[k])) : 1;
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < d; k++) {
      scales[k] += ((0.5 * points.data[i * d + k] - 0.5 * means[k]) / units[k]) ** 2 / n;
    }
  }
  for (let k = 0; k < d; k++) {
    const deviation = 2 * Math.sqrt(scales[k]) * units[k];
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
    data: Float64Array.from(points.data, (value, i) => {
      const k = i % d;
      const centred = value - means[k];
      return Number.isFinite(centred) ? centred / scales[k] : value / scales[k] - means[k] / scales[k];
    }),
    shape: points.shape,
  };
}
