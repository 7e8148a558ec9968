import { createRng, FormatError, type NumericBatch, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { linearToIsotropic } from "./commonCoordinates.js";
import { applyScaling, fitScaling } from "./featureScaling.js";
import { trainGatedHead } from "./gatedHead.js";
import { loadHead, saveHead } from "./headFile.js";
import { whiteningOf } from "./jacobian.js";
import { createLinearClassifier } from "./linearHead.js";
import { robustSamples, trainPolynomialHead } from "./polynomialHead.js";
import type { Multiclass } from "./polynomialTraining.js";
import type { Remember, RobustHead } from "./robustHead.js";

/** Three Gaussian classes in four dimensions. */
function clusters(samples: number, seed: number): { features: NumericBatch; labels: Int32Array } {
  const rng = createRng(seed);
  const labels = Int32Array.from({ length: samples }, (_, i) => i % 3);
  const data = Float64Array.from({ length: samples * 4 }, (_, i) => {
    const at = i % 4 === labels[Math.floor(i / 4)]! ? 4 : 0;
    return 2 + at + (1 + 0.5 * (i % 4)) * rng.normal();
  });
  return { features: { data, shape: [samples, 4] }, labels };
}

const { features, labels } = clusters(120, 1);
const isotropic = fitScaling(features);
const ellipsoid = fitScaling(
  features,
  whiteningOf(Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 + i : 0.3))),
);
const common = { name: "head", radius: 0.1, beta: 1e-2, classCount: 3, tolerance: 0.02 };
const polynomial = (scaling: typeof isotropic, remember?: Remember, multiclass?: Multiclass) =>
  trainPolynomialHead(features, labels, {
    ...common,
    scaling,
    classWeights: "none",
    ...(multiclass ? { multiclass } : {}),
    ...(remember ? { remember } : {}),
  });
const gated = (remember?: Remember) =>
  trainGatedHead(features, labels, {
    ...common,
    scaling: ellipsoid,
    gates: 8,
    rng: createRng(2),
    ...(remember ? { remember } : {}),
  });

/** Samples that some of many random points on the sphere around them (in the metric) breaks: an upper bound on robust samples. */
async function brokenByChance(head: RobustHead, radius: number): Promise<Uint8Array> {
  const rng = createRng(3);
  const broken = new Uint8Array(labels.length);
  for (let trial = 0; trial < 60; trial++) {
    const moved = { data: Float64Array.from(features.data), shape: features.shape };
    for (let i = 0; i < labels.length; i++) {
      const direction = Float64Array.from({ length: 4 }, () => rng.normal());
      const length = Math.hypot(...direction);
      for (let k = 0; k < 4; k++) moved.data[4 * i + k] += (isotropic.scale * radius * direction[k]) / length;
    }
    const predicted = predictedClasses(await head.classifier.logits(moved));
    for (let i = 0; i < labels.length; i++) if (predicted[i] !== labels[i]) broken[i] = 1;
  }
  return broken;
}

describe("robust heads", () => {
  it("come with evidence and are robust where they say so", async () => {
    const joint = [
      await polynomial(isotropic, undefined, "weston-watkins"),
      await polynomial(ellipsoid, undefined, "crammer-singer"),
    ];
    for (const head of [await polynomial(isotropic), await polynomial(ellipsoid), ...joint, await gated()]) {
      expect(head.evidence.lowerBound).toBeLessThanOrEqual(head.evidence.objective * (1 + 1e-12));
      expect(head.evidence.solved).toBe(head.evidence.gap <= 0.02);
      const predicted = predictedClasses(await head.classifier.logits(features));
      const correct = labels.filter((label, i) => label === predicted[i]).length;
      expect(correct).toBeGreaterThan(0.8 * labels.length);
      const clean = head.robustness(features, labels, 0, isotropic).robust;
      if (head.kind === "polynomial")
        expect([...clean]).toEqual(Array.from(labels, (label, i) => (label === predicted[i] ? 1 : 0)));
      const { robust } = head.robustness(features, labels, 0.3, isotropic);
      const broken = await brokenByChance(head, 0.3);
      for (let i = 0; i < labels.length; i++) expect(robust[i]! + broken[i]!).toBeLessThanOrEqual(1);
      expect(robust.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(0);
      expect(robust.reduce((sum, value) => sum + value, 0)).toBeLessThan(labels.length);
    }
  });

  it("go through their file unchanged", async () => {
    const joint = await polynomial(ellipsoid, undefined, "weston-watkins");
    for (const head of [await polynomial(ellipsoid), joint, await gated()]) {
      const bytes = saveHead(head);
      const again = loadHead(bytes);
      expect(again.evidence).toEqual(head.evidence);
      expect([again.name, again.kind, again.radius, again.beta]).toEqual([
        head.name,
        head.kind,
        head.radius,
        head.beta,
      ]);
      expect((await again.classifier.logits(features)).data).toEqual((await head.classifier.logits(features)).data);
      expect(saveHead(again)).toEqual(bytes);
      for (const cut of [0, 7, 40, bytes.length - 1]) expect(() => loadHead(bytes.slice(0, cut))).toThrow(FormatError);
    }
    expect(() => loadHead(new TextEncoder().encode("not a head file at all"))).toThrow(FormatError);
  });

  it("continue from what was remembered and then agree to the bit", async () => {
    const kept = new Map<string, string>();
    let computed = 0;
    const remember: Remember = async (name, compute) => {
      if (!kept.has(name)) {
        computed++;
        kept.set(name, JSON.stringify(await compute()));
      }
      return JSON.parse(kept.get(name)!);
    };
    const first = await polynomial(isotropic, remember);
    kept.delete("class-1");
    const logits = (await first.classifier.logits(features)).data;
    const recomputed = await polynomial(isotropic, remember);
    expect(computed).toBe(4);
    expect((await recomputed.classifier.logits(features)).data).toEqual(logits);
    const again = await polynomial(isotropic, remember);
    expect(computed).toBe(4);
    expect((await again.classifier.logits(features)).data).toEqual(logits);
  });

  it("measure a linear head exactly: margin over the length of the weight difference", async () => {
    const rng = createRng(8);
    const weights = {
      weight: Float64Array.from({ length: 12 }, () => rng.normal()),
      bias: Float64Array.of(0.3, -0.2, 0.1),
    };
    const logits = (await createLinearClassifier(weights).logits(features)).data;
    const predicted = predictedClasses({ data: logits, shape: [labels.length, 3] });
    const quadratics = linearToIsotropic(weights, isotropic);
    for (const radius of [0, 0.05, 0.3]) {
      const robust = robustSamples(quadratics, applyScaling(isotropic, features), predicted, radius);
      for (let i = 0; i < labels.length; i++) {
        const y = predicted[i]!;
        const margins = [0, 1, 2]
          .filter((c) => c !== y)
          .map((c) => {
            const length = Math.hypot(
              ...[0, 1, 2, 3].map((k) => weights.weight[4 * y + k]! - weights.weight[4 * c + k]!),
            );
            return logits[3 * i + y]! - logits[3 * i + c]! - radius * isotropic.scale * length;
          });
        const margin = Math.min(...margins);
        if (Math.abs(margin) > 1e-9) expect(robust[i]).toBe(margin > 0 ? 1 : 0);
      }
    }
  });
});
