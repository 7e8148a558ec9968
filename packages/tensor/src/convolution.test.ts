import * as tf from "@tensorflow/tfjs-core";
import { createRng, ShapeError } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { conv2d, conv2dFilterGradient, conv2dInputGradient } from "./convolution.js";
import { outputLength } from "./convolutionShape.js";
import { useBackend } from "./useBackend.js";

type Shape4D = [number, number, number, number];
interface Case {
  readonly input: Shape4D;
  readonly filter: Shape4D;
  readonly stride: 1 | 2;
  readonly padding: number;
}

const cases: Case[] = [];
for (const stride of [1, 2] as const) {
  for (const k of [1, 2, 3, 5]) {
    for (const padding of [0, 1, 2]) {
      for (const [height, width] of [
        [8, 8],
        [7, 9],
        [5, 6],
        [3, 4],
      ] as const) {
        if (Math.min(height, width) + 2 * padding < k) continue;
        cases.push({ input: [2, height, width, 3], filter: [k, k, 3, 5], stride, padding });
      }
    }
  }
}
// full register blocks, several chunks of the kernel, and a filter that is not square
cases.push({ input: [3, 32, 32, 8], filter: [3, 3, 8, 16], stride: 1, padding: 1 });
cases.push({ input: [3, 33, 31, 9], filter: [3, 3, 9, 17], stride: 2, padding: 1 });
cases.push({ input: [9, 4, 4, 32], filter: [3, 3, 32, 24], stride: 1, padding: 1 });
cases.push({ input: [40, 6, 5, 4], filter: [1, 3, 4, 8], stride: 2, padding: 1 });
cases.push({ input: [1, 3, 600, 2], filter: [3, 2, 2, 3], stride: 1, padding: 0 });

const name = ({ input, filter, stride, padding }: Case) =>
  `x [${input}], filter [${filter}], stride ${stride}, padding ${padding}`;

function outputShape({ input, filter, stride, padding }: Case): Shape4D {
  const height = outputLength(input[1], filter[0], stride, padding);
  return [input[0], height, outputLength(input[2], filter[1], stride, padding), filter[3]];
}

function values(shape: readonly number[], seed: string): Float64Array {
  const rng = createRng(5).fork(seed);
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(rng.normal()));
}

/** The definition in float64: y, and the gradients of sum(dy * y). */
function byDefinition(test: Case, x: Float64Array, f: Float64Array, dy: Float64Array) {
  const [samples, height, width, channels] = test.input;
  const [filterHeight, filterWidth, , outputs] = test.filter;
  const [, outputHeight, outputWidth] = outputShape(test);
  const y = new Float64Array(dy.length);
  const dx = new Float64Array(x.length);
  const df = new Float64Array(f.length);
  for (let n = 0; n < samples; n++)
    for (let h = 0; h < outputHeight; h++)
      for (let w = 0; w < outputWidth; w++)
        for (let i = 0; i < filterHeight; i++)
          for (let j = 0; j < filterWidth; j++) {
            const row = test.stride * h + i - test.padding;
            const column = test.stride * w + j - test.padding;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            for (let c = 0; c < channels; c++)
              for (let o = 0; o < outputs; o++) {
                const at = ((n * height + row) * width + column) * channels + c;
                const tap = ((i * filterWidth + j) * channels + c) * outputs + o;
                const to = ((n * outputHeight + h) * outputWidth + w) * outputs + o;
                y[to]! += x[at]! * f[tap]!;
                dx[at]! += dy[to]! * f[tap]!;
                df[tap]! += dy[to]! * x[at]!;
              }
          }
  return { y, dx, df };
}

/** Largest difference relative to the largest value. */
function distance(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length);
  let difference = 0;
  let largest = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(
      difference,
      Number.isNaN(got[i]) ? Number.POSITIVE_INFINITY : Math.abs(got[i]! - expected[i]!),
    );
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference / largest;
}

for (const backend of ["wasm", "cpu"] as const) {
  describe(`conv2d on ${backend}`, () => {
    beforeAll(() => useBackend(backend));
    afterAll(() => expect(tf.memory().numTensors).toBe(0));

    it.each(cases.map((test) => [name(test), test] as const))("agrees with its definition: %s", (_, test) => {
      const data = { x: values(test.input, "x"), f: values(test.filter, "f"), dy: values(outputShape(test), "dy") };
      const expected = byDefinition(test, data.x, data.f, data.dy);
      tf.tidy(() => {
        const x = tf.tensor4d(Float32Array.from(data.x), test.input);
        const f = tf.tensor4d(Float32Array.from(data.f), test.filter);
        const dy = tf.tensor4d(Float32Array.from(data.dy), outputShape(test));
        const { stride, padding } = test;
        expect(conv2d(x, f, stride, padding).shape).toEqual(outputShape(test));
        expect(distance(conv2d(x, f, stride, padding).dataSync(), expected.y)).toBeLessThan(1e-5);
        const dx = conv2dInputGradient(dy, f, test.input, stride, padding);
        expect(distance(dx.dataSync(), expected.dx)).toBeLessThan(1e-5);
        const df = conv2dFilterGradient(x, dy, test.filter, stride, padding);
        expect(distance(df.dataSync(), expected.df)).toBeLessThan(1e-5);
        const gradients = tf.grads((x, f) =>
          tf.sum(tf.mul(dy, conv2d(x as tf.Tensor4D, f as tf.Tensor4D, stride, padding))),
        );
        const [viaTapeX, viaTapeF] = gradients([x, f]);
        expect(distance(viaTapeX!.dataSync(), expected.dx)).toBeLessThan(1e-5);
        expect(distance(viaTapeF!.dataSync(), expected.df)).toBeLessThan(1e-5);
      });
    });

    it("agrees with finite differences of a nonlinear function", () => {
      const test: Case = { input: [1, 5, 4, 2], filter: [3, 3, 2, 3], stride: 2, padding: 1 };
      tf.tidy(() => {
        const x = tf.tensor4d(Float32Array.from(values(test.input, "x")), test.input);
        const f = tf.tensor4d(Float32Array.from(values(test.filter, "f")), test.filter);
        const loss = (x: tf.Tensor, f: tf.Tensor) =>
          tf.sum(tf.sin(conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, 1))) as tf.Scalar;
        const [dx, df] = tf.grads(loss)([x, f]);
        // along random directions, where a central difference of step 1e-2 errs by about step^2 in float32
        for (const seed of ["a", "b", "c"]) {
          const u = tf.tensor4d(Float32Array.from(values(test.input, seed)), test.input);
          const v = tf.tensor4d(Float32Array.from(values(test.filter, seed)), test.filter);
          const at = (step: number) => loss(tf.add(x, tf.mul(u, step)), tf.add(f, tf.mul(v, step))).dataSync()[0]!;
          const slope = tf.add(tf.sum(tf.mul(dx!, u)), tf.sum(tf.mul(df!, v))).dataSync()[0]!;
          const difference = (8 * (at(5e-3) - at(-5e-3)) - (at(1e-2) - at(-1e-2))) / 6e-2;
          expect(Math.abs(difference - slope)).toBeLessThan(5e-3 * Math.max(1, Math.abs(slope)));
        }
      });
    });

    it("differentiates a plain tf.conv2d with TensorFlow's own paddings", () => {
      // "same" at stride 2 pads [0, 1] here: compare with the definition on an explicitly padded input
      const test: Case = { input: [2, 7, 7, 3], filter: [3, 3, 3, 4], stride: 2, padding: 0 };
      const data = { x: values(test.input, "x"), f: values(test.filter, "f"), dy: values([2, 3, 3, 4], "dy") };
      const expected = byDefinition(test, data.x, data.f, data.dy);
      tf.tidy(() => {
        const whole = tf.tensor4d(Float32Array.from(data.x), test.input);
        const x = tf.slice(whole, [0, 0, 0, 0], [2, 6, 6, 3]) as tf.Tensor4D;
        const f = tf.tensor4d(Float32Array.from(data.f), test.filter);
        const dy = tf.tensor4d(Float32Array.from(data.dy), [2, 3, 3, 4]);
        const [dx] = tf.grads((x, f) => tf.sum(tf.mul(dy, tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, "same"))))([
          x,
          f,
        ]);
        const inside = tf.slice(tf.tensor4d(Float32Array.from(expected.dx), test.input), [0, 0, 0, 0], [2, 6, 6, 3]);
        expect(distance(dx!.dataSync(), inside.dataSync())).toBeLessThan(1e-5);
      });
    });

    it("leaves no tensor behind", () => {
      const x = tf.ones([1, 4, 4, 2]) as tf.Tensor4D;
      const f = tf.ones([3, 3, 2, 2]) as tf.Tensor4D;
      const before = tf.memory().numTensors;
      const dataBefore = tf.engine().backend.numDataIds();
      for (const stride of [1, 2] as const) {
        const y = conv2d(x, f, stride, 1);
        const results = [
          y,
          conv2dInputGradient(y, f, x.shape, stride, 1),
          conv2dFilterGradient(x, y, f.shape, stride, 1),
        ];
        expect(tf.memory().numTensors).toBe(before + 3);
        results.push(
          ...(tf.grads((x, f) => tf.sum(conv2d(x as tf.Tensor4D, f as tf.Tensor4D, stride, 1)))([
            x,
            f,
          ]) as tf.Tensor4D[]),
        );
        expect(tf.memory().numTensors).toBe(before + 5);
        tf.dispose(results);
      }
      expect(tf.engine().backend.numDataIds()).toBe(dataBefore);
      tf.dispose([x, f]);
    });
  });
}

describe("conv2d refuses", () => {
  beforeAll(() => useBackend("cpu"));
  const x = () => tf.zeros([1, 4, 4, 2]) as tf.Tensor4D;
  const filter = (...shape: number[]) => tf.zeros(shape as Shape4D) as tf.Tensor4D;

  it.each([
    ["other channels", () => conv2d(x(), filter(3, 3, 3, 1), 1, 1)],
    ["a filter larger than the padded input", () => conv2d(x(), filter(7, 7, 2, 1), 1, 1)],
    ["an input of rank 3", () => conv2d(tf.zeros([4, 4, 2]) as never, filter(3, 3, 2, 1), 1, 1)],
    ["a filter of rank 2", () => conv2d(x(), filter(2, 2), 1, 1)],
    ["stride 3", () => conv2d(x(), filter(3, 3, 2, 1), 3 as never, 1)],
    ["negative padding", () => conv2d(x(), filter(3, 3, 2, 1), 1, -1)],
    ["padding by name", () => conv2d(x(), filter(3, 3, 2, 1), 1, "same" as never)],
    ["NaN padding", () => conv2d(x(), filter(3, 3, 2, 1), 1, Number.NaN)],
    ["an output gradient of another shape", () => conv2dInputGradient(x(), filter(3, 3, 2, 1), [1, 4, 4, 2], 1, 1)],
    ["an output gradient of another batch", () => conv2dFilterGradient(x(), filter(2, 4, 4, 1), [3, 3, 2, 1], 1, 1)],
  ])("%s", (_, work) => {
    tf.tidy(() => {
      expect(work).toThrow(ShapeError);
    });
  });

  it("accepts an empty batch on wasm and returns zero gradients", async () => {
    await useBackend("wasm");
    tf.tidy(() => {
      const gradient = conv2dFilterGradient(
        tf.zeros([0, 4, 4, 2]) as tf.Tensor4D,
        tf.zeros([0, 4, 4, 3]) as tf.Tensor4D,
        [3, 3, 2, 3],
        1,
        1,
      );
      expect([...gradient.dataSync()].every((value) => value === 0)).toBe(true);
    });
  });
});
