import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, test } from "vitest";
import { batch, breastCancer, dataFile, normals, syntheticClasses } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { fitPolynomial } from "../fit.js";
import { createBoxAdversary } from "./boxProblem.js";
import { fitLinf } from "./fitLinf.js";
import { linfLowerBounds, linfWorstCase } from "./linfBounds.js";
import { trainBoxBarrier } from "./trainBoxBarrier.js";

const reference = JSON.parse(readFileSync(new URL("../../fixtures/reference.json", import.meta.url), "utf8"));

test("objective and certificate enclose the optimum of the semidefinite program, solved independently", () => {
  expect(reference.linf_training).toHaveLength(3);
  for (const { d, epsilon, beta, points, labels, objective } of reference.linf_training) {
    const data = batch(Float64Array.from(points), d);
    // the barrier, and the descent that takes its place where its systems are too large
    for (const [tolerance, neurons] of [
      [1e-4, 2 * d + 2],
      [4e-3, 2 * d + 1],
    ]) {
      const fit = fitLinf(data, labels, { epsilon, beta, tolerance, maxNeurons: neurons });
      expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-7));
      expect(fit.objective.total).toBeGreaterThanOrEqual(objective * (1 - 1e-7));
      expect(fit.gap).toBeLessThanOrEqual(tolerance);
    }
  }
});

test("barrier and descent bound each other with ranges, immutable features and weights; the network keeps its promise", () => {
  const { points, labels } = syntheticClasses(12, 40, 3);
  const sampleWeights = Float64Array.from(labels, (_, i) => i % 3);
  const common = {
    epsilon: 0.4,
    beta: 0.01,
    immutable: [2],
    range: { lower: -1.5, upper: [1.5, 1, 2] },
    sampleWeights,
  };
  const barrier = fitLinf(points, labels, { ...common, tolerance: 1e-5 });
  const descent = fitLinf(points, labels, { ...common, maxNeurons: 7 });
  expect(barrier.gap).toBeLessThanOrEqual(1e-5);
  expect(descent.lowerBound).toBeLessThanOrEqual(barrier.objective.total);
  expect(barrier.lowerBound).toBeLessThanOrEqual(descent.objective.total);
  expect(descent.objective.total - barrier.objective.total).toBeLessThan(0.02 * barrier.objective.total);
  const exact = linfWorstCase(barrier.quadratic, points, labels, 0.4, { immutable: [2], range: common.range });
  barrier.margins.forEach((margin, i) => {
    expect(margin).toBeLessThanOrEqual(exact.values[i] + 1e-12);
  });
});

test("where one attack a sample is not enough: 100 samples at boxes that hide most of a class, constant points (the descent stalls)", () => {
  const { points, labels } = syntheticClasses(3, 100, 6);
  for (const epsilon of [0.3, 0.6, 1.2]) {
    const fit = fitLinf(points, labels, { epsilon, beta: 0.01, tolerance: 1e-3 });
    expect(fit.gap).toBeLessThanOrEqual(1e-3);
    expect(fit.status).toMatch(/optimal/);
  }
  const signs = Float64Array.from({ length: 20 }, (_, i) => (i < 7 ? 1 : -1));
  for (const value of [0, 1, 100]) {
    const same = batch(new Float64Array(60).fill(value), 3);
    const two = batch(new Float64Array(6).fill(value), 3);
    for (const epsilon of [0, 0.1, 1]) {
      const fit = fitLinf(same, signs, { epsilon, beta: 0.01, tolerance: 1e-3 });
      const merged = fitLinf(two, [1, -1], { epsilon, beta: 0.01, tolerance: 1e-3, sampleWeights: [0.7, 1.3] });
      expect(fit.gap).toBeLessThanOrEqual(1e-3);
      expect(fit.lowerBound).toBeLessThanOrEqual(merged.objective.total);
      expect(merged.lowerBound).toBeLessThanOrEqual(fit.objective.total);
    }
  }
});

test("boxes beyond all points: the zero network is certified at once, and training finds nothing better", () => {
  const { points, labels } = syntheticClasses(10, 24, 2);
  const even = Float64Array.from(labels, (_, i) => (i % 2 ? 1 : -1));
  const uneven = even.map((_, i) => (i < 8 ? 1 : -1));
  const reach = Math.max(...Array.from(points.data, Math.abs));
  for (const [signs, least] of [
    [even, reach],
    // second moments c (2 - 1) / a for the lighter class
    [uneven, Math.sqrt(reach ** 2 + 0.47 / 0.09)],
  ] as const) {
    for (const epsilon of [least * (1 + 1e-6), 1e3, 1e10]) {
      const fit = fitLinf(points, signs, { epsilon, beta: 1e-3 });
      expect([fit.status, fit.iterations, fit.neurons.weights.length]).toEqual(["zero-optimal", 0, 0]);
      expect(fit.objective.total).toBeCloseTo(1, 12);
      expect(fit.gap).toBeLessThan(1e-12);
    }
    const problem = {
      ...{ points, labels: Float64Array.from(signs), kappa: new Float64Array(24).fill(1 / 24), beta: 1e-3 },
      ...{
        activation: paperActivation,
        boxes: createBoxAdversary(2, least * (1 + 1e-6), {}),
        kernels: chooseKernels(),
      },
    };
    const settings = { tolerance: 1e-3, maxRounds: 40, stepsPerRound: 60, maxEvaluations: 2000, timeLimitSeconds: 60 };
    const trained = trainBoxBarrier(problem, settings, { signal: undefined, onRound: () => {} });
    expect(trained).toMatchObject({ status: "zero-optimal", upper: expect.closeTo(1, 12) });
    expect(trained.lower).toBeGreaterThan(0.999);
  }
  // One class alone is never hidden.
  expect(fitLinf(points, new Float64Array(24).fill(1), { epsilon: 1e3 }).objective.total).toBeLessThan(0.5);
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

test("a descent that gets stuck hands over to the barrier, which goes on counting (230 x 30, boxes that hide much of a class)", () => {
  const rng = createRng(31);
  const [n, d] = [230, 30];
  const labels = Float64Array.from({ length: n }, (_, i) => (i % 2 ? 1 : -1));
  const data = normals(rng, n * d).map((value, p) => value + 0.3 * labels[Math.floor(p / d)]);
  const rounds: number[] = [];
  const evaluations: number[] = [];
  const bounds: number[] = [];
  const fit = fitLinf(batch(data, d), labels, {
    ...{ epsilon: 0.5, beta: 0.01, stepsPerRound: 2, maxRounds: 4 },
    onEvent(event) {
      rounds.push(event.round);
      evaluations.push(event.evaluations);
      bounds.push(event.lower);
    },
  });
  expect(rounds).toEqual([1, 2, 3, 4]);
  expect(evaluations).toEqual([...evaluations].sort((a, b) => a - b));
  expect(fit.iterations).toBe(4);
  expect(fit.evaluations).toBe(evaluations[3]);
  // The result has the better bound of both.
  expect(fit.lowerBound).toBe(Math.max(...bounds));
  expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective.total);
  expect(fit.objective.total).toBeLessThanOrEqual(1);
});
