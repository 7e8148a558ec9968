// What counts as success, other than "any class but the label". A set S of classes makes a two-class view of the model,
//   f_0 = max over classes outside S,   f_1 = max over classes in S,
// in which every sample has label 0 and is fooled when the model predicts a class of S. All attacks and the harness work on it as on
// any two-class model. Targeted attacks are S = {t}; sets join and exclude as sets do. The gradient of a loss of f_1 - f_0 is its slope
// times the gradient of the margin between the two largest classes, so one forward pass comes before every gradient.

import {
  type Classifier,
  checkLabels,
  type DifferentiableClassifier,
  evaluateLoss,
  type LabelledBatch,
  type NumericBatch,
  SettingError,
  sampleCount,
  sampleSize,
} from "@worstcase/core";
import { isDifferentiable } from "./checks.js";

/**
 * The view of `model` in which success means a prediction in `classes`; with gradients where the model has them. Throws SettingError
 * unless some, not all, classes are given.
 */
export function towardsClasses(model: DifferentiableClassifier, classes: readonly number[]): DifferentiableClassifier;
export function towardsClasses(model: Classifier, classes: readonly number[]): Classifier;
export function towardsClasses(model: Classifier, classes: readonly number[]): Classifier {
  const inside = new Uint8Array(model.classCount);
  for (const c of classes) {
    if (!Number.isInteger(c) || c < 0 || c >= model.classCount) {
      const expected = `class indices in 0 .. ${model.classCount - 1}`;
      throw new SettingError({ argument: "classes", expected, received: c });
    }
    inside[c] = 1;
  }
  const count = inside.reduce((sum, flag) => sum + flag, 0);
  if (count === 0 || count === model.classCount) {
    const expected = "at least one class, and not all";
    throw new SettingError({ argument: "classes", expected, received: [...classes] });
  }
  const view = (logits: NumericBatch) => {
    const samples = sampleCount(logits);
    const data = new Float64Array(2 * samples);
    const largest = [new Int32Array(samples), new Int32Array(samples)];
    for (let i = 0; i < samples; i++) {
      for (const side of [0, 1]) {
        let best = -1;
        for (let c = 0; c < inside.length; c++) {
          if (inside[c] !== side) continue;
          if (best < 0 || logits.data[i * inside.length + c] > logits.data[i * inside.length + best]) best = c;
        }
        largest[side][i] = best;
        data[2 * i + side] = logits.data[i * inside.length + best];
      }
    }
    return { logits: { data, shape: [samples, 2] }, largest };
  };
  const sorted = Array.from(inside.keys()).filter((c) => inside[c]);
  const blackBox: Classifier = {
    id: `${model.id} towards ${sorted.join(",")}`,
    inputShape: model.inputShape,
    classCount: 2,
    bounds: model.bounds,
    logits: async (inputs) => view(await model.logits(inputs)).logits,
  };
  if (!isDifferentiable(model)) return blackBox;
  const differentiable: DifferentiableClassifier = {
    ...blackBox,
    async lossGradient(inputs, loss) {
      checkLabels(loss.labels, sampleCount(inputs), 2, "loss.labels");
      const { logits, largest } = view(await model.logits(inputs));
      const outer = evaluateLoss(logits, loss);
      const [labels, targets] = largest;
      const { gradient } = await model.lossGradient(inputs, { kind: "margin", labels, targets });
      const size = sampleSize(inputs);
      // d loss / d f_1 = - d loss / d f_0 for every loss of two classes
      const data = Float64Array.from(gradient.data, (g, k) => g * outer.gradient[2 * Math.floor(k / size) + 1]);
      return { loss: outer.loss, logits, gradient: { data, shape: inputs.shape } };
    },
  };
  return differentiable;
}

/** The samples with label 0 throughout, for the view of {@link towardsClasses}. */
export function asFirstClass(batch: LabelledBatch): LabelledBatch {
  return { inputs: batch.inputs, labels: new Int32Array(batch.labels.length), indices: batch.indices };
}
