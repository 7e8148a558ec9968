// One call that trains a robust two-layer polynomial network on two classes and certifies it (math.md 4, 7; arXiv 2405.14033).

import { type NumericBatch, type Radius, SettingError, type Warning, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelRequest, type Kernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "./activation.js";
import { lowerBound } from "./certificate.js";
import { type FactoredStatus, type RoundReport, trainFactored } from "./factored/trainFactored.js";
import { prepareTrainingData, type TrainingData } from "./factored/trainingData.js";
import { type ClassWeights, type HingeLoss, hingeWeights } from "./hingeWeights.js";
import { checkInteger, checkKeys, checkNumber, checkSignLabels, type SignLabels } from "./inputs.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "./quadratic.js";
import { type ObjectiveParts, robustObjective } from "./robustObjective.js";
import { prepareWorstCase, radiusValue, type WorstCase, type WorstCaseOracle } from "./worstCase/worstCase.js";

export interface RoundEvent extends RoundReport {
  readonly type: "round";
  /** Class of a one-versus-all fit, else null. */
  readonly class: number | null;
}

export interface FitOptions extends WorkOptions<RoundEvent> {
  /** l2 radius of the adversary in feature space; 0 trains the non-robust network. */
  readonly radius: number | Radius;
  /** Weight of sum |alpha_j|, > 0. Default 1e-3. */
  readonly beta?: number;
  /** Default `paperActivation`. */
  readonly activation?: Activation;
  /** Default `mean-hinge`. */
  readonly loss?: HingeLoss;
  readonly classWeights?: ClassWeights;
  /** `[samples]` */
  readonly sampleWeights?: ArrayLike<number>;
  /** Relative gap (objective - lower bound) / objective to reach. Default 1e-2. */
  readonly tolerance?: number;
  /** Default 60. */
  readonly maxRounds?: number;
  /** Evaluations of the objective in all. Default 6000. */
  readonly maxEvaluations?: number;
  /** L-BFGS steps a round. Default 100. */
  readonly stepsPerRound?: number;
  /** Default min(2 features + 2, 64). */
  readonly maxNeurons?: number;
  /** Default none, so that results do not depend on the machine's speed. */
  readonly timeLimitSeconds?: number;
  /** Log-determinant smoothing of the worst case: only when the gap stalls (`auto`, default), never or always. */
  readonly smoothing?: "auto" | "never" | "always";
  /** Linear algebra. Default `auto`. */
  readonly kernels?: KernelRequest | Kernels;
}

export interface FitResult {
  readonly status: FactoredStatus;
  readonly objective: ObjectiveParts;
  /** No network of any width has a smaller objective. */
  readonly lowerBound: number;
  /** (objective - lowerBound) / objective. */
  readonly gap: number;
  /** Unit hidden weights and output weights of the network found. */
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  readonly radius: number;
  readonly beta: number;
  /** Rounds of the trainer. */
  readonly iterations: number;
  readonly evaluations: number;
  readonly seconds: number;
  /** Name of the linear algebra used. */
  readonly kernels: string;
  readonly warnings: readonly Warning[];
  /** Exact worst case of this network; prepared at the first call. Same contract as the function `worstCase`. */
  worstCase(points: NumericBatch, labels: SignLabels, radius: number | Radius): WorstCase;
}

const knownOptions = [
  ...["radius", "beta", "activation", "loss", "classWeights", "sampleWeights", "tolerance", "maxRounds"],
  ...["maxEvaluations", "stepsPerRound", "maxNeurons", "timeLimitSeconds", "smoothing", "kernels", "signal", "onEvent"],
];

/**
 * Trains on points `[samples, features]` with labels +1 / -1. Always returns the best network found with its certificate;
 * `status` says why training ended. Throws ShapeError, DataError or SettingError on misuse, AbortedError when the signal
 * fires. Deterministic for given kernels.
 */
export function fitPolynomial(points: NumericBatch, labels: SignLabels, options: FitOptions): FitResult {
  const kernels = resolveKernels(options?.kernels);
  checkFitOptions(options);
  const data = prepareTrainingData(points, { kernels, maxNeurons: options.maxNeurons });
  return fitPrepared(data, labels, options, null);
}

/** As `fitPolynomial`, on data already in kernel memory. `classIndex` only labels events. */
export function fitPrepared(
  data: TrainingData,
  labels: SignLabels,
  options: FitOptions,
  classIndex: number | null,
): FitResult {
  const started = performance.now();
  checkFitOptions(options);
  checkSignLabels(labels, data.samples);
  const radius = radiusValue(options.radius, "options.radius");
  const beta = options.beta ?? 1e-3;
  const activation = options.activation ?? paperActivation;
  const weights = hingeWeights(labels, options);
  const problem = {
    data,
    labels: Float64Array.from(labels),
    hingeWeights: weights,
    radius,
    beta,
    activation,
  };
  const settings = {
    tolerance: options.tolerance ?? 1e-2,
    maxRounds: options.maxRounds ?? 60,
    maxEvaluations: options.maxEvaluations ?? 6000,
    evaluationsPerRound: options.stepsPerRound ?? 100,
    timeLimitSeconds: options.timeLimitSeconds ?? Number.POSITIVE_INFINITY,
    smoothing: options.smoothing ?? ("auto" as const),
  };
  const onRound = (report: RoundReport) => options.onEvent?.({ type: "round", class: classIndex, ...report });
  const outcome = trainFactored(problem, settings, { signal: options.signal, onRound });
  // Both ends of the gap once more, by code the trainer does not use for its steps.
  const neurons: Neurons = { directions: outcome.directions, weights: outcome.weights, activation };
  const quadratic = quadraticFromNeurons(neurons, data.dimension);
  const { points, kernels } = data;
  const objective = robustObjective(quadratic, points, labels, radius, weights, beta, kernels);
  const { attack, weights: dualWeights } = outcome.dual;
  const certificate = lowerBound(
    { points, labels, radius, attack, weights: dualWeights, hingeWeights: weights, beta, activation },
    { kernels },
  );
  let oracle: WorstCaseOracle | null = null;
  const gap = (objective.total - certificate.lowerBound) / objective.total;
  return {
    status: outcome.status,
    objective,
    lowerBound: certificate.lowerBound,
    gap,
    neurons,
    quadratic,
    radius,
    beta,
    iterations: outcome.rounds,
    evaluations: outcome.evaluations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings: warningsFor(outcome.status, gap, settings.tolerance),
    worstCase(given, signs, r) {
      oracle ??= prepareWorstCase(quadratic, { kernels });
      return oracle.solve(given, signs, r);
    },
  };
}

/** Kernels by name, or as given. */
export function resolveKernels(request: KernelRequest | Kernels | undefined): Kernels {
  return typeof request === "object" ? request : chooseKernels(request ?? "auto");
}

function checkFitOptions(options: FitOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new SettingError({ argument: "options", expected: "an object with a radius", received: options });
  }
  checkKeys(options, knownOptions);
  radiusValue(options.radius, "options.radius");
  checkNumber(options.beta ?? 1e-3, "options.beta", 0, true);
  checkNumber(options.tolerance ?? 1e-2, "options.tolerance", 0, true);
  checkInteger(options.maxRounds ?? 60, "options.maxRounds", 1);
  checkInteger(options.maxEvaluations ?? 6000, "options.maxEvaluations", 1);
  checkInteger(options.stepsPerRound ?? 100, "options.stepsPerRound", 1);
  if (options.timeLimitSeconds !== undefined)
    checkNumber(options.timeLimitSeconds, "options.timeLimitSeconds", 0, true);
  if (!["auto", "never", "always", undefined].includes(options.smoothing)) {
    throw new SettingError({
      argument: "options.smoothing",
      expected: "auto, never or always",
      received: options.smoothing,
    });
  }
  checkActivation(options.activation ?? paperActivation, "options.activation");
}

function warningsFor(status: FactoredStatus, gap: number, tolerance: number): Warning[] {
  if (gap <= tolerance) return [];
  const message = `training ended (${status}) at a relative gap of ${gap.toExponential(1)}, above ${tolerance}`;
  return [{ code: "gap-not-reached", message }];
}
