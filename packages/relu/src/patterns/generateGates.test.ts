import { createRng, type NumericBatch } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { followPath } from "../gated/newton/pathFollowing.js";
import { gatedObjective } from "../program/objective.js";
import { type Answers, createProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { CandidateScores, largestViolationOfAnyPattern } from "./candidateScores.js";
import { enumerateGates } from "./enumerateGates.js";
import { generateGates } from "./generateGates.js";
import { sampleGates } from "./sampleGates.js";

const path = { tolerance: 1e-6, maximumIterations: 500, where: "test" };

/** Samples in the plane that one gate cannot separate. */
function rings(samples: number): { features: NumericBatch; answers: Answers } {
  const rng = createRng(12);
  const data = Float64Array.from({ length: 2 * samples }, () => 2 * rng.uniform() - 1);
  const labels = Int32Array.from({ length: samples }, (_, i) =>
    Math.hypot(data[2 * i], data[2 * i + 1]) < 0.75 ? 1 : 0,
  );
  return { features: { data, shape: [samples, 2] }, answers: { kind: "classes", labels, classCount: 2 } };
}

describe("column generation from a single gate", () => {
  const { features, answers } = rings(24);
  const common = { norm: "l2", radius: 0.03, beta: 0.02 } as const;

  it("reaches the optimum over ALL patterns, which enumeration gives, and its estimate is that optimum", async () => {
    const all = enumerateGates(features);
    const exact = await followPath(createProgram(features, answers, { ...common, gates: all }), chooseKernels(), path);
    expect(exact.status).toBe("optimal");
    const gates = sampleGates(features, { count: 1, rng: createRng(1) });
    const events: number[] = [];
    const result = await generateGates(features, answers, {
      ...common,
      gates,
      rng: createRng(2),
      maximumRounds: 20,
      tolerance: 1e-5,
      onEvent: ({ objective }) => events.push(objective),
    });
    const last = result.rounds[result.rounds.length - 1];
    expect(result.status).toBe("none-found");
    expect(events).toEqual(result.rounds.map(({ objective }) => objective));
    for (let k = 1; k < events.length; k++) expect(events[k]).toBeLessThanOrEqual(events[k - 1] * (1 + 1e-4));
    expect(events[0]).toBeGreaterThan(1.2 * exact.objective.total);
    expect(last.objective).toBeGreaterThanOrEqual(exact.lowerBound - 1e-9);
    expect(last.objective / exact.objective.total - 1).toBeLessThan(5e-3);
    for (const round of result.rounds) {
      expect(round.allPatternsBound).toBeLessThanOrEqual(exact.objective.total * (1 + 1e-9));
      expect(round.allPatternsBound).toBeGreaterThan(0);
      expect(round.lowerBound).toBeLessThanOrEqual(round.objective);
      expect(round.estimate).toBeLessThanOrEqual(round.lowerBound);
    }
    expect(result.gates.count).toBeLessThan(all.count);
    const program = createProgram(features, answers, { ...common, gates: result.gates });
    expect(gatedObjective(program, result.pieces).total).toBeCloseTo(last.objective, 9);
  });

  it("starting from all patterns, finds nothing to add", async () => {
    const gates = enumerateGates(features);
    const result = await generateGates(features, answers, { ...common, gates, rng: createRng(3), tolerance: 1e-6 });
    expect([result.status, result.rounds.length, result.rounds[0].improving]).toEqual(["none-found", 1, 0]);
    expect(result.rounds[0].largestViolation).toBeLessThanOrEqual(1 + 1e-9);
    expect(result.rounds[0].improvingProbability).toBeCloseTo(1 - 0.01 ** (1 / 500), 9);
    expect(result.gates).toBe(gates);
  });
});

it("the bound over all bit columns is above every one of the 2^n, for group and l1", async () => {
  const { features, labels } = clouds(3, 10, 3, 3);
  for (const regulariser of ["group", "l1"] as const) {
    const gates = sampleGates(features, { count: 4, rng: createRng(0) });
    const options = { norm: "linf", radius: 0.05, beta: 0.03, gates, regulariser } as const;
    const program = createProgram(features, { kind: "classes", labels, classCount: 3 }, options);
    const rng = createRng(4);
    const slopes = Float64Array.from({ length: 10 * 3 * 4 }, () => rng.normal());
    let largest = 0;
    for (let code = 0; code < 1024; code++) {
      for (let o = 0; o < 3; o++) {
        const h = [0, 0, 0, 0];
        for (let i = 0; i < 10; i++) {
          if ((code >> i) & 1) for (let k = 0; k < 4; k++) h[k] += slopes[(i * 3 + o) * 4 + k] / (10 * 0.03);
        }
        largest = Math.max(largest, regulariser === "l1" ? Math.max(...h.map(Math.abs)) : Math.hypot(...h));
      }
    }
    const bound = largestViolationOfAnyPattern(program, slopes);
    expect(bound).toBeGreaterThanOrEqual(largest * (1 - 1e-12));
    expect(bound).toBeLessThan(regulariser === "l1" ? largest * (1 + 1e-12) : 1.6 * largest);
  }
});

it("violations are those of the definition, and local ascent never loses", async () => {
  const { features, labels } = clouds(5, 30, 4, 2);
  const gates = sampleGates(features, { count: 10, rng: createRng(0) });
  const options = { norm: "l2", radius: 0, beta: 0.05, gates } as const;
  const program = createProgram(features, { kind: "classes", labels, classCount: 2 }, options);
  const rng = createRng(4);
  const slopes = Float64Array.from({ length: 30 * 5 }, () => rng.normal());
  const scores = new CandidateScores(program, features, slopes);
  const found = scores.violations(gates.gates, 10);
  for (let p = 0; p < 10; p++) {
    const h = new Float64Array(5);
    for (let i = 0; i < 30; i++) {
      if (program.bits[i * 10 + p] === 1) for (let k = 0; k < 5; k++) h[k] += slopes[i * 5 + k];
    }
    expect(found[p]).toBeCloseTo(Math.hypot(...h) / (30 * 0.05), 12);
    const gate = gates.gates.slice(p * 5, (p + 1) * 5);
    const better = scores.improve(gate, 20);
    expect(better.violation).toBeGreaterThanOrEqual(found[p] - 1e-12);
    expect(scores.violations(better.gate, 1)[0]).toBeCloseTo(better.violation, 12);
  }
});

it("edges: beta so large that zero is optimal, zero features, one class, one sample, misuse", async () => {
  const { features, labels } = clouds(5, 12, 2, 2);
  const answers: Answers = { kind: "classes", labels, classCount: 2 };
  const gates = sampleGates(features, { count: 2, rng: createRng(0) });
  const options = { norm: "l2", radius: 0.1, beta: 100, gates, rng: createRng(1) } as const;
  const idle = await generateGates(features, answers, options);
  expect([idle.status, idle.rounds.length, idle.objective.total]).toEqual(["none-found", 1, 1]);
  const zero: NumericBatch = { data: new Float64Array(24), shape: [12, 2] };
  const zeroGates = sampleGates(zero, { count: 2, rng: createRng(0) });
  const flat = await generateGates(zero, answers, { ...options, beta: 0.01, gates: zeroGates });
  expect(flat.status).toBe("none-found");
  const single: Answers = { kind: "classes", labels: new Int32Array(12), classCount: 2 };
  expect((await generateGates(features, single, { ...options, beta: 0.01 })).status).toBe("none-found");
  const one: NumericBatch = { data: Float64Array.of(1, 2), shape: [1, 2] };
  const oneGate = sampleGates(one, { count: 1, rng: createRng(0) });
  const target: Answers = { kind: "regression", targets: { data: Float64Array.of(0.5), shape: [1, 1] } };
  const fitted = await generateGates(one, target, { ...options, radius: 0, beta: 0.01, gates: oneGate });
  expect(fitted.status).toBe("none-found");
  const exact = { ...options, beta: 0.01, gates: enumerateGates(features), tolerance: 1e-15, candidates: 20 } as const;
  const unsolved = await generateGates(features, answers, exact); // no solver gets there, so nothing can be said of candidates
  expect([unsolved.status, unsolved.rounds.length]).toEqual(["stalled", 1]);
  await expect(generateGates(features, answers, { ...options, gates: undefined as never })).rejects.toThrow(/gates/);
  await expect(generateGates(features, answers, { ...options, psi: 0 })).rejects.toThrow(/psi/);
  await expect(generateGates(features, answers, { ...options, candidates: 0 })).rejects.toThrow(/candidates/);
  const kind = { kind: "perturbed-data", epsilon: 0.1 } as const;
  await expect(generateGates(features, answers, { ...options, candidateKind: kind })).rejects.toThrow(/candidateKind/);
  await expect(generateGates(features, answers, { ...options, signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
});
