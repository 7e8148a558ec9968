// One random gate at a time, of each kind (math.md 13.4). A draw writes g, `[d (+1)]`, the weight of the constant 1 last.
//   gaussian        g ~ N(0, I), bias with the standard deviation of the mean feature norm
//   feature-sparse  the same on a random support of a few features, zero elsewhere
//   convolutional   the same on a random patch of an image [height, width, channels], all channels
//   difference      g = x_i - x_j of two random samples, bias of the hyperplane halfway between them
//   perturbed-data  gaussian; the patterns are then taken on perturbed samples (sampleGates.ts)

import { type NumericBatch, type Rng, SettingError, sampleCount, sampleSize } from "@worstcase/core";
import { vertexDraw } from "./vertexGates.js";

export type GateKind =
  | { readonly kind?: "gaussian" | "difference" | "geometric-algebra" }
  | {
      readonly kind: "feature-sparse";
      /** Features a gate looks at (default ceil(sqrt(d))). */
      readonly support?: number;
    }
  | {
      readonly kind: "convolutional";
      /** Shape of a sample as `[height, width, channels]`, in that order in memory. */
      readonly image: readonly [number, number, number];
      /** `[height, width]` of the patches. */
      readonly patch: readonly [number, number];
    }
  | {
      readonly kind: "perturbed-data";
      /** Every coordinate of every sample is moved by +-epsilon at random. In feature units. */
      readonly epsilon: number;
      /** Perturbed copies per gate vector, besides the clean one (default 4). */
      readonly perturbations?: number;
    };

/** Writes one gate, `[d (+1)]`. */
export type GateDraw = (gate: Float64Array) => void;

/** The draw of a kind. Throws SettingError on unusable options of that kind. */
export function gateDraw(features: NumericBatch, kind: GateKind, bias: boolean, rng: Rng): GateDraw {
  const featureCount = sampleSize(features);
  const biasScale = meanNorm(features) || 1;
  switch (kind.kind) {
    case undefined:
    case "gaussian":
    case "perturbed-data":
      if (kind.kind === "perturbed-data") checkPerturbation(kind.epsilon, kind.perturbations);
      return (gate) => {
        for (let k = 0; k < gate.length; k++) gate[k] = rng.normal() * (k === featureCount ? biasScale : 1);
      };
    case "feature-sparse": {
      const support = kind.support ?? Math.ceil(Math.sqrt(featureCount));
      wholeBetween(support, "options.support", featureCount);
      const order = Int32Array.from({ length: featureCount }, (_, k) => k);
      return (gate) => {
        gate.fill(0);
        for (let s = 0; s < support; s++) {
          const other = s + rng.integer(featureCount - s);
          [order[s], order[other]] = [order[other], order[s]];
          gate[order[s]] = rng.normal();
        }
        if (bias) gate[featureCount] = rng.normal() * biasScale * Math.sqrt(support / featureCount);
      };
    }
    case "convolutional":
      return patchDraw(kind.image, kind.patch, featureCount, bias ? biasScale : 0, rng);
    case "difference":
      return differenceDraw(features, bias, rng);
    case "geometric-algebra":
      return vertexDraw(features, bias, rng);
    default: {
      const expected = "gaussian, difference, geometric-algebra, feature-sparse, convolutional or perturbed-data";
      throw new SettingError({ argument: "options.kind", expected, received: (kind as { kind: unknown }).kind });
    }
  }
}

function patchDraw(
  image: readonly [number, number, number],
  patch: readonly [number, number],
  featureCount: number,
  biasScale: number,
  rng: Rng,
): GateDraw {
  const [height, width, channels] = Array.isArray(image) ? image : [0, 0, 0];
  const whole = [height, width, channels].every((size) => Number.isSafeInteger(size) && size >= 1);
  if (!whole || height * width * channels !== featureCount) {
    const expected = `whole numbers [height, width, channels] with ${featureCount} values in all`;
    throw new SettingError({ argument: "options.image", expected, received: image });
  }
  const [rows, columns] = Array.isArray(patch) ? patch : [0, 0];
  wholeBetween(rows, "options.patch[0]", height);
  wholeBetween(columns, "options.patch[1]", width);
  const share = Math.sqrt((rows * columns) / (height * width));
  return (gate) => {
    gate.fill(0);
    const top = rng.integer(height - rows + 1);
    const left = rng.integer(width - columns + 1);
    for (let row = top; row < top + rows; row++) {
      const from = (row * width + left) * channels;
      for (let k = 0; k < columns * channels; k++) gate[from + k] = rng.normal();
    }
    if (biasScale > 0) gate[featureCount] = rng.normal() * biasScale * share;
  };
}

function differenceDraw(features: NumericBatch, bias: boolean, rng: Rng): GateDraw {
  const { data } = features;
  const samples = sampleCount(features);
  const featureCount = sampleSize(features);
  return (gate) => {
    const i = rng.integer(samples) * featureCount;
    const j = rng.integer(samples) * featureCount;
    let middle = 0;
    for (let k = 0; k < featureCount; k++) {
      gate[k] = data[i + k] - data[j + k];
      middle += gate[k] * (data[i + k] + data[j + k]);
    }
    if (bias) gate[featureCount] = -middle / 2;
  };
}

function checkPerturbation(epsilon: number, perturbations = 4): void {
  if (!Number.isFinite(epsilon) || epsilon < 0) {
    throw new SettingError({ argument: "options.epsilon", expected: "a finite number >= 0", received: epsilon });
  }
  wholeBetween(perturbations, "options.perturbations", Number.MAX_SAFE_INTEGER);
}

function wholeBetween(value: number, argument: string, most: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw new SettingError({ argument, expected: `an integer in 1 .. ${most}`, received: value });
  }
}

/** Mean Euclidean length of the samples. */
function meanNorm(features: NumericBatch): number {
  const samples = sampleCount(features);
  const size = sampleSize(features);
  let total = 0;
  for (let i = 0; i < samples; i++) {
    let square = 0;
    for (let k = 0; k < size; k++) square += features.data[i * size + k] ** 2;
    total += Math.sqrt(square);
  }
  return total / samples;
}
