// Newton's method on the gated program along a shrinking smoothing mu, on a working set of gates.
// Every step gives a point with its true objective and a dual point with its certified bound over ALL gates. The gap consists of
//   smoothing       objective - dual value before scaling
//   stationarity    scaling needed for gates of the working set
//   missing gates   scaling needed for the others
// Stationarity is reduced by Newton steps, then missing gates join, then mu shrinks.

import { throwIfAborted } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import { type Objective, regulariserOf } from "../../program/objective.js";
import type { ReluProgram } from "../../program/program.js";
import type { FitProgress, FitStatus } from "../../proximal/minimise.js";
import { Certifier } from "./certifier.js";
import { NewtonSystem } from "./newtonSystem.js";
import { SmoothTerms } from "./smoothTerms.js";

export interface PathOptions {
  readonly tolerance: number;
  readonly maximumIterations: number;
  /** First pieces `[P, outputs, D]`; default zero. */
  readonly start?: Float64Array | undefined;
  /** Bound that is known already; default 0. */
  readonly lowerBound?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: FitProgress) => void) | undefined;
  readonly where: string;
}

export interface PathOutcome {
  readonly status: FitStatus;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly gap: number;
  readonly iterations: number;
  /** Best pieces `[P, outputs, D]`. */
  readonly pieces: Float64Array;
  readonly dual: DualPoint;
}

/** The best dual point of the run, before scaling; see certifier.ts. */
interface DualPoint {
  /** `[n, outputs, D]` */
  readonly slopes: Float64Array;
  readonly linear: number;
  readonly quadratic: number;
}

const FIRST_MU = 0.3;
const WARM_MU = 0.02;
const SHRINK = 0.1;
/** Steps at one mu after which it shrinks anyway. */
const MOST_STEPS = 25;
const FIRST_GATES = 16;

export async function followPath(program: ReluProgram, kernels: Kernels, options: PathOptions): Promise<PathOutcome> {
  const { tolerance, maximumIterations } = options;
  const terms = new SmoothTerms(program);
  const system = new NewtonSystem(program, terms, kernels);
  const certifier = new Certifier(program, kernels);
  const row = program.outputs * program.width;
  const pieces = new Float64Array(program.gateCount * row);
  if (options.start) pieces.set(options.start);
  let best: Objective = { total: Number.POSITIVE_INFINITY, loss: 0, regulariser: 0 };
  const bestPieces = pieces.slice();
  let lowerBound = options.lowerBound ?? 0;
  let ownBound = 0;
  const dual = { slopes: new Float64Array(program.samples * row), linear: 0, quadratic: 0 };
  let mu = options.start ? WARM_MU : FIRST_MU;
  let steps = 0;
  // gates leave once at each mu only, so that the sets of one mu cannot repeat
  let shed = false;
  let iteration = 0;
  let lastPause = performance.now();
  system.setGates(supportOf(pieces, row), pieces, mu);
  const relative = (total: number, bound: number) => (total > 0 ? Math.max(0, (total - bound) / total) : 0);
  for (;;) {
    throwIfAborted(options.signal, options.where);
    const value = system.evaluate(mu);
    const { out } = system;
    const bound = certifier.bound(system.slopes, out);
    lowerBound = Math.max(lowerBound, bound);
    if (bound > ownBound) {
      ownBound = bound;
      dual.slopes.set(system.slopes);
      dual.linear = out.linear;
      dual.quadratic = out.quadratic;
    }
    const regulariser = program.beta * regulariserOf(program, system.point);
    if (out.loss + regulariser < best.total) {
      best = { total: out.loss + regulariser, loss: out.loss, regulariser };
      system.writePieces(bestPieces);
    }
    const gap = relative(best.total, lowerBound);
    const finish = (status: FitStatus): PathOutcome => {
      return { status, objective: best, lowerBound, gap, iterations: iteration, pieces: bestPieces, dual };
    };
    options.onEvent?.({ type: "iteration", iteration, objective: best.total, lowerBound, gap });
    if (gap <= tolerance) return finish(best.regulariser === 0 ? "zero-optimal" : "optimal");
    if (iteration >= maximumIterations) return finish("iteration-limit");
    if (performance.now() - lastPause > 50) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      lastPause = performance.now();
    }
    const total = out.loss + regulariser;
    const smoothing = Math.max(Math.abs(value - total) / total, tolerance / 4);
    const own = system.residual();
    const settled = system.size === 0 || own < 0.5 * smoothing;
    if (settled || steps >= MOST_STEPS) {
      const limit = 1 + 0.3 * smoothing;
      const chosen = nextGates(system.gates, certifier.violations, limit, pieces, row, system, !shed);
      if (chosen !== null) {
        shed = true;
        if (!NewtonSystem.fits(program, chosen.length)) return finish("stalled");
        system.writePieces(pieces);
        system.setGates(chosen, pieces, mu);
        steps = 0;
        terms.reset();
        continue;
      }
      if (mu < 1e-13) return finish("stalled");
      mu *= SHRINK;
      shed = false;
      steps = 0;
      system.evaluate(mu);
    }
    iteration++;
    steps++;
    const step = system.newtonStep(settled || steps === 1 ? system.evaluate(mu) : value, mu);
    if (step.length === 0) steps = MOST_STEPS;
  }
}

function supportOf(pieces: Float64Array, row: number): Int32Array {
  const found: number[] = [];
  for (let p = 0; p * row < pieces.length; p++) {
    if (pieces.subarray(p * row, (p + 1) * row).some((t) => t !== 0)) found.push(p);
  }
  return Int32Array.from(found);
}

// The working set with the most violated missing gates and, if `shed`, without those that are clearly idle; null when none is missing.
function nextGates(
  gates: Int32Array,
  violations: Float64Array,
  limit: number,
  pieces: Float64Array,
  row: number,
  system: NewtonSystem,
  shed: boolean,
): Int32Array | null {
  const inside = new Set(gates);
  const missing: number[] = [];
  for (let p = 0; p < violations.length; p++) if (violations[p] > limit && !inside.has(p)) missing.push(p);
  if (missing.length === 0) return null;
  missing.sort((a, b) => violations[b] - violations[a]);
  const kept: number[] = [];
  system.writePieces(pieces);
  for (const p of gates) {
    let size = 0;
    for (let k = p * row; k < (p + 1) * row; k++) size = Math.max(size, Math.abs(pieces[k]));
    if (!shed || violations[p] > 0.7 || size > 0.1) kept.push(p);
  }
  const added = missing.slice(0, Math.max(FIRST_GATES, Math.floor(gates.length / 3)));
  return Int32Array.from([...kept, ...added]).sort();
}
