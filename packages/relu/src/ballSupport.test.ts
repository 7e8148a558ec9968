import { createRng, type Norm } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import {
  ballSupport,
  checkBall,
  lengthOf,
  normExponent,
  type PerturbationNorm,
  projectOnBall,
  smoothedSupport,
  squaredReach,
} from "./ballSupport.js";
import { pointInBall } from "./testing/problems.js";

const norms: PerturbationNorm[] = ["l1", "l2", "linf", 3, 1.4];

// Maximiser of z'a over the ball, written down directly.
function directMaximum(a: Float64Array, norm: PerturbationNorm, radius: number): number {
  if (typeof norm === "number") {
    // z proportional to sign(a) |a|^(1/(q-1)), the equality case of Hoelder's inequality
    const z = a.map((t) => Math.sign(t) * Math.abs(t) ** (1 / (norm - 1)));
    return (radius * z.reduce((sum, t, k) => sum + t * a[k], 0)) / lengthOf(z, 0, z.length, norm);
  }
  if (norm === "linf") return a.reduce((sum, t) => sum + Math.max(radius * t, -radius * t), 0);
  if (norm === "l1") return Math.max(...[...a].flatMap((t) => [radius * t, -radius * t]));
  return radius * Math.hypot(...a);
}

describe.each(norms)("support of the %s ball", (norm) => {
  it("equals the direct maximum and is not exceeded by 10^4 random points", () => {
    const rng = createRng(3);
    for (const length of [1, 2, 5]) {
      const a = Float64Array.from({ length }, () => rng.normal());
      const value = ballSupport(a, 0, length, norm, 0.7);
      expect(value).toBeCloseTo(directMaximum(a, norm, 0.7), 12);
      let best = 0;
      for (let trial = 0; trial < 10_000; trial++) {
        const z = pointInBall(rng, length, norm, 0.7);
        best = Math.max(
          best,
          z.reduce((sum, t, k) => sum + t * a[k], 0),
        );
      }
      expect(best).toBeLessThanOrEqual(value * (1 + 1e-12));
      expect(best).toBeGreaterThan(0.9 * value);
    }
  });

  it("smoothed: within mu/2 reach of the exact one, maximiser in the ball, gradient by central differences", () => {
    const rng = createRng(4);
    const length = 6;
    const z = new Float64Array(length);
    const other = new Float64Array(length);
    for (let trial = 0; trial < 200; trial++) {
      const a = Float64Array.from({ length }, () => rng.normal());
      const mu = 10 ** (-2 + 3 * rng.uniform());
      const radius = 0.5;
      const smooth = smoothedSupport(a, 0, length, norm, radius, mu, z);
      const exact = ballSupport(a, 0, length, norm, radius);
      expect(smooth).toBeLessThanOrEqual(exact + 1e-12);
      expect(smooth).toBeGreaterThanOrEqual(exact - (mu / 2) * squaredReach(norm, radius, length) - 1e-12);
      expect(lengthOf(z, 0, length, normExponent(norm))).toBeLessThanOrEqual(radius * (1 + 1e-12));
      const k = trial % length;
      const up = a.slice();
      const down = a.slice();
      up[k] += 1e-6;
      down[k] -= 1e-6;
      const slope =
        (smoothedSupport(up, 0, length, norm, radius, mu, other) -
          smoothedSupport(down, 0, length, norm, radius, mu, other)) /
        2e-6;
      expect(Math.abs(slope - z[k])).toBeLessThan(2e-4);
    }
  });

  it("projection is the nearest point: no random point of the ball is closer", () => {
    const rng = createRng(5);
    const z = new Float64Array(4);
    for (let trial = 0; trial < 50; trial++) {
      const a = Float64Array.from({ length: 4 }, () => rng.normal());
      projectOnBall(a, 0, 4, norm, 0.8, z);
      const own = Math.hypot(...a.map((t, k) => t - z[k]));
      for (let probe = 0; probe < 100; probe++) {
        const w = pointInBall(rng, 4, norm, 0.8);
        expect(Math.hypot(...a.map((t, k) => t - w[k]))).toBeGreaterThanOrEqual(own - 1e-12);
      }
    }
  });
});

it("misuse is a setting error", () => {
  expect(() => checkBall("l3" as Norm, 1)).toThrow(/norm/);
  expect(() => checkBall(0.9, 1)).toThrow(/norm/);
  expect(() => checkBall(Number.NaN, 1)).toThrow(/norm/);
  expect(() => checkBall("l2", -1)).toThrow(/radius/);
  expect(() => checkBall("l2", Number.NaN)).toThrow(/radius/);
});
