// A small smooth feature map with a known Jacobian, for tests: features_j = tanh(sum_k A_jk x_k).

import { createRng, type FeatureExtractor, type NumericBatch, sampleCount, sampleSize } from "@worstcase/core";

export function toyExtractor(
  inputShape: readonly number[],
  featureCount: number,
  seed = 1,
): FeatureExtractor & { calls: number } {
  const rng = createRng(seed);
  const size = inputShape.reduce((product, length) => product * length, 1);
  const weights = Float64Array.from({ length: featureCount * size }, () => rng.normal() / Math.sqrt(size));
  const features = (inputs: NumericBatch): NumericBatch => {
    const data = new Float64Array(sampleCount(inputs) * featureCount);
    for (let i = 0; i < data.length; i++) {
      const sample = Math.floor(i / featureCount);
      const row = i % featureCount;
      for (let k = 0; k < size; k++) data[i] += weights[row * size + k] * inputs.data[sample * size + k];
    }
    return { data: data.map(Math.tanh), shape: [sampleCount(inputs), featureCount] };
  };
  const pullback = (inputs: NumericBatch, gradient: NumericBatch): NumericBatch => {
    const values = features(inputs).data;
    const data = new Float64Array(inputs.data.length);
    for (let i = 0; i < values.length; i++) {
      const slope = gradient.data[i] * (1 - values[i] ** 2);
      const sample = Math.floor(i / featureCount);
      for (let k = 0; k < sampleSize(inputs); k++)
        data[sample * size + k] += slope * weights[(i % featureCount) * size + k];
    }
    return { data, shape: inputs.shape };
  };
  return {
    id: "toy",
    fingerprint: `toy ${seed}`,
    inputShape,
    featureCount,
    bounds: { lower: 0, upper: 1 },
    calls: 0,
    async features(inputs) {
      this.calls++;
      return features(inputs);
    },
    pullback: async (inputs, gradient) => pullback(inputs, gradient),
    linearise: async (inputs) => ({
      features: features(inputs),
      pullback: async (gradient) => pullback(inputs, gradient),
      dispose: async () => {},
    }),
    close: async () => {},
  };
}

export function randomBatch(shape: readonly number[], seed: number): NumericBatch & { data: Float64Array } {
  const rng = createRng(seed);
  const length = shape.reduce((product, side) => product * side, 1);
  return { data: Float64Array.from({ length }, () => rng.uniform()), shape };
}
