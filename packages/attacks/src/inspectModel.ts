// A look at the model before attacks: on a few samples, are its logits repeatable and not probabilities, does the loss change
// along a path through the budget, and does the cross-entropy still have a gradient?
//   path: x + t (v - x) for t = 1/4, 1/2, 3/4, 1, where v is the worst case of the linearised margin at x (FGSM point),
//         or a random point where that gradient is zero
//   saturation: ||grad cross-entropy|| < 1e-7 ||grad margin||, what float32 takes for zero beside probabilities near 1

import {
  type Budget,
  type Classifier,
  type DifferentiableClassifier,
  evaluateLoss,
  type LabelledBatch,
  type NumericBatch,
  predictedClasses,
  type Rng,
  sampleCount,
  sampleSize,
  takeSamples,
  throwIfAborted,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import { sampleRng } from "./attack.js";
import { checkBudgetedSamples, checkLogits, isDifferentiable } from "./checks.js";
import { checkGradient } from "./gradient.js";
import { PerturbationSet } from "./perturbationSet.js";
import { percent } from "./warnings.js";

export interface InspectOptions extends WorkOptions {
  readonly budget: Budget;
  readonly rng: Rng;
  /** Samples looked at, the first of the batch. Default 64. */
  readonly samples?: number | undefined;
}

const shareLimit = 0.05;
const saturation = 1e-7;
const repeatTolerance = 1e-4;

/**
 * Warnings with the codes `randomised-model`, `probabilities`, `constant-loss` and `saturated-gradient`. Costs 2 forward passes for each
 * sample looked at and, with gradients and epsilon > 0, 2 gradients and 4 more forward passes. Throws as {@link evaluateAttack}.
 */
export async function inspectModel(
  model: Classifier,
  batch: LabelledBatch,
  options: InspectOptions,
): Promise<readonly Warning[]> {
  checkBudgetedSamples(model, batch, options.budget, options.samples ?? 64);
  const count = Math.min(options.samples ?? 64, batch.labels.length);
  const few = takeSamples(
    batch,
    Int32Array.from({ length: count }, (_, i) => i),
  );
  throwIfAborted(options.signal, "inspection");
  const first = await forward(model, few.inputs, few.indices);
  const second = await forward(model, few.inputs, few.indices);
  const warnings = [...repeatability(first, second), ...probabilities(first)];
  if (!isDifferentiable(model) || options.budget.epsilon === 0) return warnings;
  const predicted = predictedClasses(first);
  const correct = Int32Array.from(predicted.keys()).filter((i) => predicted[i] === few.labels[i]);
  if (correct.length === 0) return warnings;
  return [...warnings, ...(await gradientWarnings(model, takeSamples(few, correct), options))];
}

async function forward(model: Classifier, inputs: NumericBatch, names: Int32Array): Promise<NumericBatch> {
  const logits = await model.logits(inputs);
  checkLogits(logits, model, names);
  return { data: logits.data.slice(), shape: logits.shape };
}

function repeatability(first: NumericBatch, second: NumericBatch): Warning[] {
  let largest = 0;
  let difference = 0;
  for (let k = 0; k < first.data.length; k++) {
    largest = Math.max(largest, Math.abs(first.data[k]));
    difference = Math.max(difference, Math.abs(first.data[k] - second.data[k]));
  }
  if (difference <= repeatTolerance * largest) return [];
  const message = `the logits of the same inputs differ by ${difference.toPrecision(3)} between two calls: use the preset rand, and read accuracies as one draw`;
  return [{ code: "randomised-model", message }];
}

function probabilities(logits: NumericBatch): Warning[] {
  const classes = logits.shape[1];
  for (let i = 0; i < sampleCount(logits); i++) {
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const value = logits.data[i * classes + c];
      if (value < -1e-5 || value > 1 + 1e-5) return [];
      sum += value;
    }
    if (Math.abs(sum - 1) > 1e-5) return [];
  }
  const message =
    "every row of logits is a probability distribution: give the logits before the softmax, whose gradients do not vanish";
  return [{ code: "probabilities", message }];
}

async function gradientWarnings(
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  options: InspectOptions,
): Promise<Warning[]> {
  const { inputs, labels, indices } = batch;
  const margin = await model.lossGradient(inputs, { kind: "margin", labels });
  checkGradient(margin.gradient, inputs, model, indices);
  const ends = inputs.data.slice();
  const set = new PerturbationSet(inputs, options.budget, model.bounds);
  const marginLengths = rowLengths(margin.gradient.data, labels.length);
  for (let i = 0; i < labels.length; i++) {
    const rng = () => sampleRng(options.rng, indices[i]).fork("inspection");
    if (marginLengths[i] > 0) set.steepest(margin.gradient.data, i, ends, i, i, rng);
    else set.random(ends, i, i, rng());
  }
  const startLoss = margin.loss.slice();
  const crossEntropy = await model.lossGradient(inputs, { kind: "cross-entropy", labels });
  checkGradient(crossEntropy.gradient, inputs, model, indices);
  const entropyLengths = rowLengths(crossEntropy.gradient.data, labels.length);
  const warnings: Warning[] = [];

  const constant = await constantAlong(model, batch, ends, startLoss);
  if (constant > shareLimit * labels.length) {
    const message = `the loss of ${constant} of ${labels.length} samples (${percent(constant / labels.length)}) is exactly constant along a path through the budget: gradients there say nothing`;
    warnings.push({ code: "constant-loss", message });
  }
  const saturated = marginLengths.filter((length, i) => length > 0 && entropyLengths[i] < saturation * length).length;
  if (saturated > shareLimit * labels.length) {
    const message = `the gradient of the cross-entropy has vanished beside that of the margin for ${saturated} of ${labels.length} samples (${percent(saturated / labels.length)}): use margin or dlr`;
    warnings.push({ code: "saturated-gradient", message });
  }
  return warnings;
}

/** Samples that moved and whose margin is the same at every place of the path. */
async function constantAlong(
  model: Classifier,
  { inputs, labels, indices }: LabelledBatch,
  ends: Float32Array | Float64Array,
  startLoss: Float64Array,
): Promise<number> {
  const size = sampleSize(inputs);
  const changed = new Uint8Array(labels.length);
  const moved = new Uint8Array(labels.length);
  for (const t of [0.25, 0.5, 0.75, 1]) {
    const data = inputs.data.map((x, k) => x + t * (ends[k] - x));
    const loss = evaluateLoss(await forward(model, { data, shape: inputs.shape }, indices), {
      kind: "margin",
      labels,
    }).loss;
    for (let i = 0; i < labels.length; i++) {
      if (loss[i] !== startLoss[i]) changed[i] = 1;
      for (let k = i * size; k < (i + 1) * size; k++) if (data[k] !== inputs.data[k]) moved[i] = 1;
    }
  }
  return changed.filter((flag, i) => flag === 0 && moved[i] === 1).length;
}

function rowLengths(data: ArrayLike<number>, rows: number): Float64Array {
  const size = data.length / rows;
  return Float64Array.from({ length: rows }, (_, i) => {
    let total = 0;
    for (let k = i * size; k < (i + 1) * size; k++) total += data[k] * data[k];
    return Math.sqrt(total);
  });
}
