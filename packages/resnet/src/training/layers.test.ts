import { createRng } from "@worstcase/core";
import { tf, useBackend } from "@worstcase/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { relativeError } from "../../test/testData.js";
import { convolve, filterGradient, inputGradient, normBackward, normForward, type Tensor4D } from "./layers.js";

const rng = createRng(21);
const random = (shape: [number, number, number, number]) => {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor4d(
    Float32Array.from({ length: size }, () => rng.normal()),
    shape,
  );
};

describe.each(["wasm", "cpu"] as const)("on %s", (backend) => {
  beforeAll(() => useBackend(backend));

  it("pads stride 2 as PyTorch, where TensorFlow's same padding differs", () => {
    // Filter taps 1 .. 9, one bright pixel at the top left: with one pixel of padding on each side the central tap 5 meets it.
    const filter = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3, 1, 1]);
    const pixels = new Float32Array(64);
    pixels[0] = 1;
    const x = tf.tensor4d(pixels, [1, 8, 8, 1]);
    expect(convolve(x, filter, 2).dataSync()[0]).toBe(5);
    expect(tf.conv2d(x, filter, 2, "same").dataSync()[0]).toBe(1);
    expect(convolve(x, filter, 2).shape).toEqual([1, 4, 4, 1]);
  });

  // Expected gradients by their definition, from plain loops over the convolution sum.
  it.each([
    [1, 1],
    [1, 3],
    [2, 1],
    [2, 3],
  ] as const)("convolution and both gradients for stride %i and size %i", (stride, size) => {
    const [n, h, ins, outs] = [2, 6, 3, 5];
    const [x, filter] = [random([n, h, h, ins]), random([size, size, ins, outs])];
    const out = h / stride;
    const dy = random([n, out, out, outs]);
    const [xs, ws, gs] = [x.dataSync(), filter.dataSync(), dy.dataSync()];
    const y = new Float64Array(gs.length);
    const dx = new Float64Array(xs.length);
    const dw = new Float64Array(ws.length);
    const pad = size === 1 ? 0 : 1;
    for (let s = 0; s < n; s++)
      for (let r = 0; r < out; r++)
        for (let c = 0; c < out; c++)
          for (let i = 0; i < size; i++)
            for (let j = 0; j < size; j++) {
              const [row, column] = [r * stride + i - pad, c * stride + j - pad];
              if (row < 0 || row >= h || column < 0 || column >= h) continue;
              for (let p = 0; p < ins; p++)
                for (let q = 0; q < outs; q++) {
                  const a = ((s * h + row) * h + column) * ins + p;
                  const b = ((i * size + j) * ins + p) * outs + q;
                  const e = ((s * out + r) * out + c) * outs + q;
                  y[e]! += xs[a]! * ws[b]!;
                  dx[a]! += gs[e]! * ws[b]!;
                  dw[b]! += gs[e]! * xs[a]!;
                }
            }
    expect(relativeError(convolve(x, filter, stride).dataSync(), y)).toBeLessThan(1e-5);
    const gradient = inputGradient(dy, filter, stride) as Tensor4D;
    expect(gradient.shape).toEqual(x.shape);
    expect(relativeError(gradient.dataSync(), dx)).toBeLessThan(1e-5);
    expect(relativeError(filterGradient(x, dy, filter, stride).dataSync(), dw)).toBeLessThan(1e-5);
  });

  it("normalises a batch far from zero, and its gradient is orthogonal to constants and to the output", () => {
    const x = tf.add(tf.mul(random([4, 5, 5, 2]), 0.1), 30) as Tensor4D;
    const [weight, bias] = [tf.tensor1d([1, 1]), tf.tensor1d([0, 0])];
    const cache = normForward(x, weight, bias, false);
    const y = cache.output.dataSync();
    for (const channel of [0, 1]) {
      const values = Array.from(y).filter((_, i) => i % 2 === channel);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
      expect(Math.abs(mean)).toBeLessThan(1e-3);
      expect(square).toBeGreaterThan(0.99);
      expect(square).toBeLessThan(1.001);
    }
    // Adding a constant to x, or scaling x about its mean, changes the output by nothing or almost nothing (epsilon).
    const { dx } = normBackward(random([4, 5, 5, 2]), cache, weight);
    const g = dx.dataSync();
    for (const channel of [0, 1]) {
      let [constant, along, norm] = [0, 0, 0];
      for (let i = channel; i < g.length; i += 2) {
        constant += g[i]!;
        along += g[i]! * y[i]!;
        norm += Math.abs(g[i]!);
      }
      expect(Math.abs(constant) / norm).toBeLessThan(1e-4);
      expect(Math.abs(along) / norm).toBeLessThan(5e-3);
    }
  });
});
