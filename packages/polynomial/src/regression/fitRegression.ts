// Robust regression with the squared error, convex and certified like the hinge (math.md 4; 13.3 has the form for ReLU):
//   minimise sum_i kappa_i e_i^2 + beta sum_j |alpha_j|,   e_i = max over ||D|| <= r of |f(x_i + D) - t_i|
// e_i is the larger of t_i - min f and max f - t_i. Both are convex in S = Z - Z' (a minimum of linear functions, negated), so is
// their maximum, and so is its square, as e_i >= 0. In the interior point each sample is two matrix inequalities, for the scores
// f and -f, that share the slack e_i; its dual weighs the two sides: sum (p+ - p-) t - (p+ + p-)^2 / (4 kappa) is the dual objective.
// Targets are divided by their root mean square s inside: objective and mass scale exactly (s^2, and beta becomes beta / s).

import type { WorkOptions } from "@worstcase/core";
import { checkFinite, type NumericBatch, type Radius, SettingError, ShapeError, type Warning } from "@worstcase/core";
import type { KernelRequest, Kernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "../activation.js";
import { lowerBound } from "../certificate.js";
import { innerRadius } from "../exact/innerRadius.js";
import { type IterationReport, solveInterior } from "../exact/interiorPoint.js";
import { pruneNetwork } from "../exact/pruneNetwork.js";
import { resolveKernels } from "../fit.js";
import { checkInteger, checkKeys, checkNumber, checkPoints } from "../inputs.js";
import { lossShape } from "../marginLoss.js";
import { type MoveOptions, moveSetOf, movesOf } from "../moveSet.js";
import {
  type LiftedMatrices,
  liftedMatrices,
  type Neurons,
  type Quadratic,
  quadraticFromNeurons,
} from "../quadratic.js";
import type { ObjectiveParts } from "../robustObjective.js";
import { radiusValue } from "../worstCase/worstCase.js";
import { predictionRange } from "./predictionRange.js";

export interface RegressionOptions extends WorkOptions<IterationReport>, MoveOptions {
  /** l2 radius of the adversary in feature space; 0 trains the non-robust network. */
  readonly radius: number | Radius;
  /** Weight of sum |alpha_j|, > 0. Default 1e-3. */
  readonly beta?: number;
  /** Mean (default) or sum of the squared errors. */
  readonly reduction?: "mean" | "sum";
  /** Default `paperActivation`. */
  readonly activation?: Activation;
  /** Nonnegative, not all zero, `[samples]`. */
  readonly sampleWeights?: ArrayLike<number>;
  /** Relative gap (objective - lower bound) / objective to reach. Default 1e-6. */
  readonly tolerance?: number;
  /** Default 100. */
  readonly maxIterations?: number;
  /** Default none. */
  readonly timeLimitSeconds?: number;
  readonly kernels?: KernelRequest | Kernels;
}

export interface RegressionResult {
  readonly status: "optimal" | "zero-optimal" | "stalled" | "iteration-limit" | "time-limit";
  readonly objective: ObjectiveParts;
  /** No network of any width has a smaller objective. */
  readonly lowerBound: number;
  /** (objective - lowerBound) / objective; 0 when the objective is 0. */
  readonly gap: number;
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  /** e_i: largest error on the ball, rigorous upper bounds, exact up to rounding, `[samples]`. */
  readonly worstErrors: Float64Array;
  readonly radius: number;
  readonly beta: number;
  readonly iterations: number;
  readonly seconds: number;
  readonly kernels: string;
  /** Always null: nothing is drawn at random. */
  readonly seed: null;
  readonly warnings: readonly Warning[];
  /** The pair (Z, Z') of the convex program. */
  matrices(): LiftedMatrices;
}

const known = [
  ...["radius", "beta", "reduction", "activation", "sampleWeights", "tolerance", "maxIterations"],
  ...["timeLimitSeconds", "kernels", "signal", "onEvent", "immutable", "ellipsoid"],
];

/**
 * Trains on points `[samples, features]` and targets `[samples]`. Interior point only (two blocks a sample): up to about 200
 * samples of 60 features, 5,000 of 10. Throws ShapeError, DataError or SettingError on misuse, ResourceError when it does not
 * fit into memory, AbortedError when the signal fires.
 */
export function fitRegression(
  points: NumericBatch,
  targets: ArrayLike<number>,
  options: RegressionOptions,
): RegressionResult {
  const started = performance.now();
  const [n, d] = checkPoints(points, "points");
  if (typeof options !== "object" || options === null) {
    throw new SettingError({ argument: "options", expected: "an object with a radius", received: options });
  }
  checkKeys(options, known);
  const { beta = 1e-3, reduction = "mean", activation = paperActivation, tolerance = 1e-6 } = options;
  const { maxIterations = 100, timeLimitSeconds = Number.POSITIVE_INFINITY } = options;
  const radius = radiusValue(options.radius, "options.radius");
  checkNumber(beta, "options.beta", 0, true);
  checkNumber(tolerance, "options.tolerance", 0, true);
  checkInteger(maxIterations, "options.maxIterations", 1);
  if (options.timeLimitSeconds !== undefined) checkNumber(timeLimitSeconds, "options.timeLimitSeconds", 0, true);
  checkActivation(activation, "options.activation");
  if (reduction !== "mean" && reduction !== "sum") {
    throw new SettingError({ argument: "options.reduction", expected: "mean or sum", received: reduction });
  }
  const wanted = checkTargets(targets, n);
  const weights = sampleWeightsOf(options.sampleWeights, n, reduction);
  const kernels = resolveKernels(options.kernels);
  const set = moveSetOf(options, d);
  const moves = movesOf(options);

  let square = 0;
  let size = 0;
  for (let i = 0; i < n; i++) square += wanted[i] * wanted[i];
  for (const value of points.data) size += value * value;
  const scale = Math.sqrt(square / n) || 1;
  const inner = innerRadius(radius, Math.sqrt(size / n), set);

  const data = new Float64Array(2 * n * d);
  data.set(points.data);
  data.copyWithin(n * d, 0, n * d);
  const sides = new Float64Array(2 * n).fill(1, 0, n).fill(-1, n);
  const scaled = Float64Array.from(sides, (side, i) => (side * wanted[i % n]) / scale);
  const doubled = Float64Array.from(sides, (_, i) => weights[i % n]);
  const outcome = solveInterior(
    {
      samples: {
        ...{ count: 2 * n, features: d, points: data, labels: sides, targets: scaled, paired: true },
        ...{ weights: doubled, required: new Uint8Array(2 * n), loss: lossShape("squared"), radius: inner, set },
      },
      ...{ beta: beta / scale, activation, kernels },
    },
    { tolerance: 0.5 * tolerance, maxIterations, timeLimitSeconds, infeasibleAbove: Number.POSITIVE_INFINITY },
    { signal: options.signal, onIteration: (report) => options.onEvent?.(rescaled(report, scale)) },
  );
  const { lowerBound: bound } = lowerBound(
    {
      ...{ points: { data, shape: [2 * n, d] }, labels: sides, radius, weights: outcome.weights },
      ...{ attack: { coordinates: outcome.displacements, covariances: outcome.covariances } },
      ...{ hingeWeights: doubled, beta: beta / scale, activation, loss: "squared", targets: scaled },
      ...moves,
    },
    { kernels },
  );
  const evaluate = (neurons: Neurons) => {
    const network = { ...neurons, weights: neurons.weights.map((alpha) => scale * alpha) };
    const quadratic = quadraticFromNeurons(network, d);
    const { lowest, highest } = predictionRange(quadratic, points, radius, { kernels, ...moves });
    const worstErrors = Float64Array.from(wanted, (t, i) => Math.max(t - lowest[i], highest[i] - t));
    const loss = worstErrors.reduce((sum, error, i) => sum + weights[i] * error * error, 0);
    const regulariser = beta * network.weights.reduce((sum, alpha) => sum + Math.abs(alpha), 0);
    return { neurons: network, quadratic, worstErrors, objective: { total: loss + regulariser, loss, regulariser } };
  };
  const zero = evaluate({ directions: new Float64Array(0), weights: new Float64Array(0), activation });
  const trained = pruneNetwork(outcome, d + 1, activation, kernels, 0.1 * tolerance, evaluate);
  const best = trained.objective.total < zero.objective.total ? trained : zero;
  const { total } = best.objective;
  const lower = scale * scale * bound;
  const gap = total > 0 ? (total - lower) / total : 0;
  const reached = gap <= tolerance;
  const status = reached ? (best === zero ? "zero-optimal" : "optimal") : unreached(outcome.status);
  const warnings: Warning[] = reached ? [] : [gapWarning(gap, tolerance, status)];
  return {
    ...{ status, ...best, lowerBound: lower, gap, radius, beta, iterations: outcome.iterations, warnings, seed: null },
    ...{ seconds: (performance.now() - started) / 1000, kernels: kernels.name },
    matrices: () => liftedMatrices(best.neurons, d),
  };
}

function unreached(status: string): "stalled" | "iteration-limit" | "time-limit" {
  return status === "iteration-limit" || status === "time-limit" ? status : "stalled";
}

function gapWarning(gap: number, tolerance: number, status: string): Warning {
  const message = `the certified relative gap is ${gap.toExponential(1)}, wanted ${tolerance.toExponential(1)} (${status})`;
  return { code: "gap-not-reached", message };
}

function rescaled(report: IterationReport, scale: number): IterationReport {
  return { ...report, upper: scale * scale * report.upper, lower: scale * scale * report.lower };
}

function checkTargets(targets: ArrayLike<number>, samples: number): Float64Array {
  if (targets?.length !== samples) {
    const received = targets?.length ?? targets;
    throw new ShapeError({ argument: "targets", expected: `${samples} numbers, one per sample`, received });
  }
  const values = Float64Array.from(targets);
  checkFinite(values, "targets");
  return values;
}

function sampleWeightsOf(given: ArrayLike<number> | undefined, n: number, reduction: "mean" | "sum"): Float64Array {
  const weights = new Float64Array(n).fill(reduction === "mean" ? 1 / n : 1);
  if (given === undefined) return weights;
  if (given.length !== n) {
    throw new ShapeError({ argument: "options.sampleWeights", expected: `${n} values`, received: given.length });
  }
  let sum = 0;
  for (let i = 0; i < n; i++) {
    checkNumber(given[i], `options.sampleWeights[${i}]`, 0);
    weights[i] *= given[i];
    sum += given[i];
  }
  if (!(sum > 0))
    throw new SettingError({ argument: "options.sampleWeights", expected: "a positive sum", received: 0 });
  return weights;
}
