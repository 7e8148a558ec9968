// Cross-validation over radii and betas: stratified folds, every row judged once by a model that has not seen it.
//   accuracy(r, beta) = share of held-out rows predicted right
//   robustAccuracy(r, beta) = share that stays right on the l2 ball of one evaluation radius, the same for all settings

import { createRng, DataError, gatherBatch, type NumericBatch } from "@worstcase/core";
import type { PolynomialModel } from "@worstcase/polynomial";
import { type Accuracy, shareOf } from "./accuracy.js";

export interface Setting {
  readonly radius: number;
  readonly beta: number;
}

interface PathPoint extends Setting {
  readonly accuracy: Accuracy;
  readonly robustAccuracy: Accuracy;
  /** Largest certified gap over the folds. */
  readonly worstGap: number;
}

export interface CrossValidation {
  readonly folds: number;
  readonly seed: number;
  /** In the units of each fold's model. */
  readonly evaluationRadius: number;
  readonly path: readonly PathPoint[];
  /** Best exact robust accuracy, then best accuracy, then the larger beta. */
  readonly chosen: Setting;
}

export interface CrossValidateOptions {
  readonly settings: readonly Setting[];
  readonly folds: number;
  readonly seed: number;
  readonly evaluationRadius: number;
  readonly classes: readonly string[];
  readonly train: (
    inputs: NumericBatch,
    labels: Int32Array,
    setting: Setting,
  ) => { readonly model: PolynomialModel; readonly gap: number };
}

/** inputs `[rows, features]`, labels: class indices `[rows]`. Throws DataError when a class has fewer than two rows. */
export function crossValidate(
  inputs: NumericBatch,
  labels: Int32Array,
  { settings, folds, seed, evaluationRadius, classes, train }: CrossValidateOptions,
): CrossValidation {
  const foldOf = assignFolds(labels, folds, seed, classes);
  const rows = Array.from(labels.keys());
  const parts = Array.from({ length: folds }, (_, fold) => {
    const [held, kept] = [rows.filter((i) => foldOf[i] === fold), rows.filter((i) => foldOf[i] !== fold)];
    const part = (places: number[]) => ({
      inputs: gatherBatch(inputs, places),
      labels: Int32Array.from(places, (i) => labels[i]!),
      places,
    });
    return { held: part(held), kept: part(kept) };
  }).filter(({ held }) => held.places.length > 0);
  const path = settings.map((setting): PathPoint => {
    const right = new Uint8Array(labels.length);
    const robust = new Uint8Array(labels.length);
    let worstGap = 0;
    for (const { held, kept } of parts) {
      const { model, gap } = train(kept.inputs, kept.labels, setting);
      worstGap = Math.max(worstGap, gap);
      const predicted = model.predict(held.inputs);
      const radii = model.robustRadii(held.inputs, held.labels);
      held.places.forEach((i, t) => {
        right[i] = predicted[t] === held.labels[t] ? 1 : 0;
        robust[i] = right[i] && radii[t]! > evaluationRadius ? 1 : 0;
      });
    }
    const share = (hits: Uint8Array) => shareOf(labels.length, (i) => hits[i] === 1);
    return { ...setting, accuracy: share(right), robustAccuracy: share(robust), worstGap };
  });
  const best = [...path].sort(
    (a, b) =>
      b.robustAccuracy.correct - a.robustAccuracy.correct || b.accuracy.correct - a.accuracy.correct || b.beta - a.beta,
  )[0]!;
  return { folds, seed, evaluationRadius, path, chosen: { radius: best.radius, beta: best.beta } };
}

/** Each class is dealt out in random order, going on where the class before stopped. */
function assignFolds(labels: Int32Array, folds: number, seed: number, classes: readonly string[]): Int32Array {
  if (folds > labels.length) {
    throw new DataError({ argument: "--folds", expected: `at most ${labels.length}, the rows`, received: folds });
  }
  const foldOf = new Int32Array(labels.length);
  let next = 0;
  classes.forEach((name, c) => {
    const members = Array.from(labels.keys()).filter((i) => labels[i] === c);
    if (members.length < 2) {
      const expected = `at least two rows of class ${name}`;
      throw new DataError({ argument: "--folds", expected, received: members.length });
    }
    for (const t of createRng(seed).fork(`folds of class ${c}`).permutation(members.length)) {
      foldOf[members[t]!] = next++ % folds;
    }
  });
  return foldOf;
}
