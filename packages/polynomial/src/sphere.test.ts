import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, test } from "vitest";
import { normals, randomQuadratic } from "../test/support.js";
import { evaluateQuadratic } from "./quadratic.js";
import { sphereExtremes } from "./sphere.js";

const kernels = chooseKernels();

test("bounds hold on random unit vectors and are attained", () => {
  const rng = createRng(1);
  for (const d of [1, 2, 3, 7, 40]) {
    for (let round = 0; round < 10; round++) {
      const { Q, q, s } = randomQuadratic(rng, d);
      // Every third case has no linear part: the extremes are eigenvalues, a hard case.
      const linear = round % 3 ? q : new Float64Array(d);
      const f = { dimension: d, Q, q: linear, s };
      const { maximum, minimum } = sphereExtremes(Q, linear, s, kernels);
      expect(Math.hypot(...maximum.point)).toBeCloseTo(1, 13);
      expect(Math.hypot(...minimum.point)).toBeCloseTo(1, 13);
      const [top, bottom] = [evaluateQuadratic(f, maximum.point), evaluateQuadratic(f, minimum.point)];
      expect(top).toBeLessThanOrEqual(maximum.bound);
      expect(bottom).toBeGreaterThanOrEqual(minimum.bound);
      expect(maximum.bound - top).toBeLessThan(1e-9);
      expect(bottom - minimum.bound).toBeLessThan(1e-9);
      for (let trial = 0; trial < 200; trial++) {
        const u = normals(rng, d);
        const length = Math.hypot(...u);
        const value = evaluateQuadratic(
          f,
          u.map((component) => component / length),
        );
        expect(value).toBeLessThanOrEqual(maximum.bound);
        expect(value).toBeGreaterThanOrEqual(minimum.bound);
      }
    }
  }
});

test("closed forms: two points in one dimension, repeated eigenvalues, hard case with a linear part", () => {
  const line = sphereExtremes(Float64Array.of(3), Float64Array.of(2), 1, kernels);
  expect(line.maximum.bound).toBeCloseTo(6, 12);
  expect(line.minimum.bound).toBeCloseTo(2, 12);
  const round = sphereExtremes(Float64Array.of(2, 0, 0, 2), Float64Array.of(0, 0), 0, kernels);
  expect(round.maximum.bound).toBeCloseTo(2, 12);
  expect(round.minimum.bound).toBeCloseTo(2, 12);
  // 4 u1^2 + u2^2 + u2 on the circle: stationary u2 = 1/6 inside, value 4 + 1/12.
  const hard = sphereExtremes(Float64Array.of(4, 0, 0, 1), Float64Array.of(0, 1), 0, kernels);
  expect(hard.maximum.bound).toBeCloseTo(4 + 1 / 12, 12);
  expect(hard.maximum.point[1]).toBeCloseTo(1 / 6, 10);
});
