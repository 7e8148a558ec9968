import { readFileSync } from "node:fs";
import {
  createRng,
  type DifferentiableClassifier,
  type LabelledBatch,
  predictedClasses,
  takeSamples,
} from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { AttackUnit } from "./attackUnit.js";
import { evaluateRobustness } from "./evaluateRobustness.js";
import { fgsm } from "./fgsm/fgsm.js";
import { pgd } from "./pgd/pgd.js";
import { evaluateStandard, standardSuite } from "./standardSuite.js";
import { type StoredNetwork, storedImages, storedNetwork } from "./testing/reluNetwork.js";
import { linearMargin, linearToy, quadraticToy, quantisedToy } from "./testing/toyClassifiers.js";

const names = (
  classCount: number,
  norm: "linf" | "l2" | "l1" = "linf",
  preset?: "standard" | "plus" | "rand" | "quick",
) => standardSuite({ classCount }, { norm, preset }).attacks.map(({ name }) => name);

describe("standardSuite", () => {
  it("has the published members and settings for ten classes", () => {
    const { attacks, choices, warnings } = standardSuite({ classCount: 10 }, { norm: "linf" });
    expect(attacks.map(({ name }) => name)).toEqual([
      "apgd cross-entropy",
      "apgd dlr, 9 targets",
      "fab, 9 targets",
      "square",
    ]);
    expect(attacks.map(({ attack }) => attack.settings)).toMatchObject([
      { loss: "cross-entropy", steps: 100, restarts: 1, targets: 0, halving: 0.75 },
      { loss: "dlr", steps: 100, restarts: 1, targets: 9 },
      { targets: 9, steps: 100, restarts: 1, largestPull: 0.1, overshoot: 1.05, backward: 0.9 },
      { queries: 5000, firstShare: 0.8, restarts: 1 },
    ]);
    expect(choices).toEqual([]);
    expect(warnings).toEqual([]);
    expect(names(10, "l2", "plus")).toEqual([
      "apgd cross-entropy",
      "apgd dlr",
      "fab",
      "square",
      "apgd dlr, 9 targets",
      "fab, 9 targets",
    ]);
    expect(names(10, "linf", "rand")).toEqual(["apgd cross-entropy", "apgd dlr"]);
  });

  it("adapts losses and targets to few classes, and says so", () => {
    expect(names(2)).toEqual(["apgd cross-entropy", "apgd margin, 1 target", "fab, 1 target", "square"]);
    expect(names(3)).toEqual(["apgd cross-entropy", "apgd margin, 2 targets", "fab, 2 targets", "square"]);
    expect(names(5)).toEqual(["apgd cross-entropy", "apgd dlr, 4 targets", "fab, 4 targets", "square"]);
    expect(names(2, "linf", "rand")).toEqual(["apgd cross-entropy", "apgd margin"]);
    expect(names(3, "linf", "rand")).toEqual(["apgd cross-entropy", "apgd dlr"]);
    const few = standardSuite({ classCount: 2 }, { norm: "linf", preset: "plus" });
    expect(few.warnings.map(({ code }) => code)).toEqual(["few-classes", "few-classes"]);
    expect(few.choices.join()).toMatch(/1 target, all other classes.*2 classes: the dlr loss is not defined/);
    expect(standardSuite({ classCount: 5 }, { norm: "linf" }).warnings).toEqual([]);
    // the published settings in l1: 5 restarts, 5 targets
    const sparse = standardSuite({ classCount: 10 }, { norm: "l1" });
    expect(sparse.choices).toEqual([]);
    expect(sparse.attacks.map(({ name }) => name)).toEqual([
      "apgd cross-entropy",
      "apgd dlr, 5 targets",
      "fab, 9 targets",
      "square",
    ]);
    expect(sparse.attacks[0].attack.settings).toMatchObject({ restarts: 5 });
  });

  it("runs its APGD members along the gradients of a surrogate too, before the black box", () => {
    const surrogate = linearToy([[1], [0], [2], [3]], [0, 0, 0, 0]);
    const { attacks, choices } = standardSuite({ classCount: 4 }, { norm: "l2", surrogate });
    expect(attacks.map(({ name }) => name)).toEqual([
      "apgd cross-entropy",
      "apgd dlr, 3 targets",
      "apgd cross-entropy, surrogate",
      "apgd dlr, 3 targets, surrogate",
      "fab, 3 targets",
      "square",
    ]);
    expect(attacks.map((member) => member.surrogate)).toEqual([
      undefined,
      undefined,
      surrogate,
      surrogate,
      undefined,
      undefined,
    ]);
    expect(choices.join()).toContain(surrogate.id);
  });

  it("breaks through hard steps with the surrogate, and takes that for masking", async () => {
    const smooth = linearToy(
      [
        [1, -1],
        [-1, 1],
      ],
      [0, 0],
      { lower: 0, upper: 1 },
    );
    const model = quantisedToy(smooth, 0.1);
    const rng = createRng(4);
    const inputs = { data: Float64Array.from({ length: 80 }, () => rng.uniform()), shape: [40, 2] };
    const labels = predictedClasses(await model.logits(inputs));
    const batch = { inputs, labels, indices: Int32Array.from(labels.keys()) };
    const options = { norm: "linf", epsilons: [0.2], preset: "rand" } as const;
    const blind = await evaluateStandard(model, batch, { ...options, rng: createRng(1) });
    const seeing = await evaluateStandard(model, batch, { ...options, surrogate: smooth, rng: createRng(1) });
    expect(seeing.worst[0].correct).toBeLessThan(blind.worst[0].correct);
    // the corner along the slope is the worst case of the linear model under the steps; two steps of rounding may save a few
    const exact = Array.from(labels, (label, i) => {
      const [x, y] = [inputs.data[2 * i], inputs.data[2 * i + 1]];
      const clip = (v: number) => Math.round(10 * Math.min(1, Math.max(0, v))) / 10;
      const towards = label === 0 ? -0.2 : 0.2;
      const difference = clip(x + towards) - clip(y - towards);
      return label === 0 ? difference >= 0 : difference < 0;
    }).filter(Boolean).length;
    expect(seeing.worst[0].correct).toBe(exact);
    expect(seeing.masking.codes).toContain("gradient-masking");
  });

  it("gives a black box the attacks that need no gradients, and says what it left out", async () => {
    const { logits, ...rest } = linearToy(
      [
        [1, -1],
        [-1, 1],
      ],
      [0, 0],
      { lower: 0, upper: 1 },
    );
    const model = { id: rest.id, inputShape: rest.inputShape, classCount: 2, bounds: rest.bounds, logits };
    const inputs = { data: Float64Array.of(0.9, 0.1, 0.2, 0.3), shape: [2, 2] };
    const batch = { inputs, labels: Int32Array.of(0, 1), indices: Int32Array.of(0, 1) };
    const options = { norm: "linf", epsilons: [0.1], rng: createRng(1) } as const;
    const result = await evaluateStandard(model, batch, options);
    expect(result.attacks.map(({ name }) => name)).toEqual(["square"]);
    // margins 0.8 and 0.1 against 2 epsilon
    expect(result.worst[0].correct).toBe(1);
    expect(result.suite.choices.filter((choice) => choice.endsWith("the model gives no gradients"))).toHaveLength(3);
    const surrogate = linearToy(
      [
        [1, -1],
        [-1, 1],
      ],
      [0, 0],
      { lower: 0, upper: 1 },
    );
    const seeing = await evaluateStandard(model, batch, { ...options, surrogate });
    expect(seeing.attacks.map(({ name }) => name)).toHaveLength(3);
    expect(() => standardSuite(model, { norm: "linf", preset: "rand", blackBox: true })).toThrow(/without gradients/);
  });

  it("refuses unknown presets and norms", () => {
    expect(() => standardSuite({ classCount: 3 }, { norm: "linf", preset: "fast" as never })).toThrow(
      /standard, plus, rand/,
    );
    expect(() => standardSuite({ classCount: 3 }, { norm: "l0" as never })).toThrow(/linf, l2 or l1/);
  });
});

const models: Record<string, StoredNetwork> = JSON.parse(
  readFileSync(new URL("../fixtures/models.json", import.meta.url), "utf8"),
).models;
const reference: { model: string; norm?: string; attack: string; correctSmall: number[] }[] = JSON.parse(
  readFileSync(new URL("../fixtures/reference.json", import.meta.url), "utf8"),
).entries;

describe("evaluateStandard", () => {
  it("leaves as many of 120 images as AutoAttack, and every member leaves at most what is before it (l2)", {
    timeout: 60_000,
  }, async () => {
    const batch = storedImages(models.ten);
    const model = storedNetwork("ten", models.ten);
    const result = await evaluateStandard(model, batch, { norm: "l2", epsilons: [1], rng: createRng(0) });
    const expected = reference.find(
      (e) => e.model === "ten" && e.norm === "l2" && e.attack === "standard suite",
    )?.correctSmall;
    expect(expected).toContain(result.worst[0].correct);
    const after = result.attacks.map(({ accuracy }) => accuracy[0].correct);
    expect([result.clean.correct, ...after]).toEqual([result.clean.correct, ...after].sort((a, b) => b - a));
    expect(after.at(-1)).toBe(result.worst[0].correct);
    expect(result.suite).toEqual({ preset: "standard", classCount: 10, choices: [] });
    expect(result.masking.suspected).toBe(false);
    expect(result.warnings).toEqual([]);
    // only survivors go on: the number of clean passes of each attack is bounded by them
    expect(result.attacks[3].calls.gradient).toBe(0);
    expect(result.attacks[3].calls.forward).toBeLessThanOrEqual(after[2] * 5003);
  });

  it("orders suite <= APGD <= PGD <= FGSM <= clean on the stored networks", { timeout: 60_000 }, async () => {
    for (const [name, epsilons] of [
      ["ten", [0.13]],
      ["three", [0.08, 0.16]],
    ] as const) {
      const batch = storedImages(models[name]);
      const model = storedNetwork(name, models[name]);
      const options = { norm: "linf", epsilons, rng: createRng(1) } as const;
      const suite = await evaluateStandard(model, batch, { ...options, preset: "quick" });
      const attacks = [
        { name: "fgsm", attack: fgsm() },
        { name: "pgd", attack: pgd({ restarts: 0 }) },
      ];
      const plain = await evaluateRobustness(model, batch, { ...options, attacks });
      for (const e of epsilons.keys()) {
        const [single, many] = plain.attacks.map(({ accuracy }) => accuracy[e].correct);
        const apgdAfter = suite.attacks[1].accuracy[e].correct;
        const chain = [suite.worst[e].correct, apgdAfter, many, single, plain.clean.correct];
        expect(chain).toEqual([...chain].sort((a, b) => a - b));
      }
    }
  });

  it("equals the exact accuracy of linear models with 2 classes, in bounds too", async () => {
    const weights = [
      [1, -0.5, 0.2, 0.1, 0.7, -0.3],
      [-0.4, 0.9, 0, 0.3, -0.2, 0.5],
    ];
    const model = linearToy(weights, [0.05, -0.05], { lower: 0, upper: 1 });
    const batch = await toyBatch(model, 60, 6);
    const epsilons = [0.05, 0.15];
    const result = await evaluateStandard(model, batch, { norm: "linf", epsilons, rng: createRng(1) });
    for (const [e, epsilon] of epsilons.entries()) {
      let robust = 0;
      for (let i = 0; i < 60; i++) {
        const x = batch.inputs.data.subarray(6 * i, 6 * i + 6);
        const label = batch.labels[i];
        const worst = weights[label].reduce(
          (sum, w, k) => {
            const slope = weights[1 - label][k] - w;
            return sum + Math.abs(slope) * Math.min(epsilon, slope > 0 ? 1 - x[k] : x[k]);
          },
          linearMargin(model, x, label),
        );
        if (worst < 0) robust++;
      }
      expect(result.worst[e].correct).toBe(robust);
    }
    expect(result.warnings.map(({ code }) => code)).toEqual(["few-classes"]);
  });

  it.each([2, 3, 4, 5, 9])("runs all presets with %i classes", { timeout: 60_000 }, async (classes) => {
    const rng = createRng(9);
    const centres = Array.from({ length: classes }, () => Array.from({ length: 4 }, () => rng.uniform()));
    const model = quadraticToy(centres, { lower: 0, upper: 1 });
    const batch = await toyBatch(model, 12, 4);
    for (const preset of ["quick", "rand", "standard"] as const) {
      for (const norm of ["linf", "l2", "l1"] as const) {
        if (preset === "standard" && classes > 3) continue;
        const result = await evaluateStandard(model, batch, { norm, epsilons: [0.05], preset, rng: createRng(1) });
        expect(result.worst[0].correct).toBeLessThanOrEqual(result.clean.correct);
        expect(result.suite.classCount).toBe(classes);
      }
    }
  });

  it("flags a quantised model and a saturated one", async () => {
    const weights = [
      [1, -0.5, 0.2, 0.1],
      [-0.4, 0.9, 0, 0.3],
      [0.1, 0.2, 0.9, -0.8],
    ];
    const smooth = linearToy(weights, [0, 0, 0], { lower: 0, upper: 1 });
    const batch = await toyBatch(smooth, 200, 4);
    const options = { norm: "linf", epsilons: [0.2], preset: "quick", rng: createRng(1) } as const;
    const honest = await evaluateStandard(smooth, batch, options);
    expect(honest.masking).toEqual({ suspected: false, codes: [] });
    const quantised = await evaluateStandard(quantisedToy(smooth, 0.1), batch, options);
    expect(quantised.masking.suspected).toBe(true);
    expect(quantised.masking.codes).toEqual(["black-box-stronger", "zero-gradient"]);
    const saturated = await evaluateStandard(sharpened(smooth, 1e4), batch, options);
    expect(saturated.warnings.map(({ code }) => code)).toContain("saturated-gradient");
    // the same predictions: an honest evaluation is not misled, thanks to the scale-free losses
    expect(saturated.worst[0].correct).toBeLessThanOrEqual(honest.worst[0].correct + 1);
  });

  it("resumes a half-finished evaluation with warm starts exactly, also through JSON", async () => {
    const model = storedNetwork("three", models.three);
    const batch = takeSamples(
      storedImages(models.three),
      Int32Array.from({ length: 20 }, (_, i) => i),
    );
    const run = (completed: AttackUnit[] = [], signal?: AbortSignal, onUnit: (unit: AttackUnit) => void = () => {}) =>
      evaluateStandard(model, batch, {
        norm: "linf",
        epsilons: [0.1, 0.15, 0.2],
        preset: "quick",
        warmStart: true,
        rng: createRng(2),
        completed,
        signal,
        onEvent: (event) => event.type === "unit" && onUnit(event.unit),
      });
    const whole = await run();
    const kept: AttackUnit[] = [];
    const controller = new AbortController();
    const interrupted = run([], controller.signal, (unit) => {
      if (kept.push(JSON.parse(JSON.stringify(unit))) === 4) controller.abort();
    });
    await expect(interrupted).rejects.toMatchObject({ code: "aborted" });
    let fresh = 0;
    const resumed = await run(kept, undefined, () => fresh++);
    expect(fresh).toBe(9 - 4);
    const numbers = (units: readonly AttackUnit[]) => units.map(({ seconds: _, ...rest }) => rest);
    expect(numbers(resumed.units)).toEqual(numbers(whole.units));
    expect(resumed.worst).toEqual(whole.worst);
    // accuracy falls along the curve
    const curve = whole.worst.map(({ correct }) => correct);
    expect(curve).toEqual([...curve].sort((a, b) => b - a));
    await expect(run([{ ...kept[1], fingerprint: "other" }])).rejects.toMatchObject({ code: "data" });
  });

  it("takes transferred points as a member of the suite", async () => {
    const target = storedNetwork("three", models.three);
    const batch = storedImages(models.three);
    const sources = [{ name: "twin", model: storedNetwork("twin", models.three) }];
    const result = await evaluateStandard(target, batch, {
      norm: "linf",
      epsilons: [0.1],
      preset: "quick",
      sources,
      rng: createRng(1),
    });
    expect(result.attacks.map(({ name }) => name)).toEqual([
      "apgd cross-entropy",
      "apgd margin, 2 targets",
      "square",
      "transfer from twin",
    ]);
  });
});

/** Uniform points labelled with the classes the model predicts. */
async function toyBatch(model: DifferentiableClassifier, samples: number, features: number): Promise<LabelledBatch> {
  const rng = createRng(21);
  const inputs = {
    data: Float64Array.from({ length: samples * features }, () => rng.uniform()),
    shape: [samples, features],
  };
  const labels = predictedClasses(await model.logits(inputs));
  return { inputs, labels, indices: Int32Array.from({ length: samples }, (_, i) => i) };
}

/** The model with its logits multiplied, so that the softmax is saturated. */
function sharpened(model: DifferentiableClassifier, factor: number): DifferentiableClassifier {
  const sharp = linearToy(
    (model as ReturnType<typeof linearToy>).weights.map((row) => row.map((w) => factor * w)),
    (model as ReturnType<typeof linearToy>).bias.map((b) => factor * b),
    model.bounds,
  );
  return { ...sharp, id: "sharpened" };
}
