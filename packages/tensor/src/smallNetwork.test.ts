// One training step of a small residual network: every operation it needs must have a kernel and a gradient on wasm.

import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "@worstcase/core";
import { beforeAll, describe, expect, it } from "vitest";
import { conv2d } from "./convolution.js";
import { useBackend } from "./useBackend.js";

const shapes = {
  stem: [3, 3, 3, 8],
  first: [3, 3, 8, 8],
  second: [3, 3, 8, 16],
  shortcut: [1, 1, 8, 16],
  gamma: [8],
  beta: [8],
  hidden: [16, 12],
  out: [12, 5],
  bias: [5],
} as const;
type Name = keyof typeof shapes;
type Weights = Record<Name, tf.Tensor>;

function random(shape: readonly number[], name: string): tf.Tensor {
  const rng = createRng(3).fork(name);
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => 0.3 * rng.normal()),
    [...shape],
  );
}

/** Batch norm in training mode: statistics of the batch, [samples, height, width, channels]. */
function batchNorm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const scale = tf.mul(tf.rsqrt(tf.add(variance, 1e-5)), tf.add(gamma, 1));
  return tf.add(tf.mul(tf.sub(x, mean), scale), beta);
}

function loss(images: tf.Tensor, labels: tf.Tensor1D, w: Weights): tf.Scalar {
  const padded = tf.pad(images as tf.Tensor4D, [
    [0, 0],
    [2, 2],
    [2, 2],
    [0, 0],
  ]);
  const cropped = tf.slice(tf.reverse(padded, 2), [0, 1, 2, 0], [images.shape[0]!, 12, 12, 3]) as tf.Tensor4D;
  const stem = conv2d(cropped, w.stem as tf.Tensor4D, 1, 1);
  const activated = tf.relu(batchNorm(stem, w.gamma, w.beta)) as tf.Tensor4D;
  const same = tf.add(stem, conv2d(activated, w.first as tf.Tensor4D, 1, 1)) as tf.Tensor4D;
  const halved = tf.add(
    conv2d(tf.relu(same), w.second as tf.Tensor4D, 2, 1),
    conv2d(same, w.shortcut as tf.Tensor4D, 2, 0),
  );
  const features = tf.add(
    tf.mean(halved, [1, 2]),
    tf.squeeze(tf.avgPool(halved as tf.Tensor4D, 6, 6, "valid"), [1, 2]),
  );
  const hidden = tf.relu(tf.matMul(features as tf.Tensor2D, w.hidden as tf.Tensor2D));
  const logits = tf.add(tf.matMul(hidden as tf.Tensor2D, w.out as tf.Tensor2D), w.bias);
  const order = tf.tensor1d([3, 1, 0, 2], "int32");
  const shuffled = tf.gather(logits, order);
  const target = tf.oneHot(tf.gather(labels, order), 5);
  const crossEntropy = tf.neg(tf.mean(tf.sum(tf.mul(target, tf.logSoftmax(shuffled as tf.Tensor2D)), 1)));
  const squares = tf.addN(Object.values(w).map((tensor) => tf.sum(tf.square(tensor))));
  const margin = tf.mean(tf.sub(tf.max(logits, 1), tf.logSumExp(logits, 1)));
  return tf.add(tf.add(crossEntropy, tf.mul(squares, 5e-4)), tf.mul(margin, 0.1)) as tf.Scalar;
}

/** Loss and all gradients, and the weights after one step of each optimizer. */
function trainingStep(): { values: Float32Array[]; tensors: number } {
  const before = tf.memory().numTensors;
  const values = tf.tidy(() => {
    const names = Object.keys(shapes) as Name[];
    const images = random([4, 10, 10, 3], "images");
    const labels = tf.tensor1d([0, 4, 2, 1], "int32");
    const weights = names.map((name) => random(shapes[name], name));
    const objective = (...tensors: tf.Tensor[]) =>
      loss(tensors[0]!, labels, Object.fromEntries(names.map((name, i) => [name, tensors[i + 1]])) as Weights);
    const { value, grads } = tf.valueAndGrads(objective)([images, ...weights]);
    return [value, ...grads].map((tensor) => tensor.dataSync().slice() as Float32Array);
  });
  return { values, tensors: tf.memory().numTensors - before };
}

describe("a small residual network", () => {
  let expected: ReturnType<typeof trainingStep>;
  beforeAll(async () => {
    await useBackend("cpu");
    expected = trainingStep();
  });

  it("has the same loss and gradients on wasm as on cpu", async () => {
    await useBackend("wasm");
    const got = trainingStep();
    expect(got.values.length).toBe(expected.values.length);
    got.values.forEach((values, index) => {
      const largest = Math.max(...expected.values[index]!.map(Math.abs));
      expect(largest).toBeGreaterThan(0);
      values.forEach((value, i) => {
        expect(Math.abs(value - expected.values[index]![i]!)).toBeLessThan(1e-4 * largest);
      });
    });
    expect(got.tensors).toBe(0);
  });

  it("learns with an optimizer on wasm", async () => {
    await useBackend("wasm");
    const names = Object.keys(shapes) as Name[];
    const images = random([4, 10, 10, 3], "images");
    const labels = tf.tensor1d([0, 4, 2, 1], "int32");
    const weights = Object.fromEntries(
      names.map((name) => [name, tf.tidy(() => tf.variable(random(shapes[name], name)))]),
    ) as Record<Name, tf.Variable>;
    const optimizer = tf.train.momentum(0.05, 0.9);
    const losses: number[] = [];
    const tensors: number[] = [];
    for (let step = 0; step < 30; step++) {
      const cost = optimizer.minimize(() => loss(images, labels, weights), true, Object.values(weights))!;
      losses.push((await cost.data())[0]!);
      cost.dispose();
      tensors.push(tf.memory().numTensors);
    }
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!);
    optimizer.dispose();
    tf.dispose([images, labels, ...Object.values(weights)]);
    expect(new Set(tensors).size).toBe(1); // the optimizer makes its state in the first step, later steps leave nothing
  });
});

describe("tf.gather on wasm", () => {
  it("adds the gradients of repeated rows", async () => {
    await useBackend("wasm");
    tf.tidy(() => {
      const rows = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
      const weights = tf.tensor2d([10, 20, 30, 40, 50, 60, 70, 80], [4, 2]);
      const gradient = tf.grad((x) => tf.sum(tf.mul(weights, tf.gather(x, tf.tensor1d([2, 0, 2, 2], "int32")))))(rows);
      expect([...gradient.dataSync()]).toEqual([30, 40, 0, 0, 10 + 50 + 70, 20 + 60 + 80]);
    });
  });
});
