// What happens at the edges: nothing to learn, one of everything, repeated things, unusable input; and interrupted runs.

import { createRng, type NumericBatch, SettingError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { gatedScores } from "../gatedModel.js";
import { gatesFromVectors } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import type { FirstOrderCheckpoint } from "./firstOrder.js";
import { fitGatedPath } from "./fitGatedPath.js";
import { type FitGatedReluOptions, fitGatedRegression, fitGatedRelu } from "./fitGatedRelu.js";

const losses = ["hinge", "logistic", "squared"] as const;
const batch = (rows: number[][]): NumericBatch => ({
  data: Float64Array.from(rows.flat()),
  shape: [rows.length, rows[0].length],
});
const base = { norm: "l2" as const, radius: 0.1, beta: 0.01, tolerance: 1e-6 };

describe.each(losses)("%s", (loss) => {
  const zero = { hinge: 1, logistic: Math.LN2, squared: 0.5 }[loss];

  it("all features zero and no bias: zero is optimal", async () => {
    const features = batch([
      [0, 0],
      [0, 0],
      [0, 0],
    ]); // prettier-ignore
    const gates = gatesFromVectors(Float64Array.from([1, 1, -1, 2]), features, false);
    const result = await fitGatedRelu(features, Int32Array.from([0, 1, 1]), 2, { ...base, gates, loss });
    expect(result.status).toBe("zero-optimal");
    expect(result.objective.total).toBeCloseTo(zero, 12);
    expect(result.lowerBound).toBeCloseTo(zero, 6);
  });

  it.each([2, 3])("a radius beyond every feature: zero is optimal, certified, %s classes", async (classCount) => {
    const { features, labels } = clouds(1, 30, 3, classCount);
    const gates = sampleGates(features, { count: 6, rng: createRng(1), bias: false });
    for (const norm of ["l1", "l2", "linf", 2.5] as const) {
      const result = await fitGatedRelu(features, labels, classCount, { ...base, norm, radius: 50, gates, loss });
      expect(result.status).toBe("zero-optimal");
      const expected = loss === "squared" ? 0.5 : zero * (classCount - 1);
      expect(result.objective.total).toBeCloseTo(expected, 12);
      expect(result.lowerBound).toBeGreaterThan(expected * (1 - 1e-6));
      expect(result.model.weights.every((w) => w === 0)).toBe(true);
    }
  });

  it("one sample: the closed form in one direction", async () => {
    // t = a x/||x||: margin a (||x|| - r), regulariser beta a; l = loss + beta a, minimised over a by bisection on its derivative
    const features = batch([[3, 4]]);
    const gates = gatesFromVectors(Float64Array.from([1, 1]), features, false);
    const [m, beta] = [5 - 1, 0.2];
    const slope = (a: number) =>
      loss === "hinge"
        ? a * m < 1
          ? -m
          : 0
        : loss === "logistic"
          ? -m / (1 + Math.exp(a * m))
          : (5 + 1) * ((5 + 1) * a - 1);
    const value = (a: number) =>
      loss === "hinge"
        ? Math.max(0, 1 - a * m)
        : loss === "logistic"
          ? Math.log1p(Math.exp(-a * m))
          : (Math.abs(5 * a - 1) + a) ** 2 / 2;
    let [low, high] = [0, 10];
    for (let round = 0; round < 100; round++) {
      const middle = (low + high) / 2;
      const derivative = loss === "squared" ? (value(middle + 1e-7) - value(middle - 1e-7)) / 2e-7 : slope(middle);
      if (derivative + beta > 0) high = middle;
      else low = middle;
    }
    const result = await fitGatedRelu(features, Int32Array.from([1]), 2, { ...base, radius: 1, beta, gates, loss });
    expect(result.status).toBe("optimal");
    expect(result.objective.total).toBeCloseTo(value(high) + beta * high, 5);
    expect(result.warnings.map((w) => w.code)).toContain("single-class");
  });

  it("one gate, three copies of it, and every row twice have the same optimum", async () => {
    const { features, labels } = clouds(6, 24, 3, 2);
    const vector = [1, 0.5, -0.2];
    const one = gatesFromVectors(Float64Array.from(vector), features, false);
    const three = gatesFromVectors(Float64Array.from([...vector, ...vector, ...vector]), features, false);
    const doubled = { data: Float64Array.from([...features.data, ...features.data]), shape: [48, 3] };
    const twice = Int32Array.from([...labels, ...labels]);
    const results = [
      await fitGatedRelu(features, labels, 2, { ...base, gates: one, loss }),
      await fitGatedRelu(features, labels, 2, { ...base, gates: three, loss }),
      await fitGatedRelu(doubled, twice, 2, { ...base, gates: one, loss }),
    ];
    for (const result of results) {
      expect(result.status).toBe("optimal");
      expect(Math.abs(result.objective.total / results[0].objective.total - 1)).toBeLessThan(2e-6);
    }
  });

  it("one class only: a warning and a model that predicts it", async () => {
    const { features } = clouds(7, 20, 3, 2);
    const gates = sampleGates(features, { count: 5, rng: createRng(1) });
    for (const classCount of [2, 3]) {
      const labels = new Int32Array(20).fill(1);
      const result = await fitGatedRelu(features, labels, classCount, { ...base, gates, loss, tolerance: 1e-4 });
      expect(result.status).toBe("optimal");
      expect(result.warnings.map((w) => w.code)).toContain("single-class");
    }
  });
});

it("regression: recovers a gated linear map, predicts by its scores, refuses misuse", async () => {
  const { features } = clouds(8, 60, 3, 2);
  const gates = sampleGates(features, { count: 6, rng: createRng(3) });
  const truth = {
    kind: "gated-relu" as const,
    gates,
    featureCount: 3,
    classCount: 2,
    bias: true,
    weights: new Float64Array(6 * 2 * 4),
  };
  const rng = createRng(4);
  for (let k = 0; k < 16; k++) truth.weights[k] = rng.normal();
  const targets = gatedScores(truth, features);
  const settings = { ...base, radius: 0, beta: 1e-6, gates };
  const result = await fitGatedRegression(features, targets, { ...settings, tolerance: 1e-3 });
  const found = gatedScores(result.model, features);
  const worst = Math.max(...found.data.map((t, k) => Math.abs(t - targets.data[k])));
  expect(worst).toBeLessThan(1e-2);
  const robust = await fitGatedRegression(features, targets, { ...base, gates });
  expect(robust.objective.total).toBeGreaterThan(result.objective.total);
  await expect(fitGatedRegression(features, { data: new Float64Array(3), shape: [3, 1] }, settings)).rejects.toThrow(
    /targets/,
  );
  const spoiled = { data: Float64Array.from(targets.data).fill(Number.NaN, 3, 4), shape: targets.shape };
  await expect(fitGatedRegression(features, spoiled, settings)).rejects.toThrow(/targets\[1, 1\]/);
  await expect(fitGatedRegression(features, targets, { ...settings, loss: "hinge" })).rejects.toThrow(/options.loss/);
});

it("misuse is named before work starts", async () => {
  const { features, labels } = clouds(9, 20, 3, 2);
  const gates = sampleGates(features, { count: 4, rng: createRng(2) });
  const fit = (change: object) =>
    fitGatedRelu(features, labels, 2, { ...base, gates, ...change } as FitGatedReluOptions);
  await expect(fit({ gates: undefined })).rejects.toThrow(SettingError);
  await expect(fit({ loss: "exponential" })).rejects.toThrow(/options.loss/);
  await expect(fit({ regulariser: "l0" })).rejects.toThrow(/options.regulariser/);
  await expect(fit({ norm: 0.5 })).rejects.toThrow(/options.norm/);
  await expect(fit({ norm: Number.NaN })).rejects.toThrow(/options.norm/);
  await expect(fit({ method: "simplex" })).rejects.toThrow(/options.method/);
  await expect(fit({ checkpointEvery: 7 })).rejects.toThrow(/options.checkpointEvery/);
  const huge = { data: features.data.slice().fill(1e200, 0, 1), shape: features.shape };
  await expect(fitGatedRelu(huge, labels, 2, { ...base, gates })).rejects.toThrow(/features\[0, 0\]/);
  const other = await fit({ tolerance: 0.5 });
  const fewer = sampleGates(features, { count: 3, rng: createRng(2) });
  await expect(fit({ gates: fewer, start: other.model })).rejects.toThrow(/options.start/);
  const abort = new AbortController();
  const running = fit({ tolerance: 1e-12, signal: abort.signal, onEvent: () => abort.abort() });
  await expect(running).rejects.toMatchObject({ code: "aborted" });
});

it("a path gives at every point what a fit from zero gives, within the gaps, and never less as the radius grows", async () => {
  const { features, labels } = clouds(10, 60, 4, 2);
  const gates = sampleGates(features, { count: 20, rng: createRng(2) });
  const options = { norm: "l2" as const, gates, tolerance: 1e-5 };
  const points = [0, 0.05, 0.1, 0.2].map((radius) => ({ radius, beta: 0.01 }));
  const path = await fitGatedPath(features, { labels, classCount: 2 }, points, options);
  for (const [k, { radius, beta, result }] of path.entries()) {
    const cold = await fitGatedRelu(features, labels, 2, { ...options, radius, beta });
    expect(result.status).toBe("optimal");
    expect(Math.abs(result.objective.total / cold.objective.total - 1)).toBeLessThan(2e-5);
    if (k > 0) expect(result.objective.total).toBeGreaterThan(path[k - 1].result.lowerBound);
  }
  await expect(fitGatedPath(features, { labels, classCount: 2 }, [], options)).rejects.toThrow(/points/);
});

it.each([
  ["hinge", "l2", "group"],
  ["hinge", "linf", "group"],
  ["logistic", "l2", "group"],
  ["hinge", "linf", "l1"],
  ["squared", "l1", "l1"],
] as const)(
  "an interrupted run, continued, ends bit for bit as the uninterrupted one: %s, %s, %s",
  async (loss, norm, regulariser) => {
    const { features, labels } = clouds(11, 80, 4, 3);
    const gates = sampleGates(features, { count: 10, rng: createRng(2) });
    const options = {
      norm,
      radius: 0.05,
      beta: 1e-3,
      gates,
      loss,
      regulariser,
      tolerance: 1e-9,
      maximumIterations: 120,
    };
    const settings = { ...options, method: "first-order" as const, checkpointEvery: 50 };
    const kept: FirstOrderCheckpoint[] = [];
    const whole = await fitGatedRelu(features, labels, 3, {
      ...settings,
      onCheckpoint: (c) => void kept.push(structuredClone(c)),
    });
    expect(kept.map((c) => c.state.iteration)).toEqual([50, 100]);
    const rest = await fitGatedRelu(features, labels, 3, { ...settings, resume: kept[0] });
    expect(rest.model.weights).toEqual(whole.model.weights);
    expect([rest.objective, rest.lowerBound, rest.iterations]).toEqual([
      whole.objective,
      whole.lowerBound,
      whole.iterations,
    ]);
    await expect(fitGatedRelu(features, labels, 3, { ...settings, beta: 2e-3, resume: kept[0] })).rejects.toMatchObject(
      {
        code: "format",
      },
    );
  },
);

it("Newton steps reach the gap at every radius, also small ones with many gates", async () => {
  const { features, labels } = clouds(12, 60, 12, 2);
  for (let k = 0; k < features.data.length; k++) features.data[k] /= 6;
  const flipped = labels.map((label, i) => (i % 7 === 0 ? 1 - label : label));
  const gates = sampleGates(features, { count: 60, rng: createRng(5) });
  for (const norm of ["l2", "linf"] as const) {
    for (const radius of [0.01, 0.03, 0.05, 0.1, 0.3]) {
      const options = { norm, radius, beta: 1e-3, gates, tolerance: 1e-5, method: "newton" as const };
      const result = await fitGatedRelu(features, flipped, 2, options);
      expect(result.status).toBe("optimal");
    }
  }
});
