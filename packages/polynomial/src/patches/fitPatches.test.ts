import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, normals, syntheticClasses } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { flipDistances } from "../flipDistance.js";
import { preparePairwise } from "../pairwise.js";
import { evaluateQuadratic, subtractQuadratics } from "../quadratic.js";
import { fitPatches } from "./fitPatches.js";
import { imagePatches } from "./imagePatches.js";

const reference = JSON.parse(readFileSync(new URL("../../fixtures/reference.json", import.meta.url), "utf8"));

test("patches of a rectangle: positions, channels, strides and padding", () => {
  const { supports, rows, columns, size } = imagePatches({
    height: 3,
    width: 5,
    patchHeight: 2,
    patchWidth: 3,
    strideX: 2,
  });
  expect([rows, columns, size]).toEqual([2, 2, 15]);
  expect(Array.from(supports[0])).toEqual([0, 1, 2, 5, 6, 7]);
  expect(Array.from(supports[3])).toEqual([7, 8, 9, 12, 13, 14]);
  const coloured = imagePatches({ height: 2, width: 2, channels: 3, patchHeight: 1, patchWidth: 2 });
  expect(Array.from(coloured.supports[1])).toEqual([6, 7, 8, 9, 10, 11]);
  const padded = imagePatches({ height: 2, width: 3, patchHeight: 2, patchWidth: 2, padding: 1 });
  expect([padded.rows, padded.columns]).toEqual([3, 4]);
  expect(Array.from(padded.supports[0])).toEqual([0]);
  expect(Array.from(padded.supports[5])).toEqual([0, 1, 3, 4]);
});

test("objective and certificate enclose the SDP optimum of an independent solver (one pair of blocks a patch)", () => {
  const { height, width, radius, beta, points, labels, objective } = reference.patch_training;
  const classes = Int32Array.from(labels as number[], (label) => (label > 0 ? 1 : 0));
  const layout = { height, width, patchHeight: 2, patchWidth: 2 };
  const images = { data: Float64Array.from(points), shape: [classes.length, height, width, 1] };
  // Two scores f_1 - f_0 with separate gauges have the optimum of one score: put everything in one of them.
  const fit = fitPatches(images, classes, 2, { layout, radius, beta, tolerance: 2e-3 });
  expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-8));
  expect(fit.objective.total).toBeGreaterThanOrEqual(objective * (1 - 1e-8));
  expect(fit.objective.total - objective).toBeLessThan(5e-3 * objective);
});

test("one patch as large as the image is the full network; smaller patches can only cost", () => {
  const { points, labels } = syntheticClasses(3, 40, 6);
  const classes = Int32Array.from(labels, (label) => (label > 0 ? 1 : 0));
  const options = { radius: 0.1, beta: 0.01, tolerance: 3e-3 };
  const full = fitPolynomial(points, labels, options);
  const whole = { height: 2, width: 3, patchHeight: 2, patchWidth: 3 };
  const same = fitPatches(points, classes, 2, { ...options, layout: whole });
  expect(Math.abs(same.objective.total - full.objective.total)).toBeLessThan(6e-3 * full.objective.total);
  const small = fitPatches(points, classes, 2, { ...options, layout: { ...whole, patchWidth: 1 } });
  expect(small.objective.total).toBeGreaterThan(full.lowerBound);
  expect(small.lowerBound).toBeGreaterThan(same.objective.total);
});

test("filters reproduce the scores; the flip distance is the image's, checked by sampling", () => {
  const rng = createRng(4);
  const layout = { height: 3, width: 4, patchHeight: 2, patchWidth: 2, strideX: 2 };
  const n = 60;
  const data = normals(rng, n * 12, 0.7);
  const labels = Int32Array.from({ length: n }, (_, i) => (data[i * 12] * data[i * 12 + 5] > 0 ? 1 : 0));
  const fit = fitPatches({ data, shape: [n, 3, 4] }, labels, 2, { layout, radius: 0.05, beta: 2e-3 });
  const { a, b, c } = fit.networks[0].activation;
  for (let i = 0; i < 5; i++) {
    const x = data.subarray(i * 12, (i + 1) * 12);
    fit.quadratics.forEach((score, k) => {
      let total = 0;
      for (const { patch, filter, weight } of fit.filters[k]) {
        expect(Math.hypot(...filter)).toBeCloseTo(1, 12);
        let t = 0;
        fit.patches.supports[patch].forEach((pixel, l) => {
          t += filter[l] * x[pixel];
        });
        total += weight * (a * t * t + b * t + c);
      }
      expect(evaluateQuadratic(score, x)).toBeCloseTo(total, 10);
    });
  }
  const images = batch(data, 12);
  const difference = subtractQuadratics(fit.quadratics[1], fit.quadratics[0]);
  const { distances, witnesses = data } = flipDistances(difference, images);
  const radii = preparePairwise(fit.quadratics).robustRadii(images, labels);
  for (let i = 0; i < n; i++) {
    const x = data.slice(i * 12, (i + 1) * 12);
    const score = evaluateQuadratic(difference, x);
    if (score > 0 === (labels[i] === 1)) expect(radii[i]).toBeCloseTo(distances[i], 9);
    if (!Number.isFinite(distances[i])) continue;
    const moved = x.map((value, k) => value + witnesses[i * 12 + k]);
    expect(Math.abs(evaluateQuadratic(difference, moved))).toBeLessThan(1e-8 * (1 + Math.abs(score)));
    for (let trial = 0; trial < 40; trial++) {
      const u = normals(rng, 12);
      const length = Math.hypot(...u);
      const inside = x.map((value, k) => value + (0.999 * distances[i] * u[k]) / length);
      expect(Math.sign(evaluateQuadratic(difference, inside))).toBe(Math.sign(score));
    }
  }
});

test("misuse is refused", () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  const layout = { height: 2, width: 3, patchHeight: 2, patchWidth: 2 };
  const images = { data: new Float64Array(12).fill(1), shape: [2, 2, 3] };
  const labels = Int32Array.of(0, 1);
  const fit = (over: object, given = images) =>
    fitPatches(given, labels, 2, { radius: 0.1, layout: { ...layout, ...over } });
  expect(() => fit({ patchWidth: 4 })).toThrow(code("setting"));
  expect(() => fit({ strideY: 0 })).toThrow(code("setting"));
  expect(() => fit({ padding: 2 })).toThrow(code("setting"));
  expect(() => fit({ height: 1.5 })).toThrow(code("setting"));
  expect(() => fit({}, { data: images.data, shape: [2, 3, 2] })).toThrow(code("shape"));
});
