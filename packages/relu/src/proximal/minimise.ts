// The loop shared by the gated and the ReLU trainer: accelerated proximal steps on the smoothed problem, certified bounds, recentring.
// The certified gap has two parts: what smoothing adds (objective - sum alpha) and what lack of stationarity takes (sum alpha (1 - s)).
// When the first part dominates, the smooth part moves its centres (method of multipliers); otherwise more steps are due.

import { throwIfAborted } from "@worstcase/core";
import type { Workspace } from "@worstcase/linalg";
import { type BundleState, DualBundle } from "../gated/dualBound.js";
import type { Objective } from "../program/objective.js";
import { AcceleratedProximal, type ProximalState, type SmoothPart } from "./acceleratedProximal.js";
import type { Metric } from "./sharedMetric.js";

export type FitStatus = "optimal" | "zero-optimal" | "iteration-limit" | "stalled";

export interface FitProgress {
  readonly type: "iteration";
  readonly iteration: number;
  /** Best objective so far, without smoothing, of a point that satisfies all constraints. */
  readonly objective: number;
  readonly lowerBound: number;
  /** (objective - lowerBound) / objective */
  readonly gap: number;
}

/** The convex problem f(t) + beta sum_g ||t_g||_2 with a dual value that comes with every gradient. */
export interface CompositeProblem extends SmoothPart {
  readonly length: number;
  readonly groupLength: number;
  readonly beta: number;
  readonly metric: Metric;
  /** sum alpha of the last gradient (dualBound.ts). */
  readonly dualSum: number;
  /** Objective at the last point whose value was asked for, not counting constraints; used to judge the smoothing. */
  readonly lastLoss: number;
  /** Moves the centres of the smoothing to `point`. */
  recentre(point: Float64Array): void;
  /** Called after each step; keeps the best feasible point. `endOfBlock` every few steps, for costly work. */
  keepBest(point: Float64Array, endOfBlock: boolean): void;
  /** What smoothing changes of the loss at the last point whose value was asked for, where that is known. */
  readonly smoothingError?: number;
  /** Objective of the best feasible point. */
  readonly best: Objective;
  /** What later steps depend on, for checkpoints; plain objects and typed arrays. */
  state?(): unknown;
  restore?(state: never): void;
}

/** Everything a run depends on between two blocks: continuing from it gives bit for bit what the uninterrupted run gives. */
export interface MinimiserState {
  readonly iteration: number;
  readonly violation: number;
  readonly mark: { readonly gap: number; readonly iteration: number };
  readonly method: ProximalState;
  readonly duals: BundleState;
  readonly problem: unknown;
}

export interface MinimiseOptions {
  readonly where: string;
  readonly lowerBound: number;
  readonly tolerance: number;
  readonly maximumIterations: number;
  readonly curvature: number;
  /** First point (default zero). */
  readonly start?: Float64Array | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: FitProgress) => void) | undefined;
  /** Called with the state every `checkpointEvery` iterations (a multiple of 10) and awaited. */
  readonly onCheckpoint?: ((state: MinimiserState) => void | Promise<void>) | undefined;
  readonly checkpointEvery?: number | undefined;
  /** Continues from a state instead of `start`. */
  readonly resume?: MinimiserState | undefined;
}

export interface Minimised {
  readonly status: FitStatus;
  readonly lowerBound: number;
  readonly gap: number;
  readonly iterations: number;
  /** The last iterate, which need not be the best one. */
  readonly point: Float64Array;
}

/** Iterations between events, gap checks and looks at the clock. */
const BLOCK = 10;
/** Iterations without one percent less gap after which the method gives up. */
const PATIENCE = 800;

/** (total - bound) / total, at least 0. */
function relativeGap(total: number, bound: number): number {
  return total > 0 ? Math.max(0, (total - bound) / total) : 0;
}

export async function minimise(
  problem: CompositeProblem,
  workspace: Workspace,
  options: MinimiseOptions,
): Promise<Minimised> {
  const { tolerance, maximumIterations } = options;
  const method = new AcceleratedProximal(problem, problem, workspace, options.curvature);
  if (options.start) {
    method.point.set(options.start);
    method.restart();
  }
  const duals = new DualBundle(problem.length, problem.groupLength, problem.beta);
  duals.best = options.lowerBound;
  let violation = 1;
  let mark = { gap: 1, iteration: 0 };
  let lastPause = performance.now();
  let iteration = 0;
  let resumed = false;
  if (options.resume) {
    ({ iteration, violation, mark } = options.resume);
    method.restore(options.resume.method);
    duals.restore(options.resume.duals);
    problem.restore?.(options.resume.problem as never);
    resumed = true;
  }
  const finish = (status: FitStatus): Minimised => {
    const gap = relativeGap(problem.best.total, duals.best);
    return { status, lowerBound: duals.best, gap, iterations: iteration, point: method.point };
  };
  for (;;) {
    if (iteration % BLOCK === 0) {
      throwIfAborted(options.signal, options.where);
      const { onCheckpoint, checkpointEvery = 100 } = options;
      if (onCheckpoint && problem.state && iteration > 0 && iteration % checkpointEvery === 0 && !resumed) {
        const states = { method: method.state(), duals: duals.state(), problem: problem.state() };
        await onCheckpoint({ iteration, violation, mark, ...states });
      }
      resumed = false;
      if (iteration > 0) improveBound(duals, method, problem, tolerance);
      const objective = problem.best.total;
      const gap = relativeGap(objective, duals.best);
      options.onEvent?.({ type: "iteration", iteration, objective, lowerBound: duals.best, gap });
      if (gap <= tolerance) return finish(problem.best.regulariser === 0 ? "zero-optimal" : "optimal");
      if (iteration >= maximumIterations) return finish("iteration-limit");
      if (gap < 0.99 * mark.gap) mark = { gap, iteration };
      else if (iteration - mark.iteration >= PATIENCE) return finish("stalled");
      if (iteration > 0 && smoothingDominates(problem, duals, violation)) {
        problem.recentre(method.point);
        duals.closeAverage();
        method.restart();
      }
      if (performance.now() - lastPause > 50) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        lastPause = performance.now();
      }
    }
    iteration++;
    if (!method.step()) return finish("stalled");
    violation = duals.add(method.gradient, problem.dualSum, method.momentum);
    problem.keepBest(method.point, iteration % BLOCK === 0 || iteration === maximumIterations);
  }
}

function improveBound(
  duals: DualBundle,
  method: AcceleratedProximal,
  problem: CompositeProblem,
  tolerance: number,
): void {
  duals.averageBound();
  if (relativeGap(problem.best.total, duals.best) <= tolerance) return;
  duals.keepGradient(method.gradient, problem.dualSum);
  duals.polish();
}

/** Share of the gap that a known error of smoothing may make up before it is made smaller. */
const SMOOTHING_SHARE = 0.3;

function smoothingDominates(problem: CompositeProblem, duals: DualBundle, violation: number): boolean {
  if (problem.smoothingError !== undefined) {
    return problem.smoothingError > SMOOTHING_SHARE * (problem.best.total - Math.max(0, duals.best));
  }
  const excess = 1 - 1 / Math.max(1, Math.min(violation, duals.averageViolation()));
  return Math.abs(problem.lastLoss - problem.dualSum) > 0.5 * problem.dualSum * excess;
}
