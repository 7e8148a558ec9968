// The exact trainer against independent solvers and closed forms.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batch, normals, randomSigns, syntheticClasses } from "../../test/support.js";
import { type FitEvent, type FitOptions, fitPolynomial } from "../fit.js";
import { evaluateQuadratic } from "../quadratic.js";

describe("small instance against Clarabel through cvxpy", () => {
  // 14 points (cos 1.7 i (1 + 0.05 i), sin 2.3 i (1.2 - 0.03 i)), label sign(x_0^2 - x_1 - 0.2) with number 4 flipped;
  // variables Z, Z', lambda, w and the blocks M_i of math.md 4.2 written literally, beta = 0.02, tolerances 1e-10.
  // "thirds" weighs sample i by (1 + i mod 3) / n.
  const n = 14;
  const data = Float64Array.from({ length: 2 * n }, (_, k) => {
    const i = k >> 1;
    return k % 2 === 0 ? Math.cos(1.7 * i) * (1 + 0.05 * i) : Math.sin(2.3 * i) * (1.2 - 0.03 * i);
  });
  const labels = Array.from({ length: n }, (_, i) => {
    const sign = data[2 * i] ** 2 - data[2 * i + 1] > 0.2 ? 1 : -1;
    return i === 4 ? -sign : sign;
  });
  const thirds = labels.map((_, i) => 1 + (i % 3));
  const cases: [string, Partial<FitOptions> & { radius: number }, number][] = [
    ["hinge", { radius: 0 }, 0.38956805],
    ["hinge, weights", { radius: 0, sampleWeights: thirds }, 0.48479374],
    ["hinge", { radius: 0.3 }, 0.70348216],
    ["hinge, weights", { radius: 0.3, sampleWeights: thirds }, 0.93061551],
    ["squared hinge", { radius: 0, loss: "mean-squared-hinge" }, 0.33470409],
    ["squared hinge, weights", { radius: 0, loss: "mean-squared-hinge", sampleWeights: thirds }, 0.43164419],
    ["squared hinge", { radius: 0.3, loss: "mean-squared-hinge" }, 0.7816801],
    ["squared hinge, weights", { radius: 0.3, loss: "mean-squared-hinge", sampleWeights: thirds }, 1.16038524],
    ["logistic", { radius: 0, loss: "mean-logistic" }, 0.44325068],
    ["logistic, weights", { radius: 0, loss: "mean-logistic", sampleWeights: thirds }, 0.59523467],
    ["logistic", { radius: 0.3, loss: "mean-logistic" }, 0.61754525],
    ["logistic, weights", { radius: 0.3, loss: "mean-logistic", sampleWeights: thirds }, 0.96163629],
    ["hard margins", { radius: 0, hardMargins: "all" }, 0.75960404],
    ["hard margins", { radius: 0.05, hardMargins: "all" }, 1.44185259],
    ["three hard margins", { radius: 0.3, hardMargins: labels.map((_, i) => i < 3) }, 0.8666199],
  ];
  for (const [name, options, optimum] of cases) {
    test(`${name}, r = ${options.radius}`, () => {
      const fit = fitPolynomial(batch(data, 2), labels, { beta: 0.02, tolerance: 1e-7, ...options });
      expect(fit.status).toBe("optimal");
      expect(fit.gap).toBeLessThanOrEqual(1e-7);
      expect(Math.abs(fit.objective.total / optimum - 1)).toBeLessThan(3e-7);
      const { values } = fit.worstCase(batch(data, 2), labels, options.radius);
      if (options.hardMargins === "all") for (const margin of values) expect(margin).toBeGreaterThanOrEqual(1);
    });
  }

  test("js kernels give the same optimum", () => {
    const fit = fitPolynomial(batch(data, 2), labels, { beta: 0.02, radius: 0.3, kernels: "js" });
    expect(fit.kernels).toBe("js");
    expect(Math.abs(fit.objective.total / 0.70348216 - 1)).toBeLessThan(1e-6);
  });
});

describe("answers on edge cases", () => {
  const { points, labels } = syntheticClasses(5, 60, 4);

  test("one sample, one feature: beta / sigma(worst score)", () => {
    for (const radius of [0, 0.5]) {
      const fit = fitPolynomial(batch(Float64Array.of(2), 1), [1], { radius, beta: 0.01 });
      const score = 2 - radius;
      const optimum = 0.01 / (0.09 * score ** 2 + 0.5 * score + 0.47);
      expect(Math.abs(fit.objective.total / optimum - 1)).toBeLessThan(1e-6);
      expect(fit.neurons.directions[0]).toBeCloseTo(1, 12);
    }
  });

  test("more features than samples, one class, a constant and a zero feature", () => {
    const rng = createRng(5);
    const data = normals(rng, 8 * 20);
    for (let i = 0; i < 8; i++) {
      data[i * 20 + 3] = 1;
      data[i * 20 + 4] = 0;
    }
    expect(fitPolynomial(batch(data, 20), randomSigns(rng, 8), { radius: 0.3, beta: 0.01 }).gap).toBeLessThan(1e-6);
    const one = fitPolynomial(points, new Float64Array(60).fill(1), { radius: 0.2, beta: 0.01 });
    expect(one.gap).toBeLessThanOrEqual(1e-6);
    // A pair of opposite neurons is a constant c alpha plus a square: never more than beta / c.
    expect(one.objective.total).toBeLessThan((0.01 / 0.47) * (1 + 1e-6));
  });

  test("equal points with opposite labels: the zero network is certified", () => {
    for (const radius of [0, 0.5]) {
      const fit = fitPolynomial(batch(Float64Array.of(1, 2, 1, 2), 2), [1, -1], { radius, beta: 0.01 });
      expect(fit.status).toBe("zero-optimal");
      expect(fit.objective.total).toBe(1);
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
    }
  });

  test("radii beyond all points up to 1e12: the zero network, certified", () => {
    for (const radius of [1e7, 1e9, 1e12]) {
      const fit = fitPolynomial(points, labels, { radius, beta: 0.01 });
      expect(fit.status).toBe("zero-optimal");
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(fit.radius).toBe(radius);
    }
  });

  test("radii from 0 over 1e-9 to 1e6: nondecreasing optimum, zero network at the end", () => {
    let least = 0;
    for (const radius of [0, 1e-9, 1e-6, 1e-3, 0.1, 1, 10, 1e3, 1e6]) {
      const fit = fitPolynomial(points, labels, { radius, beta: 0.01, classWeights: "balanced" });
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(fit.objective.total).toBeGreaterThanOrEqual(least * (1 - 1e-12));
      least = fit.lowerBound;
      if (radius >= 10) expect(fit.status).toBe("zero-optimal");
      if (radius === 1e-9) {
        const still = fitPolynomial(points, labels, { radius: 0, beta: 0.01, classWeights: "balanced" });
        expect(Math.abs(fit.objective.total / still.objective.total - 1)).toBeLessThan(1e-6);
      }
    }
  });

  test("beta from 1e-5 to 10", () => {
    let least = 0;
    for (const beta of [1e-5, 1e-3, 0.1, 10]) {
      const fit = fitPolynomial(points, labels, { radius: 0.1, beta });
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(fit.objective.total).toBeGreaterThanOrEqual(least);
      least = fit.lowerBound;
    }
  });

  test("all features times 1e-4 to 1e4", () => {
    for (const scale of [1e-4, 1e-2, 1e2, 1e4]) {
      const scaled = batch(
        Float64Array.from(points.data, (value) => scale * value),
        4,
      );
      const fit = fitPolynomial(scaled, labels, { radius: 0.1 * scale, beta: 0.01 });
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
    }
  });

  test("features of sizes 1e-4 to 1e4 side by side: the tolerance with a ball, nearly without, what is above it reported", () => {
    const data = Float64Array.from(points.data, (value, i) => value * [1e-4, 1e-2, 1e2, 1e4][i % 4]);
    for (const [radius, beta] of [
      [0.05, 0.01],
      [0, 0.01],
      [1, 1e-3],
      [10, 0.1],
      [100, 0.01],
    ]) {
      const fit = fitPolynomial(batch(data, 4), labels, { radius, beta });
      expect(fit.gap).toBeLessThanOrEqual(radius > 0 ? 1e-6 : 1e-5);
      expect(fit.warnings.map(({ code }) => code)).toEqual(fit.gap > 1e-6 ? ["gap-not-reached"] : []);
    }
  });

  test("hard margins that contradict each other are infeasible, with a proof", () => {
    for (const radius of [0, 0.5]) {
      const fit = fitPolynomial(batch(Float64Array.of(1, 2, 1, 2), 2), [1, -1], {
        radius,
        beta: 0.01,
        hardMargins: "all",
      });
      expect(fit.status).toBe("infeasible");
      expect(fit.objective.total).toBe(Number.POSITIVE_INFINITY);
      expect(fit.lowerBound).toBeGreaterThan(1e6);
      expect(fit.warnings[0].code).toBe("infeasible-margins");
    }
    // Balls that meet: the margins of two classes cannot both hold at a common point.
    const far = fitPolynomial(points, labels, { radius: 50, beta: 0.01, hardMargins: "all" });
    expect(far.status).toBe("infeasible");
  });

  test("the pure square and nearly linear activations", () => {
    for (const activation of [
      { a: 1, b: 0, c: 0 },
      { a: 1e-6, b: 1, c: 0 },
    ]) {
      expect(fitPolynomial(points, labels, { radius: 0.1, beta: 0.01, activation }).gap).toBeLessThanOrEqual(1e-6);
    }
  });
});

describe("result and choice of method", () => {
  const { points, labels } = syntheticClasses(1, 120, 5);
  const options = { radius: 0.2, beta: 0.01 };

  test("network, matrices, objective split and worst case agree", () => {
    const fit = fitPolynomial(points, labels, options);
    const { neurons, quadratic, objective } = fit;
    let mass = 0;
    for (let j = 0; j < neurons.weights.length; j++) {
      expect(Math.hypot(...neurons.directions.subarray(j * 5, (j + 1) * 5))).toBeCloseTo(1, 13);
      mass += Math.abs(neurons.weights[j]);
    }
    expect(objective.regulariser).toBeCloseTo(0.01 * mass, 14);
    expect(objective.total).toBe(objective.loss + objective.regulariser);
    const { values } = fit.worstCase(points, labels, 0.2);
    expect(values.reduce((sum, margin) => sum + Math.max(0, 1 - margin) / 120, 0)).toBeCloseTo(objective.loss, 10);
    // f(x) = <Z - Z', lift of (x; 1)(x; 1)'> with the factors a, b/2, c, and trace = corner.
    const { positive, negative } = fit.matrices();
    const x = [...points.data.subarray(0, 5), 1];
    let value = 0;
    let defect = 0;
    for (let k = 0; k < 6; k++) {
      for (let l = 0; l < 6; l++) {
        const factor = k === 5 && l === 5 ? 0.47 : k === 5 || l === 5 ? 0.25 : 0.09;
        value += factor * (positive[k * 6 + l] - negative[k * 6 + l]) * x[k] * x[l];
      }
      defect += (k === 5 ? -1 : 1) * positive[k * 7];
    }
    expect(value).toBeCloseTo(evaluateQuadratic(quadratic, x.slice(0, 5)), 10);
    expect(Math.abs(defect)).toBeLessThan(1e-12 * mass);
    expect([fit.seed, fit.handedOver]).toEqual([null, null]);
  });

  test("the same bits twice, one event an iteration, nothing mutated", () => {
    const before = Float64Array.from(points.data);
    const events: FitEvent[] = [];
    const one = fitPolynomial(points, labels, { ...options, onEvent: (event) => events.push(event) });
    const two = fitPolynomial(points, labels, options);
    expect(two.neurons).toEqual(one.neurons);
    expect(two.lowerBound).toBe(one.lowerBound);
    expect(points.data).toEqual(before);
    expect(events.every(({ type }) => type === "iteration")).toBe(true);
    expect(events.length).toBeGreaterThanOrEqual(one.iterations);
  });

  test("easy gaps go to the factored trainer, small ones to the exact one, on request either", () => {
    expect(fitPolynomial(points, labels, { ...options, tolerance: 1e-2 }).method).toBe("factored");
    expect(fitPolynomial(points, labels, { ...options, maxNeurons: 8 }).method).toBe("factored");
    expect(fitPolynomial(points, labels, { ...options, tolerance: 1e-4 }).method).toBe("exact");
    expect(fitPolynomial(points, labels, { ...options, tolerance: 1e-2, method: "exact" }).method).toBe("exact");
    expect(fitPolynomial(points, labels, { ...options, method: "factored" }).method).toBe("factored");
  });

  test("warm starts along radius and beta: the same optimum, in fewer iterations where no guess helps, or an honest refusal", () => {
    const base = fitPolynomial(points, labels, options);
    expect(base.warmStart).toBe("none");
    for (const next of [
      { radius: 0.21 },
      { radius: 0.19 },
      { radius: 0.2, beta: 0.011 },
      { radius: 0.2, beta: 0.009 },
    ]) {
      const cold = fitPolynomial(points, labels, { ...options, ...next });
      const warm = fitPolynomial(points, labels, { ...options, ...next, warmStart: base });
      expect(warm.warmStart).toBe("used");
      expect(warm.status).toBe("optimal");
      expect(warm.iterations).toBeLessThanOrEqual(cold.iterations);
      expect(Math.abs(warm.objective.total / cold.objective.total - 1)).toBeLessThan(2e-6);
    }
    const factored = fitPolynomial(points, labels, { ...options, method: "factored" });
    for (const [next, from] of [
      [{ radius: 2 }, base],
      [{ radius: 0 }, base],
      [{ radius: 0.2, beta: 0.1 }, base],
      [{ radius: 0.2, loss: "mean-logistic" }, base],
      [{ radius: 0.2 }, factored],
    ] as const) {
      const fit = fitPolynomial(points, labels, { ...options, ...next, warmStart: from });
      expect(fit.warmStart).toBe("rejected");
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
    }
    // Losses without a guessed network begin far from the optimum.
    const curved = { ...options, loss: "mean-squared-hinge" } as const;
    const near = fitPolynomial(points, labels, { ...curved, radius: 0.21 });
    const again = fitPolynomial(points, labels, {
      ...curved,
      radius: 0.21,
      warmStart: fitPolynomial(points, labels, curved),
    });
    expect([again.warmStart, again.status]).toEqual(["used", "optimal"]);
    expect(again.iterations).toBeLessThan(near.iterations);
    // Scalar constraints (r = 0) along beta.
    const still = fitPolynomial(points, labels, { radius: 0, beta: 0.01 });
    const next = fitPolynomial(points, labels, { radius: 0, beta: 0.011, warmStart: still });
    expect([next.warmStart, next.status]).toEqual(["used", "optimal"]);
  });

  test("the factored trainer hands over when it stalls: two neurons cannot reach this optimum", () => {
    const small = syntheticClasses(1, 30, 3);
    const settings = { radius: 0.5, beta: 0.01, tolerance: 3e-3, maxNeurons: 2 };
    const fit = fitPolynomial(small.points, small.labels, settings);
    expect(fit.method).toBe("exact");
    expect(fit.handedOver?.status).toBe("stalled");
    expect(fit.handedOver?.gap).toBeGreaterThan(3e-3);
    expect(fit.gap).toBeLessThanOrEqual(3e-3);
    expect(fit.evaluations).toBeGreaterThan(0);
    const alone = fitPolynomial(small.points, small.labels, { ...settings, method: "factored" });
    expect([alone.status, alone.handedOver]).toEqual(["stalled", null]);
    expect(alone.warnings[0].code).toBe("gap-not-reached");
  });

  test("merged duplicates and weights describe the same problem", () => {
    const data = new Float64Array(2 * points.data.length);
    data.set(points.data);
    data.set(points.data, points.data.length);
    const twice = fitPolynomial(batch(data, 5), [...labels, ...labels], options);
    const once = fitPolynomial(points, labels, options);
    expect(twice.objective.total).toBeCloseTo(once.objective.total, 7);
    const none = labels.map((_, i) => (i < 60 ? 1 : 0));
    const half = fitPolynomial(points, labels, { ...options, loss: "sum-hinge", sampleWeights: none });
    const part = batch(Float64Array.from(points.data.subarray(0, 300)), 5);
    const direct = fitPolynomial(part, labels.slice(0, 60), { ...options, loss: "sum-hinge" });
    expect(Math.abs(half.objective.total / direct.objective.total - 1)).toBeLessThan(2e-6);
  });

  test("limits, abort and misuse", () => {
    const few = fitPolynomial(points, labels, { ...options, maxIterations: 4 });
    expect(few.status).toBe("iteration-limit");
    expect(few.gap).toBeGreaterThan(1e-6);
    expect(few.lowerBound).toBeLessThanOrEqual(few.objective.total);
    expect(few.warnings[0].code).toBe("gap-not-reached");
    const quick = fitPolynomial(points, labels, { ...options, timeLimitSeconds: 1e-9 });
    expect(quick.status).toBe("time-limit");
    const controller = new AbortController();
    const aborting = { ...options, signal: controller.signal, onEvent: () => controller.abort() };
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    expect(() => fitPolynomial(points, labels, aborting)).toThrow(code("aborted"));
    const logistic = { ...options, loss: "mean-logistic", method: "factored" } as const;
    expect(() => fitPolynomial(points, labels, logistic)).toThrow(code("setting"));
    expect(() => fitPolynomial(points, labels, { ...options, method: "fast" as never })).toThrow(code("setting"));
    expect(() => fitPolynomial(points, labels, { ...options, loss: "hinge" as never })).toThrow(code("setting"));
    expect(() => fitPolynomial(points, labels, { ...options, hardMargins: [1] })).toThrow(code("shape"));
    const wide = batch(
      new Float64Array(4000).map((_, i) => Math.sin(i)),
      2000,
    );
    expect(() => fitPolynomial(wide, [1, -1], { ...options, method: "exact" })).toThrow(code("resource"));
  });

  test("property: bound below objective for random problems, losses and weights", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 4 }), (seed, d) => {
        const rng = createRng(seed);
        const n = 1 + rng.integer(12);
        const radius = rng.uniform() < 0.3 ? 0 : rng.uniform();
        const loss = (["mean-hinge", "sum-squared-hinge", "mean-logistic"] as const)[rng.integer(3)];
        const sampleWeights = Array.from({ length: n }, () => 0.1 + rng.uniform());
        const beta = 10 ** (-3 * rng.uniform());
        const data = batch(normals(rng, n * d), d);
        const signs = randomSigns(rng, n);
        const fit = fitPolynomial(data, signs, { radius, beta, loss, sampleWeights, kernels: chooseKernels("js") });
        expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective.total);
        expect(fit.gap).toBeLessThanOrEqual(1e-6);
      }),
      { numRuns: 25 },
    );
  });
});
