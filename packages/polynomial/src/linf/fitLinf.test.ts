import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, breastCancer, dataFile, normals, syntheticClasses } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { fitLinf } from "./fitLinf.js";
import { linfLowerBounds, linfWorstCase } from "./linfBounds.js";

const reference = JSON.parse(readFileSync(new URL("../../fixtures/reference.json", import.meta.url), "utf8"));

test("objective and certificate enclose the optimum of the semidefinite program, solved independently", () => {
  expect(reference.linf_training).toHaveLength(3);
  for (const { d, epsilon, beta, points, labels, objective } of reference.linf_training) {
    const fit = fitLinf(batch(Float64Array.from(points), d), labels, { epsilon, beta, tolerance: 4e-3 });
    expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-8));
    expect(fit.objective.total).toBeGreaterThanOrEqual(objective * (1 - 1e-8));
    expect(fit.gap).toBeLessThan(5e-3);
    expect(fit.objective.total - objective).toBeLessThan(4e-3 * objective);
  }
});

test("certified margins hold: never above the exact box minimum of the trained network", () => {
  const { points, labels } = syntheticClasses(3, 30, 3);
  const epsilon = 0.15;
  const fit = fitLinf(points, labels, { epsilon, beta: 5e-3 });
  expect(fit.status).toBe("optimal");
  const exact = linfWorstCase(fit.quadratic, points, labels, epsilon);
  let hinge = 0;
  for (let i = 0; i < 30; i++) {
    expect(fit.margins[i]).toBeLessThanOrEqual(exact.values[i] + 1e-12);
    hinge += Math.max(0, 1 - fit.margins[i]) / 30;
  }
  expect(fit.objective.hinge).toBeCloseTo(hinge, 12);
});

test("epsilon 0 is non-robust training; an immutable coordinate keeps its use", () => {
  const { points, labels } = syntheticClasses(4, 30, 2);
  const plain = fitPolynomial(points, labels, { radius: 0, beta: 0.01, tolerance: 1e-3 });
  const zero = fitLinf(points, labels, { epsilon: 0, beta: 0.01, tolerance: 1e-3 });
  expect(Math.abs(plain.objective.total - zero.objective.total)).toBeLessThan(2e-3 * plain.objective.total);
  // The class is the sign of a coordinate smaller than epsilon: hopeless, unless it cannot be moved.
  const rng = createRng(5);
  const signs = Float64Array.from({ length: 40 }, (_, i) => (i % 2 ? 1 : -1));
  const data = normals(rng, 80);
  for (let i = 0; i < 40; i++) data[2 * i] = 0.2 * signs[i];
  const movable = fitLinf(batch(data, 2), signs, { epsilon: 0.3, beta: 1e-3 });
  const held = fitLinf(batch(data, 2), signs, { epsilon: 0.3, beta: 1e-3, immutable: [0] });
  expect(held.objective.total).toBeLessThan(0.2);
  expect(movable.objective.total).toBeGreaterThan(0.9);
});

const file = dataFile("uci/breast-cancer-wisconsin.data");

test.skipIf(!file)(
  `Breast Cancer: a better certificate than l2 training at any of its radii${file ? "" : " (skipped: no data)"}`,
  () => {
    const { points, labels } = breastCancer(file as string);
    const [n, epsilon, beta] = [36, 0.4, 0.01];
    const some = batch(points.data.slice(0, n * 9), 9);
    const signs = labels.slice(0, n);
    const fit = fitLinf(some, signs, { epsilon, beta, tolerance: 2e-2 });
    expect(fit.gap).toBeLessThan(2e-2);
    for (const radius of [0.4, 0.8, 1.2]) {
      const ball = fitPolynomial(some, signs, { radius, beta });
      const { lowerBounds } = linfLowerBounds(ball.quadratic, some, signs, epsilon);
      let total = 0;
      for (const bound of lowerBounds) total += Math.max(0, 1 - bound) / n;
      for (const alpha of ball.neurons.weights) total += beta * Math.abs(alpha);
      expect(fit.lowerBound).toBeLessThan(total);
      expect(fit.objective.total).toBeLessThan(total);
    }
  },
);

test("edge cases are answers: one point, one feature, one class, duplicates, large and small scales, huge boxes", () => {
  const rng = createRng(9);
  const one = fitLinf(batch(Float64Array.of(0.5), 1), [1], { epsilon: 0.1 });
  expect(one.lowerBound).toBeLessThanOrEqual(one.objective.total);
  expect(one.margins[0]).toBeGreaterThan(0.5);
  const x = normals(rng, 12);
  const single = fitLinf(batch(x, 2), [1, 1, 1, 1, 1, 1], { epsilon: 0.1 });
  expect(single.objective.total).toBeLessThan(0.1);
  // The same point with both labels: no network does better than the constant 0 on this pair.
  const twin = fitLinf(batch(Float64Array.of(1, 2, 1, 2), 2), [1, -1], { epsilon: 0.05, beta: 0.1 });
  expect(twin.objective.total).toBeGreaterThan(1 - 1e-9);
  expect(twin.lowerBound).toBeGreaterThan(0.98);
  const { points, labels } = syntheticClasses(10, 24, 2);
  const huge = fitLinf(points, labels, { epsilon: 50, beta: 0.01 });
  expect(huge.objective.total).toBeGreaterThan(0.5);
  expect(huge.lowerBound).toBeLessThanOrEqual(huge.objective.total);
  for (const scale of [1e-4, 1e4]) {
    const scaled = batch(points.data.map((value) => value * scale) as Float64Array, 2);
    const fit = fitLinf(scaled, labels, { epsilon: 0.05 * scale, beta: 1e-3, maxRounds: 8 });
    expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective.total);
    expect(Number.isFinite(fit.objective.total)).toBe(true);
  }
});

test("misuse is refused", () => {
  const { points, labels } = syntheticClasses(6, 10, 2);
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => fitLinf(points, labels, { epsilon: -1 })).toThrow(code("setting"));
  expect(() => fitLinf(points, labels, { epsilon: 0.1, radius: 1 } as never)).toThrow(code("setting"));
  expect(() => fitLinf(points, labels.slice(1), { epsilon: 0.1 })).toThrow(code("shape"));
  expect(() => fitLinf(points, labels, { epsilon: 0.1, immutable: [7] })).toThrow(code("setting"));
  expect(() => fitLinf(points, labels, { epsilon: 0.1, signal: AbortSignal.abort() })).toThrow(code("aborted"));
});
