// Features like a backbone's (solvers.md 1.3): ten Gaussian classes in 40 dimensions, mean length 0.55 sqrt(40), through a random ReLU
// layer, standardised, mean row norm 1. float32.

import { createRng } from "@worstcase/core";

const latent = 40;
const classes = 10;

export function reluFeatures(samples: number, features: number, seed = 3) {
  const rng = createRng(seed);
  const means = Float64Array.from({ length: classes * latent }, () => 0.55 * rng.normal());
  const weights = Float64Array.from({ length: latent * features }, () => rng.normal() / Math.sqrt(latent));
  const biases = Float64Array.from({ length: features }, () => 0.3 * rng.normal());
  const labels = Int32Array.from({ length: samples }, () => rng.integer(classes));
  const data = new Float32Array(new SharedArrayBuffer(4 * samples * features));
  const row = new Float64Array(features);
  const [mean, square] = [new Float64Array(features), new Float64Array(features)];
  for (let i = 0; i < samples; i++) {
    row.set(biases);
    for (let l = 0; l < latent; l++) {
      const z = means[labels[i] * latent + l] + rng.normal();
      for (let k = 0, p = l * features; k < features; k++) row[k] += z * weights[p + k];
    }
    for (let k = 0, p = i * features; k < features; k++) {
      const value = Math.max(0, row[k]);
      data[p + k] = value;
      mean[k] += value / samples;
      square[k] += (value * value) / samples;
    }
  }
  let norm = 0;
  for (let i = 0; i < samples; i++) {
    let length = 0;
    for (let k = 0, p = i * features; k < features; k++) {
      const spread = Math.sqrt(Math.max(0, square[k] - mean[k] * mean[k])) + 1e-9;
      data[p + k] = (data[p + k] - mean[k]) / spread;
      length += data[p + k] * data[p + k];
    }
    norm += Math.sqrt(length) / samples;
  }
  for (let p = 0; p < data.length; p++) data[p] /= norm;
  return { points: { data, shape: [samples, features] }, labels };
}
