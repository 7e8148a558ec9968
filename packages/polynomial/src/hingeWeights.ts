// Weight kappa_i of each sample's loss in the objective: mean or sum, times class and sample weights.

import { DataError, SettingError, ShapeError } from "@worstcase/core";
import type { SignLabels } from "./inputs.js";
import type { MarginLoss } from "./marginLoss.js";

export type HingeLoss = "mean-hinge" | "sum-hinge";

/** Mean or sum over the samples of a loss of the worst margin (`marginLoss.ts`). */
export type TrainingLoss = `${"mean" | "sum"}-${MarginLoss}`;

const trainingLosses: readonly TrainingLoss[] = [
  ...(["mean-hinge", "sum-hinge", "mean-squared-hinge", "sum-squared-hinge", "mean-logistic", "sum-logistic"] as const),
];

/** The loss of one sample: `mean-squared-hinge` to `squared-hinge`. */
export function marginLossOf(loss: TrainingLoss): MarginLoss {
  return loss.slice(loss.indexOf("-") + 1) as MarginLoss;
}

/** `balanced` gives both classes the same total weight; a pair is the weight of class -1 and of class +1. */
export type ClassWeights = "balanced" | readonly [negative: number, positive: number];

export interface HingeWeightOptions {
  readonly loss?: TrainingLoss | undefined;
  readonly classWeights?: ClassWeights | undefined;
  /** Nonnegative, not all zero, `[samples]`. */
  readonly sampleWeights?: ArrayLike<number> | undefined;
}

/** kappa_i, `[samples]`. Mean losses: they sum to 1 without weights. Throws typed errors on malformed weights. */
export function hingeWeights(labels: SignLabels, options: HingeWeightOptions): Float64Array {
  const n = labels.length;
  const { loss = "mean-hinge", classWeights, sampleWeights } = options;
  if (!trainingLosses.includes(loss)) {
    const expected = `one of ${trainingLosses.join(", ")}`;
    throw new SettingError({ argument: "options.loss", expected, received: loss });
  }
  const weights = new Float64Array(n).fill(loss.startsWith("mean") ? 1 / n : 1);
  if (sampleWeights) {
    if (sampleWeights.length !== n) {
      const received = sampleWeights.length;
      throw new ShapeError({ argument: "options.sampleWeights", expected: `${n} values`, received });
    }
    let total = 0;
    for (let i = 0; i < n; i++) {
      const weight = sampleWeights[i];
      if (!Number.isFinite(weight) || weight < 0) {
        const argument = `options.sampleWeights[${i}]`;
        throw new DataError({ argument, expected: "a finite number >= 0", received: weight });
      }
      weights[i] *= weight;
      total += weight;
    }
    if (total === 0) {
      throw new DataError({ argument: "options.sampleWeights", expected: "a positive sum", received: 0 });
    }
  }
  if (classWeights === undefined) return weights;
  const sums = [0, 0];
  for (let i = 0; i < n; i++) sums[labels[i] > 0 ? 1 : 0] += weights[i];
  let factors: readonly number[];
  if (classWeights === "balanced") {
    if (sums[0] === 0 || sums[1] === 0) {
      const hint = "leave classWeights out";
      throw new DataError({ argument: "labels", expected: "both classes for balanced weights", received: "one", hint });
    }
    factors = sums.map((sum) => (sums[0] + sums[1]) / (2 * sum));
  } else {
    const valid = Array.isArray(classWeights) && classWeights.length === 2;
    if (!valid || !classWeights.every((weight) => Number.isFinite(weight) && weight > 0)) {
      const expected = "balanced, or two finite numbers > 0: for class -1 and +1";
      throw new SettingError({ argument: "options.classWeights", expected, received: classWeights });
    }
    factors = classWeights;
  }
  for (let i = 0; i < n; i++) weights[i] *= factors[labels[i] > 0 ? 1 : 0];
  return weights;
}
