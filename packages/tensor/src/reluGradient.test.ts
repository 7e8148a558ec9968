import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { reluGradient } from "./reluGradient.js";
import { inspectBackends, useBackend } from "./useBackend.js";

const backends = (await inspectBackends()).filter(({ name }) => name !== "webgpu");

describe("reluGradient", () => {
  for (const { name, available, detail } of backends) {
    // a skipped backend says why in its title
    it.skipIf(!available)(`is g where the output is above zero, else 0, on ${name}: ${detail}`, async () => {
      await useBackend(name);
      const output = tf.tensor2d([0, 1e-30, 2, 0, 5, 0], [2, 3]);
      const gradient = tf.tensor2d([7, -3, 0.5, -1, 0, 2], [2, 3]);
      const before = tf.memory().numTensors;
      const result = reluGradient(gradient, output);
      expect([...result.dataSync()].map((value) => value + 0)).toEqual([0, -3, 0.5, 0, 0, 0]);
      expect(result.shape).toEqual([2, 3]);
      expect(tf.memory().numTensors).toBe(before + 1);
      expect([...output.dataSync()]).toEqual([0, Math.fround(1e-30), 2, 0, 5, 0]);
    });
  }

  it("agrees with the registered gradient of tf.relu", async () => {
    await useBackend("wasm");
    const x = tf.randomNormal([4, 5, 3], 0, 1, "float32", 3);
    const weights = tf.randomNormal([4, 5, 3], 0, 1, "float32", 4);
    const expected = tf.grad((v) => tf.sum(tf.mul(weights, tf.relu(v))))(x);
    expect([...reluGradient(weights, tf.relu(x)).dataSync()]).toEqual([...expected.dataSync()]);
  });

  it("throws on shapes that differ", async () => {
    await useBackend("cpu");
    expect(() => reluGradient(tf.zeros([2, 3]), tf.zeros([3, 2]))).toThrow(ShapeError);
  });
});
