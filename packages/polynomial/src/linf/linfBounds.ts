// l-infinity robustness of one quadratic score, batched (math.md 12.1, 12.2, solvers.md 7):
//   certified lower bounds (diagonal S-procedure), attained upper bounds (coordinate descent), exact minima (branch and bound).
//   bound <= exact lower bound <= min over the box of y f(x + D) <= exact value <= attack value

import { type NumericBatch, type Radius, type Rng, SettingError, throwIfAborted } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkInteger, checkNumber, checkPoints, checkSignLabels, type SignLabels } from "../inputs.js";
import { checkQuadratic, type Quadratic, symmetrised } from "../quadratic.js";
import { allocateBoxProblem, type BoxOptions, createBoxAdversary, epsilonValue, loadBoxProblem } from "./boxProblem.js";
import { createBoxRelaxation } from "./boxRelaxation.js";
import { branchAndBound } from "./branchAndBound.js";
import { createCoordinateDescent } from "./coordinateDescent.js";

export interface LinfOptions extends BoxOptions {
  readonly kernels?: Kernels;
  /** Relative gap of each relaxation. Default 1e-9. */
  readonly tolerance?: number;
  readonly signal?: AbortSignal;
}

export interface LinfBounds {
  /** Never above the true worst signed score over the box, `[samples]`. */
  readonly lowerBounds: Float64Array;
  /** Multipliers nu >= 0 of (D_k / half-width)^2 <= 1 about the box centre; 0 for fixed coordinates. `[samples, features]` */
  readonly multipliers: Float64Array;
  /** Mean of the relaxation's optimal distribution of D, a good start for attacks, `[samples, features]`. */
  readonly means: Float64Array;
}

export interface LinfAttack {
  /** y f(x + D), attained: never below the true worst case. `[samples]` */
  readonly values: Float64Array;
  /** `[samples, features]` */
  readonly perturbations: Float64Array;
}

export interface LinfAttackOptions extends LinfOptions {
  /** Random corners to start from, besides the centre and the gradient's corner; they need `rng`. Default 0. */
  readonly restarts?: number;
  readonly rng?: Rng;
  /** Starts, for example the `means` of `linfLowerBounds`, `[samples, features]`. */
  readonly starts?: Float64Array;
}

export interface LinfExact extends LinfAttack {
  /** Never above the minimum; within the tolerance of `values` where the status is `optimal`. `[samples]` */
  readonly lowerBounds: Float64Array;
  /** `decided`: only that the minimum is above `decide`, or not, was established. */
  readonly statuses: readonly ("optimal" | "decided" | "node-limit")[];
  /** Boxes bounded, `[samples]`. */
  readonly nodes: Int32Array;
}

export interface LinfExactOptions extends LinfOptions {
  /** Boxes a sample may take. Default 20000. */
  readonly maxNodes?: number;
  /** Stop as soon as it is known whether the minimum is above this value, for example 0 for robustness. */
  readonly decide?: number;
}

/**
 * Certified lower bound of min over |D_k| <= epsilon of y f(x + D) for every point.
 * points `[samples, features]`, labels +1 / -1 `[samples]`, epsilon in feature units. Throws ShapeError, DataError or
 * SettingError on misuse. Source: math.md 12.1.
 */
export function linfLowerBounds(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  epsilon: number | Radius,
  options: LinfOptions = {},
): LinfBounds {
  const { samples, d, boxes, kernels, score } = prepare(quadratic, points, labels, epsilon, options);
  const relaxation = createBoxRelaxation(d, kernels);
  const problem = allocateBoxProblem(d);
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  const lowerBounds = new Float64Array(samples);
  const multipliers = new Float64Array(samples * d);
  const means = new Float64Array(samples * d);
  const settings = { tolerance: options.tolerance ?? 1e-9, stopAbove: Number.POSITIVE_INFINITY };
  for (let i = 0; i < samples; i++) {
    throwIfAborted(options.signal, "l-infinity bounds");
    boxes.boxAt(points, i, lower, upper);
    loadBoxProblem(problem, score, points.data, i * d, labels[i], lower, upper);
    lowerBounds[i] = relaxation.solve(problem, settings);
    for (let k = 0; k < d; k++) means[i * d + k] = problem.centre[k];
    for (let j = 0; j < problem.size; j++) {
      const k = problem.index[j];
      multipliers[i * d + k] = relaxation.multipliers[j];
      means[i * d + k] += problem.half[k] * relaxation.mean[j];
    }
  }
  return { lowerBounds, multipliers, means };
}

/** Strong l-infinity attack by exact coordinate steps from several starts. Same contract as `linfLowerBounds`. */
export function linfAttack(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  epsilon: number | Radius,
  options: LinfAttackOptions = {},
): LinfAttack {
  const { samples, d, boxes, score } = prepare(quadratic, points, labels, epsilon, options);
  const { restarts = 0, rng, starts } = options;
  checkInteger(restarts, "options.restarts", 0);
  if (restarts > 0 && !rng) {
    throw new SettingError({ argument: "options.rng", expected: "a seeded Rng for random restarts", received: rng });
  }
  if (starts && starts.length !== samples * d) {
    const expected = `${samples} x ${d} values`;
    throw new SettingError({ argument: "options.starts", expected, received: starts.length });
  }
  const descent = createCoordinateDescent(d);
  const [lower, upper, trial] = [new Float64Array(d), new Float64Array(d), new Float64Array(d)];
  const values = new Float64Array(samples).fill(Number.POSITIVE_INFINITY);
  const perturbations = new Float64Array(samples * d);
  for (let i = 0; i < samples; i++) {
    throwIfAborted(options.signal, "l-infinity attack");
    boxes.boxAt(points, i, lower, upper);
    for (let start = starts ? -1 : 0; start < restarts + 2; start++) {
      for (let k = 0; k < d; k++) {
        if (start < 0) trial[k] = (starts as Float64Array)[i * d + k];
        else if (start === 0) trial[k] = 0;
        else if (start === 1) {
          let slope = score.q[k];
          for (let l = 0; l < d; l++) slope += 2 * score.Q[k * d + l] * points.data[i * d + l];
          trial[k] = labels[i] * slope > 0 ? lower[k] : upper[k];
        } else trial[k] = (rng as Rng).uniform() < 0.5 ? lower[k] : upper[k];
      }
      const value = descent.improve(score, points.data, i * d, labels[i], lower, upper, trial);
      if (value < values[i]) {
        values[i] = value;
        perturbations.set(trial, i * d);
      }
    }
  }
  return { values, perturbations };
}

/**
 * Exact minimum of y f over the box for every point. The work can grow exponentially with the number of coordinates of
 * negative curvature: fine up to about 20 features, and `node-limit` with both bounds where it is not. With more features, and a box
 * on which most slopes keep their sign, the first box often suffices: `maxNodes: 1` costs about as much as `linfLowerBounds`.
 */
export function linfWorstCase(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  epsilon: number | Radius,
  options: LinfExactOptions = {},
): LinfExact {
  const { samples, d, boxes, kernels, score } = prepare(quadratic, points, labels, epsilon, options);
  const { maxNodes = 20_000, tolerance = 1e-9, decide = null, signal } = options;
  checkInteger(maxNodes, "options.maxNodes", 1);
  if (decide !== null && !Number.isFinite(decide)) {
    throw new SettingError({ argument: "options.decide", expected: "a finite number", received: decide });
  }
  const tools = { relaxation: createBoxRelaxation(d, kernels), descent: createCoordinateDescent(d) };
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  const values = new Float64Array(samples);
  const lowerBounds = new Float64Array(samples);
  const perturbations = new Float64Array(samples * d);
  const nodes = new Int32Array(samples);
  const statuses: LinfExact["statuses"][number][] = [];
  const settings = { tolerance, maxNodes, decide, signal };
  for (let i = 0; i < samples; i++) {
    boxes.boxAt(points, i, lower, upper);
    const move = perturbations.subarray(i * d, (i + 1) * d);
    const outcome = branchAndBound(score, points.data, i * d, labels[i], lower, upper, tools, settings, move);
    values[i] = outcome.value;
    lowerBounds[i] = outcome.lowerBound;
    nodes[i] = outcome.nodes;
    statuses.push(outcome.status);
  }
  return { values, lowerBounds, perturbations, statuses, nodes };
}

function prepare(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  epsilon: number | Radius,
  options: LinfOptions,
) {
  checkQuadratic(quadratic);
  const d = quadratic.dimension;
  const [samples] = checkPoints(points, "points", d);
  checkSignLabels(labels, samples);
  checkNumber(options.tolerance ?? 1e-9, "options.tolerance", 0, true);
  const boxes = createBoxAdversary(d, epsilonValue(epsilon), options);
  return { samples, d, boxes, kernels: options.kernels ?? chooseKernels(), score: symmetrised(quadratic) };
}
