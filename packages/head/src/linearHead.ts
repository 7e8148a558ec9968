// A linear head f(x) = W x + b as a differentiable classifier over features, in float64.
// W: [classes, features]   b: [classes]   logits: [samples, classes]

import {
  checkBatch,
  checkFinite,
  type DifferentiableClassifier,
  evaluateLoss,
  type Loss,
  type LossGradient,
  type NumericBatch,
  ShapeError,
  sampleCount,
} from "@worstcase/core";

export interface LinearWeights {
  /** `[classes, features]`, row-major. */
  readonly weight: Float32Array | Float64Array;
  /** `[classes]` */
  readonly bias: Float32Array | Float64Array;
}

/** Throws ShapeError when weight is not `[classes, features]` with classes = bias length >= 2, DataError when not finite. */
export function createLinearClassifier(weights: LinearWeights, id = "linear"): DifferentiableClassifier {
  const classes = weights.bias.length;
  const size = weights.weight.length / classes;
  if (classes < 2 || !Number.isInteger(size)) {
    const received = `weight of ${weights.weight.length}, bias of ${classes}`;
    throw new ShapeError({
      argument: "weights",
      expected: "weight [classes, features] and bias [classes >= 2]",
      received,
    });
  }
  checkFinite(weights.weight, "weights.weight", size);
  checkFinite(weights.bias, "weights.bias");
  const weight = Float64Array.from(weights.weight);
  const bias = Float64Array.from(weights.bias);

  const score = (inputs: NumericBatch): NumericBatch => {
    checkBatch(inputs, "inputs", [size]);
    const samples = sampleCount(inputs);
    const data = new Float64Array(samples * classes);
    for (let i = 0; i < samples; i++) {
      for (let c = 0; c < classes; c++) {
        let sum = bias[c];
        for (let k = 0; k < size; k++) sum += weight[c * size + k] * inputs.data[i * size + k];
        data[i * classes + c] = sum;
      }
    }
    return { data, shape: [samples, classes] };
  };

  return {
    id,
    inputShape: [size],
    classCount: classes,
    bounds: "unbounded",
    logits: async (inputs) => score(inputs),
    async lossGradient(inputs: NumericBatch, loss: Loss): Promise<LossGradient> {
      const logits = score(inputs);
      const outer = evaluateLoss(logits, loss);
      const data = new Float64Array(inputs.data.length);
      for (let i = 0; i < sampleCount(inputs); i++) {
        for (let c = 0; c < classes; c++) {
          const slope = outer.gradient[i * classes + c];
          if (slope !== 0) for (let k = 0; k < size; k++) data[i * size + k] += slope * weight[c * size + k];
        }
      }
      return { loss: outer.loss, logits, gradient: { data, shape: inputs.shape } };
    },
  };
}
