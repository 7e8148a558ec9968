// The harness around one attack: success is measured on the points the attack returned, never claimed by it.
// Afterwards, for every sample: the distance is measured and kept to the budget, the bounds are kept, the logits come from a
// fresh forward pass on exactly the points that are returned.

import {
  type Budget,
  type Classifier,
  checkFinite,
  type DifferentiableClassifier,
  distances,
  evaluateLoss,
  gatherBatch,
  type LabelledBatch,
  type NumericBatch,
  predictedClasses,
  type Rng,
  ShapeError,
  sampleCount,
  sliceBatch,
  takeSamples,
  throwIfAborted,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import type { Attack } from "./attack.js";
import { checkAttack, checkInteger, checkLogits, checkSamples, checkStarts } from "./checks.js";
import { budgetTolerance, PerturbationSet, type Values } from "./perturbationSet.js";
import { type Meter, metered, withSurrogateGradients } from "./surrogate.js";
import { repairWarnings, zeroGradientWarning } from "./warnings.js";

export interface EvaluateAttackOptions extends WorkOptions {
  readonly budget: Budget;
  readonly rng: Rng;
  /** Samples given to the model at once. Default 128. */
  readonly batchSize?: number | undefined;
  /** Where gradients come from, when not from the model itself. */
  readonly surrogate?: DifferentiableClassifier | undefined;
  /** Points worth trying as starts, each of the shape of the inputs. Attacks without starts ignore them. */
  readonly starts?: readonly NumericBatch[] | undefined;
}

export interface AttackResult {
  /** 1 where the final point is misclassified, `[samples]`. */
  readonly fooled: Uint8Array;
  /** 1 where the clean sample is classified correctly, `[samples]`. */
  readonly correct: Uint8Array;
  /** Measured distance of the final point in the budget's norm, `[samples]`; 0 for samples misclassified from the start. */
  readonly distance: Float64Array;
  /** Margin loss at the final point, max over other classes of (logit - logit of the label), `[samples]`. */
  readonly loss: Float64Array;
  /** The final points, shape and number type of the inputs. */
  readonly adversarials: NumericBatch;
  /** Samples evaluated without and with gradient. */
  readonly calls: { readonly forward: number; readonly gradient: number };
  /** First gradients of the attacked samples: how many, and how many of them are exactly zero. */
  readonly zeroGradients: { readonly samples: number; readonly zero: number };
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/**
 * Runs one attack at one budget on the samples the model classifies correctly and verifies what it returns. Samples that are
 * misclassified from the start count as fooled at distance 0. Points outside the budget or the bounds are moved into them before
 * success is measured, with a warning. Throws SettingError, ShapeError, DataError or UnsupportedError on misuse.
 */
export async function evaluateAttack(
  model: Classifier,
  batch: LabelledBatch,
  attack: Attack | Attack<Classifier>,
  options: EvaluateAttackOptions,
): Promise<AttackResult> {
  const attacked = options.surrogate ? withSurrogateGradients(model, options.surrogate) : model;
  checkAttack(attacked, attack, options.budget);
  checkSamples(model, batch);
  checkStarts(model, batch, options.starts);
  const batchSize = options.batchSize ?? 128;
  checkInteger(batchSize, 1, "options.batchSize");

  const started = performance.now();
  const { model: view, meter } = metered(attacked);
  const clean = await classify(view, batch, batchSize, options.signal);
  const correct = clean.fooled.map((fooled) => 1 - fooled);
  const positions = where(correct);
  const starts = options.starts?.map((start) => gatherBatch(start, positions));
  const outcome = await attackCorrectSamples(view, meter, takeSamples(batch, positions), attack, {
    ...options,
    starts,
    batchSize,
  });

  const size = batch.inputs.data.length / batch.labels.length;
  const data = batch.inputs.data.slice();
  const distance = new Float64Array(batch.labels.length);
  for (let j = 0; j < positions.length; j++) {
    const i = positions[j];
    data.set(outcome.points.subarray(j * size, (j + 1) * size), i * size);
    distance[i] = outcome.distance[j];
    clean.fooled[i] = outcome.fooled[j];
    clean.loss[i] = outcome.loss[j];
  }
  const zeroGradients = { ...meter.watched };
  return {
    fooled: clean.fooled,
    loss: clean.loss,
    correct,
    distance,
    adversarials: { data, shape: batch.inputs.shape },
    calls: { forward: meter.forward, gradient: meter.gradient },
    zeroGradients,
    seconds: (performance.now() - started) / 1000,
    warnings: [...outcome.warnings, ...zeroGradientWarning(attack.name, zeroGradients)],
  };
}

export interface VerifiedPoints {
  /** `[samples, size]` */
  readonly points: Values;
  readonly fooled: Uint8Array;
  readonly loss: Float64Array;
  readonly distance: Float64Array;
  readonly warnings: readonly Warning[];
}

/** Attacks samples that are all classified correctly, chunk by chunk, and measures the points afterwards. May be no samples. */
export async function attackCorrectSamples(
  model: DifferentiableClassifier,
  meter: Meter,
  batch: LabelledBatch,
  attack: Attack | Attack<Classifier>,
  options: EvaluateAttackOptions & { batchSize: number },
): Promise<VerifiedPoints> {
  const { batchSize, budget, signal, onEvent } = options;
  const total = batch.labels.length;
  const points = batch.inputs.data.slice();
  const size = points.length / Math.max(1, total);
  const repaired = { budget: 0, bounds: 0 };
  for (let from = 0; from < total && budget.epsilon > 0; from += batchSize) {
    throwIfAborted(signal, attack.name);
    const rows = Int32Array.from({ length: Math.min(batchSize, total - from) }, (_, j) => from + j);
    meter.startWatch();
    const starts = options.starts?.map((start) => gatherBatch(start, rows));
    const chunk = takeSamples(batch, rows);
    points.set(await runRepaired(model, chunk, attack, { ...options, starts }, repaired), from * size);
    onEvent?.({ type: "progress", task: `${attack.name} at ${budget.epsilon}`, done: from + rows.length, total });
  }
  const moved: NumericBatch = { data: points, shape: batch.inputs.shape };
  const measured = await classify(model, { ...batch, inputs: moved }, batchSize, signal);
  return {
    points,
    ...measured,
    distance: distances(batch.inputs, moved, budget.norm),
    warnings: repairWarnings(attack.name, repaired),
  };
}

/** Runs the attack on one chunk and moves what lies outside budget or bounds back into them. Counts these in `repaired`. */
async function runRepaired(
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  attack: Attack | Attack<Classifier>,
  options: EvaluateAttackOptions,
  repaired: { budget: number; bounds: number },
): Promise<Values> {
  const { budget, rng, signal, starts } = options;
  const result = await attack.run(model, batch, { budget, rng, signal, starts });
  if (result.shape.join() !== batch.inputs.shape.join() || result.data.length !== batch.inputs.data.length) {
    const expected = `shape [${batch.inputs.shape.join(", ")}], that of the inputs`;
    throw new ShapeError({ argument: `result of ${attack.name}`, expected, received: result.shape });
  }
  const size = result.data.length / batch.labels.length;
  checkFinite(result.data, `result of ${attack.name}`, size);
  // stored in the number type of the inputs, which is what the model will see
  const data = batch.inputs.data.slice();
  data.set(result.data);
  const distance = distances(batch.inputs, { data, shape: result.shape }, budget.norm);
  const set = new PerturbationSet(batch.inputs, budget, model.bounds);
  for (let i = 0; i < distance.length; i++) {
    const tooFar = distance[i] > budget.epsilon * (1 + budgetTolerance);
    const outside = !insideBounds(data, batch.inputs.data, i * size, size, model.bounds);
    if (tooFar) repaired.budget++;
    if (outside) repaired.bounds++;
    if (tooFar || outside) set.project(data, i, i);
  }
  return data;
}

function insideBounds(
  points: Values,
  inputs: Values,
  from: number,
  size: number,
  bounds: Classifier["bounds"],
): boolean {
  if (bounds === "unbounded") return true;
  for (let k = from; k < from + size; k++) {
    // an input may exceed its bounds by a rounding error; its perturbation may then stay there
    const low = Math.min(bounds.lower, inputs[k]);
    const high = Math.max(bounds.upper, inputs[k]);
    if (points[k] < low || points[k] > high) return false;
  }
  return true;
}

/** A fresh forward pass: which samples are misclassified, and their margin loss. Throws DataError naming a sample with NaN logits. */
export async function classify(
  model: Classifier,
  batch: LabelledBatch,
  batchSize: number,
  signal?: AbortSignal,
): Promise<{ fooled: Uint8Array; loss: Float64Array }> {
  const samples = sampleCount(batch.inputs);
  const fooled = new Uint8Array(samples);
  const loss = new Float64Array(samples);
  for (let from = 0; from < samples; from += batchSize) {
    throwIfAborted(signal, "classification");
    const to = Math.min(samples, from + batchSize);
    const logits = await model.logits(sliceBatch(batch.inputs, from, to));
    checkLogits(logits, model, batch.indices.subarray(from, to));
    const labels = batch.labels.subarray(from, to);
    loss.set(evaluateLoss(logits, { kind: "margin", labels }).loss, from);
    const predicted = predictedClasses(logits);
    for (let i = from; i < to; i++) fooled[i] = predicted[i - from] === batch.labels[i] ? 0 : 1;
  }
  return { fooled, loss };
}

/** Positions of the nonzero entries. */
export function where(flags: Uint8Array): Int32Array {
  return Int32Array.from(Array.from(flags.keys()).filter((i) => flags[i]));
}
