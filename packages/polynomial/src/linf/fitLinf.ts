// Certified l-infinity training (math.md 12.1, 24 F): the network with the best objective that the diagonal S-procedure certifies,
//   min  sum_i kappa_i max(0, 1 - w_i) + beta sum_j |alpha_j|,   w_i = S-procedure bound of min over |D_k| <= epsilon of y f(x_i + D)
// a convex program and a restriction of true l-infinity training: the true robust objective of the network is at most `objective`.
// `lowerBound` holds for the certified objective of every network of any width. trainBoxes chooses the trainer by the problem's size;
// boxes beyond all points need none.

import { type NumericBatch, type Radius, SettingError, type Warning, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelRequest, type Kernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "../activation.js";
import { classMasses, cloudVariance, roundedDown } from "../beyondAllPoints.js";
import { type ClassWeights, type HingeLoss, hingeWeights } from "../hingeWeights.js";
import { checkInteger, checkKeys, checkNumber, checkPoints, checkSignLabels, type SignLabels } from "../inputs.js";
import { scoresOf } from "../multiclass/fitPairwise.js";
import type { JointHooks, JointOutcome, JointRound, JointStatus } from "../multiclass/trainJoint.js";
import type { Neurons, Quadratic } from "../quadratic.js";
import { type BoxAdversary, type BoxOptions, createBoxAdversary, epsilonValue } from "./boxProblem.js";
import { linfLowerBounds } from "./linfBounds.js";
import { trainBoxes } from "./trainBoxes.js";

export interface LinfRoundEvent extends JointRound {
  readonly type: "round";
}

export interface LinfFitOptions extends BoxOptions, WorkOptions<LinfRoundEvent> {
  /** Half-width of the adversary's box, in feature units; 0 trains the non-robust network. */
  readonly epsilon: number | Radius;
  /** Weight of sum |alpha_j|, > 0. Default 1e-3. */
  readonly beta?: number;
  /** Default `paperActivation`. */
  readonly activation?: Activation;
  /** Default `mean-hinge`. */
  readonly loss?: HingeLoss;
  readonly classWeights?: ClassWeights;
  /** `[samples]` */
  readonly sampleWeights?: ArrayLike<number>;
  /** Relative gap to reach. Default 1e-2. */
  readonly tolerance?: number;
  /** Default 40. */
  readonly maxRounds?: number;
  /** Newton steps of the barrier, or evaluations of the objective, in all. Default 2000. */
  readonly maxEvaluations?: number;
  /** L-BFGS steps a round, where the problem is too large for the barrier. Default 60. */
  readonly stepsPerRound?: number;
  /** Fewer than 2 features + 2 leave the barrier out, whose networks may need these. Default min(2 features + 2, 64). */
  readonly maxNeurons?: number;
  /** Default none. */
  readonly timeLimitSeconds?: number;
  readonly kernels?: KernelRequest | Kernels;
}

export interface LinfFit {
  readonly status: JointStatus;
  /** Certified: the true l-infinity robust objective of the network is at most `total`. */
  readonly objective: { readonly total: number; readonly hinge: number; readonly regulariser: number };
  /** No network of any width has a smaller certified objective. */
  readonly lowerBound: number;
  readonly gap: number;
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  /** Certified worst margin of each training point, `[samples]`. */
  readonly margins: Float64Array;
  readonly epsilon: number;
  readonly beta: number;
  readonly iterations: number;
  readonly evaluations: number;
  readonly seconds: number;
  readonly kernels: string;
  readonly warnings: readonly Warning[];
}

const knownOptions = [
  ...["epsilon", "beta", "activation", "loss", "classWeights", "sampleWeights", "tolerance", "maxRounds", "range"],
  ...["maxEvaluations", "stepsPerRound", "maxNeurons", "timeLimitSeconds", "kernels", "signal", "onEvent", "immutable"],
];

/**
 * Trains on points `[samples, features]` with labels +1 / -1. Up to about 9 features and 10,000 samples, 13 and 3,000 or 22 and 400, a barrier
 * method ends at the gap asked for (1e-4 and less). Beyond, a descent costs one relaxation an evaluation and sample that is not clearly
 * safe: some hundred samples of 60 features; up to 30 features and 1,000 samples the barrier method takes over where it gets stuck. Throws ShapeError, DataError or SettingError on
 * misuse, AbortedError when the signal fires. Deterministic for given kernels.
 */
export function fitLinf(points: NumericBatch, labels: SignLabels, options: LinfFitOptions): LinfFit {
  const started = performance.now();
  if (typeof options !== "object" || options === null) {
    throw new SettingError({ argument: "options", expected: "an object with an epsilon", received: options });
  }
  checkKeys(options, knownOptions);
  const epsilon = epsilonValue(options.epsilon, "options.epsilon");
  const { beta = 1e-3, activation = paperActivation, tolerance = 1e-2, timeLimitSeconds } = options;
  checkNumber(beta, "options.beta", 0, true);
  checkNumber(tolerance, "options.tolerance", 0, true);
  checkActivation(activation, "options.activation");
  const [n, d] = checkPoints(points, "points");
  checkSignLabels(labels, n);
  const { maxRounds = 40, maxEvaluations = 2000, stepsPerRound = 60 } = options;
  const maxNeurons = options.maxNeurons ?? Math.min(2 * d + 2, 64);
  for (const [name, value] of Object.entries({ maxRounds, maxEvaluations, stepsPerRound })) {
    checkInteger(value, `options.${name}`, 1);
  }
  checkInteger(maxNeurons, "options.maxNeurons", 2);
  if (timeLimitSeconds !== undefined) checkNumber(timeLimitSeconds, "options.timeLimitSeconds", 0, true);
  const kernels = typeof options.kernels === "object" ? options.kernels : chooseKernels(options.kernels ?? "auto");
  const kappa = hingeWeights(labels, options);
  const box: BoxOptions = {
    ...(options.range === undefined ? {} : { range: options.range }),
    ...(options.immutable === undefined ? {} : { immutable: options.immutable }),
  };
  const boxes = createBoxAdversary(d, epsilon, box);

  const signs = Float64Array.from(labels);
  const limit = timeLimitSeconds ?? Number.POSITIVE_INFINITY;
  const settings = { tolerance, maxRounds, stepsPerRound, maxEvaluations, timeLimitSeconds: limit };
  const hooks: JointHooks = {
    signal: options.signal,
    onRound: (report) => options.onEvent?.({ type: "round", ...report }),
  };
  const hidden = boxesHideAll(points, boxes, cloudVariance(classMasses(labels, kappa), activation));
  const outcome = hidden
    ? zeroOutcome(kappa)
    : trainBoxes({ points, labels: signs, kappa, beta, activation, boxes, kernels }, maxNeurons, settings, hooks);
  const [quadratic] = scoresOf(outcome.network, 1, d, activation);
  const margins = linfLowerBounds(quadratic, points, labels, epsilon, { kernels, ...box }).lowerBounds;
  let hinge = 0;
  for (let i = 0; i < n; i++) hinge += kappa[i] * Math.max(0, 1 - margins[i]);
  const neurons = quadratic.neurons as Neurons;
  let mass = 0;
  for (const alpha of neurons.weights) mass += Math.abs(alpha);
  const regulariser = beta * mass;
  const total = hinge + regulariser;
  const gap = (total - outcome.lower) / total;
  const warnings: Warning[] = [];
  if (gap > tolerance) {
    const message = `training ended (${outcome.status}) at a relative gap of ${gap.toExponential(1)}, above ${tolerance}`;
    warnings.push({ code: "gap-not-reached", message });
  }
  // Where rounding decides, the trainer's own value is not what counts.
  const status = gap > 1.05 * tolerance && /optimal$/.test(outcome.status) ? "stalled" : outcome.status;
  return {
    status,
    objective: { total, hinge, regulariser },
    lowerBound: outcome.lower,
    gap,
    neurons,
    quadratic,
    margins,
    epsilon,
    beta,
    iterations: outcome.rounds,
    evaluations: outcome.evaluations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings,
  };
}

/**
 * Whether every box holds clouds around the origin with this variance in each feature, so that no network is below the zero one
 * (beyondAllPoints; the relaxation behind the certificates only asks for second moments, feature by feature).
 */
function boxesHideAll(points: NumericBatch, boxes: BoxAdversary, variance: number): boolean {
  const [n, d] = points.shape as [number, number];
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  for (let i = 0; i < n; i++) {
    boxes.boxAt(points, i, lower, upper);
    for (let k = 0; k < d; k++) {
      const centre = points.data[i * d + k] + 0.5 * (lower[k] + upper[k]);
      const room = (0.5 * (upper[k] - lower[k])) ** 2 * (1 - 1e-9);
      if (!(centre * centre + variance <= room)) return false;
    }
  }
  return true;
}

function zeroOutcome(kappa: Float64Array): JointOutcome {
  const upper = kappa.reduce((sum, weight) => sum + weight, 0);
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
