// What the robust objectives of a factored network (objective.ts, movingObjective.ts) have in common: blocks of the chosen samples are
// attacked, pay the Huber hinge of width eps, and add to the moments of the gradient.
//   F(v) = sum_i kappa_i loss(1 - w_i) + beta sum_j ||v_j||^2,   p_i = kappa_i clip((1 - w_i)/eps, 0, 1)
// A class, not closures: a fit makes several objectives, and methods stay compiled from one to the next.

import type { AttackState, Objective, ObjectiveProblem, Smoothing } from "./objective.js";
import { everyRow } from "./rowSource.js";

export abstract class BlockObjective implements Objective {
  readonly state: AttackState;
  evaluations = 0;
  rows = 0;
  /** Samples that are looked at, ascending. */
  protected chosen: Int32Array;
  /** Of the samples of the present block, `[block]`. */
  protected readonly labels: Float64Array;
  protected readonly margins: Float64Array;
  /** Spread of the attack in the span: of the block's samples `[block, rank]` when smoothed, else null, and its weighted sum. */
  protected variances: Float64Array | null = null;
  protected readonly spread: Float64Array;
  /** ||v_j||, `[K]` */
  protected readonly lengths: Float64Array;
  private readonly everything: Int32Array;
  private spreadOfAll: Float64Array | null = null;
  private spreadOfBlock: Float64Array | null = null;

  constructor(
    readonly problem: ObjectiveProblem,
    private readonly block: number,
    private readonly maxRank: number,
  ) {
    const { samples: n, maxNeurons } = problem.data;
    this.state = { rank: 0, weights: new Float64Array(n), margins: new Float64Array(n), variances: null };
    this.everything = everyRow(n);
    this.chosen = this.everything;
    this.labels = new Float64Array(block);
    this.margins = new Float64Array(block);
    this.spread = new Float64Array(maxRank);
    this.lengths = new Float64Array(maxNeurons);
  }

  /** Eigenbasis of the form in the span of the neurons, and `lengths`; its rank, or -1 when the eigenproblem failed. */
  protected abstract decompose(neurons: Float64Array, signs: Float64Array, count: number): number;

  /**
   * Attacks `count` of the chosen samples from position `from` with the network decomposed last: fills `labels`, `margins` and, when
   * smoothed, `variances`; keeps the moves.
   */
  protected abstract attackBlock(from: number, count: number, smoothing: Smoothing): void;

  protected abstract startMoments(neurons: number): void;

  /** Adds the block's share of the moments; returns sum p_i y_i. */
  protected abstract addMoments(from: number, count: number, neurons: number): number;

  protected abstract writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    constant: number,
    gradient: Float64Array,
  ): void;

  restrict(samples: Int32Array | null): void {
    this.chosen = samples ?? this.everything;
    this.state.weights.fill(0);
  }

  evaluate(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    smoothing: Smoothing,
    gradient: Float64Array | null,
  ): number {
    const { state, block, maxRank, lengths, problem } = this;
    this.evaluations++;
    const { length } = this.chosen;
    this.rows += length;
    const rank = this.decompose(neurons, signs, count);
    if (rank < 0) return Number.POSITIVE_INFINITY;
    state.rank = rank;
    const smoothed = smoothing.mu > 0 && problem.radius > 0 && rank > 0;
    if (smoothed) {
      this.spreadOfAll ??= new Float64Array(state.margins.length * maxRank);
      this.spreadOfBlock ??= new Float64Array(block * maxRank);
      this.spread.fill(0);
    }
    state.variances = smoothed ? this.spreadOfAll : null;
    this.variances = smoothed ? this.spreadOfBlock : null;
    if (gradient) this.startMoments(count);
    let value = 0;
    let constant = 0;
    for (let from = 0; from < length; from += block) {
      const size = Math.min(block, length - from);
      this.attackBlock(from, size, smoothing);
      value += this.hinge(from, size, smoothing.width);
      if (gradient) constant += this.addMoments(from, size, count);
    }
    for (let j = 0; j < count; j++) value += problem.beta * lengths[j] * lengths[j];
    if (gradient) this.writeGradient(neurons, signs, count, constant, gradient);
    return value;
  }

  /** Hinge part of the value over a block; fills p, and keeps the margins. */
  private hinge(from: number, count: number, width: number): number {
    const { chosen, margins } = this;
    const { weights, margins: all } = this.state;
    const { hingeWeights } = this.problem;
    let total = 0;
    for (let t = 0; t < count; t++) {
      const i = chosen[from + t];
      const missing = 1 - margins[t];
      const kappa = hingeWeights[i];
      all[i] = margins[t];
      if (!(missing > 0)) {
        weights[i] = 0;
        if (Number.isNaN(missing)) total = Number.NaN;
      } else if (missing < width) {
        weights[i] = (kappa * missing) / width;
        total += (0.5 * kappa * missing * missing) / width;
      } else {
        weights[i] = kappa;
        total += kappa * (missing - 0.5 * width);
      }
    }
    return total;
  }

  protected loadLabels(from: number, count: number): void {
    const { chosen, labels } = this;
    const all = this.problem.labels;
    for (let t = 0; t < count; t++) labels[t] = all[chosen[from + t]];
  }

  /** Keeps a block's values `[count, rank]` in those of all samples. */
  protected scatter(source: Float64Array, target: Float64Array, from: number, count: number): void {
    const { chosen } = this;
    const { rank } = this.state;
    for (let t = 0, p = 0; t < count; t++) {
      for (let k = 0, q = chosen[from + t] * rank; k < rank; k++) target[q + k] = source[p++];
    }
  }

  /** p_i y_i times every column of `products` `[count, neurons + 1]`, and itself in the last; adds to the spread. Returns sum p_i y_i. */
  protected weigh(products: Float64Array, from: number, count: number, neurons: number): number {
    const { chosen, labels, variances, spread } = this;
    const { rank, weights } = this.state;
    const width = neurons + 1;
    let sum = 0;
    for (let t = 0; t < count; t++) {
      const py = weights[chosen[from + t]] * labels[t];
      const row = t * width;
      for (let j = 0; j < neurons; j++) products[row + j] *= py;
      products[row + neurons] = py;
      sum += py;
      if (variances && py !== 0) for (let k = 0; k < rank; k++) spread[k] += py * variances[t * rank + k];
    }
    return sum;
  }
}
