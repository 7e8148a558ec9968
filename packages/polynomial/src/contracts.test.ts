// The numerical contracts of math.md 23, and where each is tested:
//   1  worstCase/worstCase.test.ts "equals the largest margin of the matrix inequality, and not with the sign of b flipped";
//      penalty/fitPenalty.test.ts "the matrix inequality holds exactly ... not with the sign of s2 flipped"
//   2  worstCase/worstCase.test.ts "one dimension, both labels", "hard case"; flipDistance.test.ts "x^2 at 2", "positive everywhere"
//   3  activation.test.ts "reluFit(5)"          4  fit.test.ts (5.3096031081718), datasets/loadBreastCancer.test.ts (counts)
//   5  exact/trainExact.test.ts "Breast Cancer Wisconsin (Original)", to 1e-6      6  the same file, and certificate.test.ts (property)
//   7  decomposition/decompose.test.ts          8  below; worstCase.test.ts and fit.test.ts for the radius and beta
//   9  below; linf/linfBounds.test.ts "never above the enumerated minimum, and branch and bound equals it"
//   11 below; worstCase.test.ts "continuous at 0"                                  (10 belongs to @worstcase/relu)

import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { batch, normals, randomSigns, syntheticClasses } from "../test/support.js";
import { fitPolynomial } from "./fit.js";
import { flipDistances } from "./flipDistance.js";
import { linfAttack, linfLowerBounds, linfWorstCase } from "./linf/linfBounds.js";
import { evaluateQuadratic, type Quadratic } from "./quadratic.js";
import { worstCase } from "./worstCase/worstCase.js";

function randomQuadratic(seed: number, d: number): Quadratic {
  const rng = createRng(seed);
  const half = normals(rng, d * d);
  const Q = Float64Array.from(half, (_, k) => 0.5 * (half[k] + half[(k % d) * d + Math.floor(k / d)]));
  return { dimension: d, Q, q: normals(rng, d), s: rng.normal() };
}

describe("math.md 23.8: one order of margins", () => {
  const d = 4;
  const margin = (f: Quadratic, x: Float64Array, y: number) => y * evaluateQuadratic(f, x);
  const gradientOf = ({ Q, q }: Quadratic, x: Float64Array) =>
    q.map((value, k) => value + 2 * x.reduce((sum, entry, l) => sum + Q[k * d + l] * entry, 0));

  test("exact <= projected gradient <= one gradient step <= clean, in the l2 ball; exact = certified radius at the flip distance", () => {
    for (let seed = 0; seed < 20; seed++) {
      const f = randomQuadratic(seed, d);
      const rng = createRng(100 + seed);
      const data = normals(rng, 12 * d);
      const labels = randomSigns(rng, 12);
      const r = 0.5;
      const { values } = worstCase(f, batch(data, d), labels, r);
      for (let i = 0; i < 12; i++) {
        const x = data.slice(i * d, (i + 1) * d);
        const y = labels[i]!;
        const clean = margin(f, x, y);
        // The best of the points met so far, the first step among them: a lower margin never gets lost.
        let at = x;
        let best = clean;
        let single = clean;
        for (let step = 0; step < 25; step++) {
          const g = gradientOf(f, at);
          const length = Math.hypot(...g) || 1;
          const size = step === 0 ? r : r / 4;
          const moved = at.map((value, k) => value - (y * size * g[k]) / length);
          const away = Math.hypot(...moved.map((value, k) => value - x[k]));
          at = moved.map((value, k) => x[k] + (value - x[k]) * Math.min(1, r / away));
          best = Math.min(best, margin(f, at, y));
          if (step === 0) single = best;
        }
        expect(values[i]).toBeLessThanOrEqual(best + 1e-12);
        expect(best).toBeLessThanOrEqual(single);
        expect(single).toBeLessThanOrEqual(clean);
      }
      const { distances } = flipDistances(f, batch(data, d), { labels });
      distances.forEach((distance, i) => {
        if (!(distance > 1e-6) || !Number.isFinite(distance)) return;
        const one = batch(data.slice(i * d, (i + 1) * d), d);
        const at = (radius: number) => worstCase(f, one, [labels[i]!], radius).values[0]!;
        expect(at(distance * (1 - 1e-7))).toBeGreaterThan(0);
        expect(at(distance * (1 + 1e-7))).toBeLessThanOrEqual(0);
      });
    }
  });

  test("p*(r, beta) is nondecreasing in both, as certified intervals", () => {
    const { points, labels } = syntheticClasses(8, 40, 3);
    const fits = [0.05, 0.2, 0.6].map((radius) =>
      [1e-3, 1e-2, 1e-1].map((beta) => fitPolynomial(points, labels, { radius, beta, method: "exact" })),
    );
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        expect(fits[i][j].gap).toBeLessThanOrEqual(1e-6);
        if (i > 0) expect(fits[i][j].objective.total).toBeGreaterThanOrEqual(fits[i - 1][j].lowerBound);
        if (j > 0) expect(fits[i][j].objective.total).toBeGreaterThanOrEqual(fits[i][j - 1].lowerBound);
      }
    }
  });
});

test("math.md 23.9: certified <= exact <= attacked in the box, so accuracies are in the same order", () => {
  const counts = [0, 0, 0];
  for (let seed = 0; seed < 10; seed++) {
    const f = randomQuadratic(seed, 5);
    const rng = createRng(200 + seed);
    const points = batch(normals(rng, 20 * 5), 5);
    const labels = Array.from({ length: 20 }, (_, i) =>
      evaluateQuadratic(f, Float64Array.from(points.data.subarray(5 * i, 5 * i + 5))) > 0 ? 1 : -1,
    );
    const [bounds, exact, attack] = [
      linfLowerBounds(f, points, labels, 0.15).lowerBounds,
      linfWorstCase(f, points, labels, 0.15).values,
      linfAttack(f, points, labels, 0.15).values,
    ];
    for (let i = 0; i < 20; i++) {
      expect(bounds[i]).toBeLessThanOrEqual(exact[i] + 1e-9);
      expect(exact[i]).toBeLessThanOrEqual(attack[i] + 1e-9);
      [bounds, exact, attack].forEach((values, k) => {
        if (values[i] > 0) counts[k]++;
      });
    }
  }
  expect(counts[0]).toBeLessThanOrEqual(counts[1]);
  expect(counts[1]).toBeLessThanOrEqual(counts[2]);
  expect(counts[0]).toBeGreaterThan(0);
});

test("math.md 23.11: the robust optimum tends to the non-robust one as r -> 0, for every loss", () => {
  const { points, labels } = syntheticClasses(4, 40, 3);
  for (const loss of ["mean-hinge", "mean-squared-hinge", "mean-logistic"] as const) {
    const at = (radius: number) =>
      fitPolynomial(points, labels, { radius, beta: 0.01, loss, tolerance: 1e-7 }).objective.total;
    const still = at(0);
    const [near, nearer] = [1e-3, 1e-5].map((radius) => at(radius) - still);
    expect(near).toBeGreaterThan(-1e-7);
    expect(near).toBeLessThan(1e-2);
    expect(nearer).toBeLessThan(Math.max(near, 2e-7));
    expect(Math.abs(nearer)).toBeLessThan(1e-4);
  }
});
