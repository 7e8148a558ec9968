// The centre of a sample against a brute-force minimisation of its barrier over multiplier and slack.

import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { centreSample } from "./centreSample.js";

function barrier(
  { curvatures, squares, missing }: { curvatures: Float64Array; squares: Float64Array; missing: number },
  kappa: number,
  mu: number,
  l: number,
  x: number,
): number {
  let left = x - missing - l;
  let logs = Math.log(l) + Math.log(x);
  for (let k = 0; k < curvatures.length; k++) {
    left -= squares[k] / (curvatures[k] + l);
    logs += Math.log(curvatures[k] + l);
  }
  return kappa * x - mu * (logs + Math.log(left));
}

describe("centre of a sample", () => {
  test("no nearby multiplier and slack have a smaller barrier, and the dual equations hold", () => {
    const rng = createRng(4);
    for (let trial = 0; trial < 60; trial++) {
      const d = 1 + (trial % 5);
      const curvatures = Float64Array.from({ length: d }, () => rng.normal()).sort();
      const squares = Float64Array.from({ length: d }, () => 0.1 * rng.normal() ** 2);
      const sample = { curvatures, squares, missing: 2 * rng.normal() };
      const kappa = 0.01;
      const mu = kappa * 10 ** (-1 - 3 * rng.uniform());
      const found = { multiplier: 0, slack: 0 };
      centreSample(sample, kappa, mu, found);
      const { multiplier: l, slack: x } = found;
      const value = barrier(sample, kappa, mu, l, x);
      expect(Number.isFinite(value)).toBe(true);
      for (const a of [0.99, 1, 1.01]) {
        for (const b of [0.99, 1, 1.01]) {
          const lowest = Math.max(0, -curvatures[0]);
          const other = barrier(sample, kappa, mu, lowest + a * (l - lowest), b * x);
          if (a !== 1 || b !== 1) expect(Number.isNaN(other) || other >= value - 1e-9 * mu).toBe(true);
        }
      }
      // Y = mu S^-1: the corner and its partner share the weight of the sample.
      let left = x - sample.missing - l;
      for (let k = 0; k < d; k++) left -= squares[k] / (curvatures[k] + l);
      expect((mu / left + mu / x) / kappa).toBeCloseTo(1, 4);
    }
  });
});
