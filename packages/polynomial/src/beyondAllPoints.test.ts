import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { batch, normals } from "../test/support.js";
import { quadraticActivation } from "./activation.js";
import { fitPolynomial } from "./fit.js";
import { fitPairwise } from "./multiclass/fitPairwise.js";

const [n, d] = [60, 4];
const rng = createRng(8);
const points = batch(normals(rng, n * d), d);
/** Forty of one class, twenty of the other. */
const uneven = Float64Array.from({ length: n }, (_, i) => (i % 3 === 0 ? 1 : -1));
const three = Int32Array.from({ length: n }, (_, i) => (i % 6 < 3 ? 0 : i % 6 < 5 ? 1 : 2));

describe("radii beyond all points", () => {
  test("factored: the zero network is certified at once, and the exact trainer finds nothing better", () => {
    for (const radius of [20, 1e3, 1e6]) {
      const fit = fitPolynomial(points, uneven, { radius, beta: 1e-2, method: "factored" });
      expect([fit.status, fit.neurons.weights.length, fit.evaluations]).toEqual(["zero-optimal", 0, 0]);
      expect(fit.objective.total).toBeCloseTo(1, 14);
      expect(fit.gap).toBeLessThan(1e-12);
      expect(fit.lowerBound).toBeLessThanOrEqual(1);
      const exact = fitPolynomial(points, uneven, { radius, beta: 1e-2, method: "exact" });
      expect(exact.objective.total).toBeGreaterThanOrEqual(fit.lowerBound - 1e-12);
    }
  });

  test("not where a network beats zero: its objective would be below the bound", () => {
    // uneven classes need room for a spread: right above the longest point the constant still helps
    let longest = 0;
    for (let i = 0; i < n; i++) longest = Math.max(longest, Math.hypot(...points.data.subarray(i * d, (i + 1) * d)));
    const near = { radius: 1.01 * longest, beta: 1e-4, activation: { a: 1e-3, b: 0, c: 1 } };
    expect(fitPolynomial(points, uneven, near).objective.total).toBeLessThan(0.9);
    expect(fitPolynomial(points, uneven, { ...near, method: "factored", maxRounds: 1 }).status).not.toBe(
      "zero-optimal",
    );
    // without a constant in the activation no spread is needed, and below the longest point nothing is claimed
    const options = { beta: 1e-4, activation: quadraticActivation, method: "factored", maxRounds: 1 } as const;
    expect(fitPolynomial(points, uneven, { ...options, radius: 1.01 * longest }).status).toBe("zero-optimal");
    expect(fitPolynomial(points, uneven, { ...options, radius: 0.99 * longest }).evaluations).toBeGreaterThan(0);
  });

  test("joint training of two and three classes, both losses", () => {
    for (const [labels, classes] of [
      [Int32Array.from(uneven, (sign) => (sign > 0 ? 1 : 0)), 2],
      [three, 3],
    ] as const) {
      for (const loss of ["weston-watkins", "crammer-singer"] as const) {
        const fit = fitPairwise(points, labels, classes, { radius: 30, beta: 1e-3, loss });
        expect(fit.status).toBe("zero-optimal");
        expect(fit.gap).toBeLessThan(1e-12);
        expect(fit.objective.total).toBeCloseTo(loss === "weston-watkins" ? classes - 1 : 1, 12);
      }
    }
  });
});
