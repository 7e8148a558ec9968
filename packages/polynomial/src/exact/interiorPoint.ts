// Structured primal-dual interior point for the robust program of math.md 4.2 (solvers.md 3): Mehrotra predictor and
// corrector, HKM direction on the sample blocks, Nesterov-Todd on the two weight matrices, exactly centred start.
//   minimise sum_i kappa_i loss(1 - w_i) + beta (Z[e,e] + Z'[e,e])
// Primal slacks are functions of the variables, so every iterate is a feasible network and its value an upper bound; the
// dual iterate, read as weights and moments of attacks, gives a rigorous lower bound (certificate.ts). The best of both
// are kept and decide when to stop. n samples, d features, p = d + 1, N = p (p + 1) / 2; one iteration costs about
// 4 n N^2 + N^3 / 3 + 40 n p^3 operations. All memory is taken before the first step.

import { ResourceError, throwIfAborted } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import { type Certifier, createCertifier, wholePart } from "../certificate.js";
import type { MoveSet } from "../moveSet.js";
import { ballSamplesSize, createBallSamples } from "./ballSamples.js";
import { keepCompiled } from "./keepCompiled.js";
import { createLayout, dimensionsOf } from "./layout.js";
import { createPointSamples, pointSamplesSize } from "./pointSamples.js";
import type { SampleProblem, SampleState, SampleTerm } from "./sampleTerm.js";
import { createSquaredPoints, squaredPointsSize } from "./squaredPoints.js";
import {
  createWeightPair,
  emptyWeightState,
  type WeightPair,
  type WeightState,
  weightPairSizes,
} from "./weightPair.js";

export interface InteriorProblem {
  readonly samples: SampleProblem;
  readonly beta: number;
  readonly activation: Activation;
  readonly kernels: Kernels;
}

export interface InteriorSettings {
  /** Relative gap between the value and the certified bound. */
  readonly tolerance: number;
  readonly maxIterations: number;
  readonly timeLimitSeconds: number;
  /** Lower bound of the objective above which hard margins count as out of reach. */
  readonly infeasibleAbove: number;
}

export interface IterationReport {
  readonly iteration: number;
  /** Objective of the present network, and the best certified lower bound. */
  readonly upper: number;
  readonly lower: number;
  /** Complementarity, relative to the objective. */
  readonly gap: number;
  readonly primalStep: number;
  readonly dualStep: number;
  readonly seconds: number;
}

/** A well-centred iterate halfway through a solve: where a neighbouring problem can start. */
export interface InteriorState {
  readonly samples: SampleState;
  readonly weights: WeightState;
  readonly mu: number;
}

export type InteriorStart =
  | {
      readonly kind: "iterate";
      readonly state: InteriorState;
      /** Number in the earlier solve of each sample, or -1, `[count]`. */
      readonly place: Int32Array;
    }
  | {
      readonly kind: "network";
      /** Z and Z' of a network near the optimum, positive semidefinite, `[p, p]`. */
      readonly positive: Float64Array;
      readonly negative: Float64Array;
      /** Its objective, about. */
      readonly objective: number;
    };

type InteriorStatus = "optimal" | "left" | "stalled" | "iteration-limit" | "time-limit" | "infeasible";

export interface InteriorOutcome {
  readonly status: InteriorStatus;
  readonly iterations: number;
  /** Z and Z', `[p, p]`. */
  readonly positive: Float64Array;
  readonly negative: Float64Array;
  /** Value at the last iterate (feasible but for artificial slack of required samples), and the best bound. */
  readonly upper: number;
  readonly lower: number;
  /** Attack of the best bound. */
  readonly weights: Float64Array;
  readonly displacements: Float64Array;
  readonly covariances: Float64Array | null;
  /** Null when the solve never came within `stateGap`. */
  readonly state: InteriorState | null;
  /** Whether a given start served; `rejected` means that the solve began again from the centred start. */
  readonly warmStart: "none" | "used" | "rejected";
}

export interface InteriorHooks {
  readonly signal: AbortSignal | undefined;
  readonly onIteration: (report: IterationReport) => void;
  /** Called once, near the optimum, with U `[p, p]`; true ends the solve with status `left`, the iterate kept. */
  readonly leaveNear?: (difference: Float64Array) => boolean;
}

/** Relative complementarity at which the iterate is kept for warm starts: low enough to save work, far enough from the boundary. */
const stateGap = 0.1;
/** Relative complementarity of a start at a network: of 0.05 to 1, values about 0.2 need the fewest iterations on wdbc and synth. */
const networkGap = 0.2;
/** Relative complementarity at which `leaveNear` is asked. */
const nearGap = 0.03;
/** A warm start that makes two steps below this length among its first ones is given up. */
const shortWarmStep = { iterate: 0.1, network: 0.01 };
const warmTrial = 8;

/** Numbers of workspace memory that a solve takes. */
export function interiorSize(count: number, features: number, radius: number, set: MoveSet | null = null): number {
  const dimensions = dimensionsOf(features);
  const { entries } = dimensions;
  const samples =
    radius > 0
      ? ballSamplesSize(count, dimensions, set)
      : Math.max(pointSamplesSize(count, dimensions), squaredPointsSize(count, dimensions));
  return samples + workspaceSize(...weightPairSizes(dimensions), entries * entries, entries * entries, entries);
}

/** Solves from the centred start, or from an earlier iterate. Throws ResourceError when the memory cannot be had and AbortedError on abort. */
export function solveInterior(
  problem: InteriorProblem,
  settings: InteriorSettings,
  { signal, onIteration, leaveNear }: InteriorHooks,
  warm: InteriorStart | null = null,
): InteriorOutcome {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const { samples, beta, activation, kernels } = problem;
  const { count, features: d, loss } = samples;
  const workspace = takeMemory(kernels, samples);
  const layout = createLayout(d, activation);
  const { entries } = layout;
  const term: SampleTerm =
    samples.radius > 0
      ? createBallSamples(samples, layout, workspace)
      : samples.paired
        ? createSquaredPoints(samples, layout, workspace)
        : createPointSamples(samples, layout, workspace);
  const pair = createWeightPair(layout, beta, workspace);
  const hessian = workspace.float64(entries * entries);
  const product = workspace.float64(entries * entries);
  const rightSide = workspace.float64(entries);
  const bound = createBound(problem, createCertifier(d, kernels));
  keepCompiled(samples.radius > 0 ? "ball" : "point", { term, pair, bound }, workspace.capacity);
  const degree = term.degree + pair.degree;
  let meanWeight = 0;
  for (let i = 0; i < count; i++) meanWeight += samples.weights[i] / count;
  const startMu = 0.9 * meanWeight;
  const kept: InteriorState & { mu: number } = {
    samples: term.emptyState(),
    weights: emptyWeightState(layout.order, beta),
    mu: 0,
  };
  let warmStart: InteriorOutcome["warmStart"] = warm && restore(warm) ? "used" : warm ? "rejected" : "none";
  if (warmStart !== "used") startCold();
  let poorSteps = 0;
  let checked = false;

  let status: InteriorStatus = "iteration-limit";
  let shortSteps = 0;
  let iteration = 0;
  let refinements = 0;
  let upper = Number.POSITIVE_INFINITY;
  let steps = { primal: 0, dual: 0 };
  for (; iteration < settings.maxIterations; iteration++) {
    throwIfAborted(signal, "the interior-point method");
    if (iteration < warmTrial && poorSteps >= 2) retreat();
    if (!pair.setPoint() || !term.setPoint(pair.difference)) {
      if (retreat()) continue;
      status = "stalled";
      break;
    }
    const gap = complementarity(term, pair);
    const mu = gap / degree;
    const shortfall = term.shortfall();
    upper = term.loss() + beta * pair.mass();
    if (gap < 1e-2 * upper || shortfall > 0) bound.update(term);
    const relative = gap / upper;
    if (kept.mu === 0 && relative < stateGap && iteration >= 2) keep(mu);
    refinements = relative > 1e-2 ? 0 : relative > 1e-4 ? 1 : 2;
    const report = { iteration, upper, lower: bound.value, gap: relative, ...named(steps), seconds: seconds() };
    onIteration(report);
    if (!checked && relative < nearGap) {
      checked = true;
      if (leaveNear?.(pair.difference)) {
        keep(mu);
        status = "left";
        break;
      }
    }
    if (shortfall > 0 && bound.value > settings.infeasibleAbove) {
      status = "infeasible";
      break;
    }
    if (shortfall <= 1e-12 && upper - bound.value <= settings.tolerance * upper) {
      status = "optimal";
      break;
    }
    if (relative < 1e-14) {
      status = "stalled";
      break;
    }
    if (seconds() > settings.timeLimitSeconds) {
      status = "time-limit";
      break;
    }
    hessian.fill(0);
    term.addHessian(product, hessian);
    if (!pair.factor(hessian, product)) {
      if (retreat()) continue;
      status = "stalled";
      break;
    }
    // Predictor: straight to complementarity zero.
    direction(0, false, true);
    const affine = longestSteps(1);
    const after = complementarityAfter(affine.primal, affine.dual);
    const power = Math.min(affine.primal, affine.dual) > 0.5 ? 3 : 2;
    const sigma = Math.min(0.9, Math.max(1e-3, Math.max(after / gap, 0) ** power));
    direction(sigma * mu, true, false);
    const longest = longestSteps(1 / 0.9);
    const fraction = 0.9 + 0.08 * Math.min(1, longest.primal, longest.dual);
    steps = { primal: Math.min(1, fraction * longest.primal), dual: Math.min(1, fraction * longest.dual) };
    if (loss.curved) steps.primal = steps.dual = Math.min(steps.primal, steps.dual);
    term.advance(steps.primal, steps.dual);
    pair.advance(steps.primal, steps.dual);
    if (Math.min(steps.primal, steps.dual) < shortWarmStep[warm?.kind ?? "iterate"]) poorSteps++;
    shortSteps = Math.min(steps.primal, steps.dual) < 1e-3 ? shortSteps + 1 : 0;
    if (shortSteps >= 3 && !retreat()) {
      status = "stalled";
      iteration++;
      break;
    }
  }
  pair.setPoint();
  return {
    status,
    iterations: iteration,
    positive: Float64Array.from(pair.positive.slack),
    negative: Float64Array.from(pair.negative.slack),
    upper,
    lower: bound.value,
    ...bound.attack(),
    state: kept.mu > 0 ? kept : null,
    warmStart,
  };

  function keep(mu: number): void {
    term.save(kept.samples);
    pair.save(kept.weights);
    kept.mu = mu;
  }

  /** Gives up a warm start that has not come near the optimum; false when there is none. */
  function retreat(): boolean {
    if (warmStart !== "used" || kept.mu > 0) return false;
    warmStart = "rejected";
    shortSteps = 0;
    startCold();
    return true;
  }

  function startCold(): void {
    term.start(startMu);
    pair.start(startMu);
  }

  function restore(from: InteriorStart): boolean {
    if (from.kind === "network") {
      if (!term.startAt) return false;
      const mu = (networkGap * from.objective) / degree;
      pair.startAt(from.positive, from.negative, mu);
      term.startAt(pair.difference, mu);
    } else {
      const { state, place } = from;
      const dualScale = Math.min(1, beta / state.weights.beta);
      pair.restore(state.weights, dualScale);
      term.restore(state.samples, place, pair.difference, state.mu * dualScale, dualScale);
    }
    return pair.setPoint() && term.setPoint(pair.difference) && Number.isFinite(complementarity(term, pair));
  }

  function direction(target: number, corrected: boolean, keepCorrection: boolean): void {
    rightSide.fill(0);
    term.beginDirection(target, corrected, rightSide);
    // Far from the end the eliminated system is accurate enough as it is.
    pair.solve(hessian, rightSide, target, corrected, refinements);
    term.finishDirection(pair.vector, pair.change, keepCorrection);
    pair.positive.finish(keepCorrection);
    pair.negative.finish(keepCorrection);
  }

  function longestSteps(cap: number): { primal: number; dual: number } {
    const { positive, negative } = pair;
    let primal = Math.min(positive.primalStep(cap), negative.primalStep(cap));
    let dual = Math.min(positive.dualStep(cap), negative.dualStep(cap));
    primal = Math.min(primal, term.primalStep(primal));
    dual = Math.min(dual, term.dualStep(dual));
    return { primal, dual };
  }

  function complementarityAfter(primal: number, dual: number): number {
    return (
      term.complementarityAfter(primal, dual) +
      pair.positive.complementarityAfter(primal, dual) +
      pair.negative.complementarityAfter(primal, dual)
    );
  }
}

function named({ primal, dual }: { primal: number; dual: number }) {
  return { primalStep: primal, dualStep: dual };
}

function complementarity(term: SampleTerm, pair: WeightPair): number {
  return term.complementarity() + pair.positive.complementarity() + pair.negative.complementarity();
}

function takeMemory(kernels: Kernels, { count, features, radius, paired, set }: SampleProblem) {
  const size = interiorSize(count, features, radius, set);
  try {
    return kernels.workspace(size);
  } catch (error) {
    const hint = paired ? "fewer samples or features" : "use method factored, or fewer samples or features";
    const received = `${count} samples of ${features} features: ${Math.ceil((8 * size) / 2 ** 20)} MiB`;
    const details = {
      argument: paired ? "points" : "options.method",
      expected: "a problem that fits into memory",
      received,
      hint,
    };
    throw new ResourceError(details, { cause: error });
  }
}

/** The best lower bound of all iterates and the attack that proves it. */
function createBound({ samples, beta, activation }: InteriorProblem, certifier: Certifier) {
  const { count, features, points, labels, targets, weights: kappa, required, radius, loss, set } = samples;
  const batch = { data: points, shape: [count, features] as const };
  let value = Number.NEGATIVE_INFINITY;
  const weights = new Float64Array(count);
  const displacements = new Float64Array(count * features);
  const covariances = radius > 0 ? new Float64Array(count * features * features) : null;
  return {
    get value() {
      return value;
    },
    update(term: SampleTerm): void {
      const moments = term.dualMoments();
      const attack = { coordinates: moments.displacements, covariances: moments.covariances };
      const { lowerBound } = certifier.certify({
        points: batch,
        labels,
        radius,
        parts: [wholePart({ attack, weights: moments.weights })],
        hingeWeights: kappa,
        beta,
        activation,
        loss: loss.name,
        targets,
        required,
        set,
      });
      if (!(lowerBound > value)) return;
      value = lowerBound;
      weights.set(moments.weights);
      displacements.set(moments.displacements);
      if (covariances && moments.covariances) covariances.set(moments.covariances);
    },
    attack: () => ({ weights, displacements, covariances }),
  };
}
