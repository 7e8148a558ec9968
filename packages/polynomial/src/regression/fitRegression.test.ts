// Robust squared loss against Clarabel, closed forms at d = 1 and its own certificate.

import { createRng } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batch, normals } from "../../test/support.js";
import { evaluateQuadratic } from "../quadratic.js";
import { fitRegression, type RegressionOptions } from "./fitRegression.js";
import { predictionRange } from "./predictionRange.js";

const sigma = (t: number) => 0.09 * t * t + 0.5 * t + 0.47;

describe("against Clarabel through cvxpy", () => {
  // 10 points (cos 1.7 i (1 + 0.05 i), sin 2.3 i (1.2 - 0.03 i)), targets 3 sin 0.9 i + 0.5 i - 1, beta 0.02; variables Z, Z', e and a
  // multiplier for each side of each sample, the two blocks of math.md 4.2 with margins t - e and -t - e, tolerances 1e-10.
  const n = 10;
  const data = Float64Array.from({ length: 2 * n }, (_, k) => {
    const i = k >> 1;
    return k % 2 === 0 ? Math.cos(1.7 * i) * (1 + 0.05 * i) : Math.sin(2.3 * i) * (1.2 - 0.03 * i);
  });
  const targets = Array.from({ length: n }, (_, i) => 3 * Math.sin(0.9 * i) + 0.5 * i - 1);
  const thirds = targets.map((_, i) => 1 + (i % 3));
  test.each([
    [0, undefined, 5.206603210050024],
    [0, thirds, 9.440642872167999],
    [0.3, undefined, 6.410695473315557],
    [0.3, thirds, 12.009351894138247],
    [2, undefined, 8.420004568165332],
    [2, thirds, 15.779540755665604],
  ])("r = %s, weights %s", (radius, sampleWeights, optimum) => {
    const options: RegressionOptions = { radius, beta: 0.02, ...(sampleWeights && { sampleWeights }) };
    const fit = fitRegression(batch(data, 2), targets, options);
    expect(fit.status).toBe("optimal");
    expect(fit.gap).toBeLessThanOrEqual(1e-6);
    expect(Math.abs(fit.objective.total / optimum - 1)).toBeLessThan(1e-6);
    expect(fit.lowerBound).toBeLessThan(optimum * (1 + 1e-8));
  });
});

describe("one feature", () => {
  test("one sample, r = 0: beta pulls the score below the target", () => {
    // min over alpha of (t - alpha g)^2 + beta alpha, g = sigma(2): alpha g = t - beta / (2 g)
    const [t, beta, g] = [3, 0.1, sigma(2)];
    const fit = fitRegression(batch(Float64Array.of(2), 1), [t], { radius: 0, beta });
    const miss = beta / (2 * g);
    expect(fit.objective.total / (miss * miss + (beta * (t - miss)) / g)).toBeCloseTo(1, 6);
    expect(fit.worstErrors[0]).toBeCloseTo(miss, 4);
  });

  test.each([0.2, 0.7, 1.5])("three samples, r = %s: convex search over the two masses", (radius) => {
    // d = 1: f = (p + q)(a x^2 + c) + (p - q) b x, objective F(p, q) convex; nested golden sections over p and q.
    const [xs, ts, beta] = [[-1, 0.4, 2], [-0.5, 1, 2.5], 0.05];
    const objective = (p: number, q: number) => {
      const [h, g, k] = [0.09 * (p + q), 0.5 * (p - q), 0.47 * (p + q)];
      const f = (x: number) => h * x * x + g * x + k;
      let sum = beta * (Math.abs(p) + Math.abs(q));
      xs.forEach((x, i) => {
        const candidates = [x - radius, x + radius];
        const vertex = -g / (2 * h);
        if (Math.abs(vertex - x) < radius) candidates.push(vertex);
        sum += Math.max(...candidates.map((z) => Math.abs(f(z) - ts[i]!))) ** 2 / 3;
      });
      return sum;
    };
    const golden = (value: (x: number) => number) => {
      let [low, high] = [-20, 20];
      const ratio = (Math.sqrt(5) - 1) / 2;
      let [one, two] = [high - ratio * (high - low), low + ratio * (high - low)];
      let [v1, v2] = [value(one), value(two)];
      for (let step = 0; step < 70; step++) {
        if (v1 < v2) [high, two, v2] = [two, one, v1];
        else [low, one, v1] = [one, two, v2];
        if (high - two === 0) break;
        one = high - ratio * (high - low);
        two = low + ratio * (high - low);
        [v1, v2] = [value(one), value(two)];
      }
      return Math.min(v1, v2);
    };
    const optimum = golden((p) => golden((q) => objective(p, q)));
    const fit = fitRegression(batch(Float64Array.from(xs), 1), ts, { radius, beta });
    expect(fit.gap).toBeLessThanOrEqual(1e-6);
    expect(Math.abs(fit.objective.total / optimum - 1)).toBeLessThan(2e-6);
  });
});

describe("answers on edge cases", () => {
  const rng = createRng(3);
  const points = batch(normals(rng, 40 * 3), 3);
  const targets = normals(rng, 40);

  test("targets of zero, a huge radius, equal points with opposite targets: zero or a constant, certified", () => {
    const zero = fitRegression(points, new Float64Array(40), { radius: 0.2, beta: 0.01 });
    expect([zero.status, zero.objective.total, zero.gap]).toEqual(["zero-optimal", 0, 0]);
    const far = fitRegression(points, targets, { radius: 1e4, beta: 0.01 });
    // no network is better than at a smaller radius, and the zero network is as good at any
    for (const radius of [1e6, 1e9]) {
      const farther = fitRegression(points, targets, { radius, beta: 0.01 });
      expect([farther.status, farther.objective.total]).toEqual([far.status, far.objective.total]);
      expect(farther.gap).toBeLessThanOrEqual(1e-6);
    }
    expect(far.gap).toBeLessThanOrEqual(1e-6);
    const two = fitRegression(batch(Float64Array.of(1, 2, 1, 2), 2), [1, -1], { radius: 0.1, beta: 0.01 });
    expect(two.objective.total).toBeCloseTo(1, 9);
    expect(two.gap).toBeLessThanOrEqual(1e-6);
  });

  test("scales of targets, radius and beta; more features than samples", () => {
    for (const scale of [1e-6, 1, 1e6]) {
      const fit = fitRegression(
        points,
        targets.map((t) => scale * t),
        { radius: 0.1, beta: 0.01 * scale },
      );
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      const unit = fitRegression(points, targets, { radius: 0.1, beta: 0.01 });
      expect(fit.objective.total / (scale * scale)).toBeCloseTo(unit.objective.total, 5);
    }
    let least = 0;
    for (const radius of [0, 1e-9, 1e-3, 0.1, 1]) {
      const fit = fitRegression(points, targets, { radius, beta: 1e-3 });
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(fit.objective.total).toBeGreaterThanOrEqual(least * (1 - 1e-12));
      least = fit.lowerBound;
    }
    const wide = fitRegression(batch(normals(rng, 5 * 12), 12), [1, 2, 3, 4, 5], { radius: 0.1, beta: 1e-3 });
    expect(wide.gap).toBeLessThanOrEqual(1e-6);
  });

  test("worst errors are attained: no point of the ball does worse, and some do nearly as badly", () => {
    const fit = fitRegression(points, targets, { radius: 0.5, beta: 0.01 });
    const { lowest, highest } = predictionRange(fit.quadratic, points, 0.5);
    for (let i = 0; i < 40; i++) {
      expect(fit.worstErrors[i]).toBeCloseTo(Math.max(targets[i]! - lowest[i]!, highest[i]! - targets[i]!), 12);
      let largest = 0;
      for (let trial = 0; trial < 300; trial++) {
        const step = normals(rng, 3);
        const length = Math.hypot(...step);
        const moved = step.map((value, k) => points.data[i * 3 + k]! + (0.5 * value) / length);
        const value = evaluateQuadratic(fit.quadratic, moved);
        expect(value).toBeGreaterThanOrEqual(lowest[i]! - 1e-9);
        expect(value).toBeLessThanOrEqual(highest[i]! + 1e-9);
        largest = Math.max(largest, Math.abs(value - targets[i]!));
      }
      expect(largest).toBeGreaterThan(0.9 * fit.worstErrors[i]!);
    }
  });

  test("property: the bound never exceeds the objective; limits and misuse", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.double({ min: 0, max: 2, noNaN: true }), (seed, radius) => {
        const own = createRng(seed);
        const fit = fitRegression(batch(normals(own, 12 * 2), 2), normals(own, 12), { radius, beta: 0.05 });
        expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective.total);
        expect(fit.gap).toBeLessThanOrEqual(1e-6);
      }),
      { numRuns: 8 },
    );
    const short = fitRegression(points, targets, { radius: 0.1, maxIterations: 2 });
    expect([short.status, short.warnings[0]!.code]).toEqual(["iteration-limit", "gap-not-reached"]);
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    expect(() => fitRegression(points, targets.slice(1), { radius: 1 })).toThrow(code("shape"));
    expect(() =>
      fitRegression(
        points,
        targets.map(() => Number.NaN),
        { radius: 1 },
      ),
    ).toThrow(code("data"));
    expect(() => fitRegression(points, targets, { radius: -1 })).toThrow(code("setting"));
    expect(() => fitRegression(points, targets, { radius: 1, loss: "squared" } as never)).toThrow(code("setting"));
    expect(() => fitRegression(points, targets, { radius: 1, reduction: "max" as never })).toThrow(code("setting"));
    const controller = new AbortController();
    controller.abort();
    expect(() => fitRegression(points, targets, { radius: 1, signal: controller.signal })).toThrow(code("aborted"));
  });
});
