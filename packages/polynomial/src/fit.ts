// One call that trains a robust two-layer polynomial network on two classes and certifies it (math.md 4, 7; arXiv 2405.14033).
// Two trainers stand behind it: the interior point of `exact/` for small problems and small gaps, the factored network of
// `factored/` for large ones. The result says which one was used.

import {
  type NumericBatch,
  type Radius,
  SettingError,
  ShapeError,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import { chooseKernels, type KernelRequest, type Kernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "./activation.js";
import { classMasses, hidesAll, zeroNetwork } from "./beyondAllPoints.js";
import { chooseMethod, type Method } from "./exact/chooseMethod.js";
import type { IterationReport } from "./exact/interiorPoint.js";
import { type ExactState, type ExactStatus, trainExact } from "./exact/trainExact.js";
import type { FactoredState, FactoredStatus, RoundReport } from "./factored/contracts.js";
import { fitFactored, suits } from "./factored/fitFactored.js";
import { type RowSource, rowsOf } from "./factored/rowSource.js";
import { prepareRows, type TrainingData } from "./factored/trainingData.js";
import { type ClassWeights, hingeWeights, marginLossOf, type TrainingLoss } from "./hingeWeights.js";
import { checkInteger, checkKeys, checkNumber, checkPoints, checkSignLabels, type SignLabels } from "./inputs.js";
import { type MoveOptions, type MoveSet, moveSetOf } from "./moveSet.js";
import { type LiftedMatrices, liftedMatrices, type Neurons, type Quadratic } from "./quadratic.js";
import { type ObjectiveParts, robustObjective } from "./robustObjective.js";
import { prepareOver, radiusValue, type WorstCase, type WorstCaseOracle } from "./worstCase/worstCase.js";

/** One round of the factored trainer. */
export interface RoundEvent extends RoundReport {
  readonly type: "round";
  /** Class of a one-versus-all fit, else null. */
  readonly class: number | null;
}

/** One iteration of the exact trainer; `lower` is -Infinity until the first certificate. */
export interface IterationEvent extends IterationReport {
  readonly type: "iteration";
  readonly class: number | null;
}

export type FitEvent = RoundEvent | IterationEvent;

/** What a fit leaves for the next one along a path of radii or of beta. Opaque: only its kind is meant to be read. */
export type FitState = ExactState | FactoredState;

export interface FitOptions extends WorkOptions<FitEvent>, MoveOptions {
  /** l2 radius of the adversary in feature space (of z where `ellipsoid` is given); 0 trains the non-robust network. */
  readonly radius: number | Radius;
  /** Weight of sum |alpha_j|, > 0. Default 1e-3. */
  readonly beta?: number;
  /** Default `paperActivation`. */
  readonly activation?: Activation;
  /** Default `mean-hinge`. Squared hinge and logistic loss need the exact trainer. */
  readonly loss?: TrainingLoss;
  readonly classWeights?: ClassWeights;
  /** `[samples]` */
  readonly sampleWeights?: ArrayLike<number>;
  /**
   * Samples whose worst margin must be at least 1 instead of paying a loss (math.md 4.4): all of them, or nonzero flags
   * `[samples]`. The fit may then be `infeasible`. Needs the exact trainer.
   */
  readonly hardMargins?: "all" | ArrayLike<number | boolean>;
  /**
   * `exact`: interior point, gaps of 1e-6 and below, up to about 60 features. `factored`: any size, gaps of 1e-2 to 1e-3.
   * `auto` (default): exact where the size allows it, unless the tolerance is 3e-3 or more or an option of the factored
   * trainer is given; then factored, with the exact trainer taking over when it stalls.
   */
  readonly method?: "auto" | Method;
  /**
   * An earlier fit of the same data with another radius or beta to start from, by the same trainer (`state.kind`). `warmStart` of
   * the result says whether it served. A start that does not help is dropped for the ordinary one.
   */
  readonly warmStart?: { readonly state: FitState | null };
  /** Relative gap (objective - lower bound) / objective to reach. Default 1e-6 exact, 1e-2 factored. */
  readonly tolerance?: number;
  /** Exact trainer: most interior-point iterations of one solve. Default 100. */
  readonly maxIterations?: number;
  /** Factored trainer: default 60. */
  readonly maxRounds?: number;
  /** Factored trainer: evaluations of the objective in all. Default 6000, or 1500 where the exact trainer can take over. */
  readonly maxEvaluations?: number;
  /** Factored trainer: L-BFGS steps a round. Default 100. */
  readonly stepsPerRound?: number;
  /** Factored trainer: default min(2 features + 2, 64). */
  readonly maxNeurons?: number;
  /** Default none, so that results do not depend on the machine's speed. */
  readonly timeLimitSeconds?: number;
  /** Factored trainer: log-determinant smoothing of the worst case: only when the gap stalls (`auto`, default), never or always. */
  readonly smoothing?: "auto" | "never" | "always";
  /** Linear algebra. Default `auto`. */
  readonly kernels?: KernelRequest | Kernels;
}

/** `infeasible`: no network meets the hard margins; `lowerBound` then proves that none with a mass below 1e8 does. */
export type FitStatus = FactoredStatus | ExactStatus;

export interface FitResult {
  readonly status: FitStatus;
  /** The trainer that produced this network. */
  readonly method: Method;
  /** What the factored trainer had reached when the exact one took over, else null. */
  readonly handedOver: { readonly status: FactoredStatus; readonly gap: number } | null;
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
  /** Iterations of the interior point, or rounds of the factored trainer. */
  readonly iterations: number;
  /** Evaluations of the factored objective; 0 without the factored trainer. */
  readonly evaluations: number;
  /** Samples that needed a matrix inequality in the exact trainer (after merging equal ones), else null. */
  readonly workingSet: number | null;
  /** Whether the given warm start served; `none` when none was given. */
  readonly warmStart: "none" | "used" | "rejected";
  /** For `warmStart` of a later fit. Not part of what is saved as JSON. */
  readonly state: FitState | null;
  readonly seconds: number;
  /** Name of the linear algebra used. */
  readonly kernels: string;
  /** Always null: nothing is drawn at random, equal inputs give equal results. */
  readonly seed: null;
  readonly warnings: readonly Warning[];
  /** The pair (Z, Z') of the convex program that this network stands for (math.md 3). */
  matrices(): LiftedMatrices;
  /** Exact worst case of this network over what it was trained against; prepared at the first call. As the function `worstCase`. */
  worstCase(points: NumericBatch, labels: SignLabels, radius: number | Radius): WorstCase;
}

/** Evaluations after which the exact trainer takes over where it may. */
const handOverEvaluations = 1500;
const factoredOptions = ["maxRounds", "maxEvaluations", "stepsPerRound", "maxNeurons", "smoothing"] as const;
const knownOptions = [
  ...["radius", "beta", "activation", "loss", "classWeights", "sampleWeights", "hardMargins", "method", "tolerance"],
  ...["warmStart", "immutable", "ellipsoid", "maxIterations", "timeLimitSeconds", "kernels", "signal", "onEvent"],
  ...factoredOptions,
];

/**
 * Trains on points `[samples, features]` with labels +1 / -1. Always returns the best network found with its certificate;
 * `status` says why training ended. Throws ShapeError, DataError or SettingError on misuse, ResourceError when the exact
 * trainer is asked for and does not fit into memory, AbortedError when the signal fires. Deterministic for given kernels.
 */
export function fitPolynomial(points: NumericBatch, labels: SignLabels, options: FitOptions): FitResult {
  const kernels = resolveKernels(options?.kernels);
  checkFitOptions(options);
  checkPoints(points, "points");
  return fitAny({ rows: rowsOf(points), points, kernels, prepared: null }, labels, options, null);
}

/** As `fitPolynomial`, on data already in kernel memory. `classIndex` only labels events. */
export function fitPrepared(
  data: TrainingData,
  labels: SignLabels,
  options: FitOptions,
  classIndex: number | null,
): FitResult {
  checkFitOptions(options);
  const { rows, points, kernels } = data;
  return fitAny({ rows, points, kernels, prepared: data }, labels, options, classIndex);
}

interface Source {
  readonly rows: RowSource;
  /** Null when the points do not lie in memory. */
  readonly points: NumericBatch | null;
  readonly kernels: Kernels;
  readonly prepared: TrainingData | null;
}

/** What either trainer hands back. */
type Trained = Pick<
  FitResult,
  | "status"
  | "neurons"
  | "quadratic"
  | "objective"
  | "lowerBound"
  | "iterations"
  | "evaluations"
  | "workingSet"
  | "warmStart"
  | "state"
>;

function fitAny(
  { rows, points, kernels, prepared }: Source,
  labels: SignLabels,
  options: FitOptions,
  classIndex: number | null,
): FitResult {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  const { samples, dimension: features } = rows;
  checkSignLabels(labels, samples);
  const radius = radiusValue(options.radius, "options.radius");
  const beta = options.beta ?? 1e-3;
  const activation = options.activation ?? paperActivation;
  const weights = hingeWeights(labels, options);
  const loss = marginLossOf(options.loss ?? "mean-hinge");
  const required = requiredFlags(options.hardMargins, samples);
  const set = moveSetOf(options, features);
  const timeLimit = options.timeLimitSeconds ?? Number.POSITIVE_INFINITY;
  const { method: request = "auto", tolerance: wanted } = options;
  const choice = chooseMethod({
    method: request,
    samples,
    features,
    radius,
    loss,
    hardMargins: required !== null,
    tolerance: wanted,
    factoredOptions: factoredOptions.some((name) => options[name] !== undefined),
    inMemory: points !== null,
  });
  const common = { labels: Float64Array.from(labels), radius, beta, activation, set };

  const earlier = options.warmStart?.state ?? null;
  const exact = (tolerance: number): Trained => {
    if (points === null) throw new Error("the exact trainer was chosen for points outside memory");
    const outcome = trainExact(
      { ...common, points, weights, loss, required, kernels, warmStart: earlier?.kind === "exact" ? earlier : null },
      { tolerance, maxIterations: options.maxIterations ?? 100, timeLimitSeconds: timeLimit - elapsed() },
      {
        signal: options.signal,
        onIteration: (report) => options.onEvent?.({ type: "iteration", class: classIndex, ...report }),
      },
    );
    // The objective once more, on the samples as given.
    const objective = robustObjective(outcome.quadratic, points, labels, radius, weights, beta, kernels, {
      loss,
      required,
      set,
    });
    const warmStart = options.warmStart && earlier?.kind !== "exact" ? "rejected" : outcome.warmStart;
    return { ...outcome, objective, evaluations: 0, warmStart };
  };

  const factored = (tolerance: number): Trained & { status: FactoredStatus } => {
    if (set === null && hidesAll(rows, classMasses(labels, weights), radius, activation)) {
      const none = { iterations: 0, evaluations: 0, workingSet: null, state: null };
      const warmStart = options.warmStart ? "rejected" : "none";
      return { status: "zero-optimal", ...zeroNetwork(weights, features, activation), ...none, warmStart };
    }
    const data = prepared ?? prepareRows(rows, points, { kernels, maxNeurons: options.maxNeurons });
    const settings = {
      tolerance,
      maxRounds: options.maxRounds ?? 60,
      maxEvaluations: options.maxEvaluations ?? (choice.mayHandOver ? handOverEvaluations : 6000),
      evaluationsPerRound: options.stepsPerRound ?? 100,
      timeLimitSeconds: timeLimit,
      smoothing: options.smoothing ?? ("auto" as const),
    };
    const onRound = (report: RoundReport) => options.onEvent?.({ type: "round", class: classIndex, ...report });
    const hooks = { signal: options.signal, onRound };
    const warm = earlier?.kind === "factored" && suits(earlier, features) ? earlier : null;
    const outcome = fitFactored({ ...common, data, hingeWeights: weights }, settings, hooks, warm);
    return { ...outcome, workingSet: null, warmStart: options.warmStart && !warm ? "rejected" : outcome.warmStart };
  };

  const tolerance = wanted ?? (choice.method === "exact" ? 1e-6 : 1e-2);
  let handedOver: FitResult["handedOver"] = null;
  let method = choice.method;
  let trained: Trained;
  if (method === "exact") trained = exact(tolerance);
  else {
    const first = factored(tolerance);
    trained = first;
    const gap = relativeGap(first);
    const spent = first.status === "evaluation-limit" && options.maxEvaluations === undefined;
    if (choice.mayHandOver && gap > tolerance && (first.status === "stalled" || spent)) {
      const second = exact(tolerance);
      handedOver = { status: first.status, gap };
      // Keep the better end of either.
      const bound = Math.max(first.lowerBound, second.lowerBound);
      const better = second.objective.total <= first.objective.total ? second : first;
      method = better === second ? "exact" : "factored";
      trained = {
        ...better,
        status: second.status,
        lowerBound: bound,
        iterations: first.iterations + second.iterations,
        evaluations: first.evaluations,
        workingSet: second.workingSet,
        warmStart: second.warmStart,
        state: second.state,
      };
    }
  }
  const gap = relativeGap(trained);
  const { neurons, quadratic } = trained;
  return {
    ...trained,
    gap,
    method,
    handedOver,
    radius,
    beta,
    seconds: elapsed(),
    kernels: kernels.name,
    seed: null,
    warnings: warningsFor(trained.status, gap, tolerance),
    ...withQuestions({ neurons, quadratic }, kernels, set),
  };
}

/** The questions a fitted network answers. */
export function withQuestions(
  { neurons, quadratic }: Pick<FitResult, "neurons" | "quadratic">,
  kernels?: Kernels,
  set: MoveSet | null = null,
): Pick<FitResult, "matrices" | "worstCase"> {
  let oracle: WorstCaseOracle | null = null;
  return {
    matrices: () => liftedMatrices(neurons, quadratic.dimension),
    worstCase(points, labels, radius) {
      oracle ??= prepareOver(quadratic, set, kernels ?? chooseKernels());
      return oracle.solve(points, labels, radius);
    },
  };
}

function relativeGap({ objective, lowerBound: bound }: Pick<Trained, "objective" | "lowerBound">): number {
  if (!Number.isFinite(objective.total)) return Number.POSITIVE_INFINITY;
  return (objective.total - bound) / Math.max(objective.total, Number.MIN_VALUE);
}

/** Kernels by name, or as given. */
export function resolveKernels(request: KernelRequest | Kernels | undefined): Kernels {
  return typeof request === "object" ? request : chooseKernels(request ?? "auto");
}

function requiredFlags(hardMargins: FitOptions["hardMargins"], samples: number): Uint8Array | null {
  if (hardMargins === undefined) return null;
  if (hardMargins === "all") return new Uint8Array(samples).fill(1);
  if (typeof hardMargins !== "object" || hardMargins === null || hardMargins.length !== samples) {
    const expected = `all, or ${samples} flags, one per sample`;
    const received = (hardMargins as ArrayLike<number> | null)?.length ?? hardMargins;
    throw new ShapeError({ argument: "options.hardMargins", expected, received });
  }
  const flags = Uint8Array.from({ length: samples }, (_, i) => (hardMargins[i] ? 1 : 0));
  return flags.some((flag) => flag !== 0) ? flags : null;
}

export function checkFitOptions(options: FitOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new SettingError({ argument: "options", expected: "an object with a radius", received: options });
  }
  checkKeys(options, knownOptions);
  radiusValue(options.radius, "options.radius");
  checkNumber(options.beta ?? 1e-3, "options.beta", 0, true);
  checkNumber(options.tolerance ?? 1e-2, "options.tolerance", 0, true);
  checkInteger(options.maxIterations ?? 100, "options.maxIterations", 1);
  checkInteger(options.maxRounds ?? 60, "options.maxRounds", 1);
  checkInteger(options.maxEvaluations ?? 6000, "options.maxEvaluations", 1);
  checkInteger(options.stepsPerRound ?? 100, "options.stepsPerRound", 1);
  if (options.timeLimitSeconds !== undefined)
    checkNumber(options.timeLimitSeconds, "options.timeLimitSeconds", 0, true);
  checkChoice(options.smoothing, "options.smoothing", ["auto", "never", "always"]);
  checkChoice(options.method, "options.method", ["auto", "exact", "factored"]);
  checkActivation(options.activation ?? paperActivation, "options.activation");
}

function checkChoice(value: string | undefined, argument: string, choices: readonly string[]): void {
  if (value === undefined || choices.includes(value)) return;
  throw new SettingError({ argument, expected: `one of ${choices.join(", ")}`, received: value });
}

function warningsFor(status: FitStatus, gap: number, tolerance: number): Warning[] {
  if (status === "infeasible") {
    return [{ code: "infeasible-margins", message: "no network meets the hard margins; the zero network is returned" }];
  }
  if (gap <= tolerance) return [];
  const message = `training ended (${status}) at a relative gap of ${gap.toExponential(1)}, above ${tolerance}`;
  return [{ code: "gap-not-reached", message }];
}
