// Training of gated ReLU models to a certified gap (math.md 13.2, 13.3, 13.6, 24 H): the public functions for classes and regression.
//   minimise over T  1/n sum_i l_i(T) + beta R(T)      (program.ts holds every loss, ball and regulariser)
// Gates stay as they are at x_i inside the ball: exact for the gated model with FIXED gates only (see certifiedMargins for moving gates).
// Methods: Newton steps on a working set of gates along a shrinking smoothing, to any tolerance; accelerated proximal steps for large problems.
// features: [n, d]   labels: [n]   T: [P, outputs, d (+1)]

import { type NumericBatch, SettingError, type Warning, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels } from "@worstcase/linalg";
import { checkPositive } from "../checks.js";
import { checkStart, type GatedReluModel } from "../gatedModel.js";
import { copyGates, refuseTrainingPatterns } from "../patterns/gateSet.js";
import type { Objective } from "../program/objective.js";
import { type Answers, createProgram, type ProgramOptions, type ReluProgram } from "../program/program.js";
import type { FitProgress, FitStatus } from "../proximal/minimise.js";
import { constantsOf, onlyConstantsMatter, withoutFeatures } from "./constantsOnly.js";
import { asOneColumn, asTwoColumns, type FirstOrderCheckpoint, fitFirstOrder } from "./firstOrder.js";
import { NewtonSystem } from "./newton/newtonSystem.js";
import { followPath } from "./newton/pathFollowing.js";
import { zeroCertificate } from "./zeroCertificate.js";

export type GatedMethod = "newton" | "first-order";

export interface FitGatedReluOptions extends ProgramOptions, WorkOptions<FitProgress> {
  /** Relative certified gap to stop at (default 1e-2). */
  readonly tolerance?: number;
  /** Default 2000. */
  readonly maximumIterations?: number;
  readonly kernels?: Kernels;
  /** Default `auto`: Newton steps where their matrices are small enough, proximal steps where not or where the working set outgrows them. */
  readonly method?: "auto" | GatedMethod;
  /** Model to start from, for example the solution at a neighbouring radius or beta; its gates must be as many. */
  readonly start?: GatedReluModel;
  /** `first-order` only: called with the state of the run every `checkpointEvery` iterations (default 100, a multiple of 10) and awaited. */
  readonly onCheckpoint?: (checkpoint: FirstOrderCheckpoint) => void | Promise<void>;
  readonly checkpointEvery?: number;
  /** `first-order` only: continues an interrupted run; the result is bit for bit that of the uninterrupted one with the same kernels. */
  readonly resume?: FirstOrderCheckpoint;
  /**
   * `first-order` with hinge losses and group norms: threads that share the samples, this one included (default 1). The result repeats
   * bit for bit with the same number; another number changes the last digits. Where there are no worker threads, 1.
   */
  readonly threads?: number;
}

export interface GatedReluResult {
  /** `optimal` and `zero-optimal` mean gap <= tolerance; the latter that the zero model is the one returned. */
  readonly status: FitStatus;
  /** Objective of the returned model, without smoothing. */
  readonly objective: Objective;
  /** Certified: no gated model over these gates has a smaller objective. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  readonly model: GatedReluModel;
  readonly method: GatedMethod;
  readonly iterations: number;
  readonly seconds: number;
  readonly kernels: KernelName;
  readonly warnings: readonly Warning[];
}

/**
 * Trains a gated ReLU head on features `[n, d]` and class indices `[n]` so that its fixed-gate margins hold on the ball
 * {||z||_q <= radius} around every sample, and certifies how far from optimal it is. The model has one column per class; with two classes
 * it is optimised as a single +-1 output, whose optimal value is the same.
 * Throws ShapeError, DataError or SettingError before work starts, FormatError on a foreign checkpoint, AbortedError when the signal fires.
 */
export async function fitGatedRelu(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitGatedReluOptions,
): Promise<GatedReluResult> {
  return fit(features, { kind: "classes", labels, classCount }, options);
}

/**
 * Trains a gated ReLU model on features `[n, d]` and real targets `[n, outputs]` with the robust squared loss: per sample
 * the largest of sum_o (f_o(x + z_o) - target_o)^2 / 2 over perturbations ||z_o||_q <= radius, gates held fixed. The scores of the model
 * (`gatedScores`) are the predictions, `[n, outputs]`. Throws as `fitGatedRelu`.
 */
export async function fitGatedRegression(
  features: NumericBatch,
  targets: NumericBatch,
  options: FitGatedReluOptions,
): Promise<GatedReluResult> {
  return fit(features, { kind: "regression", targets }, options);
}

async function fit(features: NumericBatch, answers: Answers, options: FitGatedReluOptions): Promise<GatedReluResult> {
  const started = performance.now();
  const given = createProgram(features, answers, options);
  refuseTrainingPatterns(options.gates, "options.gates");
  const { tolerance, maximumIterations } = checkSettings(options);
  const kernels = options.kernels ?? chooseKernels();
  const reduced = onlyConstantsMatter(given);
  const program = reduced ? withoutFeatures(given) : given;
  const from = options.start && startingPieces(options.start, program);
  const start = from && reduced ? constantsOf(program, from) : from;
  const outcome = await solve(program, kernels, { ...options, tolerance, maximumIterations }, start);
  const { status, objective, lowerBound, gap, iterations, method } = outcome;
  return {
    status,
    objective,
    lowerBound,
    gap,
    model: modelOf(program, outcome.pieces),
    method,
    iterations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings: warningsOf(program, objective),
  };
}

interface Outcome {
  readonly status: FitStatus;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly gap: number;
  readonly iterations: number;
  readonly pieces: Float64Array;
  readonly method: GatedMethod;
}

async function solve(
  program: ReluProgram,
  kernels: Kernels,
  options: FitGatedReluOptions & { readonly tolerance: number; readonly maximumIterations: number },
  start: Float64Array | undefined,
): Promise<Outcome> {
  const { method = "auto", resume, onCheckpoint } = options;
  const zero = zeroModel(program);
  const lowerBound = zeroCertificate(program, kernels);
  const zeroGap = zero.total > 0 ? Math.max(0, (zero.total - lowerBound) / zero.total) : 0;
  if (zeroGap <= options.tolerance) {
    const pieces = new Float64Array(program.gateCount * program.outputs * program.width);
    const first = method === "first-order" ? method : "newton";
    return { status: "zero-optimal", objective: zero, lowerBound, gap: zeroGap, iterations: 0, pieces, method: first };
  }
  let from = start;
  let bound = lowerBound;
  let spent = 0;
  if (
    method !== "first-order" &&
    !resume &&
    !onCheckpoint &&
    (method === "newton" || newtonSuits(program, options.tolerance))
  ) {
    const outcome = await followPath(program, kernels, { ...options, where: "fitGatedRelu", start, lowerBound });
    if (outcome.status !== "stalled" || method === "newton") return { ...outcome, method: "newton" };
    from = outcome.pieces;
    bound = outcome.lowerBound;
    spent = outcome.iterations;
  }
  const maximumIterations = Math.max(1, options.maximumIterations - spent);
  const outcome = await fitFirstOrder(program, kernels, {
    ...options,
    maximumIterations,
    start: from,
    lowerBound: bound,
  });
  return { ...outcome, iterations: spent + outcome.iterations, method: "first-order" };
}

/**
 * Whether Newton's matrices can be expected to fit: all gates if there are few, a working set of 24 otherwise. With several outputs they are
 * dense and proximal steps get to moderate gaps sooner unless the program is small.
 */
function newtonSuits(program: ReluProgram, tolerance: number): boolean {
  const { gateCount, outputs, width } = program;
  if (outputs > 1 && gateCount * outputs * width > SMALL_ORDER && tolerance >= MODERATE_GAP) return false;
  return NewtonSystem.fits(program, Math.min(gateCount, 24));
}

const SMALL_ORDER = 600;
const MODERATE_GAP = 1e-3;

function zeroModel(program: ReluProgram): Objective {
  const { loss, task, targets, samples, outputs } = program;
  let total = 0;
  if (loss === "squared") for (const t of targets) total += (t * t) / (2 * samples);
  else total = (loss === "hinge" ? 1 : Math.LN2) * (task === "two-class" ? 1 : outputs - 1);
  return { total, loss: total, regulariser: 0 };
}

function startingPieces(model: GatedReluModel, program: ReluProgram): Float64Array {
  const { gateCount, width, outputs, task, featureCount, bias } = program;
  const columns = task === "two-class" ? 2 : outputs;
  checkStart(model, { gateCount, featureCount, classCount: columns, bias });
  return task === "two-class" ? asOneColumn(model.weights, width) : model.weights.slice();
}

function modelOf(program: ReluProgram, pieces: Float64Array): GatedReluModel {
  const { task, gates, featureCount, bias, outputs, width } = program;
  return {
    kind: "gated-relu",
    gates: copyGates(gates),
    featureCount,
    classCount: task === "two-class" ? 2 : outputs,
    bias,
    weights: task === "two-class" ? asTwoColumns(pieces, width) : pieces.slice(),
  };
}

function checkSettings(options: FitGatedReluOptions): { tolerance: number; maximumIterations: number } {
  const { tolerance = 1e-2, maximumIterations = 2000, method = "auto", checkpointEvery = 100 } = options;
  if (!Number.isFinite(tolerance) || tolerance <= 0) {
    throw new SettingError({ argument: "options.tolerance", expected: "a finite number > 0", received: tolerance });
  }
  checkPositive(maximumIterations, "options.maximumIterations");
  if (options.threads !== undefined) checkPositive(options.threads, "options.threads");
  if (method !== "auto" && method !== "newton" && method !== "first-order") {
    throw new SettingError({ argument: "options.method", expected: "auto, newton or first-order", received: method });
  }
  if (!Number.isSafeInteger(checkpointEvery) || checkpointEvery < 1 || checkpointEvery % 10 !== 0) {
    const expected = "a positive multiple of 10";
    throw new SettingError({ argument: "options.checkpointEvery", expected, received: checkpointEvery });
  }
  if (method === "newton" && (options.onCheckpoint || options.resume)) {
    const expected = "first-order (checkpoints are for long runs; Newton runs are short)";
    throw new SettingError({ argument: "options.method", expected, received: method });
  }
  return { tolerance, maximumIterations };
}

/** Documented warnings: `single-class` and `collapsed-head`. */
export function warningsOf(program: ReluProgram, objective: Objective): Warning[] {
  const warnings: Warning[] = [];
  const { labels } = program;
  if (labels.length > 0 && labels.every((label) => label === labels[0])) {
    warnings.push({ code: "single-class", message: `all ${labels.length} labels are ${labels[0]}` });
  }
  const zero = zeroModel(program).total;
  if (objective.total >= 0.9 * zero) {
    const message = `objective ${objective.total.toPrecision(4)} is close to ${zero.toPrecision(4)}, that of the zero model: radius or beta leave little to gain`;
    warnings.push({ code: "collapsed-head", message });
  }
  return warnings;
}
