// The ReLU program over many gates by interior-point solves on a growing working set of gates.
// A solution on some gates gives dual weights of the loss, hence H_po for every gate. Gate p cannot improve the objective while the projections
// of H_po and -H_po on its robust cone are at most beta long (coneDistance.ts); gates beyond that join the set. The bound
//   value(s),  s = beta / the longest projection over ALL gates
// holds for the whole program, so the gap is certified whatever gates are in the set. The l1 regulariser takes all gates at once.

import { throwIfAborted } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import { ConeDistance } from "../network/coneDistance.js";
import { distinctRows, type OpenCones } from "../network/openCones.js";
import { checkSolverMemory, gatesThatFit, termCount } from "../network/solverBytes.js";
import { putGates, takeGates } from "../network/takeGates.js";
import { Pauses } from "../pauses.js";
import type { Objective } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import { GateSums } from "./gateSums.js";
import { LossTerms } from "./lossTerms.js";
import { boundValue, type LossDual, shorten } from "./lowerBound.js";
import { solveInteriorPoint } from "./solveInteriorPoint.js";

export interface WorkingSetOptions {
  readonly kernels: Kernels;
  readonly tolerance: number;
  /** Newton steps over all rounds. */
  readonly maximumIterations: number;
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  readonly warm?: WarmStart | undefined;
  readonly onIteration?: ((iteration: number, objective: number, lowerBound: number) => void) | undefined;
}

/** What a solution of a neighbouring program knows. */
export interface WarmStart {
  /** Feasible pieces `[2, P, outputs, D]`. */
  readonly pieces: Float64Array;
  readonly objective: Objective;
  /** Dual weights of the loss of the neighbour, whose ball had this radius. */
  readonly dual: LossDual;
  readonly radius: number;
}

export interface WorkingSetResult {
  /** `[2, P, outputs, D]` over all gates of the program. */
  readonly pieces: Float64Array;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly iterations: number;
  /** Gates in the last working set. */
  readonly workingSet: number;
  /** Of the last solve. */
  readonly dual?: LossDual | undefined;
}

/** Groups of pieces solved at once without a working set, those of the first working set, and the most that one may grow to. */
const ALL_AT_ONCE = 400;
const FIRST_GROUPS = 80;
const MOST_GROUPS = 2000;
/** Share of the working set below which missing gates count as few. */
const FEW = 0.05;
/** Length beside the longest piece up to which a piece of a warm start does not bring its gate into the first working set. */
const SHORT = 1e-3;
/** Terms of the loss beyond which a step takes seconds. */
const MANY_TERMS = 4000;

/** Solves the program over its open cones. `zero` and `zeroBound` are the objective of the zero network and a bound known before. */
export async function solveOnWorkingSet(
  program: ReluProgram,
  cones: OpenCones,
  zero: Objective,
  zeroBound: number,
  options: WorkingSetOptions,
): Promise<WorkingSetResult> {
  const { kernels, tolerance, maximumIterations, warm } = options;
  const { width, outputs, gateCount } = program;
  const open = cones.open.length;
  const rows = distinctRows(program);
  const atOnce = Math.max(8, Math.floor(ALL_AT_ONCE / (2 * outputs)));
  const first = Math.max(8, Math.floor(FIRST_GROUPS / (2 * outputs)));
  const start = program.regulariser === "l1" || open <= atOnce ? open : first;
  checkSolverMemory(program, "interior-point", kernels, start);
  const most = gatesThatFit(
    program,
    "interior-point",
    kernels,
    Math.max(atOnce, Math.floor(MOST_GROUPS / (2 * outputs))),
  );
  const pricing = new Pricing(program, rows, cones, kernels, options);
  const pieces = new Float64Array(2 * gateCount * outputs * width);
  let best = zero;
  let lowerBound = zeroBound;
  let iterations = 0;
  let inside: Int32Array = new Int32Array(0);
  if (warm) {
    if (warm.objective.total < zero.total) {
      best = warm.objective;
      pieces.set(warm.pieces);
    }
    const { bound, violated } = await pricing.price(dualFor(program, warm), inside);
    lowerBound = Math.max(lowerBound, bound);
    const used = usedGates(program, pieces, cones);
    inside = Int32Array.from(new Set([...used, ...violated.slice(0, Math.max(8, used.length))]))
      .slice(0, most)
      .sort();
    // nearly all at once costs as much as all
    if (start === open && (2 * inside.length >= open || program.regulariser === "l1")) inside = range(open);
  }
  const known = inside.length > 0;
  if (!known) inside = start === open ? range(open) : await pricing.best(pricing.zeroDual(), first);
  // Of the gap two thirds, or a tenth where steps are slow, are left for what is dropped from the answer.
  const share = termCount(program) > MANY_TERMS ? 0.9 : 1 / 3;
  let roundTolerance = known || inside.length === open ? tolerance * share : Math.max(tolerance * share, 1e-2);
  let dual = warm?.dual;
  const gap = () => (best.total - lowerBound) / best.total;
  while (inside.length > 0 && iterations < maximumIterations && best.total > 0 && gap() > tolerance) {
    throwIfAborted(options.signal, options.where);
    const spent = iterations;
    const whole = inside.length === open && cones.undecided.length === 0;
    const result = await solveInteriorPoint(
      takeGates(
        program,
        inside.map((k) => cones.open[k]),
      ),
      {
        kernels,
        tolerance: roundTolerance,
        maximumIterations: maximumIterations - iterations,
        directions: takeRows(cones.directions, inside, width),
        coneSamples: rows,
        where: options.where,
        signal: options.signal,
        onIteration: (iteration, objective, bound) =>
          options.onIteration?.(
            spent + iteration,
            Math.min(objective, best.total),
            whole ? Math.max(bound, lowerBound) : lowerBound,
          ),
      },
    );
    iterations += result.iterations;
    dual = result.dual;
    if (result.objective.total < best.total) {
      best = result.objective;
      putGates(
        program,
        result.pieces,
        inside.map((k) => cones.open[k]),
        pieces,
      );
    }
    if (whole) {
      lowerBound = Math.max(lowerBound, result.lowerBound);
      break;
    }
    const { bound, violated } = await pricing.price(result.dual, inside);
    lowerBound = Math.max(lowerBound, bound);
    if (gap() <= tolerance) break;
    const room = most - inside.length;
    if (violated.length === 0 || room <= 0) {
      if (roundTolerance <= tolerance / 30 || iterations === spent) break;
      roundTolerance /= 10;
      continue;
    }
    // few gates are missing: the next solve may be the last, and goes all the way
    const few = violated.length <= FEW * inside.length;
    roundTolerance = Math.max(tolerance * share, few ? 0 : Math.min(roundTolerance, gap() / 10));
    // at most twice as many: what a step costs grows with the gates, and early prices say little about which are needed
    inside = Int32Array.from([...inside, ...violated.slice(0, Math.min(room, inside.length))]).sort();
  }
  return { pieces, objective: best, lowerBound, iterations, workingSet: inside.length, dual };
}

class Pricing {
  private readonly terms: LossTerms;
  private readonly sums: GateSums;
  private readonly pull: Float64Array;
  private readonly distance: ConeDistance;

  constructor(
    private readonly program: ReluProgram,
    rows: Int32Array,
    private readonly cones: OpenCones,
    kernels: Kernels,
    private readonly work: Pick<WorkingSetOptions, "where" | "signal">,
  ) {
    const size = program.gateCount * program.outputs * program.width;
    const workspace = kernels.workspace(workspaceSize(...GateSums.sizes(program), size));
    this.terms = new LossTerms(program);
    this.sums = new GateSums(program, this.terms, workspace);
    this.pull = workspace.float64(size);
    this.distance = new ConeDistance(program, rows);
  }

  /** Dual weights of the zero network. */
  zeroDual(): LossDual {
    const { terms, program } = this;
    const weight = new Float64Array(terms.count).fill(program.loss === "logistic" ? terms.kappa / 2 : terms.kappa);
    const onScore = program.loss === "squared" ? terms.target.map((t) => t * terms.kappa) : weight;
    return { onScore, weight, onA: new Float64Array(program.radius > 0 ? terms.count * program.featureCount : 0) };
  }

  /** The `count` open gates (as indices into cones.open) with the longest projections. */
  async best(dual: LossDual, count: number): Promise<Int32Array> {
    const lengths = await this.lengths(dual);
    return range(this.cones.open.length)
      .sort((a, b) => lengths[b] - lengths[a])
      .slice(0, count)
      .sort();
  }

  /** Bound over all gates, and the open gates outside the set beyond beta, longest first. */
  async price(dual: LossDual, inside: Int32Array): Promise<{ bound: number; violated: number[] }> {
    const { program, terms, cones } = this;
    const lengths = await this.lengths(dual);
    const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
    const bound = boundValue(program, terms, dual, longest > 0 ? program.beta / longest : Number.POSITIVE_INFINITY);
    const members = new Set(inside);
    const violated = Array.from(range(cones.open.length)).filter((k) => !members.has(k) && lengths[k] > program.beta);
    return { bound, violated: violated.sort((a, b) => lengths[b] - lengths[a]) };
  }

  // Longest projection over outputs and signs for each open gate, then for each undecided one. Exact beyond beta.
  private async lengths(dual: LossDual): Promise<Float64Array> {
    const { program, sums, pull, distance, cones } = this;
    const { outputs, width, beta } = program;
    sums.transpose(dual.onScore, program.radius > 0 ? dual.onA : null, pull);
    const gates = [...cones.open, ...cones.undecided];
    const all = new Float64Array(gates.length);
    const pause = new Pauses(this.work.where, gates.length, { signal: this.work.signal });
    for (let g = 0; g < gates.length; g++) {
      await pause.at(g);
      let longest = 0;
      for (let o = 0; o < outputs; o++) {
        for (const sign of [1, -1]) {
          const from = (gates[g] * outputs + o) * width;
          longest = Math.max(longest, distance.measure(gates[g], pull, from, sign, Math.max(longest, beta)));
        }
      }
      all[g] = longest;
    }
    return all;
  }
}

/** Dual weights of a neighbour made admissible for the ball of this program: its forces keep their share of the radius. */
function dualFor({ radius, featureCount, exponent, loss }: ReluProgram, { dual, radius: before }: WarmStart): LossDual {
  const terms = dual.onScore.length;
  const weight = loss === "squared" && radius === 0 ? dual.onScore.map(Math.abs) : dual.weight;
  const onA = new Float64Array(radius > 0 ? terms * featureCount : 0);
  for (let k = 0; k < terms && radius > 0 && before > 0; k++) {
    for (let j = k * featureCount; j < (k + 1) * featureCount; j++) onA[j] = (radius / before) * dual.onA[j];
    shorten(onA, k * featureCount, featureCount, exponent, radius * weight[k]);
  }
  return { onScore: dual.onScore, weight, onA };
}

/** Open gates (as indices into cones.open) with a piece that is not short beside the longest. */
function usedGates({ gateCount, outputs, width }: ReluProgram, pieces: Float64Array, { open }: OpenCones): number[] {
  const lengths = new Float64Array(gateCount);
  for (let from = 0; from < pieces.length; from += width) {
    const p = Math.floor(from / width / outputs) % gateCount;
    lengths[p] = Math.max(lengths[p], lengthOf(pieces, from, width, 2));
  }
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  return Array.from(range(open.length)).filter((k) => lengths[open[k]] > SHORT * longest);
}

function range(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, k) => k);
}

function takeRows(values: Float64Array, picked: Int32Array, width: number): Float64Array {
  const out = new Float64Array(picked.length * width);
  picked.forEach((row, k) => {
    out.set(values.subarray(row * width, (row + 1) * width), k * width);
  });
  return out;
}
