import { createRng, dualNorm, type Norm, type NumericBatch, normOf } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { type GatedReluModel, gatedModelFromJson, gatedModelToJson, gatedScores } from "../gatedModel.js";
import { gatesFromVectors, patternBits } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, referenceCases } from "../testing/problems.js";
import { fitGatedRelu, type GatedReluResult } from "./fitGatedRelu.js";

// The objective of math.md 13.3 from its definition, with none of the solver's code.
function objectiveOf(
  model: GatedReluModel,
  features: NumericBatch,
  labels: Int32Array,
  norm: Norm,
  radius: number,
  beta: number,
) {
  const [n, d] = features.shape;
  const width = d + (model.bias ? 1 : 0);
  const bits = patternBits(features, model.gates);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < model.classCount; c++) {
      if (c === labels[i]) continue;
      const a = new Float64Array(width);
      for (let p = 0; p < model.gates.count; p++) {
        if (bits[i * model.gates.count + p] === 0) continue;
        for (let k = 0; k < width; k++) {
          a[k] +=
            model.weights[(p * model.classCount + labels[i]) * width + k] -
            model.weights[(p * model.classCount + c) * width + k];
        }
      }
      let score = model.bias ? a[d] : 0;
      for (let k = 0; k < d; k++) score += a[k] * features.data[i * d + k];
      loss += Math.max(0, 1 - score + radius * normOf(a, dualNorm(norm), 0, d)) / n;
    }
  }
  let size = 0;
  for (let g = 0; g < model.weights.length; g += width) size += normOf(model.weights, "l2", g, g + width);
  return { loss, total: loss + beta * size };
}

const settings = { beta: 0.02, radius: 0.1, norm: "l2" as Norm };

describe("against an independent conic solver", () => {
  const cases = referenceCases().filter((c) => c.kind === "gated");
  it.each(cases.map((c) => [`${c.norm} ${c.classCount} classes r=${c.radius}`, c] as const))("%s", async (_, c) => {
    const features = { data: Float64Array.from(c.features), shape: [c.samples, c.featureCount] };
    const labels = Int32Array.from(c.labels);
    const gates = gatesFromVectors(Float64Array.from(c.gates), features, c.bias);
    const options = { radius: c.radius, norm: c.norm, beta: c.beta, gates, tolerance: 5e-4, maximumIterations: 5000 };
    const result = await fitGatedRelu(features, labels, c.classCount, options);
    expect(result.status).toBe("optimal");
    expect(result.gap).toBeLessThanOrEqual(5e-4);
    expect(result.lowerBound).toBeLessThanOrEqual(c.objective * (1 + 1e-7));
    expect(result.objective.total).toBeGreaterThanOrEqual(c.objective * (1 - 1e-7));
    expect(result.objective.total).toBeLessThanOrEqual(c.objective * (1 + 6e-4));
    const direct = objectiveOf(result.model, features, labels, c.norm, c.radius, c.beta);
    expect(direct.total).toBeCloseTo(result.objective.total, 10);
    expect(direct.loss).toBeCloseTo(result.objective.loss, 10);
  });
});

it("two runs with one seed agree bit for bit; js kernels agree within the gap", async () => {
  const { features, labels } = clouds(1, 60, 4, 3);
  const run = async () => {
    const gates = sampleGates(features, { count: 8, rng: createRng(5) });
    return fitGatedRelu(features, labels, 3, { ...settings, gates, tolerance: 1e-2 });
  };
  const [first, second] = [await run(), await run()];
  expect(second.model.weights).toEqual(first.model.weights);
  expect(second.lowerBound).toBe(first.lowerBound);
});

it("bounds rise, objectives fall, the gap is never negative, and nothing given is changed", async () => {
  const { features, labels } = clouds(2, 50, 3, 3);
  const gates = sampleGates(features, { count: 6, rng: createRng(5) });
  const copy = features.data.slice();
  const seen: { objective: number; lowerBound: number }[] = [];
  await fitGatedRelu(features, labels, 3, {
    ...settings,
    gates,
    tolerance: 1e-3,
    onEvent: (event) => seen.push(event),
  });
  expect(seen.length).toBeGreaterThan(3);
  for (let k = 1; k < seen.length; k++) {
    expect(seen[k].objective).toBeLessThanOrEqual(seen[k - 1].objective);
    expect(seen[k].lowerBound).toBeGreaterThanOrEqual(seen[k - 1].lowerBound);
  }
  expect(seen.every((event) => event.lowerBound <= event.objective)).toBe(true);
  expect(features.data).toEqual(copy);
});

it("the optimum does not fall with radius or beta, and radius -> 0 tends to radius 0", async () => {
  const { features, labels } = clouds(3, 40, 3, 2);
  const gates = sampleGates(features, { count: 6, rng: createRng(5) });
  const fit = (radius: number, beta: number) =>
    fitGatedRelu(features, labels, 2, { norm: "linf", radius, beta, gates, tolerance: 1e-3, maximumIterations: 4000 });
  const results: GatedReluResult[] = [];
  for (const radius of [0, 1e-6, 0.05, 0.2]) results.push(await fit(radius, 0.02));
  for (let k = 1; k < results.length; k++) {
    expect(results[k].objective.total).toBeGreaterThanOrEqual(results[k - 1].lowerBound);
  }
  expect(Math.abs(results[1].objective.total - results[0].objective.total)).toBeLessThan(
    2e-3 * results[0].objective.total,
  );
  expect((await fit(0.05, 0.04)).objective.total).toBeGreaterThanOrEqual(results[2].lowerBound);
});

it.each([
  ["beta", 0.1, 1e3],
  ["radius", 1e3, 0.02],
])("zero is optimal at huge %s, by certificate", async (_, radius, beta) => {
  const { features, labels } = clouds(4, 30, 3, 3);
  const gates = sampleGates(features, { count: 5, rng: createRng(1), bias: false });
  for (const norm of ["l1", "l2", "linf"] as const) {
    const result = await fitGatedRelu(features, labels, 3, { radius, norm, beta, gates });
    expect(result.status).toBe("zero-optimal");
    expect(result.objective).toEqual({ total: 2, loss: 2, regulariser: 0 });
    expect(result.lowerBound).toBeCloseTo(2, 12);
    expect(result.model.weights.every((w) => w === 0)).toBe(true);
    expect(result.warnings.map((w) => w.code)).toContain("collapsed-head");
  }
});

it("the same point with opposite labels: the objective is 1, reached by zero", async () => {
  const features = { data: Float64Array.from([1, 2, 1, 2]), shape: [2, 2] };
  const gates = gatesFromVectors(Float64Array.from([1, 0]), features, false);
  const result = await fitGatedRelu(features, Int32Array.from([0, 1]), 2, { ...settings, gates, tolerance: 1e-6 });
  expect(result.status).toBe("zero-optimal");
  expect(result.objective.total).toBe(1);
  expect(result.lowerBound).toBeCloseTo(1, 6);
});

it("one sample, one gate, closed form: min over a >= 0 of (1 - a m)_+ + beta a with unit direction x/||x||", async () => {
  // l2: A = a x/||x||, margin a (||x|| - r), norms ||t_0|| + ||t_1|| = a; the optimum is beta / (||x|| - r) when that is below 1.
  const features = { data: Float64Array.from([3, 4]), shape: [1, 2] };
  const gates = gatesFromVectors(Float64Array.from([1, 1]), features, false);
  const options = { norm: "l2" as Norm, radius: 1, beta: 0.2, gates, tolerance: 1e-4, maximumIterations: 4000 };
  const result = await fitGatedRelu(features, Int32Array.from([1]), 2, options);
  expect(result.status).toBe("optimal");
  expect(result.objective.total).toBeCloseTo(0.2 / 4, 4);
  expect(result.warnings.map((w) => w.code)).toContain("single-class");
});

it("identical gates share one pattern: same optimum as one gate", async () => {
  const { features, labels } = clouds(6, 40, 3, 2);
  const one = gatesFromVectors(Float64Array.from([1, 0.5, -0.2]), features, false);
  const three = gatesFromVectors(Float64Array.from([1, 0.5, -0.2, 1, 0.5, -0.2, 1, 0.5, -0.2]), features, false);
  const fit = (gates: typeof one) => fitGatedRelu(features, labels, 2, { ...settings, gates, tolerance: 1e-3 });
  const [a, b] = [await fit(one), await fit(three)];
  expect(a.status).toBe("optimal");
  expect(b.status).toBe("optimal");
  expect(Math.abs(a.objective.total - b.objective.total)).toBeLessThan(2e-3);
});

it("constant and zero features with bias: the constant model of the majority class", async () => {
  // All samples alike, 3 of class 0 and 1 of class 1: only the bias b = b_0 - b_1 acts; hinge mean (3 (1-b)_+ + (1+b)_+)/4, optimum b = 1.
  const features = { data: new Float64Array(8), shape: [4, 2] };
  const gates = gatesFromVectors(Float64Array.from([0.3, -1, 1]), features, true);
  const options = { norm: "linf" as Norm, radius: 0.3, beta: 0.01, gates, tolerance: 1e-4, maximumIterations: 4000 };
  const result = await fitGatedRelu(features, Int32Array.from([0, 0, 1, 0]), 2, options);
  expect(result.status).toBe("optimal");
  expect(result.objective.total).toBeCloseTo(0.5 + 0.01, 4);
});

it("a large set starts from a subset: the gap is certified and the objective is the one of the definition", async () => {
  const { features, labels } = clouds(9, 4100, 3, 3);
  const gates = sampleGates(features, { count: 4, rng: createRng(2) });
  const options = { norm: "l2" as Norm, radius: 0.1, beta: 1e-2, gates, tolerance: 1e-2 };
  const result = await fitGatedRelu(features, labels, 3, options);
  expect(result.status).toBe("optimal");
  const direct = objectiveOf(result.model, features, labels, "l2", 0.1, 1e-2);
  expect(direct.total).toBeCloseTo(result.objective.total, 10);
  expect(result.lowerBound).toBeLessThanOrEqual(direct.total);
});

it("JSON keeps the model exactly; damaged JSON is a format error", async () => {
  const { features, labels } = clouds(7, 30, 3, 3);
  const gates = sampleGates(features, { count: 4, rng: createRng(2) });
  const { model } = await fitGatedRelu(features, labels, 3, { ...settings, gates, tolerance: 0.1 });
  const text = JSON.stringify(gatedModelToJson(model));
  const back = gatedModelFromJson(JSON.parse(text));
  expect(back.weights).toEqual(model.weights);
  expect(gatedScores(back, features).data).toEqual(gatedScores(model, features).data);
  const json = JSON.parse(text);
  expect(() => gatedModelFromJson({ ...json, weights: json.weights.slice(1) })).toThrow(/json.weights/);
  expect(() => gatedModelFromJson({ ...json, gates: [null] })).toThrow(/json.gates/);
  expect(() => gatedModelFromJson(null)).toThrow(/format/);
});

it("misuse throws before work starts; an abort stops it", async () => {
  const { features, labels } = clouds(8, 20, 3, 2);
  const gates = sampleGates(features, { count: 4, rng: createRng(2) });
  const fit = (change: object, l = labels, f: NumericBatch = features, classes = 2) =>
    fitGatedRelu(f, l, classes, { ...settings, gates, ...change });
  await expect(fit({ beta: 0 })).rejects.toThrow(/options.beta/);
  await expect(fit({ radius: -1 })).rejects.toThrow(/options.radius/);
  await expect(fit({ norm: "inf" })).rejects.toThrow(/options.norm/);
  await expect(fit({ tolerance: 0 })).rejects.toThrow(/options.tolerance/);
  await expect(
    fit(
      {},
      labels.map((l) => l + 1),
    ),
  ).rejects.toThrow(/labels/);
  await expect(fit({}, labels, features, 1)).rejects.toThrow(/classCount/);
  const spoiled = { data: features.data.slice().fill(Number.NaN, 4, 5), shape: features.shape };
  await expect(fit({}, labels, spoiled)).rejects.toMatchObject({ code: "data" });
  const abort = new AbortController();
  const running = fit({ tolerance: 1e-12, signal: abort.signal, onEvent: () => abort.abort() });
  await expect(running).rejects.toMatchObject({ code: "aborted" });
});
