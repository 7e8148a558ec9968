// Models of TensorFlow.js as classifiers, by structure: this package does not depend on it. Hand over the namespace and a function from
// images to logits, made of its differentiable operations (for a layers model `(x) => model.apply(x)`).
//   gradient of a loss L: with G = dL / d logits from a first forward pass, the gradient of sum(logits(x) * G) with respect to x

import {
  type Bounds,
  type Classifier,
  type DifferentiableClassifier,
  evaluateLoss,
  type NumericBatch,
  SettingError,
  ShapeError,
  sampleCount,
} from "@worstcase/core";

/** What is used of a TensorFlow.js tensor. */
export interface TensorLike {
  readonly shape: readonly number[];
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** What is used of the TensorFlow.js namespace. */
export interface TensorFlowLike<T extends TensorLike> {
  tensor(values: Float32Array, shape: number[]): T;
  tidy(compute: () => never): unknown;
  mul(a: NoInfer<T>, b: NoInfer<T>): unknown;
  sum(x: NoInfer<T>): unknown;
  grad(loss: (x: NoInfer<T>) => NoInfer<T>): (x: NoInfer<T>) => unknown;
}

export interface TensorFlowModel<T extends TensorLike> {
  readonly id: string;
  /** Shape of one sample, for example `[32, 32, 3]`. */
  readonly inputShape: readonly number[];
  readonly classCount: number;
  /** Range of the inputs the function takes; normalisation belongs into the function. */
  readonly bounds: Bounds;
  /** Logits `[samples, classes]` of inputs `[samples, ...inputShape]`, before any softmax. */
  logits(inputs: T): T;
  /** Whether `logits` can be differentiated. False for frozen graphs without gradients: a black box. Default true. */
  readonly differentiable?: boolean | undefined;
}

/** The model as a classifier with gradients, in the float32 of its backend. Throws SettingError on malformed descriptions. */
export function fromTensorFlow<T extends TensorLike>(
  tf: TensorFlowLike<T>,
  model: TensorFlowModel<T> & { readonly differentiable?: true | undefined },
): DifferentiableClassifier;
export function fromTensorFlow<T extends TensorLike>(tf: TensorFlowLike<T>, model: TensorFlowModel<T>): Classifier;
export function fromTensorFlow<T extends TensorLike>(tf: TensorFlowLike<T>, model: TensorFlowModel<T>): Classifier {
  const { id, inputShape, classCount, bounds, differentiable = true } = model;
  for (const name of ["tensor", "tidy", "mul", "sum", "grad"] as const) {
    if (typeof tf?.[name] === "function") continue;
    const hint = "pass the namespace: import * as tf from '@tensorflow/tfjs'";
    throw new SettingError({ argument: `tf.${name}`, expected: "a function", received: typeof tf?.[name], hint });
  }
  if (!Number.isInteger(classCount) || classCount < 2) {
    throw new SettingError({ argument: "model.classCount", expected: "an integer >= 2", received: classCount });
  }

  const upload = (inputs: NumericBatch): T => {
    const data = inputs.data instanceof Float32Array ? inputs.data : Float32Array.from(inputs.data);
    return tf.tensor(data, [sampleCount(inputs), ...inputShape]);
  };
  const download = async (tensor: T): Promise<Float32Array> => {
    const values = await tensor.data();
    tensor.dispose();
    return Float32Array.from(values);
  };
  const forward = async (x: T, samples: number): Promise<NumericBatch> => {
    const logits = tf.tidy(() => model.logits(x) as never) as T;
    const shape = [...logits.shape];
    const data = await download(logits);
    if (shape.length !== 2 || shape[0] !== samples || shape[1] !== classCount) {
      const expected = `shape [${samples}, ${classCount}]`;
      throw new ShapeError({ argument: `logits of ${id}`, expected, received: shape });
    }
    return { data, shape };
  };

  const blackBox: Classifier = {
    id,
    inputShape,
    classCount,
    bounds,
    async logits(inputs) {
      const x = upload(inputs);
      try {
        return await forward(x, sampleCount(inputs));
      } finally {
        x.dispose();
      }
    },
  };
  if (!differentiable) return blackBox;
  const whole: DifferentiableClassifier = {
    ...blackBox,
    async lossGradient(inputs, loss) {
      const x = upload(inputs);
      let weights: T | undefined;
      try {
        const logits = await forward(x, sampleCount(inputs));
        const outer = evaluateLoss(logits, loss);
        const chosen = tf.tensor(Float32Array.from(outer.gradient), [...logits.shape]);
        weights = chosen;
        const weighted = (v: T) => tf.sum(tf.mul(model.logits(v), chosen) as T) as T;
        const data = await download(tf.tidy(() => tf.grad(weighted)(x) as never) as T);
        return { loss: outer.loss, logits, gradient: { data, shape: inputs.shape } };
      } finally {
        weights?.dispose();
        x.dispose();
      }
    },
  };
  return whole;
}
