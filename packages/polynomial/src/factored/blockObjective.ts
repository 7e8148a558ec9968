// What the robust objectives of a factored network (objective.ts, movingObjective.ts) have in common: blocks of the chosen samples are
// attacked, pay the Huber hinge of width eps, and add to the moments of the gradient.
//   F(v) = sum_i kappa_i loss(1 - w_i) + beta sum_j ||v_j||^2,   p_i = kappa_i clip((1 - w_i)/eps, 0, 1)

import type { AttackState, Objective, ObjectiveProblem, Smoothing } from "./objective.js";
import { everyRow } from "./rowSource.js";

/** Memory of one block, and what is known of all samples. */
export interface Frame {
  readonly state: AttackState;
  /** Samples that are looked at, ascending. */
  chosen: Int32Array;
  /** Of the samples of the present block, `[block]`. */
  readonly labels: Float64Array;
  readonly margins: Float64Array;
  /** Spread of the attack in the span: of the block's samples `[block, rank]` when smoothed, else null, and its weighted sum. */
  variances: Float64Array | null;
  readonly spread: Float64Array;
  /** ||v_j||, `[K]` */
  readonly lengths: Float64Array;
}

/** What differs. `from` and `count` are a block of the chosen samples, `neurons` how many there are. */
export interface BlockParts {
  /** Eigenbasis of the form in the span of the neurons, and `lengths`; its rank, or -1 when the eigenproblem failed. */
  decompose(neurons: Float64Array, signs: Float64Array, count: number): number;
  /** Attacks the network decomposed last: fills `labels`, `margins` and, when smoothed, `variances`; keeps the moves. */
  attackBlock(from: number, count: number, smoothing: Smoothing): void;
  startMoments(neurons: number): void;
  /** Adds the block's share of the moments; returns sum p_i y_i. */
  addMoments(from: number, count: number, neurons: number): number;
  writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    constant: number,
    gradient: Float64Array,
  ): void;
}

export function createFrame(samples: number, block: number, maxNeurons: number, maxRank: number): Frame {
  return {
    state: { rank: 0, weights: new Float64Array(samples), margins: new Float64Array(samples), variances: null },
    chosen: everyRow(samples),
    labels: new Float64Array(block),
    margins: new Float64Array(block),
    variances: null,
    spread: new Float64Array(maxRank),
    lengths: new Float64Array(maxNeurons),
  };
}

export function blockObjective(problem: ObjectiveProblem, frame: Frame, parts: BlockParts): Objective {
  const { hingeWeights, radius, beta } = problem;
  const { state, margins, spread, lengths } = frame;
  const everything = frame.chosen;
  const block = margins.length;
  const maxRank = spread.length;
  let all: Float64Array | null = null;
  let own: Float64Array | null = null;
  let evaluations = 0;
  let rows = 0;

  /** Hinge part of the value over a block; fills p. */
  function hinge(from: number, count: number, width: number): number {
    let total = 0;
    for (let t = 0; t < count; t++) {
      const i = frame.chosen[from + t];
      const missing = 1 - margins[t];
      const kappa = hingeWeights[i];
      if (!(missing > 0)) {
        state.weights[i] = 0;
        if (Number.isNaN(missing)) total = Number.NaN;
      } else if (missing < width) {
        state.weights[i] = (kappa * missing) / width;
        total += (0.5 * kappa * missing * missing) / width;
      } else {
        state.weights[i] = kappa;
        total += kappa * (missing - 0.5 * width);
      }
    }
    return total;
  }

  return {
    problem,
    state,
    get evaluations() {
      return evaluations;
    },
    get rows() {
      return rows;
    },
    restrict(samples) {
      frame.chosen = samples ?? everything;
      state.weights.fill(0);
    },
    evaluate(neurons, signs, count, smoothing, gradient) {
      evaluations++;
      const { length } = frame.chosen;
      rows += length;
      const rank = parts.decompose(neurons, signs, count);
      if (rank < 0) return Number.POSITIVE_INFINITY;
      state.rank = rank;
      const smoothed = smoothing.mu > 0 && radius > 0 && rank > 0;
      if (smoothed) {
        all ??= new Float64Array(state.margins.length * maxRank);
        own ??= new Float64Array(block * maxRank);
        spread.fill(0);
      }
      state.variances = smoothed ? all : null;
      frame.variances = smoothed ? own : null;
      if (gradient) parts.startMoments(count);
      let value = 0;
      let constant = 0;
      for (let from = 0; from < length; from += block) {
        const size = Math.min(block, length - from);
        parts.attackBlock(from, size, smoothing);
        value += hinge(from, size, smoothing.width);
        if (gradient) constant += parts.addMoments(from, size, count);
      }
      for (let j = 0; j < count; j++) value += beta * lengths[j] * lengths[j];
      if (gradient) parts.writeGradient(neurons, signs, count, constant, gradient);
      return value;
    },
  };
}

/** Keeps a block's values `[count, rank]` in those of all samples. */
export function scatterRows(
  source: Float64Array,
  target: Float64Array,
  { chosen }: Frame,
  from: number,
  count: number,
  rank: number,
): void {
  for (let t = 0, p = 0; t < count; t++) {
    for (let k = 0, q = chosen[from + t] * rank; k < rank; k++) target[q + k] = source[p++];
  }
}

/** p_i y_i times every column of `products` `[count, neurons + 1]`, and itself in the last; adds to the spread. Returns sum p_i y_i. */
export function weighProducts(
  { state, chosen, labels, variances, spread }: Frame,
  products: Float64Array,
  from: number,
  count: number,
  neurons: number,
): number {
  const { rank } = state;
  const width = neurons + 1;
  let sum = 0;
  for (let t = 0; t < count; t++) {
    const py = state.weights[chosen[from + t]] * labels[t];
    const row = t * width;
    for (let j = 0; j < neurons; j++) products[row + j] *= py;
    products[row + neurons] = py;
    sum += py;
    if (variances && py !== 0) for (let k = 0; k < rank; k++) spread[k] += py * variances[t * rank + k];
  }
  return sum;
}
