// Misuse is refused here, before any model is called.

import {
  type Bounds,
  type Budget,
  type Classifier,
  checkBatch,
  checkBudget,
  checkLabels,
  DataError,
  type DifferentiableClassifier,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  SettingError,
  ShapeError,
  sampleCount,
  sampleSize,
  UnsupportedError,
} from "@worstcase/core";
import type { Attack, AttackLoss, AttackOptions } from "./attack.js";

/** Rounding allowed when inputs are compared with bounds, relative to the range of the bounds. */
const boundsTolerance = 1e-6;

/** Throws ShapeError or DataError unless the batch fits the model, lies in its bounds and has valid labels. */
export function checkSamples(model: Classifier, batch: LabelledBatch, argument = "batch"): void {
  if (!Number.isInteger(model.classCount) || model.classCount < 2) {
    throw new ShapeError({ argument: "model.classCount", expected: "at least 2 classes", received: model.classCount });
  }
  checkBatch(batch.inputs, `${argument}.inputs`, model.inputShape);
  const samples = sampleCount(batch.inputs);
  checkLabels(batch.labels, samples, model.classCount, `${argument}.labels`);
  if (batch.indices.length !== samples) {
    const expected = `${samples} positions, one per sample`;
    throw new ShapeError({ argument: `${argument}.indices`, expected, received: batch.indices.length });
  }
  checkBounds(batch.inputs, model.bounds, `${argument}.inputs`);
}

function checkBounds(inputs: NumericBatch, bounds: Bounds, argument: string): void {
  if (bounds === "unbounded") return;
  const slack = boundsTolerance * (bounds.upper - bounds.lower);
  const { data } = inputs;
  for (let k = 0; k < data.length; k++) {
    if (data[k] >= bounds.lower - slack && data[k] <= bounds.upper + slack) continue;
    const size = sampleSize(inputs);
    const where = `${argument}[${Math.floor(k / size)}, ${k % size}]`;
    const expected = `a value in the model's bounds [${bounds.lower}, ${bounds.upper}]`;
    const hint = data[k] > 1 && data[k] <= 255 && bounds.upper === 1 ? "divide 8-bit pixels by 255" : "clip or rescale";
    throw new DataError({ argument: where, expected, received: data[k], hint });
  }
}

/**
 * Throws SettingError unless the budget is valid and no larger than what separates two corners of the model's bounds in its norm, which budgets in
 * other units (128 instead of 128 / 255) exceed.
 */
export function checkModelBudget(
  { bounds, inputShape }: Pick<Classifier, "bounds" | "inputShape">,
  budget: Budget,
): void {
  checkBudget(budget, bounds);
  if (bounds === "unbounded" || budget.norm === "linf") return;
  const size = inputShape.reduce((product, side) => product * side, 1);
  const widest = (bounds.upper - bounds.lower) * (budget.norm === "l2" ? Math.sqrt(size) : size);
  if (budget.epsilon <= widest) return;
  const expected = `at most ${Number(widest.toPrecision(4))}, the largest ${budget.norm} distance of inputs in [${bounds.lower}, ${bounds.upper}]`;
  const hint = `did you mean ${budget.epsilon} / 255? epsilon is in input units`;
  throw new SettingError({ argument: "budget.epsilon", expected, received: budget.epsilon, hint });
}

/** Throws unless the attack can run on this model within this budget. */
export function checkAttack(
  model: Classifier,
  attack: Pick<Attack, "name" | "needs">,
  budget: AttackOptions["budget"],
): void {
  checkModelBudget(model, budget);
  checkNeeds(model, attack, budget.norm, "budget.norm");
}

/** Throws UnsupportedError unless the attack knows the norm and the model has the gradients and classes it needs. */
export function checkNeeds(
  model: Classifier,
  attack: Pick<Attack, "name" | "needs">,
  norm: Norm,
  argument = "options.norm",
): void {
  const { norms, minimumClasses = 2 } = attack.needs;
  if (!norms.includes(norm)) {
    const expected = `one of ${norms.join(", ")} for the attack ${attack.name}`;
    throw new UnsupportedError({ argument, expected, received: norm });
  }
  if (model.classCount < minimumClasses) {
    const expected = `at least ${minimumClasses} classes for the loss of the attack ${attack.name}`;
    const hint = "use the loss margin, which is defined for two classes";
    throw new UnsupportedError({ argument: "model.classCount", expected, received: model.classCount, hint });
  }
  if (attack.needs.gradients && !isDifferentiable(model)) {
    const hint = "give a surrogate with gradients, or use a transfer attack";
    const expected = `a DifferentiableClassifier for the attack ${attack.name}`;
    throw new UnsupportedError({ argument: "model", expected, received: `${model.id} without lossGradient`, hint });
  }
}

/** Everything an attack checks at the start of `run`. */
export function checkAttackRun(
  model: Classifier,
  batch: LabelledBatch,
  attack: Pick<Attack, "name" | "needs">,
  options: AttackOptions,
): void {
  checkAttack(model, attack, options.budget);
  checkSamples(model, batch);
  checkStarts(model, batch, options.starts);
}

/** Throws ShapeError or DataError unless every start has the shape of the inputs. */
export function checkStarts(model: Classifier, batch: LabelledBatch, starts: AttackOptions["starts"]): void {
  for (const [i, start] of (starts ?? []).entries()) {
    checkBatch(start, `options.starts[${i}]`, model.inputShape);
    if (sampleCount(start) === sampleCount(batch.inputs)) continue;
    const expected = `${sampleCount(batch.inputs)} samples, as in the batch`;
    throw new ShapeError({ argument: `options.starts[${i}]`, expected, received: sampleCount(start) });
  }
}

/** Everything checked before a model is looked at within a budget, on `count` samples. */
export function checkBudgetedSamples(model: Classifier, batch: LabelledBatch, budget: Budget, count: number): void {
  checkModelBudget(model, budget);
  checkSamples(model, batch);
  checkInteger(count, 1, "options.samples");
}

export function isDifferentiable(model: Classifier): model is DifferentiableClassifier {
  return typeof (model as Partial<DifferentiableClassifier>).lossGradient === "function";
}

/** Throws SettingError unless `value` is `margin` or `cross-entropy`. */
export function checkLossName(value: AttackLoss): void {
  if (value === "margin" || value === "cross-entropy") return;
  throw new SettingError({ argument: "settings.loss", expected: "margin or cross-entropy", received: value });
}

/** Throws SettingError unless `value` is an integer of at least `least`. */
export function checkInteger(value: number, least: number, argument: string): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new SettingError({ argument, expected: `an integer >= ${least}`, received: value });
}

/** Throws ShapeError or DataError unless `logits` is finite and `[samples, classes]`; `names` are positions in the data set. */
export function checkLogits(logits: NumericBatch, model: Classifier, names: ArrayLike<number>): void {
  const classes = model.classCount;
  const { data, shape } = logits;
  if (
    shape.length !== 2 ||
    shape[0] !== names.length ||
    shape[1] !== classes ||
    data.length !== names.length * classes
  ) {
    throw new ShapeError({
      argument: `logits of ${model.id}`,
      expected: `shape [${names.length}, ${classes}]`,
      received: shape,
    });
  }
  for (let k = 0; k < data.length; k++) {
    if (Number.isFinite(data[k])) continue;
    const argument = `logits of ${model.id} for sample ${names[Math.floor(k / classes)]}, class ${k % classes}`;
    throw new DataError({
      argument,
      expected: "a finite number",
      received: data[k],
      hint: "the model overflows on this input",
    });
  }
}
