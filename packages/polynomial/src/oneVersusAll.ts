// One-versus-all training of C classes on shared points (math.md 10): class c against the rest, each with its certificate;
// the certificates add up. A detector flags classes whose optimum is hardly better than a constant (pilot.md 5.3).

import { checkLabels, type NumericBatch, SettingError, ShapeError, type Warning } from "@worstcase/core";
import { prepareTrainingData, type TrainingData } from "./factored/trainingData.js";
import { type FitOptions, type FitResult, type FitState, fitPrepared, resolveKernels } from "./fit.js";
import { hingeWeights, marginLossOf } from "./hingeWeights.js";
import { checkInteger } from "./inputs.js";
import type { MarginLoss } from "./marginLoss.js";
import type { Quadratic } from "./quadratic.js";

export interface OneVersusAllOptions extends Omit<FitOptions, "warmStart"> {
  /** An earlier fit of the same data with another radius or beta: every class starts from its own there. */
  readonly warmStart?: { readonly classes: readonly { readonly class: number; readonly state: FitState | null }[] };
  /** Classes to train, for checkpointing or splitting the work; default all. */
  readonly onlyClasses?: readonly number[];
}

export interface ClassFit extends FitResult {
  readonly class: number;
  /** Objective of the best constant score under the same loss, without regulariser. */
  readonly constantObjective: number;
  /** The objective is at least 0.9 times the best constant's: this score says almost nothing. */
  readonly collapsed: boolean;
}

export interface OneVersusAllFit {
  /** In the order trained; all classes unless `onlyClasses` was given. */
  readonly classes: readonly ClassFit[];
  /** Score of each trained class. */
  readonly quadratics: readonly Quadratic[];
  /** Sums over the trained classes, and their relative gap. */
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  readonly seconds: number;
  readonly kernels: string;
  readonly warnings: readonly Warning[];
}

const collapseShare = 0.9;

/**
 * Trains class against rest for every class. features `[samples, features]`, labels: class indices `[samples]`.
 * Throws as `fitPolynomial`, and DataError on labels out of range.
 */
export function fitOneVersusAll(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: OneVersusAllOptions,
): OneVersusAllFit {
  const { onlyClasses, warmStart, ...fitOptions } = options;
  const states = statesOf(warmStart);
  checkInteger(classCount, "classCount", 2);
  const data = prepareTrainingData(features, {
    kernels: resolveKernels(options.kernels),
    maxNeurons: options.maxNeurons,
  });
  checkLabels(labels, data.samples, classCount);
  const wanted = onlyClasses ?? Array.from({ length: classCount }, (_, c) => c);
  if (wanted.length === 0) {
    throw new SettingError({ argument: "options.onlyClasses", expected: "at least one class", received: wanted });
  }
  const classes = wanted.map((c) => fitClass(data, labels, c, { ...fitOptions, ...startOf(states, c), classCount }));
  return combineClasses(classes);
}

/** State of each class of an earlier fit; null without one. Throws SettingError on anything else. */
export function statesOf(warmStart: OneVersusAllOptions["warmStart"]): Map<number, FitState | null> | null {
  if (warmStart === undefined) return null;
  if (!Array.isArray(warmStart?.classes)) {
    const expected = "a fit of all classes, with classes";
    throw new SettingError({ argument: "options.warmStart", expected, received: warmStart });
  }
  return new Map(warmStart.classes.map((fit) => [fit.class, fit.state]));
}

/** `warmStart` of one class. */
export function startOf(states: ReturnType<typeof statesOf>, classIndex: number): Pick<FitOptions, "warmStart"> {
  return states ? { warmStart: { state: states.get(classIndex) ?? null } } : {};
}

/**
 * Trains one class against the rest on prepared data, so that the caller can store each class as it is done.
 * `options.classCount` bounds the labels; `combineClasses` puts the results together.
 */
export function fitClass(
  data: TrainingData,
  labels: Int32Array,
  classIndex: number,
  options: FitOptions & { readonly classCount: number },
): ClassFit {
  const { classCount, ...fitOptions } = options;
  checkInteger(classCount, "options.classCount", 2);
  checkLabels(labels, data.samples, classCount);
  if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= classCount) {
    const expected = `a class in 0 .. ${classCount - 1}`;
    throw new SettingError({ argument: "classIndex", expected, received: classIndex });
  }
  const signs = Float64Array.from(labels, (label) => (label === classIndex ? 1 : -1));
  const fit = fitPrepared(data, signs, fitOptions, classIndex);
  const constantObjective = bestConstant(
    signs,
    hingeWeights(signs, fitOptions),
    marginLossOf(fitOptions.loss ?? "mean-hinge"),
  );
  const warnings = [...fit.warnings];
  const collapsed = constantObjective > 0 && fit.objective.total >= collapseShare * constantObjective;
  if (collapsed) {
    const share = ((100 * fit.objective.total) / constantObjective).toFixed(0);
    const message = `class ${classIndex}: the objective is ${share} % of the best constant score's; lower the radius or balance the classes`;
    warnings.push({ code: "collapsed-class", message });
  }
  if (constantObjective === 0) {
    warnings.push({ code: "absent-class", message: `class ${classIndex}: all samples are on one side` });
  }
  return { ...fit, class: classIndex, constantObjective, collapsed, warnings };
}

/** Sums objectives and certificates of separately trained classes. Throws ShapeError when none is given. */
export function combineClasses(classes: readonly ClassFit[]): OneVersusAllFit {
  if (classes.length === 0) {
    throw new ShapeError({ argument: "classes", expected: "at least one fitted class", received: 0 });
  }
  const sum = (of: (fit: ClassFit) => number) => classes.reduce((total, fit) => total + of(fit), 0);
  const objective = sum((fit) => fit.objective.total);
  const lowerBound = sum((fit) => fit.lowerBound);
  return {
    classes,
    quadratics: classes.map((fit) => fit.quadratic),
    objective,
    lowerBound,
    gap: (objective - lowerBound) / objective,
    seconds: sum((fit) => fit.seconds),
    kernels: classes[0].kernels,
    warnings: classes.flatMap((fit) => fit.warnings),
  };
}

/**
 * min over t of W+ loss(1 - t) + W- loss(1 + t), the best constant score t without regulariser. Hinge: linear on [-1, 1], so at an
 * end. Squared hinge: t = (W+ - W-) / (W+ + W-). Logistic: t = log(W+ / W-), the entropy. 0 when one side is empty.
 */
export function bestConstant(signs: Float64Array, weights: Float64Array, loss: MarginLoss): number {
  const sums = [0, 0];
  for (let i = 0; i < signs.length; i++) sums[signs[i] > 0 ? 1 : 0] += weights[i];
  const [one, two] = sums;
  if (!(one > 0 && two > 0)) return 0;
  if (loss === "squared-hinge") return (4 * one * two) / (one + two);
  if (loss === "logistic") return one * Math.log1p(two / one) + two * Math.log1p(one / two);
  return 2 * Math.min(one, two);
}
