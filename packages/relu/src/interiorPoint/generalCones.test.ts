import { createRng, type NumericBatch } from "@worstcase/core";
import { expect, it } from "vitest";
import { fitRelu, fitReluRegression } from "../network/fitRelu.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { GeneralCones } from "./generalCones.js";

// Rows of neighbouring features that move together, as in spectra, and gates without bias: curved cones with many coordinates near 0.
function spectra(seed: number) {
  const rng = createRng(seed);
  const [samples, width] = [40, 12];
  const features: NumericBatch = { data: new Float64Array(samples * width), shape: [samples, width] };
  for (let i = 0; i < samples; i++) {
    let x = rng.normal();
    for (let k = 0; k < width; k++) {
      x = 0.9 * x + 0.45 * rng.normal();
      features.data[i * width + k] = x / 3.5;
    }
  }
  const above = (k: number) => (features.data[k] > 0 ? 1 : 0);
  const labels = Int32Array.from({ length: samples }, (_, i) => above(i * width) + above(i * width + 1));
  const targets: NumericBatch = {
    data: Float64Array.from({ length: samples }, (_, i) => Math.sin(i)),
    shape: [samples, 1],
  };
  return { features, labels, targets, gates: sampleGates(features, { count: 6, rng, bias: false }) };
}

it.each([
  [5, 3, 0.01],
  [7, 1.5, 0.005],
])("three classes, seed %d, q = %d, l1 regulariser: certified to 1e-5", async (seed, norm, radius) => {
  const { features, labels, gates } = spectra(seed);
  const options = { norm, radius, beta: 5e-3, gates, regulariser: "l1", tolerance: 1e-5 } as const;
  expect((await fitRelu(features, labels, 3, options)).gap).toBeLessThanOrEqual(1e-5);
});

it("regression, q = 3, group norms: certified to 1e-5", async () => {
  const { features, targets, gates } = spectra(10);
  const options = { norm: 3, radius: 0.01, beta: 5e-3, gates, tolerance: 1e-5 } as const;
  expect((await fitReluRegression(features, targets, options)).gap).toBeLessThanOrEqual(1e-5);
});

it("the force is the dual times a point of the dual ball, the gradient of the norm at the PRESENT point", () => {
  const [length, p, factor] = [5, 1.5, 0.3];
  const rng = createRng(3);
  const cones = new GeneralCones(1, length, factor, p);
  const zero = new Float64Array(length);
  const out = new Float64Array(length);
  cones.start(0, 1, zero, 0, 1);
  cones.force(0, out, 0, zero, 0);
  expect([...out].every((value) => Math.abs(value) === 0)).toBe(true);
  const before = Float64Array.from({ length }, () => rng.normal());
  const size = (a: Float64Array) => a.reduce((sum, t) => sum + Math.abs(t) ** p, 0) ** (1 / p);
  cones.start(0, factor * size(before) + 1e-9, before, 0, 1);
  cones.scale(0, before, 0);
  const now = Float64Array.from({ length }, () => rng.normal());
  const dual = cones.force(0, out, 0, now, 0);
  const conjugate = p / (p - 1);
  const dualSize = out.reduce((sum, t) => sum + Math.abs(t) ** conjugate, 0) ** (1 / conjugate);
  expect(dualSize).toBeLessThanOrEqual(dual * factor * (1 + 1e-12));
  const along = out.reduce((sum, t, k) => sum - t * now[k], 0); // equality in Hoelder's inequality
  expect(Math.abs(along / (dual * factor * size(now)) - 1)).toBeLessThan(1e-6);
});
