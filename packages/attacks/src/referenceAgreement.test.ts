// Each attack on the committed networks beside what AutoAttack, torchattacks and Foolbox reached there (fixtures/reference.json, made by
// fixtures/reference.py): survivors of the first images, for three seeds. Only what takes seconds is here; apps/bench does all of it over
// 1,000 images.

import { readFileSync } from "node:fs";
import { type Classifier, createRng, distances, type Norm, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { apgd } from "./apgd/apgd.js";
import type { Attack } from "./attack.js";
import { deepFool } from "./deepfool/deepfool.js";
import { evaluateAttack } from "./evaluateAttack.js";
import { fab } from "./fab/fab.js";
import { fgsm } from "./fgsm/fgsm.js";
import { hopSkipJump } from "./hop-skip-jump/hopSkipJump.js";
import { miFgsm } from "./mi-fgsm/miFgsm.js";
import { type MinimumNormAttack, withinBudget } from "./minimumNorm.js";
import { pgd } from "./pgd/pgd.js";
import { square } from "./square/square.js";
import { type StoredNetwork, storedImages, storedNetwork } from "./testing/reluNetwork.js";

interface ReferenceEntry {
  readonly model: string;
  readonly attack: string;
  readonly norm: Norm;
  readonly kind?: string;
  readonly epsilon: number;
  readonly correctSmall: readonly number[];
  readonly median: readonly number[];
  readonly medianSmall: readonly number[];
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8"));
const models: Record<string, StoredNetwork> = read("models.json").models;
const entries: ReferenceEntry[] = read("reference.json").entries;

function entryOf(model: string, norm: Norm, attack: string, kind: string): ReferenceEntry {
  const found = entries.find((e) => e.model === model && e.norm === norm && e.attack === attack && e.kind === kind);
  if (!found) throw new Error(`no reference for ${attack} in ${norm} on ${model}`);
  return found;
}

const known: Record<string, () => Attack | Attack<Classifier>> = {
  "apgd cross-entropy": () => apgd(),
  "apgd dlr": () => apgd({ loss: "dlr" }),
  "apgd targeted": () => apgd({ loss: "dlr", targets: 9 }),
  "fab targeted": () => withinBudget(fab()),
  square: () => square(),
  "mi-fgsm": () => miFgsm(),
  pgd: () => pgd({ loss: "cross-entropy", schedule: "constant" }),
  fgsm: () => fgsm({ loss: "cross-entropy" }),
};

describe("survivors of the first images", () => {
  it("classifies them as PyTorch does", async () => {
    for (const [name, stored] of Object.entries(models)) {
      const batch = storedImages(stored);
      const predicted = predictedClasses(await storedNetwork(name, stored).logits(batch.inputs));
      const correct = predicted.filter((c, i) => c === batch.labels[i]).length;
      expect(correct).toBe(entries.find((e) => e.model === name && e.attack === "clean")?.correctSmall[0]);
    }
  });

  // slack in images beyond the extremes of the reference's three seeds
  it.each<[string, Norm, string, number]>([
    ["ten", "linf", "apgd cross-entropy", 1],
    ["ten", "linf", "apgd dlr", 1],
    ["ten", "linf", "fgsm", 0],
    ["ten", "linf", "mi-fgsm", 1],
    ["ten", "linf", "pgd", 1],
    ["ten", "l2", "apgd cross-entropy", 1],
    ["ten", "l2", "apgd dlr", 2],
    ["ten", "l2", "apgd targeted", 1],
    ["ten", "l2", "fab targeted", 0],
    ["ten", "l1", "apgd cross-entropy", 2],
    ["ten", "l1", "apgd targeted", 1],
    ["ten", "l1", "fab targeted", 1],
    ["three", "linf", "apgd dlr", 0],
    ["three", "linf", "fab targeted", 0],
    ["three", "l2", "apgd cross-entropy", 1],
    ["three", "l2", "fab targeted", 0],
    ["three", "l2", "square", 2],
    ["three", "l1", "apgd cross-entropy", 1],
    ["three", "l1", "fab targeted", 0],
    ["three", "l1", "square", 3],
  ])("%s, %s: %s", { timeout: 60_000 }, async (model, norm, attack, slack) => {
    const { correctSmall, epsilon } = entryOf(model, norm, attack, "budget");
    const batch = storedImages(models[model]);
    const budget = { norm, epsilon };
    const options = { budget, rng: createRng(0), batchSize: 200 };
    const result = await evaluateAttack(storedNetwork(model, models[model]), batch, known[attack](), options);
    const survivors = result.fooled.filter((fooled) => fooled === 0).length;
    expect(result.warnings).toEqual([]);
    expect(survivors).toBeGreaterThanOrEqual(Math.min(...correctSmall) - slack);
    expect(survivors).toBeLessThanOrEqual(Math.max(...correctSmall) + slack);
  });
});

describe("median distance of the nearest points found", () => {
  async function median(model: string, attack: MinimumNormAttack | MinimumNormAttack<Classifier>, norm: Norm) {
    const network = storedNetwork(model, models[model]);
    const batch = storedImages(models[model]);
    const found = await (attack as MinimumNormAttack).find(network, batch, { norm, rng: createRng(0) });
    const clean = predictedClasses(await network.logits(batch.inputs));
    const after = predictedClasses(await network.logits(found));
    const list = Array.from(distances(batch.inputs, found, norm), (d, i) =>
      after[i] === batch.labels[i] ? Number.POSITIVE_INFINITY : d,
    );
    const correct = list.filter((_, i) => clean[i] === batch.labels[i]).sort((a, b) => a - b);
    return correct[Math.floor((correct.length - 1) / 2)];
  }

  it.each<[string, Norm, string, () => MinimumNormAttack, number]>([
    ["three", "linf", "fab", () => fab({ targets: 0 }), 1e-3],
    ["three", "linf", "fab targeted", () => fab(), 1e-3],
    ["three", "l2", "fab targeted", () => fab(), 1e-3],
    ["three", "l1", "fab targeted", () => fab(), 1e-3],
    ["three", "linf", "deepfool", () => deepFool(), 1e-3],
    ["three", "l2", "deepfool", () => deepFool(), 1e-3],
    ["ten", "linf", "deepfool", () => deepFool(), 1e-3],
  ])("%s, %s: %s", { timeout: 60_000 }, async (model, norm, name, attack, tolerance) => {
    const { medianSmall } = entryOf(model, norm, name, "distance");
    const ours = await median(model, attack(), norm);
    expect(Math.abs(ours / medianSmall[0] - 1)).toBeLessThan(tolerance);
  });

  it.each<Norm>(["linf", "l2"])(
    "hop-skip-jump is not weaker than the reference (%s)",
    { timeout: 60_000 },
    async (norm) => {
      const found = entries.find((e) => e.model === "three" && e.norm === norm && e.attack === "hop-skip-jump");
      const ours = await median("three", hopSkipJump({ steps: 16 }), norm);
      expect(ours).toBeLessThanOrEqual(Math.max(...(found?.median ?? [])));
    },
  );
});
