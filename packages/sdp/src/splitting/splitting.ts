// First-order solver for large blocks at moderate accuracy: the alternating direction method of multipliers on
//   minimise c'x subject to sum x_k F_k - F_0 = S in K          (A x = b as a part of K that is {0})
// written as a fixed-point iteration in one vector W (Douglas-Rachford), with penalty sigma:
//   W = S - T,  S, T in K, <S, T> = 0,  Y = sigma T             one eigendecomposition per psd block
//   M x = <F_k, S + T + F_0>_k - c / sigma,  M_kl = <F_k, F_l>  one factor for all iterations, whatever sigma
//   V = sum x_k F_k - F_0,   W <- W + relaxation (V - S)
// V - S is zero exactly at solutions: its part in the range of the F_k is the dual residual, the rest the primal one.
// References: Wen, Goldfarb, Yin, Math. Prog. Comp. 2 (2010); Walker, Ni, SIAM J. Numer. Anal. 49 (2011); docs/splitting.md.

import { ResourceError, SettingError } from "@worstcase/core";
import { blockZeros, type SdpProblem } from "../problem.js";
import type { Point, Ray } from "../result.js";
import type { Command, IterationEvent, Outcome, SdpSettings, SdpSolver, StartEvent } from "../solver.js";
import { createIteration, type Iteration, iterationSize } from "./iteration.js";
import { components } from "./normalEquations.js";
import { findRay } from "./rays.js";
import { coneParts, type ScaledProblem, scaleProblem } from "./scaledProblem.js";

export interface SplittingSettings {
  /** Over-relaxation, in (0, 2). */
  readonly relaxation: number;
  /** Steps that Anderson acceleration looks back; 0 turns it off. Memory: twice as many vectors of the cone's length. */
  readonly accelerationMemory: number;
}

/** Iterations between two looks for a certificate, each up to one more eigendecomposition per block. */
const RAY_INTERVAL = 20;

export const splitting: SdpSolver<SplittingSettings> = {
  name: "splitting",
  summary: "first-order (ADMM with acceleration): large blocks, moderate accuracy, warm starts",
  capabilities: { warmStart: true, certificates: true },
  defaults: { tolerance: 1e-5, maximumIterations: 10_000, relaxation: 1.6, accelerationMemory: 20 },
  method,
};

type Settings = SdpSettings & SplittingSettings;
type Tools = Parameters<SdpSolver["method"]>[2];

function* method(
  problem: SdpProblem,
  settings: Settings,
  { kernels, warmStart }: Tools,
): Generator<StartEvent | IterationEvent, Outcome, Command> {
  checkSettings(settings);
  const { tolerance, maximumIterations } = settings;
  const accelerationMemory = fittingMemory(problem, settings.accelerationMemory);
  const scaled = scaleProblem(problem);
  const groups = components(scaled);
  const count = iterationSize(scaled, groups, accelerationMemory);
  const largest = groups[0]?.length ?? 0;
  let claim: "none" | "used" | "rejected" = warmStart ? "rejected" : "none";
  const stop = (status: "time-limit" | "aborted" | "iteration-limit" | "stalled", iterations: number): Outcome => ({
    status,
    iterations,
    warmStart: claim,
    point: best?.point(),
  });
  let best: Best | undefined;
  let command = yield {
    type: "start",
    solver: splitting.name,
    backend: kernels.name,
    variables: scaled.variables,
    blocks: problem.blocks.map(({ kind, size }) => ({ kind, size })),
    bytes: 8 * (count + 2 * scaled.length + 8 * scaled.variables) + 40 * scaled.columns.value.length,
    notes: [
      `normal equations: ${groups.length} independent parts, the largest of ${largest} variables`,
      accelerationMemory > 0 ? `Anderson acceleration over ${accelerationMemory} steps` : "no acceleration",
    ],
  };
  if (command !== "continue") return stop(command, 0);
  if (maximumIterations === 0) return stop("iteration-limit", 0);

  const iteration = createIteration(scaled, groups, { ...settings, accelerationMemory }, kernels.workspace(count));
  if (!iteration) return stop("stalled", 0);
  if (warmStart) {
    const start = scaleWarmStart(problem, scaled, warmStart);
    if (start) {
      iteration.startAt(start.slack, start.dual, start.sigma);
      claim = "used";
    }
  }
  best = createBest(problem, scaled, iteration);
  for (let k = 1; k <= maximumIterations; k++) {
    if (!iteration.step()) return stop("stalled", k - 1);
    const { residuals } = iteration;
    const worst = Math.max(residuals.primal, residuals.dual, Math.abs(residuals.gap));
    best.note(worst);
    command = yield {
      type: "iteration",
      iteration: k,
      primalObjective: residuals.primalObjective,
      dualObjective: residuals.dualObjective,
      primalResidual: residuals.primal,
      dualResidual: residuals.dual,
      gap: residuals.gap,
      primalStep: settings.relaxation,
      dualStep: settings.relaxation,
    };
    // the margin covers rounding between this measure and the check on the caller's data
    const point = worst <= 0.95 * tolerance ? best.point() : undefined;
    if (point) return { status: "optimal", iterations: k, warmStart: claim, point };
    if (command !== "continue") return stop(command, k);
    if (k % RAY_INTERVAL !== 0) continue;
    const kind = findRay(scaled, iteration, 0.95 * tolerance);
    if (kind === undefined) continue;
    const certificate = rayOf(problem, scaled, iteration, kind);
    return { status: kind, iterations: k, warmStart: claim, certificate, best: best.point() };
  }
  return stop("iteration-limit", maximumIterations);
}

/** Numbers that one cone vector, and all vectors of the acceleration together, may take. */
const MOST_NUMBERS = 2 ** 27;

/** The memory asked for, or less where its vectors would not fit. Throws ResourceError when even one vector is too large. */
function fittingMemory(problem: SdpProblem, asked: number): number {
  const parts = coneParts(problem);
  const { from, size } = parts[parts.length - 1];
  const length = from + size;
  if (length > MOST_NUMBERS / 8) {
    const expected = `blocks of at most ${MOST_NUMBERS / 8} numbers in all (psd: order squared)`;
    throw new ResourceError({ argument: "problem.blocks", expected, received: length });
  }
  return Math.min(asked, Math.floor(MOST_NUMBERS / 2 / Math.max(1, length)));
}

function checkSettings({ relaxation, accelerationMemory }: Settings): void {
  if (!(relaxation > 0 && relaxation < 2)) {
    throw new SettingError({ argument: "settings.relaxation", expected: "between 0 and 2", received: relaxation });
  }
  if (!Number.isSafeInteger(accelerationMemory) || accelerationMemory < 0 || accelerationMemory > 100) {
    const expected = "an integer from 0 to 100";
    throw new SettingError({ argument: "settings.accelerationMemory", expected, received: accelerationMemory });
  }
}

interface Best {
  /** Keeps the present point when `worst` is the smallest error so far. */
  note(worst: number): void;
  /** In the caller's units. */
  point(): Point | undefined;
}

function createBest(problem: SdpProblem, scaled: ScaledProblem, iteration: Iteration): Best {
  const x = new Float64Array(scaled.variables);
  const slack = new Float64Array(scaled.length);
  const dual = new Float64Array(scaled.length);
  let sigma = 0;
  let smallest = Infinity;
  return {
    note(worst) {
      if (!(worst < smallest)) return;
      smallest = worst;
      x.set(iteration.x);
      slack.set(iteration.slack);
      dual.set(iteration.dual);
      sigma = iteration.sigma;
    },
    point() {
      if (smallest === Infinity) return undefined;
      const { variableScale, constantScale, objectiveScale, blockScale } = scaled;
      const duals = unpack(problem, scaled, dual, (p) => sigma * objectiveScale * blockScale[p]);
      return {
        x: x.map((value, k) => value * variableScale[k] * constantScale),
        slack: unpack(problem, scaled, slack, (p) => constantScale / blockScale[p]).blocks,
        dual: duals.blocks,
        multipliers: duals.equalities,
      };
    },
  };
}

function rayOf(problem: SdpProblem, scaled: ScaledProblem, iteration: Iteration, kind: Ray["kind"]): Ray {
  const { variableScale, blockScale } = scaled;
  if (kind === "dual-infeasible") return { kind, x: iteration.x.map((value, k) => value * variableScale[k]) };
  const { blocks, equalities } = unpack(problem, scaled, iteration.dual, (p) => blockScale[p]);
  return { kind, dual: blocks, multipliers: equalities };
}

/** A cone vector, place by place times `factor`, as the caller's blocks and the values at the equalities. */
function unpack(
  problem: SdpProblem,
  { parts }: ScaledProblem,
  vector: Float64Array,
  factor: (place: number) => number,
) {
  const blocks = blockZeros(problem.blocks);
  const equalities = new Float64Array(problem.equalities?.right.length ?? 0);
  [...blocks, equalities].forEach((target, b) => {
    const { from } = parts[b];
    for (let i = 0; i < target.length; i++) target[i] = vector[from + i] * factor(from + i);
  });
  return { blocks, equalities };
}

/** S, T and sigma of a warm start; undefined when it does not fit the problem or is not finite. */
function scaleWarmStart(problem: SdpProblem, scaled: ScaledProblem, { slack, dual, multipliers, x }: Point) {
  const { parts, blockScale, constantScale, objectiveScale, length } = scaled;
  const fits = (values: readonly Float64Array[]) =>
    values.length === parts.length &&
    values.every((value, b) => value.length === (parts[b].kind === "psd" ? parts[b].size ** 2 : parts[b].size)) &&
    values.every((value) => value.every(Number.isFinite));
  const duals = [...dual, multipliers];
  const slacks = [...slack, new Float64Array(problem.equalities?.right.length ?? 0)];
  if (x.length !== scaled.variables || !x.every(Number.isFinite) || !fits(duals) || !fits(slacks)) return undefined;
  const start = { slack: new Float64Array(length), dual: new Float64Array(length), sigma: 1 };
  let [slackNorm, dualNorm] = [0, 0];
  parts.forEach(({ from }, b) => {
    for (let i = 0; i < duals[b].length; i++) {
      const p = from + i;
      start.slack[p] = (slacks[b][i] * blockScale[p]) / constantScale;
      start.dual[p] = duals[b][i] / (blockScale[p] * objectiveScale);
      slackNorm += start.slack[p] ** 2;
      dualNorm += start.dual[p] ** 2;
    }
  });
  // T of the size of S
  if (slackNorm > 0 && dualNorm > 0) start.sigma = Math.sqrt(dualNorm / slackNorm);
  for (let p = 0; p < length; p++) start.dual[p] /= start.sigma;
  return start;
}
