// Exact trainer (solvers.md 3): the interior point on a working set of samples, verified on all of them.
//   1. equal samples are merged, samples of weight 0 dropped; radii that no digit can see become r = 0
//   2. hinge: a short descent on a few neurons guesses which samples have w < 1; the others get no block
//   3. interior point from that network; left-out samples with w < 1 near its end join and it starts again; the weight matrices
//      become unit neurons, the small ones pruned while the objective allows it
//   4. every sample's exact margin is computed; left-out samples with w < 1 join and the solve is repeated
// Left-out samples have weight 0 in the dual, so the lower bound of the working set holds for the whole problem.

import { type NumericBatch, throwIfAborted } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import { type Attack, createCertifier, wholePart } from "../certificate.js";
import { prepareTrainingData } from "../factored/trainingData.js";
import { lossShape, type MarginLoss } from "../marginLoss.js";
import { type MoveSet, sameSet } from "../moveSet.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import type { ObjectiveParts } from "../robustObjective.js";
import { prepareOver } from "../worstCase/worstCase.js";
import { type Guess, guessNetwork } from "./guessNetwork.js";
import { innerRadius } from "./innerRadius.js";
import { type InteriorStart, type InteriorState, type IterationReport, solveInterior } from "./interiorPoint.js";
import { mergeSamples, subset } from "./mergeSamples.js";
import { polishDual } from "./polishDual.js";
import { pruneNetwork } from "./pruneNetwork.js";

export interface ExactProblem {
  readonly points: NumericBatch;
  /** +1 / -1, `[n]` */
  readonly labels: Float64Array;
  /** kappa_i, `[n]` */
  readonly weights: Float64Array;
  readonly loss: MarginLoss;
  /** Nonzero marks samples that must keep a worst margin of 1 (math.md 4.4), `[n]`; null for none. */
  readonly required: Uint8Array | null;
  readonly radius: number;
  readonly beta: number;
  readonly activation: Activation;
  readonly kernels: Kernels;
  /** What the adversary may do within the radius; null for the ball. */
  readonly set: MoveSet | null;
  /** Of an earlier fit to the same or nearly the same samples. */
  readonly warmStart: ExactState | null;
}

/** What a fit leaves for the next one along a path of radii or of beta. Opaque: only its kind is meant to be read. */
export interface ExactState {
  readonly kind: "exact";
  /** @internal */
  readonly interior: InteriorState;
  /** @internal Keys of the samples with a block, in order. */
  readonly keys: readonly string[];
  /** @internal */
  readonly neurons: Neurons;
  /** @internal */
  readonly loss: MarginLoss;
  /** @internal */
  readonly set: MoveSet | null;
}

export interface ExactSettings {
  readonly tolerance: number;
  readonly maxIterations: number;
  readonly timeLimitSeconds: number;
}

export type ExactStatus = "optimal" | "zero-optimal" | "stalled" | "iteration-limit" | "time-limit" | "infeasible";

export interface ExactOutcome {
  readonly status: ExactStatus;
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  readonly objective: ObjectiveParts;
  readonly lowerBound: number;
  readonly gap: number;
  readonly iterations: number;
  /** Samples with a block of their own in the last solve. */
  readonly workingSet: number;
  readonly warmStart: "none" | "used" | "rejected";
  readonly state: ExactState | null;
}

export interface ExactHooks {
  readonly signal: AbortSignal | undefined;
  readonly onIteration: (report: IterationReport) => void;
}

/** Margin below which the guess keeps a sample: 1.05 missed some on three of twelve instances, which costs a second solve. */
const guessMargin = 1.15;
/** Ratios of radius and beta to the earlier fit's within which its iterate is used. */
const farthestRadius = 1.1;
const farthestBeta = 1.25;
/** Sum of |alpha_j| beyond which required margins count as out of reach. */
const largestMass = 1e8;

export function trainExact(problem: ExactProblem, settings: ExactSettings, hooks: ExactHooks): ExactOutcome {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const { radius, beta, activation, kernels, loss, set } = problem;
  const d = problem.points.shape[1];
  const samples = mergeSamples(problem);
  const { count: n, batch } = samples;
  const held = set !== null && set.fixed.length > 0;
  const inner = innerRadius(radius, samples.scale, set);
  const shape = lossShape(loss);
  const pruning = 0.1 * settings.tolerance;
  const hard = samples.required.some((flag) => flag !== 0);
  const warm = problem.warmStart && serves(problem.warmStart) ? problem.warmStart : null;
  let warmStart: ExactOutcome["warmStart"] = problem.warmStart && !warm ? "rejected" : "none";
  let guessed: Guess | null = null;
  let working = guess();
  let start: InteriorStart | null = warm ? placed(warm.interior, warm.keys) : guessed ? atNetwork(guessed) : null;
  let state: ExactState | null = null;
  let iterations = 0;
  let best = zeroNetwork();
  let bound = Number.NEGATIVE_INFINITY;
  for (let round = 0; ; round++) {
    const solved = working;
    const part = subset(samples, working, d, shape, inner, set);
    const outcome = solveInterior(
      {
        samples: part,
        beta,
        activation,
        kernels,
      },
      {
        tolerance: 0.5 * settings.tolerance,
        maxIterations: settings.maxIterations,
        timeLimitSeconds: settings.timeLimitSeconds - seconds(),
        infeasibleAbove: largestMass * beta,
      },
      {
        signal: hooks.signal,
        onIteration: (report) => hooks.onIteration({ ...report, iteration: iterations + report.iteration }),
        leaveNear: (difference) => missed(marginsOf(difference)) > 0,
      },
      start,
    );
    if (round === 0 && warm) warmStart = outcome.warmStart;
    iterations += outcome.iterations;
    if (outcome.status === "left" && outcome.state) {
      // A solution of too few samples may violate the others by far: the guess does not.
      start = guessed
        ? atNetwork(guessed)
        : placed(
            outcome.state,
            Array.from(solved, (i) => samples.keys[i]),
          );
      continue;
    }
    // Both ends once more, from the data: the bound from the attack, the objective from the network.
    const attack: Attack = { coordinates: outcome.displacements, covariances: outcome.covariances };
    const dual = {
      points: { data: part.points, shape: [part.count, d] },
      labels: part.labels,
      radius,
      attack,
      weights: outcome.weights,
      hingeWeights: part.weights,
      beta,
      activation,
      loss,
      required: part.required,
    };
    const { attack: _, weights: dualWeights, ...data } = dual;
    const parts = [wholePart({ attack, weights: dualWeights })];
    bound = Math.max(bound, createCertifier(d, kernels).certify({ ...data, parts, set }).lowerBound);
    if (outcome.status === "infeasible") return result("infeasible");
    let candidate = pruneNetwork(outcome, d + 1, activation, kernels, pruning, evaluate);
    if (held && inner < radius) {
      // What is left of the moving features is rounding, multiplied by the radius.
      const { fixed } = set;
      const quiet = (neurons: Neurons) => evaluate(withoutMoving(neurons, fixed));
      const still = pruneNetwork(outcome, d + 1, activation, kernels, pruning, quiet);
      if (still.objective.total < candidate.objective.total) candidate = still;
    }
    if (outcome.state) {
      const keys = Array.from(working, (i) => samples.keys[i]);
      state = { kind: "exact", interior: outcome.state, keys, neurons: candidate.neurons, loss, set };
    }
    // Nothing at all is preferred to neurons that earn less than the allowance of pruning.
    const earned = best.objective.total - candidate.objective.total;
    if (earned > (best.neurons.weights.length === 0 ? pruning * candidate.objective.total : 0)) best = candidate;
    // Points of very different sizes leave rounding in the dual weights.
    if (outcome.status === "stalled" && gapOf(best.objective.total) > settings.tolerance && !hard && !set) {
      bound = Math.max(bound, polishDual(dual, best.neurons, kernels));
    }
    const missing = missed(candidate.margins);
    const gap = gapOf(best.objective.total);
    if (gap <= settings.tolerance) return result(best.neurons.weights.length === 0 ? "zero-optimal" : "optimal");
    if (missing === 0 || round === 8)
      return result(outcome.status === "optimal" ? "stalled" : (outcome.status as ExactStatus));
    // The next round differs by a few samples only.
    start = state ? placed(state.interior, state.keys) : null;
  }

  function result(status: ExactStatus): ExactOutcome {
    const { neurons, quadratic, objective } = best;
    const gap = gapOf(objective.total);
    return {
      status,
      neurons,
      quadratic,
      objective,
      lowerBound: bound,
      gap,
      iterations,
      workingSet: working.length,
      warmStart,
      state,
    };
  }

  function serves({ interior, neurons, loss: earlier, set: earlierSet }: ExactState): boolean {
    if (!sameSet(set, earlierSet)) return false;
    const { a, b, c } = neurons.activation;
    const same = a === activation.a && b === activation.b && c === activation.c && earlier === loss;
    const order = d + 1;
    // Further away the earlier iterate lies too near the boundary: measured, it then costs more than it saves.
    if (!near(radius, interior.samples.radius, farthestRadius) || !near(beta, interior.weights.beta, farthestBeta))
      return false;
    return same && interior.weights.difference.length === order * order && interior.samples.radius > 0 === inner > 0;
  }

  function placed(interior: InteriorState, keys: readonly string[]): InteriorStart {
    const index = new Map(keys.map((key, k) => [key, k]));
    return {
      kind: "iterate",
      state: interior,
      place: Int32Array.from(working, (i) => index.get(samples.keys[i]) ?? -1),
    };
  }

  /** Worst margins of all samples under U `[p, p]`. */
  function marginsOf(difference: Float64Array): Float64Array {
    const Q = new Float64Array(d * d);
    const q = new Float64Array(d);
    for (let k = 0; k < d; k++) {
      for (let l = 0; l < d; l++) Q[k * d + l] = activation.a * difference[k * (d + 1) + l];
      q[k] = activation.b * difference[k * (d + 1) + d];
    }
    const quadratic = { dimension: d, Q, q, s: activation.c * difference[(d + 1) ** 2 - 1] };
    return prepareOver(quadratic, set, kernels).solve(batch, samples.labels, radius, { points: false }).values;
  }

  function atNetwork({ vectors, signs, margins }: Guess): InteriorStart {
    const p = d + 1;
    const [positive, negative] = [new Float64Array(p * p), new Float64Array(p * p)];
    signs.forEach((sign, j) => {
      const target = sign > 0 ? positive : negative;
      const v = new Float64Array(p);
      v.set(vectors.subarray(j * d, (j + 1) * d));
      v[d] = Math.hypot(...v.subarray(0, d));
      for (let k = 0; k < p; k++) for (let l = 0; l < p; l++) target[k * p + l] += v[k] * v[l];
    });
    let objective = beta * vectors.reduce((sum, value) => sum + value * value, 0);
    for (let i = 0; i < n; i++) objective += samples.weights[i] * Math.max(0, 1 - margins[i]);
    return { kind: "network", positive, negative, objective };
  }

  function gapOf(total: number): number {
    return Number.isFinite(total) ? (total - bound) / Math.max(total, Number.MIN_VALUE) : Number.POSITIVE_INFINITY;
  }

  interface Candidate {
    readonly neurons: Neurons;
    readonly quadratic: Quadratic;
    readonly objective: ObjectiveParts;
    /** Worst margins of the merged samples. */
    readonly margins: Float64Array;
  }

  function evaluate(neurons: Neurons): Candidate {
    let network = neurons;
    let quadratic = quadraticFromNeurons(network, d);
    let margins = prepareOver(quadratic, set, kernels).solve(batch, samples.labels, radius, {
      points: false,
    }).values;
    if (hard) {
      // The worst margin scales with the network: restore the required ones exactly.
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < n; i++) if (samples.required[i]) least = Math.min(least, margins[i]);
      if (least > 0 && least < 1) {
        const factor = (1 + 1e-12) / least;
        network = { ...neurons, weights: neurons.weights.map((alpha) => factor * alpha) };
        quadratic = quadraticFromNeurons(network, d);
        margins = margins.map((margin) => factor * margin);
      }
    }
    return { neurons: network, quadratic, objective: objectiveAt(margins, network), margins };
  }

  function objectiveAt(margins: Float64Array, { weights }: Neurons): ObjectiveParts {
    let paid = 0;
    for (let i = 0; i < n; i++) {
      if (!samples.required[i]) paid += samples.weights[i] * shape.value(1 - margins[i]);
      else if (!(margins[i] >= 1)) paid = Number.POSITIVE_INFINITY;
    }
    const regulariser = beta * weights.reduce((sum, alpha) => sum + Math.abs(alpha), 0);
    return { total: paid + regulariser, loss: paid, regulariser };
  }

  /** The neurons' parts on the fixed features, as unit vectors; neurons without one are left out. */
  function withoutMoving({ directions, weights }: Neurons, fixed: Int32Array): Neurons {
    const rows: number[] = [];
    const kept: number[] = [];
    weights.forEach((alpha, j) => {
      const length = Math.hypot(...Array.from(fixed, (k) => directions[j * d + k]));
      if (!(length > 0)) return;
      const row = new Array<number>(d).fill(0);
      for (const k of fixed) row[k] = directions[j * d + k] / length;
      rows.push(...row);
      kept.push(alpha);
    });
    return { directions: Float64Array.from(rows), weights: Float64Array.from(kept), activation };
  }

  function zeroNetwork(): Candidate {
    return evaluate({ directions: new Float64Array(0), weights: new Float64Array(0), activation });
  }

  /** Adds the left-out samples that the network misclassifies or nearly does; returns how many lie inside the hinge. */
  function missed(margins: Float64Array): number {
    if (working.length === n) return 0;
    const held = new Uint8Array(n);
    for (const i of working) held[i] = 1;
    let inside = 0;
    for (let i = 0; i < n; i++) if (!held[i] && margins[i] < 1) inside++;
    if (inside === 0) return 0;
    working = Int32Array.from({ length: n }, (_, i) => i).filter(
      (i) => held[i] !== 0 || margins[i] < 1 + 0.5 * (guessMargin - 1),
    );
    return inside;
  }

  function guess(): Int32Array {
    const all = Int32Array.from({ length: n }, (_, i) => i);
    if (warm && loss === "hinge" && !hard && inner > 0 && warm.keys.length < n) {
      const held = new Set(warm.keys);
      const { margins } = evaluate(warm.neurons);
      return all.filter((i) => margins[i] < guessMargin || held.has(samples.keys[i]));
    }
    // Without balls the samples are cheap; other losses have no flat part that enough samples reach.
    if (loss !== "hinge" || inner === 0 || n <= d + 1 || hard) return all;
    const data = prepareTrainingData(batch, { kernels });
    const { labels, weights } = samples;
    const late = () => hooks.signal?.aborted === true || seconds() > settings.timeLimitSeconds;
    guessed = guessNetwork({ data, labels, hingeWeights: weights, radius, beta, activation, set }, late);
    throwIfAborted(hooks.signal, "training");
    if (!guessed) return all;
    // Too few samples leave directions free in which the others are violated.
    const { margins } = guessed;
    const furthest = Math.max(guessMargin, margins.slice().sort()[d + 1]);
    return all.filter((i) => margins[i] < furthest);
  }
}

function near(one: number, other: number, ratio: number): boolean {
  return one <= ratio * other && other <= ratio * one;
}
