// The gated squared-loss program solved by an iteratively reweighted kernel (kernelProblem.ts): one n x n kernel ridge regression per
// step whatever d is, so meant for n much smaller than d. Reweighting moves the kernel weights towards the group-lasso solution; Newton
// steps on the weights, which are a convex problem of their own, finish it to high accuracy. Outputs are independent of one another.
// The kernel with equal weights is the neural tangent kernel of the gated network; the weights at the end are ||t_p||.
// features: [n, d]   weights eta: [outputs, P]   pieces: [P, outputs, d (+1)]

import { type NumericBatch, SettingError, throwIfAborted, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkKnown, checkOptions, checkPositive } from "../checks.js";
import { asTwoColumns } from "../gated/firstOrder.js";
import type { GatedReluModel } from "../gatedModel.js";
import { copyGates, type GateSet, refuseTrainingPatterns } from "../patterns/gateSet.js";
import { gatedObjective, type Objective } from "../program/objective.js";
import { type Answers, createProgram, type ReluProgram } from "../program/program.js";
import type { FitProgress, FitStatus } from "../proximal/minimise.js";
import { KernelProblem } from "./kernelProblem.js";

export interface FitKernelViewOptions extends WorkOptions<FitProgress> {
  readonly gates: GateSet;
  /** Weight of the group norms, > 0. */
  readonly beta: number;
  /** Constant term in the linear pieces (default: as the gates have). */
  readonly bias?: boolean;
  /** Relative certified gap to stop at (default 1e-6). */
  readonly tolerance?: number;
  /** Kernel solves per output (default 500). */
  readonly maximumIterations?: number;
  readonly kernels?: Kernels;
}

export interface KernelViewResult {
  readonly status: FitStatus;
  readonly objective: Objective;
  /** Certified: no gated model over these gates has a smaller objective. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  /** One column per class or target. */
  readonly model: GatedReluModel;
  /** Kernel weights eta at the end, `[outputs of the program, gates]`: the neural tangent kernel reweighted for this task. */
  readonly kernelWeights: Float64Array;
  readonly iterations: number;
}

const REWEIGHTINGS = 8;

/**
 * Minimises 1/n sum_i sum_o (f_o(x_i) - y_io)^2 / 2 + beta sum ||t_po||_2 over gated models with fixed gates; classes are +-1 or one-hot
 * targets as in program.ts. Throws ShapeError, DataError or SettingError, UnsupportedError for another loss, regulariser or radius, ResourceError
 * when the n x n kernel does not fit, AbortedError.
 */
export async function fitKernelView(
  features: NumericBatch,
  answers: Answers,
  options: FitKernelViewOptions,
): Promise<KernelViewResult> {
  checkOptions(options);
  const { gates, beta, tolerance = 1e-6, maximumIterations = 500 } = options;
  if (!(tolerance > 0)) {
    throw new SettingError({ argument: "options.tolerance", expected: "a number > 0", received: tolerance });
  }
  checkPositive(maximumIterations, "options.maximumIterations");
  checkKnown(options, { loss: "squared", regulariser: "group", radius: 0 }, "fitGatedRelu knows the others");
  const common = { gates, beta, radius: 0, norm: "l2", loss: "squared" } as const;
  const program = createProgram(
    features,
    answers,
    options.bias === undefined ? common : { ...common, bias: options.bias },
  );
  refuseTrainingPatterns(gates, "options.gates");
  const { outputs, gateCount, samples, width, targets } = program;
  const problem = new KernelProblem(program, options.kernels ?? chooseKernels());
  const pieces = new Float64Array(gateCount * outputs * width);
  const kernelWeights = new Float64Array(outputs * gateCount);
  let lowerBound = 0;
  let iterations = 0;
  for (let o = 0; o < outputs; o++) {
    const y = Float64Array.from({ length: samples }, (_, i) => targets[i * outputs + o]);
    const eta = kernelWeights.subarray(o * gateCount, (o + 1) * gateCount);
    const solved = await solveOutput(problem, program, y, eta, { ...options, tolerance, maximumIterations });
    iterations += solved.iterations;
    lowerBound += solved.lowerBound;
    problem.writePieces(eta, o, pieces);
  }
  const objective = gatedObjective(program, pieces);
  const gap = objective.total > 0 ? Math.max(0, (objective.total - lowerBound) / objective.total) : 0;
  const model: GatedReluModel = {
    kind: "gated-relu",
    gates: copyGates(gates),
    featureCount: program.featureCount,
    classCount: program.task === "two-class" ? 2 : outputs,
    bias: program.bias,
    weights: program.task === "two-class" ? asTwoColumns(pieces, width) : pieces,
  };
  const status = gap > tolerance ? "iteration-limit" : objective.regulariser === 0 ? "zero-optimal" : "optimal";
  return { status, objective, lowerBound, gap, model, kernelWeights, iterations };
}

interface OutputOptions extends WorkOptions<FitProgress> {
  readonly tolerance: number;
  readonly maximumIterations: number;
}

// Leaves the weights in eta, and alpha of those weights in the problem.
async function solveOutput(
  problem: KernelProblem,
  program: ReluProgram,
  y: Float64Array,
  eta: Float64Array,
  options: OutputOptions,
): Promise<{ lowerBound: number; iterations: number }> {
  const { samples: n, gateCount: P, beta } = program;
  eta.fill(0);
  problem.evaluate(eta, y);
  let lowerBound = dualBound(problem, y, n, beta);
  if (largest(problem.ratios) <= 1) return { lowerBound, iterations: 0 }; // zero is optimal
  // Equal weights of about the size of the solution: sum ||t_p|| is at most loss(0) / beta.
  let square = 0;
  for (const value of y) square += value * value;
  eta.fill(square / (2 * n * beta * P));
  problem.evaluate(eta, y);
  let lastPause = performance.now();
  const trial = new Float64Array(P);
  let ridge = 1e-10;
  let iteration = 0;
  for (; iteration < options.maximumIterations; iteration++) {
    throwIfAborted(options.signal, "fitKernelView");
    lowerBound = Math.max(lowerBound, dualBound(problem, y, n, beta));
    const objective = objectiveOf(problem, eta, n, beta);
    const gap = Math.max(0, (objective - lowerBound) / objective);
    options.onEvent?.({ type: "iteration", iteration, objective, lowerBound, gap });
    if (gap <= options.tolerance / 2) break;
    if (performance.now() - lastPause > 50) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      lastPause = performance.now();
    }
    if (iteration >= REWEIGHTINGS && iteration % 2 === 0) {
      const accepted = newtonStep(problem, y, eta, trial, ridge);
      ridge = accepted ? Math.max(1e-12, ridge / 10) : Math.min(1, ridge * 100);
      if (accepted) continue;
    }
    for (let p = 0; p < P; p++) eta[p] *= problem.ratios[p];
    problem.evaluate(eta, y);
  }
  return { lowerBound, iterations: iteration };
}

/** A projected Newton step with backtracking; false, with the problem evaluated at eta again, when the value does not fall. */
function newtonStep(
  problem: KernelProblem,
  y: Float64Array,
  eta: Float64Array,
  trial: Float64Array,
  ridge: number,
): boolean {
  const most = largest(eta);
  const free: number[] = [];
  for (let p = 0; p < eta.length; p++) if (eta[p] > 1e-14 * most || problem.ratios[p] > 1) free.push(p);
  const direction = problem.newtonDirection(free, ridge)?.slice();
  const before = problem.value;
  for (let share = 1; direction && share > 1e-3; share /= 4) {
    trial.set(eta);
    for (let p = 0; p < trial.length; p++) if (trial[p] <= 1e-14 * most) trial[p] = 0;
    // a weight that would turn negative goes down to a millionth: reweighting can still bring it back
    free.forEach((p, a) => {
      trial[p] = Math.max(eta[p] * 1e-6, eta[p] + share * direction[a]);
    });
    problem.evaluate(trial, y);
    if (problem.value < before) {
      eta.set(trial);
      return true;
    }
  }
  problem.evaluate(eta, y);
  return false;
}

/** Objective of the pieces that belong to eta: loss n beta^2 ||alpha||^2 / 2 and norms eta rho. */
function objectiveOf({ alpha, ratios }: KernelProblem, eta: Float64Array, n: number, beta: number): number {
  let square = 0;
  for (const value of alpha) square += value * value;
  let norms = 0;
  for (let p = 0; p < eta.length; p++) norms += eta[p] * ratios[p];
  return (n * beta * beta * square) / 2 + beta * norms;
}

/** max over 0 <= s <= 1 / max(1, rho) of 1/n sum_i (s n beta alpha_i y_i - s^2 n^2 beta^2 alpha_i^2 / 2). */
function dualBound({ alpha, ratios }: KernelProblem, y: Float64Array, n: number, beta: number): number {
  let linear = 0;
  let quadratic = 0;
  for (let i = 0; i < n; i++) {
    linear += beta * alpha[i] * y[i];
    quadratic += (n * beta * beta * alpha[i] * alpha[i]) / 2;
  }
  if (quadratic === 0) return 0;
  const s = Math.max(0, Math.min((1 - 1e-14) / Math.max(1, largest(ratios)), linear / (2 * quadratic)));
  return s * linear - s * s * quadratic;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}
