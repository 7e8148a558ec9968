import { createRng, type NumericBatch, UnsupportedError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { fitGatedRegression } from "../gated/fitGatedRelu.js";
import { gatedScores } from "../gatedModel.js";
import { gatesFromVectors } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import type { Answers } from "../program/program.js";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";
import { clouds } from "../testing/problems.js";
import { fitKernelView } from "./fitKernelView.js";

const cells = fixtureCells().filter(
  ({ loss, radius, regulariser }) => loss === "squared" && radius === 0 && regulariser === "group",
);

it.each(cells.map((cell) => [cell.task, cell] as const))("%s: objective of Clarabel to 1e-6", async (_, cell) => {
  const { features, answers, options } = fixtureProblem(cell);
  const result = await fitKernelView(features, answers, { ...options, tolerance: 1e-7 });
  expect(result.status).toBe("optimal");
  expect(Math.abs(result.objective.total - cell.objective)).toBeLessThan(1e-6 * cell.objective);
  expect(result.lowerBound).toBeLessThan(cell.objective * (1 + 1e-8));
  expect(result.iterations).toBeLessThan(200);
});

describe("many more features than samples", () => {
  const rng = createRng(5);
  const [n, d] = [20, 60];
  const features: NumericBatch = { data: Float64Array.from({ length: n * d }, () => rng.normal() / 8), shape: [n, d] };
  const targets: NumericBatch = { data: Float64Array.from({ length: 2 * n }, () => rng.normal()), shape: [n, 2] };
  const gates = sampleGates(features, { count: 7, rng });
  const answers: Answers = { kind: "regression", targets };

  it("meets the other trainer between their certified bounds, and its weights are the group norms", async () => {
    const beta = 0.02;
    const kernel = await fitKernelView(features, answers, { gates, beta });
    const newton = await fitGatedRegression(features, targets, { gates, beta, radius: 0, norm: "l2", tolerance: 1e-6 });
    expect(kernel.status).toBe("optimal");
    expect(kernel.objective.total).toBeGreaterThan(newton.lowerBound * (1 - 1e-9));
    expect(newton.objective.total).toBeGreaterThan(kernel.lowerBound * (1 - 1e-9));
    expect(Math.abs(kernel.objective.total / newton.objective.total - 1)).toBeLessThan(2e-6);
    const width = d + 1;
    for (let p = 0; p < gates.count; p++) {
      for (let o = 0; o < 2; o++) {
        const from = (p * 2 + o) * width;
        const size = Math.hypot(...kernel.model.weights.subarray(from, from + width));
        expect(Math.abs(kernel.kernelWeights[o * gates.count + p] - size)).toBeLessThan(1e-3);
      }
    }
  });

  it("1,500 features cost no more than the kernel", async () => {
    const wide: NumericBatch = {
      data: Float64Array.from({ length: 40 * 1500 }, () => rng.normal() / 40),
      shape: [40, 1500],
    };
    const many = sampleGates(wide, { count: 60, rng });
    const labels = Int32Array.from({ length: 40 }, (_, i) => i % 2);
    const { status, gap } = await fitKernelView(
      wide,
      { kind: "classes", labels, classCount: 2 },
      { gates: many, beta: 0.01 },
    );
    expect(status).toBe("optimal");
    expect(gap).toBeLessThan(1e-6);
  });

  it("reports falling objectives and rising bounds", async () => {
    const objectives: number[] = [];
    await fitKernelView(
      features,
      { kind: "regression", targets: { data: targets.data.slice(0, n), shape: [n, 1] } },
      {
        ...{ gates, beta: 0.05 },
        onEvent: ({ objective, lowerBound }) => {
          expect(lowerBound).toBeLessThanOrEqual(objective);
          objectives.push(objective);
        },
      },
    );
    expect(objectives.length).toBeGreaterThan(3);
    expect(objectives[objectives.length - 1]).toBeLessThanOrEqual(Math.min(...objectives) * (1 + 1e-9));
  });
});

describe("closed forms and edges", () => {
  const one: NumericBatch = { data: Float64Array.of(3, 4), shape: [1, 2] };
  const always = gatesFromVectors(Float64Array.of(3, 4), one, false);
  const target = (value: number): Answers => ({
    kind: "regression",
    targets: { data: Float64Array.of(value), shape: [1, 1] },
  });

  it("one sample, one gate: soft threshold", async () => {
    const { objective, model, status } = await fitKernelView(one, target(2), {
      gates: always,
      beta: 0.5,
      tolerance: 1e-10,
    });
    const s = (5 * 2 - 0.5) / 25;
    expect(status).toBe("optimal");
    expect(objective.total).toBeCloseTo((5 * s - 2) ** 2 / 2 + 0.5 * s, 9);
    expect(gatedScores(model, one).data[0]).toBeCloseTo(5 * s, 5);
  });

  it("zero targets, zero features, beta large: zero is optimal", async () => {
    expect((await fitKernelView(one, target(0), { gates: always, beta: 0.5 })).objective.total).toBe(0);
    const large = await fitKernelView(one, target(2), { gates: always, beta: 100 });
    expect([large.status, large.objective.total, large.gap]).toEqual(["zero-optimal", 2, 0]);
    const zero: NumericBatch = { data: new Float64Array(4), shape: [2, 2] };
    const gates = gatesFromVectors(Float64Array.of(1, 1), zero, false);
    const answers: Answers = { kind: "regression", targets: { data: Float64Array.of(1, 3), shape: [2, 1] } };
    expect((await fitKernelView(zero, answers, { gates, beta: 0.1 })).status).toBe("zero-optimal");
  });

  it("identical gates share the weight; duplicate rows and one class do not hurt", async () => {
    const { features, labels } = clouds(2, 12, 3, 2);
    const single = sampleGates(features, { count: 1, rng: createRng(0) });
    const twice = gatesFromVectors(Float64Array.from([...single.gates, ...single.gates]), features, true);
    const answers: Answers = { kind: "classes", labels, classCount: 2 };
    const alone = await fitKernelView(features, answers, { gates: single, beta: 0.05 });
    const both = await fitKernelView(features, answers, { gates: twice, beta: 0.05 });
    expect([alone.status, both.status]).toEqual(["optimal", "optimal"]);
    expect(both.objective.total).toBeCloseTo(alone.objective.total, 6);
    const doubled: NumericBatch = { data: Float64Array.from([...features.data, ...features.data]), shape: [24, 3] };
    const more = await fitKernelView(
      doubled,
      { kind: "classes", labels: Int32Array.from([...labels, ...labels]), classCount: 2 },
      { gates: single, beta: 0.05 },
    );
    expect(more.objective.total).toBeCloseTo(alone.objective.total, 6);
    const oneClass = await fitKernelView(
      features,
      { ...answers, labels: new Int32Array(12) },
      { gates: single, beta: 0.05 },
    );
    expect(oneClass.status).toBe("optimal");
  });

  it("misuse and abort", async () => {
    await expect(fitKernelView(one, target(1), { gates: always, beta: 0 })).rejects.toThrow(/beta/);
    await expect(fitKernelView(one, target(Number.NaN), { gates: always, beta: 1 })).rejects.toThrow(/targets/);
    await expect(fitKernelView(one, target(1), { gates: always, beta: 1, tolerance: 0 })).rejects.toThrow(/tolerance/);
    for (const foreign of [{ loss: "hinge" }, { regulariser: "l1" }, { radius: 0.1 }]) {
      const options = { gates: always, beta: 1, ...foreign };
      await expect(fitKernelView(one, target(1), options)).rejects.toThrow(UnsupportedError);
    }
    const { model } = await fitKernelView(one, target(1), { gates: always, beta: 1 });
    expect(model.gates.gates).not.toBe(always.gates);
    const signal = AbortSignal.abort();
    await expect(fitKernelView(one, target(5), { gates: always, beta: 0.1, signal })).rejects.toThrow(/abort/);
    const { features, labels } = clouds(2, 12, 3, 2);
    const gates = sampleGates(features, { count: 5, rng: createRng(0) });
    const answers: Answers = { kind: "classes", labels, classCount: 2 };
    const limited = await fitKernelView(features, answers, { gates, beta: 0.01, maximumIterations: 1 });
    expect(limited.status).toBe("iteration-limit");
    expect(limited.lowerBound).toBeLessThanOrEqual(limited.objective.total);
  });
});
