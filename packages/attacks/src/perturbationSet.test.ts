import { createRng, type Norm, normOf } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PerturbationSet } from "./perturbationSet.js";

const noise = () => createRng(1);
const coordinate = fc.double({ min: 0, max: 1, noNaN: true });
const vector = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 });

/** Euclidean projection of z onto {||d|| <= epsilon} and low <= d <= high: clip(z / (1 + mu)), mu >= 0 by bisection. */
function projectByBisection(z: readonly number[], low: readonly number[], high: readonly number[], epsilon: number) {
  const at = (mu: number) => z.map((v, k) => Math.max(low[k], Math.min(high[k], v / (1 + mu))));
  if (normOf(at(0), "l2") <= epsilon) return at(0);
  let small = 0;
  let large = 1;
  while (normOf(at(large), "l2") > epsilon) large *= 2;
  for (let pass = 0; pass < 200; pass++) {
    const middle = (small + large) / 2;
    if (normOf(at(middle), "l2") > epsilon) small = middle;
    else large = middle;
  }
  return at(large);
}

describe("PerturbationSet", () => {
  it("projects onto ball and box together as the KKT conditions say (l2)", () => {
    const inputs = fc.record({
      x: fc.array(coordinate, { minLength: 4, maxLength: 4 }),
      z: vector,
      epsilon: fc.double({ min: 0.01, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(inputs, ({ x, z, epsilon }) => {
        const origin = { data: Float64Array.from(x), shape: [1, 4] };
        const set = new PerturbationSet(origin, { norm: "l2", epsilon }, { lower: 0, upper: 1 });
        const points = Float64Array.from(z, (v, k) => x[k] + v);
        const wanted = projectByBisection(
          Array.from(points, (v, k) => v - x[k]),
          x.map((v) => -v),
          x.map((v) => 1 - v),
          epsilon,
        );
        set.project(points, 0, 0);
        for (let k = 0; k < 4; k++) expect(points[k] - x[k]).toBeCloseTo(wanted[k], 6);
      }),
      { numRuns: 300 },
    );
  });

  it.each<Norm>(["linf", "l2", "l1"])("keeps measured float32 distances to the budget, however small (%s)", (norm) => {
    const rng = createRng(4);
    const size = 300;
    const data = Float32Array.from({ length: 20 * size }, () => rng.uniform());
    const origin = { data, shape: [20, size] };
    for (const epsilon of [1e-9, 1e-7, 1e-5, 1 / 255, 8 / 255, 0.7]) {
      const set = new PerturbationSet(origin, { norm, epsilon }, { lower: 0, upper: 1 });
      const points = data.map((v) => v + rng.normal());
      for (let i = 0; i < 20; i++) {
        set.project(points, i, i);
        const difference = Array.from({ length: size }, (_, k) => points[i * size + k] - data[i * size + k]);
        expect(normOf(difference, norm)).toBeLessThanOrEqual(epsilon * (1 + 1e-6));
      }
      expect(Math.min(...points)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...points)).toBeLessThanOrEqual(1);
    }
  });

  it("leaves points of the set where they are", () => {
    const origin = { data: Float64Array.of(0.5, 0.5), shape: [1, 2] };
    for (const norm of ["linf", "l2", "l1"] as const) {
      const set = new PerturbationSet(origin, { norm, epsilon: 0.2 }, { lower: 0, upper: 1 });
      const points = Float64Array.of(0.55, 0.42);
      set.project(points, 0, 0);
      expect(points[0]).toBeCloseTo(0.55, 14);
      expect(points[1]).toBeCloseTo(0.42, 14);
    }
  });

  it("handles inputs on their bounds: the whole budget goes to the free coordinates (l2)", () => {
    const origin = { data: Float64Array.of(1, 0, 0.5), shape: [1, 3] };
    const set = new PerturbationSet(origin, { norm: "l2", epsilon: 0.3 }, { lower: 0, upper: 1 });
    const target = new Float64Array(3);
    set.steepest(Float64Array.of(2, -1, 0.001), 0, target, 0, 0, noise);
    expect(Array.from(target)).toEqual([1, 0, expect.closeTo(0.8, 10)]);
  });

  it("stays at the corner when every coordinate is at its bound (l2)", () => {
    const origin = { data: Float32Array.of(1, 0), shape: [1, 2] };
    const set = new PerturbationSet(origin, { norm: "l2", epsilon: 0.3 }, { lower: 0, upper: 1 });
    const target = new Float32Array(2);
    set.steepest(Float64Array.of(2, -1), 0, target, 0, 0, noise);
    expect(Array.from(target)).toEqual([1, 0]);
  });

  it("turns a zero gradient into no step (linf) and a random step of full length (l2)", () => {
    const origin = { data: new Float64Array(6), shape: [2, 3] };
    const zero = new Float64Array(6);
    const target = new Float64Array(6).fill(9);
    new PerturbationSet(origin, { norm: "linf", epsilon: 0.3 }, "unbounded").steepest(zero, 1, target, 0, 1, noise);
    expect(Array.from(target.subarray(0, 3))).toEqual([0, 0, 0]);
    new PerturbationSet(origin, { norm: "l2", epsilon: 0.3 }, "unbounded").steepest(zero, 1, target, 0, 1, noise);
    expect(normOf(target, "l2", 0, 3)).toBeCloseTo(0.3, 6);
  });

  it("draws random starts inside the set, spread over it", () => {
    const origin = { data: new Float64Array(50), shape: [1, 50] };
    const rng = createRng(2);
    const target = new Float64Array(50);
    for (const norm of ["linf", "l2"] as const) {
      const set = new PerturbationSet(origin, { norm, epsilon: 0.5 }, "unbounded");
      const lengths = Array.from({ length: 200 }, () => {
        set.random(target, 0, 0, rng);
        return normOf(target, norm);
      });
      expect(Math.max(...lengths)).toBeLessThanOrEqual(0.5 * (1 + 1e-6));
      // uniform in 50 dimensions: the mean of the norm is epsilon 50 / 51 for both balls
      expect(lengths.reduce((sum, v) => sum + v, 0) / 200).toBeCloseTo((0.5 * 50) / 51, 2);
    }
  });
});

describe("PerturbationSet in l1", () => {
  const problem = fc.record({
    x: fc.array(coordinate, { minLength: 4, maxLength: 4 }),
    z: vector,
    epsilon: fc.double({ min: 0.01, max: 3, noNaN: true }),
  });
  /** Soft thresholding inside the box, t by bisection. */
  const bisected = (z: readonly number[], room: (k: number) => number, epsilon: number) => {
    const at = (t: number) => z.map((v, k) => Math.sign(v) * Math.min(Math.max(Math.abs(v) - t, 0), room(k)));
    if (normOf(at(0), "l1") <= epsilon) return at(0);
    let [low, high] = [0, 10];
    for (let pass = 0; pass < 200; pass++) {
      const middle = (low + high) / 2;
      if (normOf(at(middle), "l1") > epsilon) low = middle;
      else high = middle;
    }
    return at(high);
  };

  it("projects onto ball and box together as the KKT conditions say", () => {
    fc.assert(
      fc.property(problem, ({ x, z, epsilon }) => {
        const origin = { data: Float64Array.from(x), shape: [1, 4] };
        const set = new PerturbationSet(origin, { norm: "l1", epsilon }, { lower: 0, upper: 1 });
        const points = Float64Array.from(z, (v, k) => x[k] + v);
        const moved = Array.from(points, (v, k) => v - x[k]);
        const wanted = bisected(moved, (k) => (moved[k] > 0 ? 1 - x[k] : x[k]), epsilon);
        set.project(points, 0, 0);
        for (let k = 0; k < 4; k++) expect(points[k] - x[k]).toBeCloseTo(wanted[k], 6);
      }),
      { numRuns: 300 },
    );
  });

  it("finds the vertex that maximises a linear function, filling one coordinate after the other inside bounds", () => {
    const origin = { data: Float64Array.of(0.5, 0.9, 0.2, 0.5), shape: [1, 4] };
    const set = new PerturbationSet(origin, { norm: "l1", epsilon: 0.45 }, { lower: 0, upper: 1 });
    const target = new Float64Array(4);
    set.steepest(Float64Array.of(1, 5, -3, 0), 0, target, 0, 0, noise);
    // 0.1 of room in the second, 0.2 in the third, the rest in the first
    const expected = [0.5 + 0.15, 1, 0, 0.5];
    for (let k = 0; k < 4; k++) expect(target[k]).toBeCloseTo(expected[k], 6);
  });
});
