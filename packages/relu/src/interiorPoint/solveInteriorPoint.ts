// Primal-dual interior-point method (Mehrotra's predictor and corrector, then Gondzio's corrections) for ReLU programs of any loss, ball and regulariser.
// The start is strictly feasible and the constraints are linear in the pieces, so every iterate is a feasible point: its objective and the
// bound of lowerBound.ts enclose the optimum. One Newton system per iteration (newtonSystem.ts).

import { throwIfAborted } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Objective } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import { correct, undoCorrection } from "./centralityShift.js";
import { centrePieces } from "./centrePieces.js";
import { GateSums } from "./gateSums.js";
import { LossTerms } from "./lossTerms.js";
import { BoundEvaluator, type LossDual } from "./lowerBound.js";
import { DENSE_ORDER, NewtonSystem } from "./newtonSystem.js";
import { Pieces } from "./pieces.js";

export interface InteriorPointOptions {
  readonly kernels: Kernels;
  /** Relative certified gap to stop at. */
  readonly tolerance: number;
  readonly maximumIterations: number;
  /** Directions strictly inside the robust cone of every gate, `[P, D]`. */
  readonly directions: Float64Array;
  /** Samples whose cones count. */
  readonly coneSamples: Int32Array;
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  /** Called after every iteration. */
  readonly onIteration?: ((iteration: number, objective: number, lowerBound: number) => void) | undefined;
}

export interface InteriorPointResult {
  /** `[2, P, outputs, D]`, strictly inside all cones. */
  readonly pieces: Float64Array;
  readonly objective: Objective;
  readonly lowerBound: number;
  /** Dual weights of the loss behind `lowerBound`. */
  readonly dual: LossDual;
  readonly iterations: number;
}

/** Share of the way to the boundary that a step may go. */
const CLOSENESS = 0.99;
/** Largest order of a dense system that is tried when the large one failed. */
const LARGEST_DENSE = 4000;
/** Corrections of products that are far from the target (centralityShift.ts): at most so many, for steps this much longer, which must gain a share of that. */
const CORRECTIONS = 6;
/** Cone samples above which many rows are nearly parallel: only there, and with the sharp cones of a general ball, do corrections pay. */
const MANY_SAMPLES = 1000;
const FEW_CORRECTIONS = 2;
const FARTHER = 0.2;
const GAIN = 0.1;
/** Steps beyond which none is tried. */
const LONG_ENOUGH = 0.7;
/** With the curved cones of a general ball: times the gap that the complementarity explains beyond which a step only brings the duals into balance. */
const BEHIND = 10;
/** Such steps in a row. */
const MOST_WAITS = 5;
/** Iterations without progress of objective, bound or complementarity after which rounding has the last word. */
const PATIENCE = 6;
/** The same before the first progress: the duals of the loss are far from balance at the start. */
const FIRST_PATIENCE = 30;

/** Numbers the method takes from a workspace; `rows`: samples whose cones count. */
export function interiorPointSize(program: ReluProgram, rows: number, dense = DENSE_ORDER): number {
  const pairs = program.task === "multi-class" && program.loss !== "squared";
  const terms = program.samples * (pairs ? program.outputs - 1 : program.outputs);
  return workspaceSize(
    ...Pieces.sizes(program, rows),
    ...GateSums.sizes(program),
    ...NewtonSystem.sizes(program, terms, dense),
    ...BoundEvaluator.sizes(program),
  );
}

/** Where conjugate gradients on a large system end short of the tolerance, the dense system is taken and the method starts anew. */
export async function solveInteriorPoint(
  program: ReluProgram,
  options: InteriorPointOptions,
): Promise<InteriorPointResult> {
  const first = await run(program, options, DENSE_ORDER);
  const order = NewtonSystem.order(program);
  const { objective, lowerBound, iterations, nearby } = first;
  const reached = objective.total - lowerBound <= options.tolerance * objective.total;
  const left = options.maximumIterations - iterations;
  if (reached || !nearby || order > LARGEST_DENSE || left <= 0) return first;
  const onIteration = options.onIteration;
  const again = await run(
    program,
    {
      ...options,
      maximumIterations: left,
      onIteration: (iteration, total, bound) =>
        onIteration?.(iterations + iteration, Math.min(total, objective.total), Math.max(bound, lowerBound)),
    },
    LARGEST_DENSE,
  );
  const kept = again.objective.total < objective.total ? again : first;
  const dual = again.lowerBound > lowerBound ? again : first;
  return { ...kept, lowerBound: dual.lowerBound, dual: dual.dual, iterations: iterations + again.iterations };
}

/** `nearby`: the systems were preconditioners only. */
async function run(
  program: ReluProgram,
  options: InteriorPointOptions,
  dense: number,
): Promise<InteriorPointResult & { readonly nearby: boolean }> {
  const rows = options.coneSamples;
  const workspace = options.kernels.workspace(interiorPointSize(program, rows.length, dense));
  const terms = new LossTerms(program);
  const pieces = new Pieces(program, rows, workspace);
  const sums = new GateSums(program, terms, workspace);
  const system = new NewtonSystem(program, pieces, terms, sums, workspace, dense);
  const bounds = new BoundEvaluator(program, pieces, terms, sums, workspace);
  terms.start();
  pieces.start(terms.kappa / 2, options.directions);
  const plain = program.radius === 0 || [1, 2, Infinity].includes(program.dualExponent);
  const thin = rows.length > MANY_SAMPLES;
  centrePieces(pieces, terms.kappa / 2);
  const degree = terms.degree + pieces.degree;
  // Variables and duals may go different ways where the gradient of the objective and the rows do not depend on the point.
  const linear = program.loss === "hinge" && plain;
  const lengths = (closeness: number, limit: number): [number, number] => {
    const primal = Math.min(1, closeness * pieces.longestSlackStep(terms.longestSlackStep(limit)));
    const dual = Math.min(1, closeness * pieces.longestDualStep(terms.longestDualStep(limit)));
    return linear ? [primal, dual] : [Math.min(primal, dual), Math.min(primal, dual)];
  };
  let best = bounds.objective();
  let kept = pieces.theta.slice();
  let lowerBound = Math.max(0, bounds.lowerBound());
  const dualKept = copyOf(bounds.dual);
  let iteration = 0;
  let idle = 0;
  let begun = false;
  const nearby = NewtonSystem.kind(program, terms.count, dense) === "terms" && program.radius > 0;
  // Where a system is only a preconditioner a solve costs as much as a factorisation.
  const corrections = nearby || (plain && !thin) ? 0 : thin ? CORRECTIONS : FEW_CORRECTIONS;
  let behind = false;
  let waited = 0;
  let least = Number.POSITIVE_INFINITY;
  let lastPause = performance.now();
  while (iteration < options.maximumIterations && best.total - lowerBound > options.tolerance * best.total) {
    throwIfAborted(options.signal, options.where);
    if (!system.factor()) break;
    terms.aimAt(0, 0);
    pieces.aimAt(0, 0);
    system.solve();
    const before = (terms.complementarity() + pieces.complementarity()) / degree;
    const [affine, dualAffine] = lengths(1, 1);
    const after =
      (terms.complementarityAfter(affine, dualAffine) + pieces.complementarityAfter(affine, dualAffine)) / degree;
    const target = behind ? before : before * Math.max(1e-6, Math.min(1, after / before) ** 3);
    terms.aimAt(target, behind ? 0 : 1);
    pieces.aimAt(target, behind ? 0 : 1);
    system.solve();
    let [primal, dual] = lengths(CLOSENESS, 2);
    for (let round = 0; round < corrections && Math.min(primal, dual) < LONG_ENOUGH; round++) {
      const [farther, dualFarther] = [Math.min(1, primal + FARTHER), Math.min(1, dual + FARTHER)];
      for (const part of [terms, pieces]) correct(part, farther, dualFarther, target);
      system.solve();
      const next = lengths(CLOSENESS, 2);
      if (next[0] + next[1] < primal + dual + GAIN * FARTHER) {
        for (const part of [terms, pieces]) undoCorrection(part);
        system.solve();
        break;
      }
      [primal, dual] = next;
    }
    if (!(Math.max(primal, dual) > 1e-12)) break;
    system.advance(primal, dual);
    iteration++;
    const objective = bounds.objective();
    const bound = bounds.lowerBound();
    const mean = (terms.complementarity() + pieces.complementarity()) / degree;
    const better =
      mean < least * (1 - 1e-3) || objective.total < best.total * (1 - 1e-12) || bound > lowerBound * (1 + 1e-12);
    least = Math.min(least, mean);
    waited = behind ? waited + 1 : 0;
    behind = !plain && waited < MOST_WAITS && objective.total - bound > BEHIND * degree * mean;
    if (objective.total < best.total) {
      best = objective;
      kept = pieces.theta.slice();
    }
    if (bound > lowerBound) {
      lowerBound = bound;
      keepDual(bounds.dual, dualKept);
    }
    options.onIteration?.(iteration, best.total, lowerBound);
    begun ||= better;
    idle = better ? 0 : idle + 1;
    if (idle >= (begun ? PATIENCE : FIRST_PATIENCE)) break;
    if (performance.now() - lastPause > 50) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      lastPause = performance.now();
    }
  }
  return {
    pieces: kept,
    objective: best,
    lowerBound: Math.min(lowerBound, best.total),
    dual: dualKept,
    iterations: iteration,
    nearby,
  };
}

function copyOf({ onScore, weight, onA }: LossDual): LossDual {
  return { onScore: onScore.slice(), weight: weight.slice(), onA: onA.slice() };
}

function keepDual(from: LossDual, to: LossDual): void {
  to.onScore.set(from.onScore);
  to.weight.set(from.weight);
  to.onA.set(from.onA);
}
