// Small classifiers whose worst cases are known in closed form, to check attacks against.
//   linear:    f(x) = W x + b                     W: [classes, features], b: [classes]
//   quadratic: f_c(x) = -||x - m_c||^2            two classes: margin linear in x, so the linear closed forms hold
//   ReLU:      f(x) = V max(0, U x + u)           V: [classes, hidden], U: [hidden, features], u: [hidden]
//   quantised: f(x) = g(step * round(x / step))   exactly zero gradient almost everywhere

import {
  type Bounds,
  type Classifier,
  type DifferentiableClassifier,
  dualNorm,
  evaluateLoss,
  type Norm,
  type NumericBatch,
  normOf,
  sampleCount,
} from "@worstcase/core";

export interface LinearToy extends DifferentiableClassifier {
  /** `[classes][features]` */
  readonly weights: readonly (readonly number[])[];
  /** `[classes]` */
  readonly bias: readonly number[];
}

/** f(x) = W x + b in float64, for inputs of shape `[samples, features]`. */
export function linearToy(
  weights: readonly (readonly number[])[],
  bias: readonly number[],
  bounds: Bounds = "unbounded",
): LinearToy {
  const features = weights[0].length;
  const logits = (inputs: NumericBatch) =>
    mapRows(inputs, weights.length, (x) => weights.map((row, c) => row.reduce((sum, w, k) => sum + w * x[k], bias[c])));
  const model = smooth("linear toy", features, weights.length, bounds, logits, (_, slopes) =>
    Array.from({ length: features }, (_unused, k) => slopes.reduce((sum, slope, c) => sum + slope * weights[c][k], 0)),
  );
  return { ...model, weights, bias };
}

/** f_c(x) = -||x - m_c||^2 for centres `[classes][features]`. */
export function quadraticToy(
  centres: readonly (readonly number[])[],
  bounds: Bounds = "unbounded",
): DifferentiableClassifier {
  const features = centres[0].length;
  const logits = (inputs: NumericBatch) =>
    mapRows(inputs, centres.length, (x) =>
      centres.map((m) => -m.reduce((sum, value, k) => sum + (x[k] - value) ** 2, 0)),
    );
  return smooth("quadratic toy", features, centres.length, bounds, logits, (x, slopes) =>
    Array.from({ length: features }, (_, k) =>
      slopes.reduce((sum, slope, c) => sum - 2 * slope * (x[k] - centres[c][k]), 0),
    ),
  );
}

export interface ReluToyWeights {
  /** `[hidden][features]` */
  readonly inner: readonly (readonly number[])[];
  /** `[hidden]` */
  readonly offsets: readonly number[];
  /** `[classes][hidden]` */
  readonly outer: readonly (readonly number[])[];
}

/** One hidden layer of ReLU units in float64, for inputs of shape `[samples, features]`. */
export function reluToy({ inner, offsets, outer }: ReluToyWeights): DifferentiableClassifier {
  const features = inner[0].length;
  const open = (x: ArrayLike<number>) => inner.map((row, h) => row.reduce((sum, w, k) => sum + w * x[k], offsets[h]));
  const logits = (inputs: NumericBatch) =>
    mapRows(inputs, outer.length, (x) => {
      const hidden = open(x).map((value) => Math.max(0, value));
      return outer.map((row) => row.reduce((sum, w, h) => sum + w * hidden[h], 0));
    });
  return smooth("ReLU toy", features, outer.length, "unbounded", logits, (x, slopes) => {
    const back = open(x).map((value, h) =>
      value > 0 ? slopes.reduce((sum, slope, c) => sum + slope * outer[c][h], 0) : 0,
    );
    return Array.from({ length: features }, (_, k) => back.reduce((sum, slope, h) => sum + slope * inner[h][k], 0));
  });
}

/** The model on inputs rounded to multiples of `step`: masked on purpose, its gradient is exactly zero. */
export function quantisedToy(model: Classifier, step: number): DifferentiableClassifier {
  const logits = (inputs: NumericBatch) =>
    model.logits({ data: inputs.data.map((value) => step * Math.round(value / step)), shape: inputs.shape });
  return {
    id: `quantised ${model.id}`,
    inputShape: model.inputShape,
    classCount: model.classCount,
    bounds: model.bounds,
    logits,
    async lossGradient(inputs, loss) {
      const values = await logits(inputs);
      const gradient = { data: new Float64Array(inputs.data.length), shape: inputs.shape };
      return { loss: evaluateLoss(values, loss).loss, logits: values, gradient };
    },
  };
}

/**
 * Largest margin max (f_other - f_label) of a two-class linear model over ||v - x|| <= epsilon, without bounds:
 * margin(x) + epsilon ||w_other - w_label||_dual.
 */
export function linearWorstMargin(
  model: LinearToy,
  x: ArrayLike<number>,
  label: number,
  norm: Norm,
  epsilon: number,
): number {
  const slope = model.weights[1 - label].map((w, k) => w - model.weights[label][k]);
  return linearMargin(model, x, label) + epsilon * normOf(slope, dualNorm(norm));
}

/** f_other - f_label of a two-class linear model. */
export function linearMargin(model: LinearToy, x: ArrayLike<number>, label: number): number {
  const { weights, bias } = model;
  const start = bias[1 - label] - bias[label];
  return weights[label].reduce((sum, w, k) => sum + (weights[1 - label][k] - w) * x[k], start);
}

function smooth(
  id: string,
  features: number,
  classCount: number,
  bounds: Bounds,
  logits: (inputs: NumericBatch) => NumericBatch,
  pullback: (x: ArrayLike<number>, slopes: readonly number[]) => number[],
): DifferentiableClassifier {
  return {
    id,
    inputShape: [features],
    classCount,
    bounds,
    logits: async (inputs) => logits(inputs),
    async lossGradient(inputs, loss) {
      const values = logits(inputs);
      const outer = evaluateLoss(values, loss);
      let row = 0;
      const gradient = mapRows(inputs, features, (x) => {
        const slopes = Array.from(outer.gradient.subarray(row * classCount, (row + 1) * classCount));
        row++;
        return pullback(x, slopes);
      });
      return { loss: outer.loss, logits: values, gradient };
    },
  };
}

function mapRows(inputs: NumericBatch, width: number, map: (x: ArrayLike<number>) => number[]): NumericBatch {
  const samples = sampleCount(inputs);
  const size = inputs.data.length / Math.max(1, samples);
  const data = new Float64Array(samples * width);
  for (let i = 0; i < samples; i++) data.set(map(inputs.data.subarray(i * size, (i + 1) * size)), i * width);
  return { data, shape: [samples, width] };
}
