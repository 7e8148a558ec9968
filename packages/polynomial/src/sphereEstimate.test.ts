import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, test } from "vitest";
import { normals } from "../test/support.js";
import { createSphereSolver } from "./sphere.js";
import { createSphereEstimate } from "./sphereEstimate.js";

const kernels = chooseKernels();

/** Sum of sizes_k v_k v_k' over random unit vectors, `[d, d]`. */
function sumOfSquares(d: number, sizes: number[], seed: number): Float64Array {
  const rng = createRng(seed);
  const matrix = new Float64Array(d * d);
  for (const size of sizes) {
    const v = normals(rng, d);
    const length = Math.hypot(...v);
    for (let k = 0; k < d; k++) for (let l = 0; l < d; l++) matrix[k * d + l] += (size * v[k] * v[l]) / length ** 2;
  }
  return matrix;
}

test("values are attained, never exceed the rigorous bounds, and come close to them", () => {
  const d = 200;
  const estimate = createSphereEstimate(d, kernels);
  const solver = createSphereSolver(d, kernels);
  for (const [seed, length] of [
    [1, 0.5],
    [2, 3],
    [3, 0],
    [4, 1e-9],
  ]) {
    // A few directions stand out of a bulk, as in a certificate.
    const bulk = Array.from({ length: 300 }, (_, k) => 0.2 * Math.sin(k));
    const matrix = sumOfSquares(d, [1.5, 1.2, 1.1, -0.9, -1.4, ...bulk], seed);
    const linear = normals(createRng(seed + 10), d).map((value) => (length * value) / Math.sqrt(d));
    const value = (u: Float64Array) => {
      let sum = 0.3;
      for (let k = 0; k < d; k++) {
        sum += linear[k] * u[k];
        for (let l = 0; l < d; l++) sum += matrix[k * d + l] * u[k] * u[l];
      }
      return sum;
    };
    const exact = solver.solve(matrix, linear, 0.3);
    for (let again = 0; again < 2; again++) {
      const found = estimate.solve(matrix, linear, 0.3);
      expect(Math.hypot(...found.maximum.point)).toBeCloseTo(1, 10);
      expect(value(found.maximum.point)).toBeCloseTo(found.maximum.bound, 8);
      expect(value(found.minimum.point)).toBeCloseTo(found.minimum.bound, 8);
      expect(value(found.maximum.point)).toBeLessThanOrEqual(exact.maximum.bound);
      expect(value(found.minimum.point)).toBeGreaterThanOrEqual(exact.minimum.bound);
      expect(exact.maximum.bound - found.maximum.bound).toBeLessThan(1e-3 * exact.maximum.bound);
      expect(found.minimum.bound - exact.minimum.bound).toBeLessThan(-1e-3 * exact.minimum.bound);
    }
  }
});

test("a Krylov space that ends early is filled up: rank one, and zero", () => {
  const d = 150;
  const estimate = createSphereEstimate(d, kernels);
  const one = estimate.solve(sumOfSquares(d, [2], 5), new Float64Array(d), -1);
  expect(one.maximum.bound).toBeCloseTo(1, 6);
  expect(one.minimum.bound).toBeCloseTo(-1, 6);
  const none = estimate.solve(new Float64Array(d * d), new Float64Array(d), 0.5);
  expect(none.maximum.bound).toBeCloseTo(0.5, 8);
  expect(Math.hypot(...none.minimum.point)).toBeCloseTo(1, 8);
});
