import { createRng } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic } from "../test/support.js";
import { flipDistances } from "./flipDistance.js";
import { evaluateQuadratic, linearQuadratic } from "./quadratic.js";
import { worstCase } from "./worstCase/worstCase.js";

describe("closed forms (math.md 9, 23.2)", () => {
  test("x^2 at 2: distance 2", () => {
    const f = { dimension: 1, Q: Float64Array.of(1), q: Float64Array.of(0), s: 0 };
    expect(flipDistances(f, batch(Float64Array.of(2), 1)).distances[0]).toBeCloseTo(2, 6);
  });

  test("positive everywhere: Infinity, no witness", () => {
    const f = { dimension: 2, Q: Float64Array.of(1, 0, 0, 1), q: new Float64Array(2), s: 0.1 };
    const { distances, witnesses } = flipDistances(f, batch(Float64Array.of(1, 2, 0, 0), 2));
    expect(Array.from(distances)).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    expect(Array.from(witnesses ?? [])).toEqual([0, 0, 0, 0]);
  });

  test("flat direction: infinite without slope, finite with it", () => {
    const Q = Float64Array.of(1, 0, 0, 0);
    expect(
      flipDistances({ dimension: 2, Q, q: new Float64Array(2), s: 1 }, batch(Float64Array.of(0, 3), 2)).distances[0],
    ).toBe(Number.POSITIVE_INFINITY);
    // x1^2 + x2 + 1 from the origin: nearest zero is (0, -1).
    const sloped = { dimension: 2, Q, q: Float64Array.of(0, 1), s: 1 };
    const { distances, witnesses = new Float64Array(2) } = flipDistances(sloped, batch(new Float64Array(2), 2));
    expect(evaluateQuadratic(sloped, witnesses)).toBeCloseTo(0, 12);
    // D = (t, -1 - t^2): t^2 + (1 + t^2)^2 is least at t = 0.
    expect(distances[0]).toBeCloseTo(1, 12);
  });

  test("hard case: 1 - x1^2 + x2^2 at the origin has distance 1 along the first axis", () => {
    const f = { dimension: 2, Q: Float64Array.of(-1, 0, 0, 1), q: new Float64Array(2), s: 1 };
    const { distances, witnesses = new Float64Array(2) } = flipDistances(f, batch(new Float64Array(2), 2));
    expect(distances[0]).toBeCloseTo(1, 12);
    expect(Math.abs(witnesses[0])).toBeCloseTo(1, 12);
    expect(witnesses[1]).toBe(0);
  });

  test("linear score: |f| / ||q||, from both sides; zero on the boundary and when misclassified", () => {
    const f = linearQuadratic(Float64Array.of(3, 4), -5);
    const points = batch(Float64Array.of(3, 4, -1, 0, 0.6, 0.8), 2);
    const { distances } = flipDistances(f, points);
    expect(distances[0]).toBeCloseTo(4, 12);
    expect(distances[1]).toBeCloseTo(8 / 5, 12);
    expect(distances[2]).toBeLessThan(1e-15);
    expect(flipDistances(f, points, { labels: [-1, -1, 1] }).distances[0]).toBe(0);
  });
});

test("witness on the boundary, worst margin at that distance is zero, positive just inside (property)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 7 }), (seed, d) => {
      const rng = createRng(seed);
      const f = rng.uniform() < 0.5 ? randomQuadratic(rng, d) : randomNetwork(rng, 1 + rng.integer(d + 1), d);
      const n = 5;
      const points = normals(rng, n * d, 1.5);
      const { distances, witnesses = points } = flipDistances(f, batch(points, d));
      for (let i = 0; i < n; i++) {
        const x = points.slice(i * d, (i + 1) * d);
        const score = evaluateQuadratic(f, x);
        const sign = score > 0 ? 1 : -1;
        if (distances[i] === Number.POSITIVE_INFINITY) {
          const [value] = worstCase(f, batch(x, d), [sign], 1e3).values;
          expect(value).toBeGreaterThan(-1e-6);
          continue;
        }
        const moved = x.map((value, l) => value + witnesses[i * d + l]);
        const scale = Math.abs(score) + Math.hypot(...moved) ** 2 + 1;
        expect(Math.abs(evaluateQuadratic(f, moved))).toBeLessThan(1e-9 * scale);
        const values = (r: number) => worstCase(f, batch(x, d), [sign], r).values[0];
        expect(Math.abs(values(distances[i]))).toBeLessThan(1e-8 * scale);
        expect(values(distances[i] * 0.999)).toBeGreaterThan(0);
      }
    }),
    { numRuns: 200 },
  );
});
