import { readFileSync } from "node:fs";
import { AbortedError, DataError, type NumericBatch, SettingError, type WorkEvent } from "@worstcase/core";
import { pairwiseWorstMargins, paperActivation, quadraticFromNeurons } from "@worstcase/polynomial";
import { describe, expect, it } from "vitest";
import { applyScaling, type FeatureScaling } from "./featureScaling.js";
import { loadHead, saveHead } from "./headFile.js";
import { type PolynomialHeadOptions, trainPolynomialHead } from "./polynomialHead.js";
import type { Remember, RobustHead } from "./robustHead.js";

/** Optima of small joint training problems by an independent semidefinite solver; the command is in polynomial/fixtures/reference.py. */
const fixture = new URL("../../polynomial/fixtures/reference.json", import.meta.url);
const reference: {
  d: number;
  classes: number;
  radius: number;
  beta: number;
  loss: "weston-watkins" | "crammer-singer";
  points: number[];
  labels: number[];
  objective: number;
}[] = JSON.parse(readFileSync(fixture, "utf8")).pairwise_training;

/** z = x / scale, or z = W x / scale with W the identity plus 0.2. */
function scalingOf(kind: FeatureScaling["kind"], size: number): FeatureScaling {
  const whitening = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1.2 : 0.2));
  return { kind, centre: new Float64Array(size), whitening: kind === "ellipsoid" ? whitening : null, scale: 2 };
}

/** Raw features whose scaled ones are `points` `[samples, size]`: W^-1 z = z - 0.2 / (1 + 0.2 size) sum z. */
function unscale({ kind, scale }: FeatureScaling, points: readonly number[], size: number): NumericBatch {
  const data = Float64Array.from(points, (value, p) => {
    const row = points.slice(p - (p % size), p - (p % size) + size);
    const common = kind === "ellipsoid" ? (0.2 / (1 + 0.2 * size)) * row.reduce((sum, one) => sum + one, 0) : 0;
    return scale * (value - common);
  });
  return { data, shape: [points.length / size, size] };
}

/** The joint objective of a head's neurons from its definition, on exact pairwise worst margins. */
function objectiveOf(head: RobustHead, features: NumericBatch, labels: Int32Array, loss: string): number {
  if (head.trained.kind !== "polynomial") throw new Error("not polynomial");
  const networks = head.trained.training.classes.map(({ directions, weights }) => ({
    directions: Float64Array.from(directions),
    weights: Float64Array.from(weights),
    activation: paperActivation,
  }));
  const scores = networks.map((neurons) => quadraticFromNeurons(neurons, features.shape[1]!));
  const points = applyScaling(head.scaling, features);
  const { margins } = pairwiseWorstMargins(scores, points, labels, head.radius.value);
  let total = 0;
  labels.forEach((label, i) => {
    const hinges = scores.map((_, c) => (c === label ? 0 : Math.max(0, 1 - margins[i * scores.length + c]!)));
    const own = loss === "weston-watkins" ? hinges.reduce((sum, value) => sum + value, 0) : Math.max(...hinges);
    total += own / labels.length;
  });
  for (const { weights } of networks) for (const weight of weights) total += head.beta * Math.abs(weight);
  return total;
}

const [first] = reference;
const isotropic = scalingOf("isotropic", first!.d);
const features = unscale(isotropic, first!.points, first!.d);
const labels = Int32Array.from(first!.labels);
const options: PolynomialHeadOptions = {
  ...{ name: "joint", scaling: isotropic, radius: first!.radius, beta: first!.beta, classCount: first!.classes },
  ...{ tolerance: 1e-2, classWeights: "none", multiclass: "weston-watkins" },
};

describe("jointly trained polynomial heads", () => {
  it.each(["isotropic", "ellipsoid"] as const)("enclose the optimum of an independent solver, %s set", async (kind) => {
    for (const { d, classes, radius, beta, loss, points, labels, objective } of reference) {
      const scaling = scalingOf(kind, d);
      const raw = unscale(scaling, points, d);
      const own = Int32Array.from(labels);
      const head = await trainPolynomialHead(raw, own, {
        ...{ name: loss, scaling, radius, beta, classCount: classes, tolerance: 1e-2, classWeights: "none" },
        multiclass: loss,
      });
      const { evidence } = head;
      expect(evidence.lowerBound).toBeLessThanOrEqual(objective * (1 + 1e-8));
      expect(evidence.objective).toBeGreaterThanOrEqual(objective * (1 - 1e-8));
      expect(evidence.gap).toBeCloseTo((evidence.objective - evidence.lowerBound) / evidence.objective, 12);
      expect([evidence.solved, evidence.statuses.length]).toEqual([evidence.gap <= 1e-2, 1]);
      expect(evidence.gap).toBeLessThan(2e-2);
      expect(objectiveOf(head, raw, own, loss)).toBeCloseTo(evidence.objective, 8);
    }
  });

  it("a huge beta: the zero scores are optimal, objective C - 1 or 1, flagged as collapsed, and survive their file", async () => {
    for (const [multiclass, value] of [
      ["weston-watkins", first!.classes - 1],
      ["crammer-singer", 1],
    ] as const) {
      const head = await trainPolynomialHead(features, labels, { ...options, multiclass, beta: 1e3 });
      expect(head.evidence.statuses).toEqual(["zero-optimal"]);
      expect(head.evidence.objective).toBeCloseTo(value, 12);
      expect(head.warnings.map(({ code }) => code)).toEqual(["collapsed-head"]);
      const again = loadHead(saveHead(head));
      expect([again.evidence, again.warnings, again.trained]).toEqual([head.evidence, head.warnings, head.trained]);
    }
  });

  it("is one remembered piece that belongs to its loss, and resumes to the bit", async () => {
    const kept = new Map<string, string>();
    const remember: Remember = async (name, compute) => {
      if (!kept.has(name)) kept.set(name, JSON.stringify(await compute()));
      return JSON.parse(kept.get(name)!);
    };
    const whole = await trainPolynomialHead(features, labels, options);
    const begun = await trainPolynomialHead(features, labels, { ...options, remember });
    expect([...kept.keys()]).toEqual(["weston-watkins"]);
    const computed = kept.get("weston-watkins");
    const resumed = await trainPolynomialHead(features, labels, { ...options, remember });
    expect(kept.get("weston-watkins")).toBe(computed);
    expect(saveHead(resumed)).toEqual(saveHead(begun));
    const logits = async (head: RobustHead) => (await head.classifier.logits(features)).data;
    expect(await logits(resumed)).toEqual(await logits(whole));
    await trainPolynomialHead(features, labels, { ...options, remember, multiclass: "crammer-singer" });
    await trainPolynomialHead(features, labels, { ...options, remember, multiclass: "one-vs-all" });
    expect(kept.size).toBe(2 + first!.classes);
  });

  it("stops at an abort between rounds and keeps nothing; progress ends at its total", async () => {
    const kept: string[] = [];
    const remember: Remember = async (name, compute) => {
      const value = await compute();
      kept.push(name);
      return value;
    };
    const before = { ...options, remember, signal: AbortSignal.abort("now") };
    await expect(trainPolynomialHead(features, labels, before)).rejects.toThrow(AbortedError);
    const controller = new AbortController();
    const events: WorkEvent[] = [];
    // a tolerance that takes more than one round
    const during = { ...options, tolerance: 1e-9, remember, signal: controller.signal };
    const onEvent = (event: WorkEvent) => {
      events.push(event);
      controller.abort("now");
    };
    await expect(trainPolynomialHead(features, labels, { ...during, onEvent })).rejects.toThrow(AbortedError);
    expect([kept, events.length]).toEqual([[], 1]);
    const seen: WorkEvent[] = [];
    await trainPolynomialHead(features, labels, { ...options, remember, onEvent: (event) => seen.push(event) });
    expect(kept).toEqual(["weston-watkins"]);
    expect(seen.at(-1)).toMatchObject({ type: "progress", done: 60, total: 60 });
  });

  it.each([
    [
      "an unknown way",
      { multiclass: "sum" as "weston-watkins" },
      labels,
      SettingError,
      /options\.multiclass.*one-vs-all/,
    ],
    ["a negative radius", { radius: -1 }, labels, SettingError, /radius/],
    ["beta 0", { beta: 0 }, labels, SettingError, /beta/],
    ["a label out of range", {}, labels.map(() => 99), DataError, /labels/],
  ])("refuses %s", async (_, change, given, kind, message) => {
    const wrong = { ...options, ...change };
    await expect(trainPolynomialHead(features, given, wrong)).rejects.toThrow(kind);
    await expect(trainPolynomialHead(features, given, wrong)).rejects.toThrow(message);
  });
});
