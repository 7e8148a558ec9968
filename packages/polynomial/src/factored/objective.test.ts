import { createRng, type NumericBatch } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { batch, normals, randomSigns } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { quadraticFromNeurons } from "../quadratic.js";
import { robustObjective } from "../robustObjective.js";
import { Lbfgs } from "./lbfgs.js";
import { createObjective } from "./objective.js";
import { prepareTrainingData } from "./trainingData.js";

function problem(seed: number, n: number, d: number, radius: number) {
  const rng = createRng(seed);
  return {
    data: prepareTrainingData(batch(normals(rng, n * d), d)),
    labels: randomSigns(rng, n),
    hingeWeights: Float64Array.from({ length: n }, () => (0.5 + rng.uniform()) / n),
    radius,
    beta: 0.01,
    activation: paperActivation,
  };
}

describe("gradient against central differences", () => {
  const cases = [
    { d: 4, count: 3, radius: 0.4, mu: 0 },
    { d: 4, count: 6, radius: 0.4, mu: 0 },
    { d: 6, count: 3, radius: 0, mu: 0 },
    { d: 5, count: 3, radius: 0.7, mu: 0.03 },
    { d: 3, count: 5, radius: 0.2, mu: 0.01 },
    { d: 1, count: 2, radius: 0.3, mu: 0.02 },
  ];
  for (const [index, { d, count, radius, mu }] of cases.entries()) {
    test(`d ${d}, ${count} neurons, radius ${radius}, mu ${mu}`, () => {
      const objective = createObjective(problem(index, 25, d, radius));
      const rng = createRng(100 + index);
      const neurons = normals(rng, count * d);
      const signs = randomSigns(rng, count);
      const smoothing = { width: 0.6, mu, rho: 1.3 };
      const gradient = new Float64Array(count * d);
      objective.evaluate(neurons, signs, count, smoothing, gradient);
      const size = Math.hypot(...gradient);
      for (let i = 0; i < neurons.length; i++) {
        const step = 1e-5;
        const at = (shift: number) => {
          const moved = Float64Array.from(neurons);
          moved[i] += shift;
          return objective.evaluate(moved, signs, count, smoothing, null);
        };
        const difference = (at(step) - at(-step)) / (2 * step);
        expect(Math.abs(difference - gradient[i])).toBeLessThan(2e-6 * (size + 1));
      }
    });
  }
});

test("with width 0 the value is the robust objective of the network", () => {
  const rng = createRng(7);
  for (const [d, count] of [
    [5, 3],
    [3, 6],
  ]) {
    const given = problem(3, 40, d, 0.5);
    const neurons = normals(rng, count * d);
    const signs = randomSigns(rng, count);
    const value = createObjective(given).evaluate(neurons, signs, count, { width: 0, mu: 0, rho: 1 }, null);
    const directions = Float64Array.from(neurons);
    const weights = new Float64Array(count);
    for (let j = 0; j < count; j++) {
      const row = directions.subarray(j * d, (j + 1) * d);
      const length = Math.hypot(...row);
      for (let l = 0; l < d; l++) row[l] /= length;
      weights[j] = signs[j] * length * length;
    }
    const network = quadraticFromNeurons({ directions, weights, activation: paperActivation }, d);
    const points = given.data.points as NumericBatch;
    const { total } = robustObjective(network, points, given.labels, 0.5, given.hingeWeights, 0.01);
    expect(Math.abs(value - total)).toBeLessThan(1e-10);
  }
});

test("a smoothed attack stays in the ball in the mean", () => {
  const given = problem(9, 30, 4, 0.6);
  const objective = createObjective(given);
  const rng = createRng(10);
  const smoothing = { width: 0.5, mu: 0.05, rho: 1 };
  objective.evaluate(normals(rng, 12), Float64Array.of(1, -1, 1), 3, smoothing, null);
  const { rank, variances } = objective.state;
  const { moves } = given.data.buffers;
  for (let i = 0; i < 30; i++) {
    let square = 0;
    for (let k = 0; k < rank; k++) square += moves[i * rank + k] ** 2 + (variances?.[i * rank + k] ?? 0);
    expect(square).toBeLessThanOrEqual(0.36 * (1 + 1e-9));
    expect(square).toBeGreaterThan(0);
  }
});

test("L-BFGS reaches the minimum of a strictly convex quadratic and of the Rosenbrock valley", () => {
  const lbfgs = new Lbfgs(10);
  const x = Float64Array.from({ length: 10 }, (_, i) => i - 4);
  const bowl = (at: Float64Array, gradient: Float64Array) => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const curvature = 10 ** (i / 3);
      value += 0.5 * curvature * (at[i] - 1) ** 2;
      gradient[i] = curvature * (at[i] - 1);
    }
    return value;
  };
  expect(lbfgs.minimise(bowl, x, 10, { maxSteps: 200, smallDecrease: 0 }).value).toBeLessThan(1e-12);
  const start = Float64Array.of(-1.2, 1);
  const valley = (at: Float64Array, gradient: Float64Array) => {
    const rest = at[1] - at[0] ** 2;
    gradient[0] = -2 * (1 - at[0]) - 400 * at[0] * rest;
    gradient[1] = 200 * rest;
    return (1 - at[0]) ** 2 + 100 * rest * rest;
  };
  lbfgs.minimise(valley, start, 2, { maxSteps: 200, smallDecrease: 0 });
  expect(start[0]).toBeCloseTo(1, 5);
  expect(start[1]).toBeCloseTo(1, 5);
});
