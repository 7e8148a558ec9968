// How far features travel under a pixel budget, and the training radii this suggests (pilot measurements: design of the default set).
//   displacement_i = || z(image_i + delta_i) - z(image_i) ||_2   in the scaled coordinates of the head
// The training radius lives there, the attack budget in pixels; this file is the only bridge between the two, and an empirical one.

import { fgsm, pgd } from "@worstcase/attacks";
import {
  type Budget,
  type DifferentiableClassifier,
  distances,
  type FeatureExtractor,
  type LabelledBatch,
  type NumericBatch,
  type Rng,
  SettingError,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import { applyScaling, type FeatureScaling } from "./featureScaling.js";

export interface DisplacementSummary {
  readonly mean: number;
  readonly rootMeanSquare: number;
  /** Quantiles. */
  readonly p05: number;
  readonly p50: number;
  readonly p95: number;
}

export interface Calibration {
  readonly scaling: FeatureScaling;
  /** The pixel budget at which displacements were measured. */
  readonly budget: Budget;
  /** Displacements in scaled feature coordinates, `[samples]`, by attack on the backbone's own head. */
  readonly displacements: { readonly fgsm: Float64Array; readonly pgd: Float64Array };
}

export interface CalibrationOptions extends WorkOptions {
  readonly extractor: FeatureExtractor;
  /** Pixels to logits through the backbone's own head. */
  readonly classifier: DifferentiableClassifier;
  /** Training images; never test images. */
  readonly images: LabelledBatch;
  readonly scalings: readonly FeatureScaling[];
  readonly budget: Budget;
  readonly rng: Rng;
}

/** Measures displacements of the same attacked images in each scaling. Samples that are misclassified already are left out. */
export async function measureDisplacements(options: CalibrationOptions): Promise<Calibration[]> {
  const { extractor, classifier, images, budget, rng, signal, onEvent } = options;
  const work = { budget, signal, onEvent };
  const clean = await extractor.features(images.inputs);
  const attacked: NumericBatch[] = [];
  for (const attack of [fgsm(), pgd({ steps: 7, restarts: 0, stopWhenFooled: false })]) {
    const moved = await attack.run(classifier, images, { ...work, rng: rng.fork(attack.name) });
    attacked.push(await extractor.features(moved));
  }
  return options.scalings.map((scaling) => {
    const origin = applyScaling(scaling, clean);
    const [byFgsm, byPgd] = attacked.map((features) =>
      distances(origin, applyScaling(scaling, features), "l2").filter((d) => d > 0),
    );
    return { scaling, budget, displacements: { fgsm: byFgsm!, pgd: byPgd! } };
  });
}

/** Mean, root mean square and quantiles of displacements. Zeros for an empty list. */
export function summarise(displacements: Float64Array): DisplacementSummary {
  const sorted = displacements.toSorted();
  const count = Math.max(1, sorted.length);
  const sum = (power: number) => sorted.reduce((total, value) => total + value ** power, 0) / count;
  const quantile = (p: number) => sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0;
  return {
    mean: sum(1),
    rootMeanSquare: Math.sqrt(sum(2)),
    p05: quantile(0.05),
    p50: quantile(0.5),
    p95: quantile(0.95),
  };
}

/** Fraction of the displacements that a training radius covers, in [0, 1]. */
export function coverage(displacements: Float64Array, radius: number): number {
  return displacements.filter((value) => value <= radius).length / Math.max(1, displacements.length);
}

export interface RadiusChoice {
  readonly radius: number;
  /** Fraction of measured displacements within the radius: what it means in pixels. */
  readonly coveredFgsm: number;
  readonly coveredPgd: number;
  readonly warnings: readonly Warning[];
}

/** Above this isotropic radius (in mean feature norms) no useful head was found on real features: one-vs-all training collapses. */
const largestUsefulRadius = 0.4;

/**
 * A training radius for a calibrated set: `radius` in units of the mean feature norm for the isotropic set, or `tau` times the root mean
 * square displacement by PGD for the ellipsoid. Throws SettingError unless the given number is positive and finite.
 */
export function chooseRadius(calibration: Calibration, request: { radius: number } | { tau: number }): RadiusChoice {
  const [argument, value] = "tau" in request ? ["tau", request.tau] : ["radius", request.radius];
  if (!(Number.isFinite(value) && value > 0))
    throw new SettingError({ argument, expected: "a finite number > 0", received: value });
  const { fgsm: byFgsm, pgd: byPgd } = calibration.displacements;
  const radius = "tau" in request ? value * summarise(byPgd).rootMeanSquare : value;
  const warnings: Warning[] = [];
  if (calibration.scaling.kind === "isotropic" && radius > largestUsefulRadius) {
    const message = `isotropic radius ${radius} is above ${largestUsefulRadius} mean feature norms; one-vs-all heads collapse there`;
    warnings.push({ code: "large-radius", message });
  }
  return { radius, coveredFgsm: coverage(byFgsm, radius), coveredPgd: coverage(byPgd, radius), warnings };
}
