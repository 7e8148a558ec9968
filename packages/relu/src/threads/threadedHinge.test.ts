import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { FirstOrderCheckpoint } from "../gated/firstOrder.js";
import { type FitGatedReluOptions, fitGatedRelu } from "../gated/fitGatedRelu.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { checkMemory, predictedBytes } from "./predictedBytes.js";

function problem(radius = 0.05, norm: "l1" | "l2" | "linf" = "l2") {
  const { features, labels } = clouds(9, 151, 5, 3);
  const gates = sampleGates(features, { count: 70, rng: createRng(2) });
  const options: FitGatedReluOptions = {
    ...{ gates, norm, radius, beta: 5e-3, method: "first-order", tolerance: 5e-2, maximumIterations: 2000 },
  };
  return { features, labels, options };
}

describe("threads that share the samples", () => {
  it.each(["l2", "linf"] as const)(
    "certify the same optimum as one thread, and repeat bit for bit: %s",
    async (norm) => {
      const { features, labels, options } = problem(0.02, norm);
      const one = await fitGatedRelu(features, labels, 3, options);
      const three = await fitGatedRelu(features, labels, 3, { ...options, threads: 3 });
      const again = await fitGatedRelu(features, labels, 3, { ...options, threads: 3 });
      expect([one.status, three.status]).toEqual(["optimal", "optimal"]);
      expect(three.lowerBound).toBeLessThanOrEqual(one.objective.total);
      expect(one.lowerBound).toBeLessThanOrEqual(three.objective.total);
      expect(again.model.weights).toEqual(three.model.weights);
    },
  );

  it("an interrupted run, continued, ends bit for bit as the uninterrupted one", async () => {
    const { features, labels, options } = problem();
    const settings = { ...options, threads: 2, maximumIterations: 60, tolerance: 1e-9 };
    const states: FirstOrderCheckpoint[] = [];
    const onCheckpoint = (state: FirstOrderCheckpoint) => void states.push(structuredClone(state));
    const whole = await fitGatedRelu(features, labels, 3, { ...settings, onCheckpoint, checkpointEvery: 30 });
    const rest = await fitGatedRelu(features, labels, 3, { ...settings, resume: states[0] });
    expect(states[0].state.iteration).toBe(30);
    expect(rest.model.weights).toEqual(whole.model.weights);
    expect(rest.lowerBound).toBe(whole.lowerBound);
  });

  it("more threads than samples, and a signal", async () => {
    const { features, labels } = clouds(3, 2, 2, 2);
    const gates = sampleGates(features, { count: 2, rng: createRng(1) });
    const options = { gates, norm: "l2", radius: 0.01, beta: 1e-2, method: "first-order" } as const;
    const result = await fitGatedRelu(features, labels, 2, { ...options, threads: 4 });
    expect(result.gap).toBeLessThanOrEqual(1e-2);
    const many = problem();
    const aborted = { ...many.options, threads: 2, signal: AbortSignal.abort() };
    await expect(fitGatedRelu(many.features, many.labels, 3, aborted)).rejects.toThrow(/abort/);
    await expect(fitGatedRelu(many.features, many.labels, 3, { ...many.options, threads: 0 })).rejects.toThrow(
      /threads/,
    );
  });
});

describe("predicted memory", () => {
  it("grows linearly in samples and in gates, and is refused in one sentence", () => {
    const { features, labels, options } = problem();
    const program = createProgram(features, { kind: "classes", labels, classCount: 3 }, options);
    const bytes = (samples: number, gateCount: number) => predictedBytes({ ...program, samples, gateCount }, 2);
    expect(bytes(3000, 100) - bytes(2000, 100)).toBe(bytes(2000, 100) - bytes(1000, 100));
    expect(bytes(1000, 300) - bytes(1000, 200)).toBe(bytes(1000, 200) - bytes(1000, 100));
    const huge = { ...program, samples: 50_000, gateCount: 500, outputs: 10, width: 513, featureCount: 512 };
    expect(predictedBytes(huge, 2)).toBeGreaterThan(1e9);
    expect(() => checkMemory(huge, 2, 2 ** 30)).toThrow(/1\.00 GiB.*it would take \d\.\d\d GiB/s);
    expect(() => checkMemory(huge, 2, 2 ** 34)).not.toThrow();
  });
});
