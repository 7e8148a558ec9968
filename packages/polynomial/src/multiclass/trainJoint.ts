// Joint trainer of a network with several scores against any adversary (solvers.md 4, for several blocks):
//   min  sum_i kappa_i loss_i(1 - w) + beta sum_j ||v_j||^2   over the neurons v_j of all blocks,
// L-BFGS on the smoothed loss with exact worst cases, a restricted master for the dual weights, and the sphere oracle of every
// block, which certifies or adds neurons. The certificate, for any p with p_i in kappa_i times the loss's dual set and any
// feasible attacks:   LOWER BOUND = min(1, beta / max_c ||A_c||) sum_r p_r,
//   since the objective is at least sum p (1 - w) + beta sum_c gauge(S_c) >= sum p + sum_c (beta - ||A_c||) gauge(S_c).

import { throwIfAborted } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import { Lbfgs } from "../factored/lbfgs.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import type {
  Adversary,
  AttackSmoothing,
  BlockExtremes,
  BlockMoment,
  DirectionSet,
  FactoredNetwork,
} from "./adversary.js";
import { createDualMeans } from "./dualMeans.js";
import { createJointObjective } from "./jointObjective.js";
import { evaluateRows, type RowLoss } from "./rowLoss.js";
import { createSizeMaster } from "./sizeMaster.js";

export interface JointProblem {
  readonly adversary: Adversary;
  readonly directions: DirectionSet;
  readonly loss: RowLoss;
  /** kappa_i, `[samples]` */
  readonly kappa: Float64Array;
  readonly beta: number;
  readonly maxNeuronsPerBlock: number;
  readonly kernels: Kernels;
}

export interface JointSettings {
  readonly tolerance: number;
  readonly maxRounds: number;
  readonly stepsPerRound: number;
  readonly maxEvaluations: number;
  readonly timeLimitSeconds: number;
}

export type JointStatus = "optimal" | "zero-optimal" | "stalled" | "round-limit" | "evaluation-limit" | "time-limit";

export interface JointRound {
  readonly round: number;
  readonly upper: number;
  readonly lower: number;
  readonly gap: number;
  readonly neurons: number;
  readonly activeRows: number;
  readonly evaluations: number;
  readonly seconds: number;
}

export interface JointOutcome {
  readonly status: JointStatus;
  /** Best network found; its objective is `upper`. */
  readonly network: FactoredNetwork;
  readonly upper: number;
  readonly lower: number;
  readonly rounds: number;
  readonly evaluations: number;
}

export interface JointHooks {
  readonly signal: AbortSignal | undefined;
  readonly onRound: (report: JointRound) => void;
  /** Whether to end as `stalled` after this round, because something else takes over. */
  readonly givesUp?: (report: JointRound) => boolean;
}

/** Shares of the way to the master's network that are tried. */
const lineSearch = [1, 0.5, 0.25, 0.1, 0.03, 0.01];
const masterAttempts = 24;
/** Share of the gap that a round must close, or the next one may take twice the steps, up to this multiple. */
const slowGain = 0.3;
const mostSteps = 8;
/** Rows with a margin above 1 plus this are left out of a round's steps, and looked at again after it. */
const idleMargin = 0.35;

export function trainJoint(problem: JointProblem, settings: JointSettings, hooks: JointHooks): JointOutcome {
  const { adversary, directions, loss, kappa, beta, maxNeuronsPerBlock, kernels } = problem;
  const { dimension: d, blocks, samples, rowsPerSample: k, activation } = adversary;
  const rows = samples * k;
  const capacity = blocks * maxNeuronsPerBlock;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const master = createSizeMaster(adversary, loss, kappa, beta, Math.min(1e-4, 0.02 * settings.tolerance), kernels);
  const lbfgs = new Lbfgs(capacity * d);
  const objective = createJointObjective(adversary, directions, loss, kappa, beta);
  const { margins, moments } = objective;
  const means = createDualMeans(d, blocks, (of, mass) => boundOf(of, mass).bound);
  const slacks = new Float64Array(rows);
  const weights = new Float64Array(rows);
  const mask = new Uint8Array(rows);
  const scaledMatrix = new Float64Array(d * d);
  const scaledLinear = new Float64Array(d);
  let vectors = new Float64Array(capacity * d);
  let signs = new Float64Array(capacity);
  let owners = new Int32Array(capacity);
  let count = 0;
  const held = new Int32Array(blocks);

  // The zero network: every margin is 0.
  slacks.fill(1);
  const zeroValue = evaluateRows(loss, slacks, k, kappa, 0, weights);
  let best = zeroValue;
  let bestNetwork: FactoredNetwork = {
    vectors: new Float64Array(0),
    signs: new Float64Array(0),
    blocks: new Int32Array(0),
    count: 0,
  };
  let lower = 0;
  const gapNow = () => (best - lower) / Math.max(best, Number.MIN_VALUE);
  const outcome = (status: JointStatus, rounds: number): JointOutcome => {
    const zero = best === zeroValue && status === "optimal";
    return {
      status: zero ? "zero-optimal" : status,
      network: bestNetwork,
      upper: best,
      lower,
      rounds,
      evaluations: objective.evaluations,
    };
  };
  const present = (): FactoredNetwork => ({ vectors, signs, blocks: owners, count });

  adversary.activate(null);
  adversary.attack(present(), margins, null);
  // Equal weights on all rivals are feasible for both losses.
  for (let i = 0; i < samples; i++) weights.fill(kappa[i] / (loss === "max" ? k : 1), i * k, (i + 1) * k);
  let extremes = certify(weights);
  if (gapNow() <= settings.tolerance) return outcome("optimal", 0);
  const first = 0.1 / Math.max(...extremes.map(({ largest, largestNegative }) => Math.max(largest, largestNegative)));
  for (const { direction, sign, owner } of violating(extremes, Number.NEGATIVE_INFINITY))
    push(direction, sign, owner, first);

  let width = 0.5;
  let dualWidth = 0.5;
  let stalled = 0;
  let steps = settings.stepsPerRound;
  let smooth = false;
  let frozen: AttackSmoothing | null = null;
  let round = 0;
  let status: JointStatus = "round-limit";
  while (round < settings.maxRounds) {
    throwIfAborted(hooks.signal, "joint training");
    round++;
    const gapBefore = gapNow();
    exactValue();
    const active = chooseActive();
    // The scale of the smoothing is held during the steps, so that they see one function.
    frozen = currentSmoothing(vectors);
    const held = { signs, blocks: owners, count };
    lbfgs.minimise(
      (x, gradient) => objective.evaluate({ vectors: x, ...held }, width, frozen, gradient),
      vectors,
      count * d,
      {
        maxSteps: steps,
        smallDecrease: 1e-7 * Math.max(best, 1e-3 * zeroValue),
        shouldStop: () => hooks.signal?.aborted === true || limit() !== null,
      },
    );
    throwIfAborted(hooks.signal, "joint training");
    keepIfBetter(exactValue());
    chooseActive();
    const reached = dualPhase();
    const report = {
      round,
      upper: best,
      lower,
      gap: gapNow(),
      neurons: count,
      activeRows: active,
      evaluations: objective.evaluations,
    };
    const timed = { ...report, seconds: seconds() };
    hooks.onRound(timed);
    if (gapNow() <= settings.tolerance) {
      status = "optimal";
      break;
    }
    const cut = limit();
    if (cut) {
      status = cut;
      break;
    }
    if (hooks.givesUp?.(timed)) {
      status = "stalled";
      break;
    }
    stalled = gapBefore - gapNow() < 0.02 * gapBefore ? stalled + 1 : 0;
    // A full set of neurons needs more steps to settle than a growing one.
    if (gapBefore - gapNow() < slowGain * gapBefore) steps = Math.min(2 * steps, mostSteps * settings.stepsPerRound);
    if (stalled >= 3 && !smooth) {
      smooth = true;
      stalled = 0;
    } else if (stalled >= 12) {
      status = "stalled";
      break;
    }
    const blurred = Math.min(reached.smoothingError, 0.5 * width * reached.mass) > 0.1 * settings.tolerance * best;
    const exhausted = gapBefore - gapNow() < 0.1 * gapBefore;
    if (blurred && (exhausted || reached.smoothingError > reached.infeasible * best)) width *= 0.4;
    nextNeurons();
  }
  return outcome(status, round);

  /** The network with sizes (1 - share) old + share master; share 0 only drops neurons of no size. */
  function mix(share: number): void {
    const parts: { direction: Float64Array; sign: number; owner: number; size: number }[] = [];
    for (const { direction, sign, block, size, start } of master.atoms) {
      parts.push({ direction, sign, owner: block, size: (1 - share) * start + share * size });
    }
    vectors = new Float64Array(capacity * d);
    signs = new Float64Array(capacity);
    owners = new Int32Array(capacity);
    count = 0;
    held.fill(0);
    let largest = 0;
    for (const { size } of parts) largest = Math.max(largest, size);
    parts.sort((one, two) => two.size - one.size);
    for (const { direction, sign, owner, size } of parts) if (size > 1e-7 * largest) push(direction, sign, owner, size);
  }

  function limit(): JointStatus | null {
    if (objective.evaluations >= settings.maxEvaluations) return "evaluation-limit";
    return seconds() > settings.timeLimitSeconds ? "time-limit" : null;
  }

  function push(direction: Float64Array, sign: number, owner: number, size: number): void {
    if (held[owner] === maxNeuronsPerBlock) return;
    const length = Math.sqrt(size);
    for (let l = 0; l < d; l++) vectors[count * d + l] = length * direction[l];
    signs[count] = sign;
    owners[count++] = owner;
    held[owner]++;
  }

  /** Log-determinant smoothing, once the gap has stalled: networks at ties of attacks are kinks of the objective. */
  function currentSmoothing(x: Float64Array): AttackSmoothing | null {
    if (!smooth) return null;
    let size = 0;
    for (let i = 0; i < count * d; i++) size += x[i] * x[i];
    const perBlock = Math.max(1, Math.min(d, (2 * count) / blocks));
    return { mu: width / (4 * perBlock), rho: (activation.a * size) / blocks + 1e-300 };
  }

  /** Exact objective of the present network over all rows; leaves the margins. */
  function exactValue(): number {
    adversary.activate(null);
    return objective.evaluate(present(), 0, null, null);
  }

  function keepIfBetter(value: number): void {
    if (!(value < best)) return;
    best = value;
    bestNetwork = {
      vectors: vectors.slice(0, count * d),
      signs: signs.slice(0, count),
      blocks: owners.slice(0, count),
      count,
    };
  }

  /** Restricts to rows that are or may become active; needs margins of all rows. */
  function chooseActive(): number {
    let active = 0;
    for (let r = 0; r < rows; r++) {
      mask[r] = margins[r] < 1 + idleMargin ? 1 : 0;
      active += mask[r];
    }
    adversary.activate(mask);
    return active;
  }

  /** Extremes of every block under p against the last attack; improves the lower bound. */
  function certify(p: Float64Array): BlockExtremes[] {
    adversary.moments(p, true, moments);
    let mass = 0;
    for (let r = 0; r < rows; r++) mass += p[r];
    const { found, bound } = boundOf(moments, mass);
    if (bound > lower) lower = bound;
    return found;
  }

  function boundOf(of: readonly BlockMoment[], mass: number): { found: BlockExtremes[]; bound: number } {
    const { a, b, c } = activation;
    let norm = 0;
    const found = of.map((moment): BlockExtremes => {
      for (let i = 0; i < d * d; i++) scaledMatrix[i] = a * moment.matrix[i];
      for (let l = 0; l < d; l++) scaledLinear[l] = b * moment.linear[l];
      const sides = directions.extremes(scaledMatrix, scaledLinear, c * moment.constant);
      const { squares, mass: own } = moment;
      const sizes = a * squares + Math.abs(b) * Math.sqrt(squares * own) + Math.abs(c) * own;
      const error = 4 * (moment.rows + d + 16) * unitRoundoff * sizes;
      const largest = sides.maximum.bound + error;
      const largestNegative = -sides.minimum.bound + error;
      norm = Math.max(norm, largest, largestNegative);
      return { ...sides, largest, largestNegative };
    });
    const bound = (norm <= beta ? 1 : beta / norm) * mass * (1 - 4 * (rows + 8) * unitRoundoff);
    return { found, bound: Number.isFinite(bound) ? bound : 0 };
  }

  /** Certifies with the master's weights, adding violated directions until they hold. */
  function dualPhase(): { smoothingError: number; infeasible: number; mass: number } {
    adversary.attack(present(), margins, currentSmoothing(vectors));
    master.load(present());
    const wide = restrictedBound(dualWidth);
    let chosen = wide;
    if (gapNow() > settings.tolerance && dualWidth > 1.01 * width) {
      const narrower = Math.max(width, 0.4 * dualWidth);
      const narrow = restrictedBound(narrower);
      if (narrow.bound > wide.bound) {
        dualWidth = narrower;
        chosen = narrow;
      }
    }
    extremes = chosen.extremes;
    if (gapNow() > settings.tolerance) {
      const p = chosen.weights;
      adversary.moments(p, true, moments);
      lower = Math.max(
        lower,
        means.add(
          moments,
          p.reduce((sum, weight) => sum + weight, 0),
        ),
      );
    }
    return { smoothingError: best - chosen.mass, infeasible: chosen.infeasible, mass: chosen.mass };
  }

  function restrictedBound(masterWidth: number) {
    let result = { bound: Number.NEGATIVE_INFINITY, infeasible: 1, mass: 0, extremes, weights: master.weights };
    for (let attempt = 0; attempt < masterAttempts; attempt++) {
      master.solve(masterWidth);
      const found = certify(master.weights);
      const norm = Math.max(...found.map(({ largest, largestNegative }) => Math.max(largest, largestNegative)));
      let mass = 0;
      for (let r = 0; r < rows; r++) mass += master.weights[r];
      const share = Math.min(1, beta / norm);
      if (share * mass > result.bound) {
        const weights = master.weights.slice();
        result = { bound: share * mass, infeasible: 1 - share, mass, extremes: found, weights };
      }
      result = { ...result, extremes: found };
      if (norm <= beta * (1 + 0.1 * settings.tolerance)) break;
      if (attempt >= 3 && best - mass >= mass - share * mass) break;
      throwIfAborted(hooks.signal, "joint training");
      if (limit() === "time-limit") break;
      if (master.atoms.length > 2 * count + 8 * blocks) master.prune();
      for (const { direction, sign, owner } of violating(found, beta)) master.add(direction, sign, owner);
    }
    return result;
  }

  /**
   * Goes from the present network towards the master's, which has the same atoms at other sizes: the master is a model of the
   * objective with the attacks held fixed, so its minimiser is a direction of descent. Then small neurons along violated
   * directions.
   */
  function nextNeurons(): void {
    const current = exactValue();
    let value = current;
    let chosen = 0;
    for (const share of lineSearch) {
      mix(share);
      const trial = exactValue();
      keepIfBetter(trial);
      if (trial < value) {
        value = trial;
        chosen = share;
      } else if (value < current) break;
    }
    mix(chosen);
    let mass = 0;
    for (let i = 0; i < count * d; i++) mass += vectors[i] * vectors[i];
    const size = (0.02 * mass) / Math.max(1, count) || first;
    for (const { direction, sign, owner } of violating(extremes, beta * (1 + 0.2 * settings.tolerance))) {
      push(direction, sign, owner, size);
    }
  }
}

/** The extreme directions of each block and side above the threshold. */
function violating(
  extremes: readonly BlockExtremes[],
  threshold: number,
): { direction: Float64Array; sign: number; owner: number }[] {
  return extremes.flatMap(({ maximum, minimum, largest, largestNegative }, owner) => [
    ...(largest > threshold ? [{ direction: maximum.point, sign: 1, owner }] : []),
    ...(largestNegative > threshold ? [{ direction: minimum.point, sign: -1, owner }] : []),
  ]);
}
