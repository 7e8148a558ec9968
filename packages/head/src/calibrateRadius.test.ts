import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { attach } from "./attach.js";
import { chooseRadius, coverage, measureDisplacements, summarise } from "./calibrateRadius.js";
import { fitScaling } from "./featureScaling.js";
import { createLinearClassifier } from "./linearHead.js";
import { randomBatch, toyExtractor } from "./testing/toyExtractor.js";

describe("calibration", () => {
  const extractor = toyExtractor([6], 4);
  const rng = createRng(1);
  const head = createLinearClassifier({
    weight: Float64Array.from({ length: 8 }, () => rng.normal()),
    bias: new Float64Array(2),
  });
  const classifier = attach(extractor, head);
  const inputs = randomBatch([30, 6], 3);

  it("measures displacements no larger than the Lipschitz bound and scales like the budget", async () => {
    const features = await extractor.features(inputs);
    const logits = await classifier.logits(inputs);
    const labels = Int32Array.from({ length: 30 }, (_, i) => (logits.data[2 * i] > logits.data[2 * i + 1] ? 0 : 1));
    const images = { inputs, labels, indices: Int32Array.from({ length: 30 }, (_, i) => i) };
    const scaling = fitScaling(features);
    const measure = (epsilon: number) =>
      measureDisplacements({
        extractor,
        classifier,
        images,
        scalings: [scaling],
        budget: { norm: "linf", epsilon },
        rng,
      });
    const [small] = await measure(1e-4);
    const [large] = await measure(2e-4);
    // tanh has slope at most 1, so the displacement is at most the Frobenius norm of the weights times the l2 length of the step
    const identity = new Float64Array(4 * 4).map((_, i) => (i % 5 === 0 ? 1 : 0));
    const zero = { data: new Float64Array(4 * 6), shape: [4, 6] };
    const frobenius = Math.hypot(...(await extractor.pullback(zero, { data: identity, shape: [4, 4] })).data);
    for (const kind of ["fgsm", "pgd"] as const) {
      const values = small!.displacements[kind];
      expect(values.length).toBeGreaterThan(20);
      for (const value of values) expect(value).toBeLessThanOrEqual((frobenius * 1e-4 * Math.sqrt(6)) / scaling.scale);
    }
    const ratio = summarise(large!.displacements.fgsm).mean / summarise(small!.displacements.fgsm).mean;
    expect(ratio).toBeCloseTo(2, 1);
  });

  it("summarises and covers", () => {
    const values = Float64Array.of(4, 1, 3, 2);
    expect(summarise(values)).toEqual({ mean: 2.5, rootMeanSquare: Math.sqrt(7.5), p05: 1, p50: 3, p95: 4 });
    expect(coverage(values, 2)).toBe(0.5);
    expect(summarise(new Float64Array(0)).mean).toBe(0);
  });

  it("chooses radii and warns above the useful range", () => {
    const scaling = { kind: "isotropic", centre: new Float64Array(1), whitening: null, scale: 1 } as const;
    const displacements = { fgsm: Float64Array.of(0.1, 0.3), pgd: Float64Array.of(0.3, 0.4) };
    const calibration = { scaling, budget: { norm: "linf", epsilon: 1 / 255 } as const, displacements };
    expect(chooseRadius(calibration, { radius: 0.2 })).toEqual({
      radius: 0.2,
      coveredFgsm: 0.5,
      coveredPgd: 0,
      warnings: [],
    });
    expect(chooseRadius(calibration, { radius: 0.5 }).warnings[0]!.code).toBe("large-radius");
    expect(chooseRadius(calibration, { tau: 2 }).radius).toBeCloseTo(2 * Math.sqrt(0.125), 12);
    expect(() => chooseRadius(calibration, { tau: Number.NaN })).toThrow(/tau/);
  });
});
