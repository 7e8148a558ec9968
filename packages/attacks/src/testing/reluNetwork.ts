// f(x) = relu(x W1 + b1) W2 + b2 with weights in float32 and sums in float64, for comparisons with other implementations.
// W1: [features, hidden]   W2: [hidden, classes]   inputs: [samples, ...sample] with `features` values each

import { type DifferentiableClassifier, evaluateLoss, type NumericBatch, sampleCount } from "@worstcase/core";

interface ReluNetworkWeights {
  readonly W1: Float32Array;
  readonly b1: Float32Array;
  readonly W2: Float32Array;
  readonly b2: Float32Array;
}

function reluNetwork(id: string, weights: ReluNetworkWeights, inputShape: readonly number[]): DifferentiableClassifier {
  const { W1, b1, W2, b2 } = weights;
  const hidden = b1.length;
  const classes = b2.length;
  const features = W1.length / hidden;

  /** Rectified hidden layer of every sample, `[samples, hidden]`, and logits. */
  const forward = (inputs: NumericBatch) => {
    const samples = sampleCount(inputs);
    const layer = new Float64Array(samples * hidden);
    const logits = new Float64Array(samples * classes);
    for (let i = 0; i < samples; i++) {
      const row = layer.subarray(i * hidden, (i + 1) * hidden);
      row.set(b1);
      for (let k = 0; k < features; k++) {
        const x = inputs.data[i * features + k];
        if (x === 0) continue;
        for (let h = 0, w = k * hidden; h < hidden; h++, w++) row[h] += x * W1[w];
      }
      for (let h = 0; h < hidden; h++) if (row[h] < 0) row[h] = 0;
      for (let c = 0; c < classes; c++) {
        let sum = b2[c];
        for (let h = 0; h < hidden; h++) sum += row[h] * W2[h * classes + c];
        logits[i * classes + c] = sum;
      }
    }
    return { layer, logits: { data: logits, shape: [samples, classes] } };
  };

  return {
    id,
    inputShape,
    classCount: classes,
    bounds: { lower: 0, upper: 1 },
    logits: async (inputs) => forward(inputs).logits,
    async lossGradient(inputs, loss) {
      const { layer, logits } = forward(inputs);
      const outer = evaluateLoss(logits, loss);
      const samples = sampleCount(inputs);
      const data = new Float64Array(samples * features);
      const back = new Float64Array(hidden);
      for (let i = 0; i < samples; i++) {
        for (let h = 0; h < hidden; h++) {
          back[h] = 0;
          if (layer[i * hidden + h] <= 0) continue;
          for (let c = 0; c < classes; c++) back[h] += outer.gradient[i * classes + c] * W2[h * classes + c];
        }
        for (let k = 0; k < features; k++) {
          let sum = 0;
          for (let h = 0, w = k * hidden; h < hidden; h++, w++) sum += back[h] * W1[w];
          data[i * features + k] = sum;
        }
      }
      return { loss: outer.loss, logits, gradient: { data, shape: inputs.shape } };
    },
  };
}

/** A network of fixtures/models.json, with the first images of its task. */
export interface StoredNetwork {
  readonly digits: readonly number[];
  readonly W1: string;
  readonly b1: string;
  readonly W2: string;
  readonly b2: string;
  /** 8-bit pixels, 15 x 15 each, base64. */
  readonly images: string;
  readonly labels: readonly number[];
}

/** The stored network over images [15, 15, 1] in [0, 1]. */
export function storedNetwork(name: string, stored: StoredNetwork): DifferentiableClassifier {
  const values = (text: string) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  };
  const { W1, b1, W2, b2 } = stored;
  return reluNetwork(name, { W1: values(W1), b1: values(b1), W2: values(W2), b2: values(b2) }, [15, 15, 1]);
}

/** The stored images in [0, 1] with labels. */
export function storedImages(stored: StoredNetwork): { inputs: NumericBatch; labels: Int32Array; indices: Int32Array } {
  const data = Float32Array.from(atob(stored.images), (character) => Math.fround(character.charCodeAt(0) / 255));
  const count = stored.labels.length;
  return {
    inputs: { data, shape: [count, 15, 15, 1] },
    labels: Int32Array.from(stored.labels),
    indices: Int32Array.from({ length: count }, (_, i) => i),
  };
}
