// Centred and scaled features: (x - mean) / (deviation + 1e-9), with statistics of the training samples only (math.md 17).
// The deviation divides by the number of samples (population).   inputs: [samples, features]   mean, scale: [features]

import { type NumericBatch, ShapeError, sampleCount, sampleSize } from "@worstcase/core";

export interface Standardisation {
  /** `[features]` */
  readonly mean: Float64Array;
  /** Deviation + 1e-9, `[features]`: a distance in original units is this many times the standardised one. */
  readonly scale: Float64Array;
}

/** Mean and scale of each feature. A constant feature has scale 1e-9 and becomes 0. */
export function fitStandardisation(inputs: NumericBatch): Standardisation {
  const features = sampleSize(inputs);
  const samples = sampleCount(inputs);
  const mean = new Float64Array(features);
  const scale = new Float64Array(features);
  for (let k = 0; k < features; k++) {
    let total = 0;
    for (let i = 0; i < samples; i++) total += inputs.data[i * features + k]!;
    mean[k] = total / samples;
    let squares = 0;
    for (let i = 0; i < samples; i++) squares += (inputs.data[i * features + k]! - mean[k]!) ** 2;
    scale[k] = Math.sqrt(squares / samples) + 1e-9;
  }
  return { mean, scale };
}

/** New standardised inputs in float64. Throws ShapeError when the number of features differs. */
export function standardise(inputs: NumericBatch, { mean, scale }: Standardisation): NumericBatch {
  const features = sampleSize(inputs);
  if (mean.length !== features || scale.length !== features) {
    throw new ShapeError({
      argument: "inputs",
      expected: `samples of ${mean.length} features`,
      received: inputs.shape,
    });
  }
  const data = Float64Array.from(inputs.data, (value, i) => (value - mean[i % features]!) / scale[i % features]!);
  return { data, shape: [...inputs.shape] };
}
