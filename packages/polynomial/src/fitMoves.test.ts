import { readFileSync } from "node:fs";
import { createRng, SettingError } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { batch, normals, syntheticClasses } from "../test/support.js";
import { paperActivation } from "./activation.js";
import { createObjective } from "./factored/objective.js";
import { prepareTrainingData } from "./factored/trainingData.js";
import { type FitOptions, fitPolynomial } from "./fit.js";
import { moveSetOf } from "./moveSet.js";
import { fitPairwise } from "./multiclass/fitPairwise.js";
import { evaluateQuadratic } from "./quadratic.js";
import { fitRegression } from "./regression/fitRegression.js";
import { robustObjective } from "./robustObjective.js";

const reference = JSON.parse(readFileSync(new URL("../fixtures/moves.json", import.meta.url), "utf8"));

const cases = reference.training.map((row: Record<string, never>) => {
  const { d, radius, beta, immutable, ellipsoid, points, labels, objective } = row;
  const moves = { immutable, ...(ellipsoid ? { ellipsoid: Float64Array.from(ellipsoid) } : {}) };
  const data = batch(Float64Array.from(points), d);
  return { points: data, labels: labels as number[], options: { radius, beta, ...moves } as FitOptions, objective };
});

describe("training against immutable features and ellipsoids", () => {
  it("exact: the optimum is that of the semidefinite program of Clarabel (fixtures/moves.py), certified to 1e-6", () => {
    for (const { points, labels, options, objective } of cases) {
      const fit = fitPolynomial(points, labels, { ...options, method: "exact" });
      expect(fit.status).toMatch(/optimal/);
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(Math.abs(fit.objective.total - objective)).toBeLessThan(3e-6 * objective);
      expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-6));
      // unit neurons in the features' own coordinates: the regulariser is that of the ball
      const d = points.shape[1];
      for (let j = 0; j < fit.neurons.weights.length; j++) {
        expect(Math.hypot(...fit.neurons.directions.subarray(j * d, (j + 1) * d))).toBeCloseTo(1, 10);
      }
    }
  });

  it("factored: certified gaps around the same optimum, handed over where it stalls", () => {
    for (const { points, labels, options, objective } of cases) {
      const fit = fitPolynomial(points, labels, { ...options, method: "factored", tolerance: 1e-3 });
      expect(fit.objective.total).toBeGreaterThanOrEqual(objective * (1 - 1e-6));
      expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-6));
      expect(fit.gap).toBeLessThan(0.1);
      // where it stalls the exact trainer takes over
      const auto = fitPolynomial(points, labels, { ...options, tolerance: 1e-2 });
      expect(auto.gap).toBeLessThanOrEqual(1e-2);
      expect(auto.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-6));
    }
  });

  it("joint training of two classes has the same optimum, with certified bounds around it", () => {
    const gaps: number[] = [];
    for (const { points, labels, options, objective } of cases) {
      const classes = Int32Array.from(labels as number[], (label) => (label > 0 ? 1 : 0));
      const { radius, beta = 1e-3, immutable = [], ellipsoid } = options;
      const moves = { immutable, ...(ellipsoid && { ellipsoid }) };
      const fit = fitPairwise(points, classes, 2, { radius, beta, ...moves, tolerance: 2e-3 });
      expect(fit.objective.total).toBeGreaterThanOrEqual(objective * (1 - 1e-6));
      expect(fit.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-6));
      gaps.push(fit.gap);
    }
    // the joint trainer stalls on some small problems, with an honest gap
    expect(gaps.filter((gap) => gap <= 2e-3).length).toBeGreaterThanOrEqual(4);
    const { points, labels } = syntheticClasses(12, 60, 3);
    const classes = Int32Array.from(labels, (label, i) => (label > 0 ? 1 : i % 3 === 0 ? 2 : 0));
    const shared = { radius: 0.3, beta: 1e-2, bias: 1, tolerance: 1e-2 };
    const held = fitPairwise(points, classes, 3, { ...shared, immutable: [1] });
    const ball = fitPairwise(points, classes, 3, shared);
    expect(held.gap).toBeLessThan(3e-2);
    expect(held.lowerBound).toBeLessThan(ball.objective.total);
    const same = fitPairwise(points, classes, 3, {
      ...{ ...shared, radius: 0.15, ellipsoid: Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2) },
    });
    expect(Math.abs(same.objective.total - ball.objective.total)).toBeLessThan(3e-2 * ball.objective.total);
    expect(same.lowerBound).toBeLessThanOrEqual(ball.objective.total * (1 + 1e-9));
    expect(ball.lowerBound).toBeLessThanOrEqual(same.objective.total * (1 + 1e-9));
  });

  it("regression: certified, and errors never below what an admissible move makes", () => {
    const rng = createRng(14);
    const [n, d] = [24, 3];
    const points = batch(normals(rng, n * d), d);
    const targets = Array.from({ length: n }, (_, i) => points.data[i * d] ** 2 - points.data[i * d + 1]);
    const immutable = [1];
    const fit = fitRegression(points, targets, { radius: 0.3, beta: 1e-3, immutable });
    expect(fit.gap).toBeLessThanOrEqual(1e-6);
    const ball = fitRegression(points, targets, { radius: 0.3, beta: 1e-3 });
    expect(fit.objective.total).toBeLessThan(ball.objective.total);
    const ellipsoid = Float64Array.of(3, 0, 0, 0, 3, 0, 0, 0, 3);
    const same = fitRegression(points, targets, { radius: 0.1, beta: 1e-3, ellipsoid, immutable });
    expect(same.objective.total).toBeCloseTo(fit.objective.total, 6);
    for (let trial = 0; trial < 500; trial++) {
      const i = trial % n;
      const angle = 2 * Math.PI * rng.uniform();
      const x = points.data.slice(i * d, (i + 1) * d);
      x[0] += 0.3 * Math.cos(angle);
      x[2] += 0.3 * Math.sin(angle);
      expect(Math.abs(evaluateQuadratic(fit.quadratic, x) - targets[i])).toBeLessThanOrEqual(
        fit.worstErrors[i] + 1e-12,
      );
    }
  });

  it("the gradient of the factored objective is that of its values", () => {
    const rng = createRng(3);
    const [n, d, count] = [20, 4, 3];
    const { points, labels } = syntheticClasses(4, n, d);
    const L = Float64Array.of(1, 0, 0, 0, 0.2, 0.7, 0, 0, -0.1, 0.3, 1.4, 0, 0.5, 0, 0.1, 0.9);
    for (const options of [{ immutable: [1] }, { ellipsoid: L }, { immutable: [0, 2], ellipsoid: L }]) {
      const objective = createObjective({
        ...{ data: prepareTrainingData(points, { kernels: chooseKernels() }), labels, radius: 0.4, beta: 0.01 },
        ...{ hingeWeights: new Float64Array(n).fill(1 / n), activation: paperActivation, set: moveSetOf(options, d) },
      });
      const neurons = normals(rng, count * d);
      const signs = Float64Array.of(1, -1, 1);
      for (const smoothing of [
        { width: 0.5, mu: 0, rho: 1 },
        { width: 0.5, mu: 0.01, rho: 1 },
      ]) {
        const gradient = new Float64Array(count * d);
        objective.evaluate(neurons, signs, count, smoothing, gradient);
        for (let k = 0; k < count * d; k++) {
          const h = 1e-5;
          const at = (t: number) => {
            const moved = neurons.slice();
            moved[k] += t;
            return objective.evaluate(moved, signs, count, smoothing, null);
          };
          expect(gradient[k]).toBeCloseTo((at(h) - at(-h)) / (2 * h), 6);
        }
      }
    }
  });

  it("a bias as an immutable constant feature, and what cannot move is not hidden", () => {
    const { points, labels } = syntheticClasses(9, 60, 3);
    const n = 60;
    const data = Float64Array.from({ length: 4 * n }, (_, e) =>
      e % 4 === 3 ? 1 : points.data[3 * (e >> 2) + (e % 4)],
    );
    const withBias = batch(data, 4);
    const fixed = fitPolynomial(withBias, labels, { radius: 0.3, beta: 1e-3, immutable: [3] });
    const moved = fitPolynomial(withBias, labels, { radius: 0.3, beta: 1e-3 });
    expect(fixed.gap).toBeLessThanOrEqual(1e-6);
    // a smaller set of moves never costs more
    expect(fixed.objective.total).toBeLessThan(moved.objective.total + 1e-7);
    const plain = fitPolynomial(points, labels, { radius: 0.3, beta: 1e-3 });
    // neurons on the features alone are among those with a bias
    expect(fixed.objective.total).toBeLessThan(plain.objective.total + 1e-7);
    const weights = new Float64Array(n).fill(1 / n);
    const again = robustObjective(fixed.quadratic, withBias, labels, 0.3, weights, 1e-3, undefined, { immutable: [3] });
    expect(again.total).toBeCloseTo(fixed.objective.total, 12);
    expect(fixed.worstCase(withBias, labels, 0.3).perturbations!.filter((_, e) => e % 4 === 3)).toEqual(
      new Float64Array(n),
    );
    // one feature of one separates the classes: with it immutable the hinge can be met
    const line = batch(Float64Array.of(-1, 0.1, 1, -0.1, -1, -0.2, 1, 0.2), 2);
    const sides = [-1, 1, -1, 1];
    const free = fitPolynomial(line, sides, { radius: 3, beta: 1e-3 });
    const held = fitPolynomial(line, sides, { radius: 3, beta: 1e-3, immutable: [0] });
    expect(free.objective.total).toBeGreaterThan(0.9);
    expect(held.objective.total).toBeLessThan(0.1);
    expect(held.gap).toBeLessThanOrEqual(1e-6);
  });

  it("at radii beyond all points what is left is the network of the immutable features alone", () => {
    const { points, labels } = syntheticClasses(2, 80, 3);
    const alone = batch(
      Float64Array.from({ length: 80 }, (_, i) => points.data[3 * i]),
      1,
    );
    const limit = fitPolynomial(alone, labels, { radius: 0, beta: 0.01 });
    expect(limit.neurons.weights.length).toBeGreaterThan(0);
    for (const radius of [1e4, 1e7, 1e10]) {
      const fit = fitPolynomial(points, labels, { radius, beta: 0.01, immutable: [0] });
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      // a neuron of three features may also have a part that cancels, so the optimum can only be lower
      expect(fit.objective.total).toBeLessThan(limit.objective.total * (1 + 2e-6));
    }
  });

  it("an ellipsoid c I is the ball of radius c r, and warm starts do not cross sets", () => {
    const { points, labels } = syntheticClasses(2, 80, 3);
    const ellipsoid = Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2);
    const ball = fitPolynomial(points, labels, { radius: 0.4, beta: 0.01 });
    const one = fitPolynomial(points, labels, { radius: 0.2, beta: 0.01, ellipsoid });
    expect(one.objective.total).toBeCloseTo(ball.objective.total, 6);
    const held = { radius: 0.4, beta: 0.01, immutable: [2] };
    const first = fitPolynomial(points, labels, held);
    expect(fitPolynomial(points, labels, { ...held, warmStart: ball }).warmStart).toBe("rejected");
    expect(fitPolynomial(points, labels, { ...held, radius: 0.41, warmStart: first }).warmStart).toBe("used");
    for (const loss of ["mean-squared-hinge", "mean-logistic"] as const) {
      expect(fitPolynomial(points, labels, { ...held, loss }).gap).toBeLessThanOrEqual(1e-6);
    }
    expect(() => fitPolynomial(points, labels, { radius: 1, immutable: [3] })).toThrow(SettingError);
    expect(() => fitPolynomial(points, labels, { radius: 1, immutable: [0, 1, 2] })).toThrow(SettingError);
  });
});
