// Joint robust training of all classes (math.md 10): one network score f_c per class, trained on the exact pairwise worst margins
//   w_ic = min over ||D|| <= r of f_y(x_i + D) - f_c(x_i + D)
//   weston-watkins:  sum_i kappa_i sum_{c != y} max(0, 1 - w_ic) + beta sum_c sum_j |alpha_cj|
//   crammer-singer:  sum_i kappa_i max_{c != y} max(0, 1 - w_ic) + beta sum_c sum_j |alpha_cj|
// Both are convex in the quadratics f_c. One-versus-all training collapses where most samples are negatives; this does not
// compare a class with "the rest" but with each rival. The lower bound holds for every set of C networks of any width.

import {
  checkLabels,
  DataError,
  type NumericBatch,
  type Radius,
  SettingError,
  ShapeError,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import type { KernelRequest, Kernels } from "@worstcase/linalg";
import { chooseKernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "../activation.js";
import { hidesAll, roundedDown } from "../beyondAllPoints.js";
import { exactFits } from "../exact/chooseMethod.js";
import { rowsOf } from "../factored/rowSource.js";
import { checkInteger, checkKeys, checkNumber, checkPoints } from "../inputs.js";
import { type MoveOptions, moveSetOf, movesOf } from "../moveSet.js";
import { pairwiseWorstMargins } from "../pairwise.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { radiusValue } from "../worstCase/worstCase.js";
import type { DirectionSet, FactoredNetwork } from "./adversary.js";
import { asOneScore } from "./asOneScore.js";
import { bestConstantObjective } from "./bestConstant.js";
import { wholeSphere } from "./directionSets.js";
import { createPairAdversary } from "./pairAdversary.js";
import { evaluateRows, type RowLoss } from "./rowLoss.js";
import { type JointOutcome, type JointRound, type JointStatus, trainJoint } from "./trainJoint.js";

export type PairwiseLoss = "weston-watkins" | "crammer-singer";

export interface PairwiseRoundEvent extends JointRound {
  readonly type: "round";
}

export interface PairwiseFitOptions extends WorkOptions<PairwiseRoundEvent>, MoveOptions {
  /** l2 radius of the adversary in feature space (of z where `ellipsoid` is given); 0 trains the non-robust scores. */
  readonly radius: number | Radius;
  /** Default `weston-watkins`. */
  readonly loss?: PairwiseLoss;
  /** Weight of sum |alpha|, > 0. Default 1e-3. */
  readonly beta?: number;
  /** Default `paperActivation`. */
  readonly activation?: Activation;
  /** `balanced` gives every class present the same total weight; an array is the weight of each class. Default: all 1. */
  readonly classWeights?: "balanced" | readonly number[];
  /** Nonnegative, `[samples]`. */
  readonly sampleWeights?: ArrayLike<number>;
  /** Relative gap (objective - lower bound) / objective to reach. Default 1e-2. */
  readonly tolerance?: number;
  /** Default 60. */
  readonly maxRounds?: number;
  /** Default 4000. */
  readonly maxEvaluations?: number;
  /** L-BFGS steps a round, up to eight times as many where the gap closes slowly. Default 60. */
  readonly stepsPerRound?: number;
  /** Default min(2 features + 2, 32). */
  readonly maxNeuronsPerClass?: number;
  /**
   * Value of a constant coordinate that every point gets and the adversary cannot move; 0 (default) for none. Neurons then
   * have `features + 1` weights, the last one for it.
   */
  readonly bias?: number;
  /** Default none, so that results do not depend on the machine's speed. */
  readonly timeLimitSeconds?: number;
  readonly kernels?: KernelRequest | Kernels;
}

export interface PairwiseFit {
  readonly status: JointStatus | "iteration-limit";
  /** What the joint trainer had reached when the exact one took over (two classes of a size it solves), else null. */
  readonly handedOver: { readonly status: JointStatus; readonly gap: number } | null;
  /** Exact robust objective of `quadratics`, evaluated anew from the data: hinge + regulariser. */
  readonly objective: { readonly total: number; readonly hinge: number; readonly regulariser: number };
  /** No set of networks has a smaller objective. */
  readonly lowerBound: number;
  readonly gap: number;
  /** One score per class on the features; each carries its neurons unless there is a bias. */
  readonly quadratics: readonly Quadratic[];
  /** The networks, rows `[neurons, features]`, or `[neurons, features + 1]` with a bias. */
  readonly networks: readonly Neurons[];
  /** Hinge of the best constant scores; `collapsed` when the objective is at least 0.9 times it. */
  readonly constantObjective: number;
  readonly collapsed: boolean;
  readonly radius: number;
  readonly beta: number;
  readonly loss: PairwiseLoss;
  readonly iterations: number;
  readonly evaluations: number;
  readonly seconds: number;
  readonly kernels: string;
  readonly warnings: readonly Warning[];
}

const collapseShare = 0.9;
const knownOptions = [
  ...["radius", "loss", "beta", "activation", "classWeights", "sampleWeights", "tolerance", "maxRounds"],
  ...[
    "maxEvaluations",
    "stepsPerRound",
    "maxNeuronsPerClass",
    "bias",
    "timeLimitSeconds",
    "kernels",
    "signal",
    "onEvent",
    "immutable",
    "ellipsoid",
  ],
];

/**
 * Trains on features `[samples, features]` with class indices `[samples]`. Always returns the best scores found with their
 * certificate; `status` says why training ended. Deterministic for given kernels. Throws ShapeError, DataError or SettingError
 * on misuse, AbortedError when the signal fires.
 */
export function fitPairwise(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: PairwiseFitOptions,
): PairwiseFit {
  return fitScores(features, labels, classCount, options, wholeSphere);
}

/** As `fitPairwise`, with neurons restricted to a set of directions. */
export function fitScores(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: PairwiseFitOptions,
  makeDirections: (dimension: number, kernels: Kernels) => DirectionSet,
): PairwiseFit {
  const started = performance.now();
  if (typeof options !== "object" || options === null) {
    throw new SettingError({ argument: "options", expected: "an object with a radius", received: options });
  }
  checkKeys(options, knownOptions);
  const radius = radiusValue(options.radius, "options.radius");
  const { loss = "weston-watkins", beta = 1e-3, activation = paperActivation, tolerance = 1e-2 } = options;
  if (loss !== "weston-watkins" && loss !== "crammer-singer") {
    throw new SettingError({ argument: "options.loss", expected: "weston-watkins or crammer-singer", received: loss });
  }
  checkNumber(beta, "options.beta", 0, true);
  checkNumber(tolerance, "options.tolerance", 0, true);
  checkActivation(activation, "options.activation");
  const [n, d] = checkPoints(features, "features");
  checkInteger(classCount, "classCount", 2);
  checkLabels(labels, n, classCount);
  const { maxRounds = 60, maxEvaluations = 4000, stepsPerRound = 60, timeLimitSeconds } = options;
  const maxNeuronsPerClass = options.maxNeuronsPerClass ?? Math.min(2 * d + 2, 32);
  const bias = options.bias ?? 0;
  checkNumber(bias, "options.bias", Number.NEGATIVE_INFINITY);
  const width = bias === 0 ? d : d + 1;
  for (const [name, value] of Object.entries({ maxRounds, maxEvaluations, stepsPerRound })) {
    checkInteger(value, `options.${name}`, 1);
  }
  checkInteger(maxNeuronsPerClass, "options.maxNeuronsPerClass", 2);
  if (timeLimitSeconds !== undefined) checkNumber(timeLimitSeconds, "options.timeLimitSeconds", 0, true);
  const kernels = typeof options.kernels === "object" ? options.kernels : chooseKernels(options.kernels ?? "auto");
  const kappa = sampleMass(labels, classCount, options);
  const set = moveSetOf(options, d);
  const rowLoss: RowLoss = loss === "weston-watkins" ? "sum" : "max";

  const adversary = createPairAdversary(
    features,
    labels,
    classCount,
    radius,
    activation,
    maxNeuronsPerClass,
    bias,
    kernels,
    set,
  );
  const directions = makeDirections(width, kernels);
  const classMass = new Float64Array(classCount);
  for (let i = 0; i < n; i++) classMass[labels[i]] += kappa[i];
  const hidden = set === null && bias === 0 && hidesAll(rowsOf(features), classMass, radius, activation);
  const first = hidden
    ? zeroOutcome(kappa, rowLoss === "sum" ? classCount - 1 : 1)
    : trainJoint(
        { adversary, directions, loss: rowLoss, kappa, beta, maxNeuronsPerBlock: maxNeuronsPerClass, kernels },
        {
          tolerance,
          maxRounds,
          stepsPerRound,
          maxEvaluations,
          timeLimitSeconds: timeLimitSeconds ?? Number.POSITIVE_INFINITY,
        },
        { signal: options.signal, onRound: (report) => options.onEvent?.({ type: "round", ...report }) },
      );
  const reached = (first.upper - first.lower) / Math.max(first.upper, Number.MIN_VALUE);
  const spent = first.status === "evaluation-limit" && options.maxEvaluations === undefined;
  const mayHandOver =
    classCount === 2 && makeDirections === wholeSphere && exactFits({ samples: n, features: width, radius });
  const takesOver = mayHandOver && reached > tolerance && (first.status === "stalled" || spent);
  const left = (timeLimitSeconds ?? Number.POSITIVE_INFINITY) - (performance.now() - started) / 1000;
  const outcome = takesOver ? asOneScore(first, { features, labels, kappa, bias, beta, radius, left }, options) : first;
  const handedOver = takesOver ? { status: first.status, gap: reached } : null;
  const scores = scoresOf(outcome.network, classCount, width, activation);
  const networks = scores.map(({ neurons }) => neurons as Neurons);
  const quadratics = bias === 0 ? scores : scores.map((score) => fixLast(score, bias));
  // The objective once more, from the scores and the data alone.
  const { margins } = pairwiseWorstMargins(quadratics, features, labels, radius, { kernels, ...movesOf(options) });
  const slacks = new Float64Array(n * (classCount - 1));
  for (let i = 0, r = 0; i < n; i++) {
    for (let c = 0; c < classCount; c++) if (c !== labels[i]) slacks[r++] = 1 - margins[i * classCount + c];
  }
  const hinge = evaluateRows(rowLoss, slacks, classCount - 1, kappa, 0, new Float64Array(slacks.length));
  let mass = 0;
  for (const { weights } of networks) for (const alpha of weights) mass += Math.abs(alpha);
  const regulariser = beta * mass;
  const total = hinge + regulariser;
  const gap = (total - outcome.lower) / total;
  const constantObjective = bestConstantObjective(classMass, rowLoss);
  const collapsed = constantObjective > 0 && total >= collapseShare * constantObjective;
  const warnings: Warning[] = [];
  if (gap > tolerance) {
    const message = `training ended (${outcome.status}) at a relative gap of ${gap.toExponential(1)}, above ${tolerance}`;
    warnings.push({ code: "gap-not-reached", message });
  }
  if (collapsed) {
    const share = ((100 * total) / constantObjective).toFixed(0);
    const message = `the objective is ${share} % of the best constant scores'; lower the radius or beta`;
    warnings.push({ code: "collapsed-head", message });
  }
  const absent = Array.from(classMass.keys()).filter((c) => classMass[c] === 0);
  if (absent.length > 0) {
    warnings.push({ code: "absent-class", message: `no weight on class ${absent.join(", ")}` });
  }
  // Where rounding decides (radii far beyond float64's digits), the trainer's own value is not what counts.
  const status = gap > 1.05 * tolerance && /optimal$/.test(outcome.status) ? "stalled" : outcome.status;
  return {
    status,
    handedOver,
    objective: { total, hinge, regulariser },
    lowerBound: outcome.lower,
    gap,
    quadratics,
    networks,
    constantObjective,
    collapsed,
    radius,
    beta,
    loss,
    iterations: outcome.rounds,
    evaluations: outcome.evaluations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings,
  };
}

/** The scores of a factored network. */
export function scoresOf(network: FactoredNetwork, blocks: number, d: number, activation: Activation): Quadratic[] {
  return Array.from({ length: blocks }, (_, c) => {
    const directions: number[] = [];
    const weights: number[] = [];
    for (let j = 0; j < network.count; j++) {
      if (network.blocks[j] !== c) continue;
      const v = network.vectors.subarray(j * d, (j + 1) * d);
      let square = 0;
      for (const value of v) square += value * value;
      if (!(square > 0)) continue;
      const length = Math.sqrt(square);
      for (const value of v) directions.push(value / length);
      weights.push(network.signs[j] * square);
    }
    return quadraticFromNeurons(
      { directions: Float64Array.from(directions), weights: Float64Array.from(weights), activation },
      d,
    );
  });
}

/** The quadratic in the other coordinates when the last one is held at a value. */
function fixLast({ dimension, Q, q, s }: Quadratic, value: number): Quadratic {
  const n = dimension;
  const d = n - 1;
  const rest = new Float64Array(d * d);
  const slope = new Float64Array(d);
  for (let k = 0; k < d; k++) {
    slope[k] = q[k] + value * (Q[k * n + d] + Q[d * n + k]);
    for (let l = 0; l < d; l++) rest[k * d + l] = Q[k * n + l];
  }
  return { dimension: d, Q: rest, q: slope, s: s + value * (q[d] + value * Q[d * n + d]) };
}

/** The zero network, where it is known to be optimal; `rows` losses of 1 for each sample. */
function zeroOutcome(kappa: Float64Array, rows: number): JointOutcome {
  const upper = rows * kappa.reduce((sum, mass) => sum + mass, 0);
  const none = new Float64Array(0);
  return {
    status: "zero-optimal",
    network: { vectors: none, signs: none, blocks: new Int32Array(0), count: 0 },
    upper,
    lower: roundedDown(upper, kappa.length),
    rounds: 0,
    evaluations: 0,
  };
}

/** kappa_i: 1/n times class and sample weights. */
function sampleMass(labels: Int32Array, classCount: number, options: PairwiseFitOptions): Float64Array {
  const { classWeights, sampleWeights } = options;
  const n = labels.length;
  const kappa = new Float64Array(n).fill(1 / n);
  if (sampleWeights) {
    if (sampleWeights.length !== n) {
      const received = sampleWeights.length;
      throw new ShapeError({ argument: "options.sampleWeights", expected: `${n} values`, received });
    }
    for (let i = 0; i < n; i++) {
      if (!Number.isFinite(sampleWeights[i]) || sampleWeights[i] < 0) {
        const argument = `options.sampleWeights[${i}]`;
        throw new DataError({ argument, expected: "a finite number >= 0", received: sampleWeights[i] });
      }
      kappa[i] *= sampleWeights[i];
    }
  }
  if (!kappa.some((mass) => mass > 0)) {
    throw new DataError({ argument: "options.sampleWeights", expected: "a positive sum", received: 0 });
  }
  if (classWeights === undefined) return kappa;
  const sums = new Float64Array(classCount);
  for (let i = 0; i < n; i++) sums[labels[i]] += kappa[i];
  let factors: readonly number[];
  if (classWeights === "balanced") {
    const total = sums.reduce((one, two) => one + two, 0);
    const used = sums.filter((sum) => sum > 0).length;
    factors = Array.from(sums, (sum) => (sum > 0 ? total / (used * sum) : 1));
  } else {
    const valid = Array.isArray(classWeights) && classWeights.length === classCount;
    if (!valid || !classWeights.every((weight) => Number.isFinite(weight) && weight > 0)) {
      const expected = `balanced, or ${classCount} finite numbers > 0`;
      throw new SettingError({ argument: "options.classWeights", expected, received: classWeights });
    }
    factors = classWeights;
  }
  for (let i = 0; i < n; i++) kappa[i] *= factors[labels[i]];
  return kappa;
}
