// Training of two-layer ReLU networks whose gates provably do not change around the samples (math.md 13.1, 13.3, 24 G):
//   minimise over v, w  1/n sum_i l_i(v - w) + beta R(v, w)   subject to   (2 d_pi - 1) x_i'v_po >= radius ||v_po||_{q*} and the same for w
// (program.ts holds every loss, ball and regulariser). An UPPER bound on the nonconvex robust problem over the sampled patterns.
// 1. Gates whose robust cone holds only zero are found, with proof, and left out (openCones.ts): most of them once the radius is sizeable.
// 2. The rest is solved by the interior-point method, on a working set of gates if there are many, or by ADMM if there are too many samples
//    for that.
// 3. The answer is made feasible exactly (feasible.ts), and only then its objective is reported.

import { type NumericBatch, SettingError, throwIfAborted, type Warning, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels } from "@worstcase/linalg";
import { solveAdmm } from "../admm/solveAdmm.js";
import { solveAugmentedLagrangian } from "../augmentedLagrangian/solveAugmentedLagrangian.js";
import { lengthOf } from "../ballSupport.js";
import { checkOptions, checkPositive } from "../checks.js";
import { warningsOf } from "../gated/fitGatedRelu.js";
import { zeroCertificate } from "../gated/zeroCertificate.js";
import type { LossDual } from "../interiorPoint/lowerBound.js";
import { solveOnWorkingSet, type WarmStart, type WorkingSetResult } from "../interiorPoint/workingSet.js";
import type { Objective } from "../program/objective.js";
import { type Answers, createProgram, type ProgramOptions, type ReluProgram } from "../program/program.js";
import type { FitProgress, FitStatus } from "../proximal/minimise.js";
import { ConeMargins } from "./coneMargins.js";
import { type ConeViolation, coneViolation, makeFeasible, reluObjective } from "./feasible.js";
import { NearestFeasible } from "./nearestFeasible.js";
import { networkOfProgram } from "./networkOfProgram.js";
import { distinctRows, findOpenCones, type OpenCones, openConesSize } from "./openCones.js";
import type { OpenGatesOptions } from "./openGates.js";
import type { ReluNetwork } from "./reluNetwork.js";
import { checkSolverMemory, gatesThatFit, termCount } from "./solverBytes.js";
import { piecesOf, putGates, takeGates } from "./takeGates.js";

/** Lengths, relative to the longest piece, below which pieces are tried to be dropped. */
const NEGLIGIBLE = [1e-2, 1e-3, 1e-4, 1e-5];

export type ReluMethod = "interior-point" | "admm" | "augmented-lagrangian";

export interface FitReluOptions extends ProgramOptions, WorkOptions<FitProgress> {
  /** Relative certified gap to stop at (default 1e-4). */
  readonly tolerance?: number;
  /** Newton steps (default 1000) or proximal steps (default 3000). */
  readonly maximumIterations?: number;
  /** Default `auto`: the interior-point method, whose matrices have the order of the samples, up to 4000 of them (times pairs of classes), or of half the numbers in the open pieces, at most 3600 (1200 with a ball). */
  readonly method?: "auto" | ReluMethod;
  readonly kernels?: Kernels;
}

export interface ReluResult {
  /** `optimal` and `zero-optimal` mean gap <= tolerance; the latter that the zero network is the one returned. */
  readonly status: FitStatus;
  /** Objective of the returned pieces, which satisfy every robust cone. */
  readonly objective: Objective;
  /** Certified: no pieces over these gates that satisfy the robust cones have a smaller objective. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  /** Two classes: two columns whose difference is the output of the program. */
  readonly network: ReluNetwork;
  /** `[2, gates, outputs, featureCount (+1)]`: all v, then all w; one output for two classes. */
  readonly pieces: Float64Array;
  /** Of the returned pieces, evaluated in float64: exactly 0. */
  readonly constraintViolation: ConeViolation;
  /** Gates whose robust cone has an interior, those shown to hold only zero, and those at the edge between (left out). */
  readonly cones: { readonly open: number; readonly closed: number; readonly undecided: number };
  /** Gates that the last solve had. */
  readonly workingSet: number;
  readonly method: ReluMethod;
  readonly iterations: number;
  readonly seconds: number;
  readonly kernels: KernelName;
  readonly warnings: readonly Warning[];
}

/**
 * Trains a two-layer ReLU network on features `[n, d]` and class indices `[n]`. On the ball {||z||_q <= radius} (FEATURE space) around every
 * training sample no neuron changes its sign, so the worst margins there are those of the convex program, exactly.
 * Throws ShapeError, DataError or SettingError before work starts, ResourceError, naming the predicted bytes, before a solver takes memory that
 * is not there, AbortedError when the signal fires.
 */
export async function fitRelu(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitReluOptions,
): Promise<ReluResult> {
  return fitFrom(features, { kind: "classes", labels, classCount }, options);
}

/** The same for real targets `[n, outputs]` and the robust squared loss; the scores of the network are the predictions. */
export async function fitReluRegression(
  features: NumericBatch,
  targets: NumericBatch,
  options: FitReluOptions,
): Promise<ReluResult> {
  return fitFrom(features, { kind: "regression", targets }, options);
}

/** What one point of a path leaves to the next, over the same features, gates, norm and answers (fitReluPath.ts). */
export interface PathMemory {
  margins?: ConeMargins;
  radius?: number;
  pieces?: Float64Array;
  dual?: LossDual | undefined;
}

export async function fitFrom(
  features: NumericBatch,
  answers: Answers,
  options: FitReluOptions,
  memory: PathMemory = {},
): Promise<ReluResult> {
  const started = performance.now();
  checkOptions(options);
  const { tolerance = 1e-4, signal, onEvent } = options;
  const program = createProgram(features, answers, options);
  const first = chosenMethod(program, options.method);
  if (!Number.isFinite(tolerance) || tolerance <= 0) {
    throw new SettingError({ argument: "options.tolerance", expected: "a finite number > 0", received: tolerance });
  }
  if (options.maximumIterations !== undefined) checkPositive(options.maximumIterations, "options.maximumIterations");
  throwIfAborted(signal, "fitRelu");
  const kernels = options.kernels ?? chooseKernels();
  checkSolverMemory(program, first, kernels, 1);
  const zero = reluObjective(program, new Float64Array(2 * program.gateCount * program.outputs * program.width));
  const zeroBound = Math.min(zero.total, zeroCertificate(program, kernels));
  const report = (iteration: number, objective: number, lowerBound: number) => {
    onEvent?.({ type: "iteration", iteration, objective, lowerBound, gap: gapOf(objective, lowerBound) });
  };
  report(0, zero.total, zeroBound);
  const rows = distinctRows(program);
  if (memory.margins?.rows !== rows.length) {
    memory.margins = new ConeMargins(program.gateCount, program.width, rows.length);
  }
  const cones = await findOpenCones(program, rows, kernels.workspace(openConesSize(program)), signal, memory.margins);
  const few = (options.method ?? "auto") === "auto" && fewOpen(program, cones.open.length, kernels);
  const method = few ? "interior-point" : first;
  const { maximumIterations = method === "interior-point" ? 1000 : 3000 } = options;
  const common = { kernels, tolerance, maximumIterations, where: "fitRelu", signal };
  const solved =
    method === "interior-point"
      ? await solveOnWorkingSet(program, cones, zero, zeroBound, {
          ...common,
          warm: warmStart(program, cones, memory),
          onIteration: report,
        })
      : await solveOnOpenGates(program, cones, zero, zeroBound, method, {
          ...common,
          start: warmPieces(program, cones, memory),
          onEvent,
        });
  const finished = finish(program, solved.pieces, cones, solved.lowerBound, tolerance);
  const attained = reluObjective(program, finished);
  // Where moving the pieces into their cones costs more than they are worth, zero is the better answer.
  const [pieces, objective] = attained.total <= zero.total ? [finished, attained] : [finished.fill(0), zero];
  const total = objective.total;
  const certain = cones.open.length === 0 && cones.undecided.length === 0;
  const lowerBound = certain ? total : Math.min(solved.lowerBound, total);
  const gap = gapOf(total, lowerBound);
  Object.assign(memory, { radius: program.radius, pieces, dual: solved.dual });
  const empty = pieces.every((value) => value === 0);
  const settled = gap <= tolerance;
  return {
    status: settled
      ? empty
        ? "zero-optimal"
        : "optimal"
      : solved.iterations >= maximumIterations
        ? "iteration-limit"
        : "stalled",
    objective,
    lowerBound,
    gap,
    network: networkOfProgram(program, pieces),
    pieces,
    constraintViolation: coneViolation(program, pieces),
    cones: { open: cones.open.length, closed: cones.closed.length, undecided: cones.undecided.length },
    workingSet: solved.workingSet,
    method,
    iterations: solved.iterations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings: warnings(program, objective, cones),
  };
}

/** Pieces of the point before, on their cones' nearest points. */
function warmPieces(program: ReluProgram, cones: OpenCones, { pieces }: PathMemory): Float64Array | undefined {
  if (!pieces) return undefined;
  const moved = pieces.slice();
  new NearestFeasible(program, directionsOf(program, cones)).repair(moved);
  return moved;
}

function warmStart(program: ReluProgram, cones: OpenCones, memory: PathMemory): WarmStart | undefined {
  const pieces = warmPieces(program, cones, memory);
  const { dual, radius = 0 } = memory;
  return pieces && dual && { pieces, objective: reluObjective(program, pieces), dual, radius };
}

/** `[P, D]`, zeros for gates without an interior direction. */
function directionsOf({ gateCount, width }: ReluProgram, cones: OpenCones): Float64Array {
  const directions = new Float64Array(gateCount * width);
  cones.open.forEach((p, k) => {
    directions.set(cones.directions.subarray(k * width, (k + 1) * width), p * width);
  });
  return directions;
}

/** Terms of the loss up to which the interior-point method is taken. */
const MOST_TERMS = 4000;

function chosenMethod(program: ReluProgram, method: FitReluOptions["method"] = "auto"): ReluMethod {
  if (!["auto", "interior-point", "admm", "augmented-lagrangian"].includes(method)) {
    const expected = "auto, interior-point, admm or augmented-lagrangian";
    throw new SettingError({ argument: "options.method", expected, received: method });
  }
  if (method !== "auto") return method;
  return termCount(program) <= MOST_TERMS ? "interior-point" : "admm";
}

/** Numbers in the open pieces of one side up to which the interior-point method is taken however many samples there are: its matrix has that order. With a ball its entries cost more. */
const MOST_NUMBERS = 3600;
const MOST_NUMBERS_WITH_BALL = 1200;

function fewOpen(program: ReluProgram, open: number, kernels: Kernels): boolean {
  return (
    open * program.outputs * program.width <= (program.radius > 0 ? MOST_NUMBERS_WITH_BALL : MOST_NUMBERS) &&
    gatesThatFit(program, "interior-point", kernels, open) === open
  );
}

async function solveOnOpenGates(
  program: ReluProgram,
  cones: OpenCones,
  zero: Objective,
  zeroBound: number,
  method: ReluMethod,
  options: Omit<OpenGatesOptions, "lowerBound">,
): Promise<WorkingSetResult> {
  const { gateCount, outputs, width } = program;
  const pieces = new Float64Array(2 * gateCount * outputs * width);
  const workingSet = cones.open.length;
  const known = { pieces, objective: zero, lowerBound: zeroBound, iterations: 0, workingSet };
  if (workingSet === 0 || gapOf(zero.total, zeroBound) <= options.tolerance) return known;
  // Gates at the edge are not in the restricted program, so its bound does not hold for the whole one.
  const lowerBound = cones.undecided.length === 0 ? zeroBound : 0;
  const open = takeGates(program, cones.open);
  checkSolverMemory(open, method, options.kernels);
  const solve = method === "admm" ? solveAdmm : solveAugmentedLagrangian;
  const start = options.start && piecesOf(program, options.start, cones.open);
  const solved = await solve(open, cones.directions, { ...options, start, lowerBound });
  putGates(program, solved.pieces, cones.open, pieces);
  return { ...solved, pieces, workingSet, lowerBound: cones.undecided.length === 0 ? solved.lowerBound : zeroBound };
}

function gapOf(objective: number, lowerBound: number): number {
  return objective > 0 ? Math.max(0, (objective - lowerBound) / objective) : 0;
}

// Makes the pieces feasible exactly, then drops the short ones as far as the gap allows.
function finish(
  program: ReluProgram,
  pieces: Float64Array,
  cones: OpenCones,
  lowerBound: number,
  tolerance: number,
): Float64Array {
  const { width } = program;
  const full = pieces.slice();
  makeFeasible(program, full, directionsOf(program, cones));
  let longest = 0;
  for (let at = 0; at < full.length; at += width) longest = Math.max(longest, lengthOf(full, at, width, 2));
  const allowed = Math.max(tolerance, gapOf(reluObjective(program, full).total, lowerBound) * (1 + 1e-9));
  for (const share of NEGLIGIBLE) {
    const sparse = full.slice();
    for (let at = 0; at < sparse.length; at += width) {
      if (lengthOf(sparse, at, width, 2) < share * longest) sparse.fill(0, at, at + width);
    }
    if (gapOf(reluObjective(program, sparse).total, lowerBound) <= allowed) return sparse;
  }
  return full;
}

function warnings(program: ReluProgram, objective: Objective, cones: OpenCones): Warning[] {
  const found = warningsOf(program, objective);
  if (cones.closed.length > 0) {
    const message = `${cones.closed.length} of ${program.gateCount} gates have a robust cone that holds only zero at this radius`;
    found.push({ code: "closed-cones", message });
  }
  if (cones.undecided.length > 0) {
    const message = `the radius equals the margin of ${cones.undecided.length} gates up to rounding; they are left out`;
    found.push({ code: "undecided-cones", message });
  }
  return found;
}
