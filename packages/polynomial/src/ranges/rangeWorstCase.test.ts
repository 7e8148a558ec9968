import { readFileSync } from "node:fs";
import { createRng, SettingError, ShapeError, UnsupportedError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic, randomSigns } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { PolynomialModel } from "../model/polynomialModel.js";
import { fitPairwise } from "../multiclass/fitPairwise.js";
import { fitOneVersusAll } from "../oneVersusAll.js";
import { evaluateQuadratic, linearQuadratic, type Quadratic } from "../quadratic.js";
import { fitRegression } from "../regression/fitRegression.js";
import { worstCase } from "../worstCase/worstCase.js";
import { rangeWorstCase } from "./rangeWorstCase.js";

const reference = JSON.parse(readFileSync(new URL("../../fixtures/moves.json", import.meta.url), "utf8"));

/** Least y f(x + D) over a grid of the ball and range of a point in one or two moving features, ends and circle included. */
function bruteForce(
  quadratic: Quadratic,
  x: Float64Array,
  label: number,
  r: number,
  low: number[],
  high: number[],
  fixed: number[] = [],
) {
  const d = x.length;
  const moving = Array.from(x.keys()).filter((k) => !fixed.includes(k));
  const ends = (k: number) => [Math.min(0, Math.max(-r, low[k] - x[k])), Math.max(0, Math.min(r, high[k] - x[k]))];
  const steps = moving.length === 1 ? 4000 : moving.length === 2 ? 400 : 70;
  let least = Number.POSITIVE_INFINITY;
  const D = new Float64Array(d);
  const look = () => {
    const value =
      label *
      evaluateQuadratic(
        quadratic,
        x.map((v, k) => v + D[k]),
      );
    least = Math.min(least, value);
  };
  const visit = (t: number, rest: number): void => {
    if (t === moving.length) {
      look();
      return;
    }
    const k = moving[t];
    const [from, to] = ends(k);
    const reach = Math.sqrt(Math.max(0, rest));
    const [a, b] = [Math.max(from, -reach), Math.min(to, reach)];
    for (let s = 0; s <= steps; s++) {
      D[k] = a + ((b - a) * s) / steps;
      visit(t + 1, rest - D[k] * D[k]);
    }
    D[k] = 0;
  };
  visit(0, r * r);
  return least;
}

describe("worst cases in valid ranges", () => {
  it("equal dense sampling of ball and ranges for up to three features, bounds never above it", () => {
    const rng = createRng(31);
    let certifiedOnly = 0;
    for (let trial = 0; trial < 60; trial++) {
      const d = 1 + (trial % 3);
      const quadratic = trial % 4 === 0 ? randomNetwork(rng, 3, d) : randomQuadratic(rng, d);
      const x = normals(rng, d, 0.6);
      const low = Array.from(x, (v) => Math.min(v, -0.2 - rng.uniform()));
      const high = Array.from(x, (v) => Math.max(v, 0.2 + rng.uniform()));
      const [label] = randomSigns(rng, 1);
      const radius = 0.2 + 1.5 * rng.uniform();
      const range = { lower: low, upper: high };
      const found = rangeWorstCase(quadratic, batch(x, d), [label], radius, { range });
      const sampled = bruteForce(quadratic, x, label, radius, low, high);
      expect(found.statuses[0]).toBe("exact");
      expect(found.lowerBounds[0]).toBeLessThanOrEqual(sampled + 1e-12);
      // the grid's spacing against curvature and slope of order one
      expect(sampled - found.values[0]).toBeLessThan(d === 3 ? 0.02 : 2e-3);
      expect(found.values[0] - found.lowerBounds[0]).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(found.values[0])));
      const D = found.perturbations;
      expect(Math.hypot(...D)).toBeLessThanOrEqual(radius * (1 + 1e-12));
      for (let k = 0; k < d; k++) {
        expect(x[k] + D[k]).toBeGreaterThanOrEqual(low[k] - 1e-12);
        expect(x[k] + D[k]).toBeLessThanOrEqual(high[k] + 1e-12);
      }
      const bound = rangeWorstCase(quadratic, batch(x, d), [label], radius, { range, exact: "never" });
      expect(bound.lowerBounds[0]).toBeLessThanOrEqual(sampled + 1e-12);
      expect(bound.lowerBounds[0]).toBeLessThanOrEqual(found.values[0] + 1e-12);
      if (bound.statuses[0] === "certified") certifiedOnly++;
    }
    // The bound alone is not exact everywhere (math.md 12.6): otherwise this test would not see the branching.
    expect(certifiedOnly).toBeGreaterThan(0);
  });

  it("the bound is that of the semidefinite program of Clarabel (fixtures/moves.py)", () => {
    for (const { d, radius, label, Q, q, s, x, lower, upper, bound } of reference.ranges) {
      const quadratic = { dimension: d, Q: Float64Array.from(Q), q: Float64Array.from(q), s };
      const point = batch(Float64Array.from(x), d);
      const range = { lower, upper };
      const relaxed = rangeWorstCase(quadratic, point, [label], radius, { range, exact: "never", tolerance: 1e-9 });
      expect(Math.abs(relaxed.lowerBounds[0] - bound)).toBeLessThan(1e-6 * (1 + Math.abs(bound)));
      const exact = rangeWorstCase(quadratic, point, [label], radius, { range });
      expect(exact.lowerBounds[0]).toBeGreaterThanOrEqual(relaxed.lowerBounds[0] - 1e-6 * (1 + Math.abs(bound)));
      expect(exact.statuses[0]).toBe("exact");
    }
  });

  it("is exact without branching where y f is convex, and equals the ball's where no range is reached", () => {
    const rng = createRng(8);
    const [d, samples] = [25, 6];
    const half = normals(rng, d * d, 0.3);
    const Q = half.map((_, e) => {
      const [k, l] = [Math.floor(e / d), e % d];
      let sum = 0;
      for (let j = 0; j < d; j++) sum += half[j * d + k] * half[j * d + l];
      return sum;
    });
    const bowl = { dimension: d, Q, q: normals(rng, d, 3), s: 0 };
    const points = batch(normals(rng, samples * d, 0.3), d);
    const ones = new Float64Array(samples).fill(1);
    const tight = rangeWorstCase(bowl, points, ones, 1.2, { range: { lower: -0.2, upper: 0.2 }, tolerance: 1e-6 });
    expect(tight.statuses).toEqual(new Array(samples).fill("exact"));
    const wide = rangeWorstCase(bowl, points, ones, 1.2, { range: { lower: -9, upper: Number.POSITIVE_INFINITY } });
    const ball = worstCase(bowl, points, ones, 1.2);
    expect(wide.statuses).toEqual(new Array(samples).fill("exact"));
    for (let i = 0; i < samples; i++) expect(wide.lowerBounds[i]).toBeCloseTo(ball.values[i], 12);
    expect(Array.from(wide.nodes)).toEqual(new Array(samples).fill(0));
  });

  it("of a linear score fills the cheapest features first: closed form", () => {
    // min 3 a + 4 b, a^2 + b^2 <= 1, b >= -0.6: b = -0.6, a = -0.8 is the corner, where the plain ball has (-0.6, -0.8)
    const linear = linearQuadratic(Float64Array.of(3, 4), 0);
    const origin = batch(new Float64Array(2), 2);
    const range = { lower: [Number.NEGATIVE_INFINITY, -0.6], upper: Number.POSITIVE_INFINITY };
    const found = rangeWorstCase(linear, origin, [1], 1, { range, tolerance: 1e-8 });
    expect(found.values[0]).toBeCloseTo(-4.8, 9);
    expect(found.lowerBounds[0]).toBeCloseTo(-4.8, 6);
    const box = rangeWorstCase(linear, origin, [1], 10, { range: { lower: -0.5, upper: 0.25 }, tolerance: 1e-8 });
    expect(box.lowerBounds[0]).toBeCloseTo(-3.5, 6);
    const fixed = rangeWorstCase(linear, origin, [1], 1, {
      range: { lower: -0.5, upper: 0.25 },
      immutable: [0],
      tolerance: 1e-8,
    });
    expect(fixed.lowerBounds[0]).toBeCloseTo(-2, 6);
    expect(fixed.perturbations[0]).toBe(0);
    expect(rangeWorstCase(linear, batch(Float64Array.of(1, 1), 2), [-1], 0, { range }).values[0]).toBe(-7);
  });

  it("with immutable features, and for points outside their range, equals dense sampling too", () => {
    const rng = createRng(77);
    for (let trial = 0; trial < 12; trial++) {
      const d = 4;
      const quadratic = randomQuadratic(rng, d);
      const x = normals(rng, d);
      const [low, high] = [new Array(d).fill(-0.5), new Array(d).fill(0.5)];
      const immutable = [trial % 4, (trial + 2) % 4];
      const found = rangeWorstCase(quadratic, batch(x, d), [1], 0.8, { range: { lower: -0.5, upper: 0.5 }, immutable });
      const sampled = bruteForce(quadratic, x, 1, 0.8, low, high, immutable);
      expect(found.statuses[0]).toBe("exact");
      expect(found.lowerBounds[0]).toBeLessThanOrEqual(sampled + 1e-12);
      expect(sampled - found.values[0]).toBeLessThan(2e-3);
    }
  });

  it("closes the gap up to 20 features; without branching it says certified", () => {
    const rng = createRng(5);
    let open = 0;
    for (const d of [6, 8, 10, 12, 14, 20]) {
      const quadratic = randomQuadratic(rng, d);
      const points = batch(normals(rng, 4 * d, 0.5), d);
      const range = { lower: -0.7, upper: 0.7 };
      const labels = [1, -1, 1, -1];
      const found = rangeWorstCase(quadratic, points, labels, 1.1, { range });
      expect(found.statuses).toEqual(["exact", "exact", "exact", "exact"]);
      const relaxed = rangeWorstCase(quadratic, points, labels, 1.1, { range, exact: "never" });
      for (let i = 0; i < 4; i++) {
        expect(found.values[i] - found.lowerBounds[i]).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(found.values[i])));
        expect(relaxed.lowerBounds[i]).toBeLessThanOrEqual(found.values[i] + 1e-12);
        if (relaxed.statuses[i] === "certified") open++;
        const few = rangeWorstCase(quadratic, points, labels, 1.1, { range, maxNodes: 2 });
        expect(few.lowerBounds[i]).toBeLessThanOrEqual(found.values[i] + 1e-12);
      }
      // no sampled admissible move is worse
      for (let trial = 0; trial < 2000; trial++) {
        const i = trial % 4;
        const x = points.data.subarray(i * d, (i + 1) * d);
        const z = normals(rng, d);
        const scale = 1.1 / Math.hypot(...z);
        const moved = x.map((v, k) => {
          const end = Math.min(Math.max(v, 0.7), Math.max(Math.min(v, -0.7), v + scale * z[k]));
          return end;
        });
        expect(labels[i] * evaluateQuadratic(quadratic, moved)).toBeGreaterThanOrEqual(found.lowerBounds[i] - 1e-12);
      }
    }
    expect(open).toBeGreaterThan(0);
  });

  it("refuses what is no range", () => {
    const linear = linearQuadratic(Float64Array.of(1, 2), 0);
    const x = batch(new Float64Array(2), 2);
    expect(() => rangeWorstCase(linear, x, [1], 1, {} as never)).toThrow(SettingError);
    for (const range of [{ lower: 1, upper: 0 }, { lower: Number.NaN, upper: 1 }, { lower: 2, upper: 2 }, 3 as never]) {
      expect(() => rangeWorstCase(linear, x, [1], 1, { range })).toThrow(SettingError);
    }
    expect(() => rangeWorstCase(linear, x, [1], 1, { range: { lower: [0], upper: 1 } })).toThrow(ShapeError);
    expect(() => rangeWorstCase(linear, x, [1], 1, { range: { lower: 0, upper: 1 }, maxNodes: 0 })).toThrow(
      SettingError,
    );
    const more = { range: { lower: 0, upper: 1 }, ellipsoid: Float64Array.of(1, 0, 0, 1) };
    expect(() => rangeWorstCase(linear, x, [1], 1, more)).toThrow(SettingError);
  });

  it("ranges where only the ball is known say what to use instead", () => {
    const x = batch(Float64Array.of(0, 1, 1, 0), 2);
    const options = { radius: 0.1, range: { lower: 0, upper: 1 } } as never;
    const score = linearQuadratic(Float64Array.of(1, 2), 0);
    for (const work of [
      () => fitPolynomial(x, [1, -1], options),
      () => fitOneVersusAll(x, Int32Array.of(0, 1), 2, options),
      () => fitPairwise(x, Int32Array.of(0, 1), 2, options),
      () => fitRegression(x, [1, 2], options),
      () => PolynomialModel.fit(x, Int32Array.of(0, 1), options),
      () => worstCase(score, x, [1, -1], 0.1, { range: { lower: 0, upper: 1 } } as never),
      () => worstCase(score, x, [1, -1], 0.1, { ranges: { lower: 0, upper: 1 } } as never),
    ]) {
      expect(work).toThrow(UnsupportedError);
      expect(work).toThrow(/rangeWorstCase/);
    }
    expect(() => worstCase(score, x, [1, -1], 0.1, { immuteable: [0] } as never)).toThrow(/immutable/);
  });
});
