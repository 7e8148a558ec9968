import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { sourceHash } from "./hinge32.generated.js";
import { Kernel32, padded } from "./kernel32.js";
import { lowRankMetric } from "./lowRankMetric.js";

it("hinge32.generated.ts was built from the committed source", () => {
  const source = readFileSync(new URL("../../wasm/assembly/hinge32.ts", import.meta.url));
  expect(createHash("sha256").update(source).digest("hex")).toBe(sourceHash);
});

it("products with bits are the sums of the rows they name", () => {
  const rng = createRng(9);
  for (const [rows, columns, gates] of [
    [1, 1, 1],
    [70, 33, 65],
    [130, 64, 200],
  ]) {
    const stride = padded(columns);
    const step = 8 * Math.ceil(gates / 64);
    const kernel = new Kernel32(
      4 * stride * (2 * gates + 2 * rows) + rows * step + 1024,
      8 * gates * Math.ceil(rows / 64),
    );
    const [b, c, h, g] = [gates, rows, gates, rows].map((count) => kernel.take(4 * stride * count));
    const bits = kernel.take(rows * step);
    const open = Array.from({ length: rows * gates }, () => rng.uniform() < 0.4);
    const bytes = kernel.bytes(bits, rows * step);
    open.forEach((is, k) => {
      if (is) bytes[Math.floor(k / gates) * step + ((k % gates) >> 3)] |= 1 << ((k % gates) & 7);
    });
    const fill = (at: number, count: number) => {
      const values = kernel.floats(at, count * stride);
      for (let i = 0; i < count; i++) for (let j = 0; j < columns; j++) values[i * stride + j] = rng.normal();
      return values;
    };
    const [right, slopes, before] = [fill(b, gates), fill(g, rows), fill(h, gates).slice()];
    kernel.run.forward(rows, stride, gates, bits, step, b, 4 * stride, c, 4 * stride);
    kernel.run.backward(rows, stride, gates, bits, step, g, 4 * stride, h, 4 * stride);
    const [forward, backward] = [kernel.floats(c, rows * stride), kernel.floats(h, gates * stride)];
    for (let j = 0; j < stride; j++) {
      for (let i = 0; i < rows; i++) {
        let sum = 0;
        for (let p = 0; p < gates; p++) if (open[i * gates + p]) sum += right[p * stride + j];
        expect(Math.abs(forward[i * stride + j] - sum)).toBeLessThan(1e-4);
      }
      for (let p = 0; p < gates; p++) {
        let sum = before[p * stride + j];
        for (let i = 0; i < rows; i++) if (open[i * gates + p]) sum += slopes[i * stride + j];
        expect(Math.abs(backward[p * stride + j] - sum)).toBeLessThan(1e-4);
      }
    }
  }
});

it("the proximal step of the low-rank metric satisfies its optimality condition", () => {
  for (let seed = 0; seed < 10; seed++) {
    const rng = createRng(seed);
    const [samples, width] = [40, 7];
    const counts = [5, 0, 3];
    const points = Float64Array.from({ length: samples * width }, () => rng.normal());
    const bits = counts.map((count) => ({
      values: Float64Array.from({ length: samples * count }, () => (rng.uniform() < 0.5 ? 1 : 0)),
      count,
    }));
    const metric = lowRankMetric(points, samples, width, bits, chooseKernels(), 0.1);
    const length = 8 * width;
    const vector = () => Float64Array.from({ length }, () => rng.normal());
    const [y, gradient, out, image] = [vector(), vector(), new Float64Array(length), new Float64Array(length)];
    const [curvature, beta] = [1.3, 0.7];
    metric.proximal(y, gradient, curvature, beta, out);
    const moved = out.map((t, k) => t - y[k]);
    for (let k = 0; k < length; k++) {
      const unit = new Float64Array(length);
      unit[k] = 1;
      image[k] = metric.inner(unit, moved);
    }
    for (let from = 0; from < length; from += width) {
      const at = Array.from({ length: width }, (_, k) => from + k);
      const size = Math.hypot(...at.map((k) => out[k]));
      const residual = at.map((k) => gradient[k] + curvature * image[k]);
      if (size === 0) expect(Math.hypot(...residual)).toBeLessThanOrEqual(beta + 1e-6);
      else for (const [j, k] of at.entries()) expect(residual[j] + (beta * out[k]) / size).toBeCloseTo(0, 5);
    }
  }
});
