import { createRng, type Rng } from "@worstcase/core";
import { expect, test } from "vitest";
import { normals, randomNeurons } from "../../test/support.js";
import { evaluateQuadratic, quadraticFromNeurons } from "../quadratic.js";
import { decompose, decomposeNetwork } from "./decompose.js";

/** A random matrix of the cone: sum of weights (u;1)(u;1)', rank min(count, d + 1). */
function randomCone(rng: Rng, d: number, count: number, spread: number): Float64Array {
  const n = d + 1;
  const { directions } = randomNeurons(rng, count, d);
  const Z = new Float64Array(n * n);
  for (let j = 0; j < count; j++) {
    const weight = Math.exp(spread * rng.normal());
    for (let k = 0; k < n; k++) {
      for (let l = 0; l < n; l++) {
        Z[k * n + l] += weight * (k < d ? directions[j * d + k] : 1) * (l < d ? directions[j * d + l] : 1);
      }
    }
  }
  return Z;
}

test("200 random matrices: reconstruction and unit norms to 1e-12, gauge preserved", () => {
  const rng = createRng(1);
  let worstReconstruction = 0;
  let worstNorm = 0;
  for (let trial = 0; trial < 200; trial++) {
    const d = 1 + rng.integer(20);
    const Z = randomCone(rng, d, 1 + rng.integer(2 * d + 2), 1);
    const n = d + 1;
    const { directions, weights, repair } = decompose(Z, d);
    let size = 0;
    for (const value of Z) size = Math.max(size, Math.abs(value));
    expect(weights.length).toBeLessThanOrEqual(n);
    for (let k = 0; k < n; k++) {
      for (let l = 0; l < n; l++) {
        let total = 0;
        for (let j = 0; j < weights.length; j++) {
          total += weights[j] * (k < d ? directions[j * d + k] : 1) * (l < d ? directions[j * d + l] : 1);
        }
        worstReconstruction = Math.max(worstReconstruction, Math.abs(total - Z[k * n + l]) / size);
      }
    }
    for (let j = 0; j < weights.length; j++) {
      expect(weights[j]).toBeGreaterThan(0);
      worstNorm = Math.max(worstNorm, Math.abs(Math.hypot(...directions.subarray(j * d, (j + 1) * d)) - 1));
    }
    expect(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - Z[n * n - 1])).toBeLessThan(1e-12 * size);
    expect(Math.abs(repair.traceDefect)).toBeLessThan(1e-12 * size);
  }
  expect(worstReconstruction).toBeLessThan(1e-12);
  expect(worstNorm).toBeLessThan(1e-12);
});

test("the network of (Z, Z') is the quadratic f_S at every point (math.md 23.7)", () => {
  const rng = createRng(2);
  for (let trial = 0; trial < 20; trial++) {
    const d = 2 + rng.integer(6);
    const n = d + 1;
    const positive = randomCone(rng, d, d + 2, 0.5);
    const negative = randomCone(rng, d, 1, 0.5);
    const activation = { a: 0.3, b: -0.7, c: 0.2 };
    const neurons = decomposeNetwork(positive, negative, d, { activation });
    const f = quadraticFromNeurons(neurons, d);
    const S = positive.map((value, i) => value - negative[i]);
    for (let point = 0; point < 10; point++) {
      const x = normals(rng, d, 2);
      let expected = activation.c * S[n * n - 1];
      for (let k = 0; k < d; k++) {
        expected += activation.b * S[k * n + d] * x[k];
        for (let l = 0; l < d; l++) expected += activation.a * S[k * n + l] * x[k] * x[l];
      }
      expect(Math.abs(evaluateQuadratic(f, x) - expected)).toBeLessThan(1e-10 * (1 + Math.abs(expected)));
    }
    const gauge = neurons.weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
    expect(gauge).toBeCloseTo(positive[n * n - 1] + negative[n * n - 1], 10);
    expect(neurons.weights.filter((weight) => weight < 0)).toHaveLength(1);
  }
});

test("repairs what a solver leaves: trace defects of both signs and slightly negative eigenvalues", () => {
  const rng = createRng(3);
  for (const shift of [1e-6, -1e-6]) {
    const d = 5;
    const n = d + 1;
    const Z = randomCone(rng, d, 3, 0.3);
    Z[n * n - 1] += shift;
    for (let k = 0; k < d; k++) Z[k * n + k] -= 1e-7;
    const { weights, repair, check } = decompose(Z, d);
    expect(repair.negativePart).toBeLessThan(0);
    expect(repair.negativePart).toBeGreaterThan(-1e-5);
    expect(Math.abs(repair.traceDefect)).toBeLessThan(1e-5);
    expect(check.reconstruction).toBeLessThan(1e-12 * Z[n * n - 1]);
    expect(check.norm).toBeLessThan(1e-7);
    expect(weights.length).toBeGreaterThanOrEqual(3);
  }
});

test("a sign hidden in (s; t), the zero matrix, one neuron, d = 1", () => {
  expect(decompose(new Float64Array(9), 2).weights).toHaveLength(0);
  // v = (0.6, 0.8, -1) is the neuron u = (-0.6, -0.8).
  const v = [0.6, 0.8, -1];
  const single = decompose(
    Float64Array.from({ length: 9 }, (_, i) => v[Math.floor(i / 3)] * v[i % 3]),
    2,
  );
  expect(single.weights).toHaveLength(1);
  expect(single.directions[0]).toBeCloseTo(-0.6, 12);
  expect(single.directions[1]).toBeCloseTo(-0.8, 12);
  // Both neurons of the line: u = 1 and u = -1 with weights 3 and 1.
  const line = decompose(Float64Array.of(4, 2, 2, 4), 1);
  const sorted = Array.from(line.weights).sort();
  expect(sorted[0]).toBeCloseTo(1, 12);
  expect(sorted[1]).toBeCloseTo(3, 12);
});

test("misuse is refused", () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => decompose(new Float64Array(8), 2)).toThrow(code("shape"));
  expect(() => decompose(Float64Array.of(1, Number.NaN, 0, 1), 1)).toThrow(code("data"));
  expect(() => decompose(Float64Array.of(1, 2, 0, 1), 1)).toThrow(code("data"));
  expect(() => decompose(Float64Array.of(1, 0, 0, 5), 1)).toThrow(code("data"));
  expect(() => decompose(Float64Array.of(-1, 0, 0, -1), 1)).toThrow(code("data"));
});
