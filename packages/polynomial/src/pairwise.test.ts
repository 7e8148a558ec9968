import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic } from "../test/support.js";
import { exactRobustAccuracy, pairwiseWorstMargins, preparePairwise } from "./pairwise.js";
import { evaluateQuadratic, linearQuadratic, type Quadratic } from "./quadratic.js";

test("linear scores: margin is the score difference minus r times the length of the weight difference", () => {
  const rng = createRng(1);
  const [d, classes, n] = [5, 4, 30];
  const weights = Array.from({ length: classes }, () => normals(rng, d));
  const offsets = normals(rng, classes);
  const scores = weights.map((weight, c) => linearQuadratic(weight, offsets[c]));
  const points = normals(rng, n * d);
  const labels = Int32Array.from({ length: n }, () => rng.integer(classes));
  for (const r of [0, 0.2, 0.7]) {
    const { margins, worst, rivals } = pairwiseWorstMargins(scores, batch(points, d), labels, r);
    let robust = 0;
    for (let i = 0; i < n; i++) {
      const x = points.subarray(i * d, (i + 1) * d);
      let smallest = Number.POSITIVE_INFINITY;
      for (let c = 0; c < classes; c++) {
        if (c === labels[i]) {
          expect(margins[i * classes + c]).toBe(Number.POSITIVE_INFINITY);
          continue;
        }
        const difference = weights[labels[i]].map((value, l) => value - weights[c][l]);
        let expected = offsets[labels[i]] - offsets[c] - r * Math.hypot(...difference);
        for (let l = 0; l < d; l++) expected += difference[l] * x[l];
        expect(margins[i * classes + c]).toBeCloseTo(expected, 10);
        smallest = Math.min(smallest, expected);
      }
      expect(worst[i]).toBeCloseTo(smallest, 10);
      expect(margins[i * classes + rivals[i]]).toBe(worst[i]);
      if (smallest > 0) robust++;
    }
    expect(exactRobustAccuracy(scores, batch(points, d), labels, r).accuracy).toBeCloseTo(robust / n, 12);
  }
});

test("no sampled perturbation breaks a robust prediction, and the robust radius is where the margin vanishes", () => {
  const rng = createRng(2);
  const [d, classes, n, r] = [4, 3, 40, 0.4];
  const scores: Quadratic[] = [randomQuadratic(rng, d), randomNetwork(rng, 2, d), randomNetwork(rng, 2, d)];
  const points = normals(rng, n * d);
  const best = (x: Float64Array) => {
    const values = scores.map((score) => evaluateQuadratic(score, x));
    return values.indexOf(Math.max(...values));
  };
  const labels = Int32Array.from({ length: n }, (_, i) => best(points.subarray(i * d, (i + 1) * d)));
  const oracle = preparePairwise(scores);
  const { worst } = oracle.margins(batch(points, d), labels, r);
  const radii = oracle.robustRadii(batch(points, d), labels);
  let robust = 0;
  for (let i = 0; i < n; i++) {
    expect(worst[i] > 0).toBe(radii[i] > r);
    if (Number.isFinite(radii[i]) && radii[i] > 1e-6) {
      const one = { points: batch(points.slice(i * d, (i + 1) * d), d), labels: labels.slice(i, i + 1) };
      const [at] = oracle.margins(one.points, one.labels, radii[i]).worst;
      expect(Math.abs(at)).toBeLessThan(1e-8);
    }
    if (worst[i] <= 0) continue;
    robust++;
    for (let trial = 0; trial < 300; trial++) {
      const u = normals(rng, d);
      const length = Math.hypot(...u);
      const x = u.map((value, l) => points[i * d + l] + (r * value) / length);
      expect(best(x)).toBe(labels[i]);
    }
  }
  expect(robust).toBeGreaterThan(3);
  expect(robust).toBeLessThan(n);
  expect(classes).toBe(scores.length);
});

test("an ellipsoid is a ball in other coordinates", () => {
  const rng = createRng(3);
  const d = 3;
  const shape = Float64Array.of(2, 0, 0, 0.5, 1, 0, -0.3, 0.2, 0.4);
  const network = [randomNetwork(rng, 2, d), randomNetwork(rng, 2, d)];
  const dense = network.map(({ neurons: _, ...rest }) => rest);
  const points = batch(normals(rng, 5 * d), d);
  const labels = Int32Array.of(0, 1, 0, 1, 0);
  const r = 0.5;
  const one = pairwiseWorstMargins(network, points, labels, r, { ellipsoid: shape });
  const two = pairwiseWorstMargins(dense, points, labels, r, { ellipsoid: shape });
  for (let i = 0; i < 5; i++) {
    expect(one.worst[i]).toBeCloseTo(two.worst[i], 9);
    let sampled = Number.POSITIVE_INFINITY;
    for (let trial = 0; trial < 20_000; trial++) {
      const z = normals(rng, d);
      const scale = (r * (trial % 4 ? 1 : rng.uniform())) / Math.hypot(...z);
      const x = Float64Array.from({ length: d }, (_, k) => {
        let value = points.data[i * d + k];
        for (let l = 0; l <= k; l++) value += shape[k * d + l] * z[l] * scale;
        return value;
      });
      const sign = labels[i] === 0 ? 1 : -1;
      sampled = Math.min(sampled, sign * (evaluateQuadratic(network[0], x) - evaluateQuadratic(network[1], x)));
    }
    expect(sampled).toBeGreaterThanOrEqual(one.worst[i] - 1e-10);
    expect(sampled - one.worst[i]).toBeLessThan(0.02);
  }
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => preparePairwise(dense, { ellipsoid: Float64Array.of(1) })).toThrow(code("shape"));
  const singular = Float64Array.of(2, 0, 0, 0.5, 0, 0, -0.3, 0.2, 0.4);
  expect(() => preparePairwise(dense, { ellipsoid: singular })).toThrow(code("data"));
  expect(() => preparePairwise([dense[0]])).toThrow(code("shape"));
  expect(() => preparePairwise([dense[0], randomQuadratic(rng, 4)])).toThrow(code("shape"));
  expect(() => pairwiseWorstMargins(dense, points, Int32Array.of(0, 1, 2, 0, 0), 1)).toThrow(code("data"));
});
