// The steps of a match of two classes (matchClasses.ts): accelerated projected gradients on the attacks and on the heavier class's weights.
//   z_i <- z_i - step l y_i (2 Q z_i + q), back into the ball;  p_i of the heavier class follow z_i'Q z_i + q'z_i, their sum fixed
// with Q = a E and q = (b / 2)^2 g of the present points. A class, so that they stay compiled from one match to the next.
// All in the span of k directions: n points and moves [n, k].

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import { clampToSum } from "./clampToSum.js";
import type { ObjectiveProblem } from "./objective.js";

/** Room for the eigenvalues of l a A, relative to beta, where the heavier class weighs `heavierExcess` beta / c more. */
export const lowestEigenvalue = -0.25;
export const highestEigenvalue = 1.4;
/** Steps of the weights, relative to a bound of the curvature that takes all samples for parallel. */
const weightPace = 12;

/** Samples to match, ascending, with their weights at the start and the largest ones, and the label of the lighter class. */
export interface MatchedSamples {
  readonly samples: Int32Array;
  readonly weights: Float64Array;
  readonly largest: Float64Array;
  readonly lighter: 1 | -1;
}

/** Sum of the steps of a match, a score x'Q x + q'x in the span of its basis: the heavier class is chosen where it is large. */
export interface Potential {
  /** Q `[k, k]` */
  readonly quadratic: Float64Array;
  /** q `[k]` */
  readonly linear: Float64Array;
}

/** Where a match starts: without an attack, where the potential of a match in the same basis leads, or from given attacks. */
export interface MatchStart {
  /** Directions to match in, orthonormal `[k, d]` */
  readonly basis: Float64Array;
  readonly potential?: Potential;
  /** Coordinates along the first rows of the basis, `[samples, at most k]` */
  readonly moves?: Float64Array;
}

/** The accelerated steps: points `[n, k]` in the basis, their moves, the weights, and the potential, which moves like them. */
export class MatchSteps {
  readonly potential: Potential;
  private readonly weights: Float64Array;
  private readonly previousWeights: Float64Array;
  private readonly start: Float64Array;
  private readonly moves: Float64Array;
  private readonly previous: Float64Array;
  private readonly previousPotential: Potential;
  private readonly ahead: Float64Array;
  private readonly difference: Float64Array;
  /** Samples of the heavier class, their largest weights, and room for their weights. */
  private readonly heavier: Int32Array;
  private readonly heavierMost: Float64Array;
  private readonly heavierWeights: Float64Array;
  private readonly heavierSum: number;
  /** Whether they may weigh more than they have to. */
  private readonly free: boolean;
  private readonly memory: ReturnType<typeof allocate>;
  private readonly moveStep: number;
  private readonly weightStep: number;
  /** b^2 / 4 */
  private readonly slope: number;
  private momentum = 0;
  private shrink = 1;
  private sinceRestart = 0;

  constructor(
    private readonly problem: ObjectiveProblem,
    private readonly members: MatchedSamples,
    private readonly from: MatchStart,
  ) {
    const { labels, radius, activation } = problem;
    const { samples, weights, largest, lighter } = members;
    const { basis, potential: earlier, moves } = from;
    const n = samples.length;
    const k = basis.length / problem.data.dimension;
    this.memory = allocate(problem, k);
    this.start = inBasis(problem, samples, basis, this.memory);
    this.moves = widened(moves ?? new Float64Array(0), n, k);
    this.previous = this.moves.slice();
    this.weights = weights.slice();
    this.previousWeights = weights.slice();
    this.ahead = new Float64Array(n);
    this.difference = new Float64Array(k);
    // The potential moves like the attack of a sample that no ball stops.
    const quadratic = earlier ? earlier.quadratic.slice() : new Float64Array(k * k);
    const linear = earlier ? earlier.linear.slice() : new Float64Array(k);
    this.potential = { quadratic, linear };
    this.previousPotential = { quadratic: quadratic.slice(), linear: linear.slice() };
    this.heavier = Int32Array.from(samples.keys()).filter((t) => labels[samples[t]] !== lighter);
    this.heavierMost = Float64Array.from(this.heavier, (t) => largest[t]);
    this.heavierWeights = Float64Array.from(this.heavier, (t) => weights[t]);
    this.heavierSum = this.heavierWeights.reduce((sum, p) => sum + p, 0);
    this.free = this.heavierMost.reduce((sum, p) => sum + p, 0) > this.heavierSum * (1 + 1e-9);
    const mass = weights.reduce((sum, p) => sum + p, 0);
    const square = weightedSquares(this.start, weights, k) / mass + radius * radius;
    const { a } = activation;
    this.slope = activation.b ** 2 / 4;
    // The curvature of a square of sums, with the weights' own scale taken out.
    this.moveStep = 1 / (mass * (this.slope + 4 * a * a * square) + Number.MIN_VALUE);
    const unit = this.heavierSum / Math.max(1, this.heavier.length);
    this.weightStep = (weightPace * unit) / (mass * (this.slope * square + a * a * square * square) + Number.MIN_VALUE);
    if (!earlier) return;
    this.ahead.set(weights);
    this.descend(1, quadratic, linear);
    this.previous.set(this.moves);
    this.previousWeights.set(this.weights);
  }

  /** The match so far. */
  part(): AttackPart {
    const { samples } = this.members;
    return {
      samples,
      weights: this.weights.slice(),
      attack: { coordinates: this.moves.slice(), basis: this.from.basis },
    };
  }

  /** Fills excess and difference at the points ahead; returns the root of the sum of squares. */
  measure(): number {
    this.momentum = this.sinceRestart / (this.sinceRestart + 3);
    const { weights, previousWeights, ahead, momentum, difference, slope } = this;
    const { samples, lighter } = this.members;
    const { workspace, blockRows, matrix, weighted, point, k } = this.memory;
    const { labels, activation } = this.problem;
    const n = samples.length;
    matrix.fill(0);
    difference.fill(0);
    extrapolate(ahead, weights, previousWeights, momentum);
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      this.goAhead(from, count);
      for (let t = 0; t < count; t++) {
        const p = ahead[from + t] * lighter * labels[samples[from + t]];
        for (let l = 0, q = t * k; l < k; l++) {
          weighted[q + l] = p * point[q + l];
          difference[l] += weighted[q + l];
        }
      }
      workspace.gemm(true, false, k, k, count, activation.a, weighted, k, point, k, 1, matrix, k);
    }
    let sum = this.clampEigenvalues();
    for (let l = 0; l < k; l++) sum += slope * difference[l] ** 2;
    return Math.sqrt(sum);
  }

  /** One step from the points last measured; `restart` forgets the momentum, and shortens the steps if that was tried just before. */
  advance(restart: boolean): void {
    if (restart) {
      if (this.sinceRestart <= 1) this.shrink *= 0.5;
      this.sinceRestart = 0;
    } else this.sinceRestart++;
    const { difference, shrink, momentum, potential, previousPotential } = this;
    const { excess } = this.memory;
    for (let l = 0; l < difference.length; l++) difference[l] *= this.slope;
    this.descend(shrink, excess, difference);
    accumulate(potential.quadratic, previousPotential.quadratic, excess, momentum, shrink);
    accumulate(potential.linear, previousPotential.linear, difference, momentum, shrink);
  }

  /** Points ahead of the moves, of a block from sample `from`. */
  private goAhead(from: number, size: number): void {
    const { start, moves, previous, momentum } = this;
    const { point, k } = this.memory;
    for (let t = 0, q = from * k; t < size * k; t++, q++) {
      point[t] = start[q] + moves[q] + momentum * (moves[q] - previous[q]);
    }
  }

  /** a times what the eigenvalues of `matrix` have beyond their room, as a matrix, into `excess`; returns the sum of squares. */
  private clampEigenvalues(): number {
    const { workspace, matrix, eigenvalues, scaled, excess, k } = this.memory;
    const { beta, activation } = this.problem;
    // Rows become eigenvectors.
    if (workspace.syevd(k, matrix, k, eigenvalues) !== 0) return Number.POSITIVE_INFINITY;
    let sum = 0;
    for (let j = 0; j < k; j++) {
      const value = eigenvalues[j];
      const beyond = value - Math.min(highestEigenvalue * beta, Math.max(lowestEigenvalue * beta, value));
      sum += beyond * beyond;
      for (let l = 0; l < k; l++) scaled[j * k + l] = beyond * matrix[j * k + l];
    }
    workspace.gemm(true, false, k, k, k, activation.a, scaled, k, matrix, k, 0, excess, k);
    return sum;
  }

  /** Moves all samples against the gradient of z'Q z + q'z, back into the ball; weights of the heavier class follow its value. */
  private descend(pace: number, quadratic: Float64Array, linear: Float64Array): void {
    const { heavier, heavierMost, heavierWeights, heavierSum, ahead, weights, previousWeights } = this;
    const { workspace, blockRows, point, excess, along, k } = this.memory;
    const n = this.members.samples.length;
    excess.set(quadratic);
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      this.goAhead(from, count);
      workspace.gemm(false, false, count, k, k, 1, point, k, excess, k, 0, along, k);
      this.moveBlock(from, count, pace, linear);
    }
    if (!this.free) return;
    for (let h = 0; h < heavier.length; h++) heavierWeights[h] = ahead[heavier[h]];
    clampToSum(heavierWeights, heavierMost, heavierSum);
    for (let h = 0; h < heavier.length; h++) {
      previousWeights[heavier[h]] = weights[heavier[h]];
      weights[heavier[h]] = heavierWeights[h];
    }
  }

  private moveBlock(from: number, count: number, pace: number, linear: Float64Array): void {
    const { moves, previous, ahead, momentum, moveStep, weightStep } = this;
    const { point, along, k } = this.memory;
    const { labels, radius } = this.problem;
    const { samples, lighter } = this.members;
    for (let t = 0; t < count; t++) {
      const sign = lighter * labels[samples[from + t]];
      const length = pace * moveStep * sign;
      let norm = 0;
      let score = 0;
      for (let l = 0, q = (from + t) * k, r = t * k; l < k; l++) {
        const move = moves[q + l] + momentum * (moves[q + l] - previous[q + l]);
        previous[q + l] = moves[q + l];
        score += point[r + l] * (along[r + l] + linear[l]);
        const next = move - length * (2 * along[r + l] + linear[l]);
        moves[q + l] = next;
        norm += next * next;
      }
      if (sign < 0) ahead[from + t] += pace * weightStep * score;
      if (!(norm > radius * radius)) continue;
      const scale = radius / Math.sqrt(norm);
      for (let l = 0, q = (from + t) * k; l < k; l++) moves[q + l] *= scale;
    }
  }
}

function allocate({ data }: ObjectiveProblem, k: number) {
  const { dimension: d, buffers, kernels } = data;
  const { blockRows } = buffers;
  const sizes = [blockRows * d, k * d, blockRows * k, blockRows * k, k * k, k * k, k * k, k, blockRows * k];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const memory = sizes.map((size) => workspace.float64(size));
  const [block, directions, point, weighted, matrix, excess, scaled, eigenvalues, along] = memory;
  return { workspace, blockRows, k, block, directions, point, weighted, matrix, excess, scaled, eigenvalues, along };
}

/** Coordinates of the samples in the basis, `[n, k]`. */
function inBasis(
  { data }: ObjectiveProblem,
  samples: Int32Array,
  basis: Float64Array,
  { workspace, blockRows, k, block, directions, point }: ReturnType<typeof allocate>,
): Float64Array {
  const { dimension: d, rows } = data;
  const n = samples.length;
  const start = new Float64Array(n * k);
  directions.set(basis);
  for (let from = 0; from < n; from += blockRows) {
    const size = Math.min(blockRows, n - from);
    rows.gather(samples, from, size, block);
    workspace.gemm(false, true, size, k, d, 1, block, d, directions, d, 0, point, k);
    start.set(point.subarray(0, size * k), from * k);
  }
  return start;
}

/** sum_i p_i ||x_i||^2 of rows `[n, k]`. */
function weightedSquares(rows: Float64Array, weights: Float64Array, k: number): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    let square = 0;
    for (let l = 0, q = i * k; l < k; l++) square += rows[q + l] ** 2;
    sum += weights[i] * square;
  }
  return sum;
}

function extrapolate(target: Float64Array, values: Float64Array, former: Float64Array, momentum: number): void {
  for (let i = 0; i < target.length; i++) target[i] = values[i] + momentum * (values[i] - former[i]);
}

function accumulate(
  values: Float64Array,
  former: Float64Array,
  gradient: Float64Array,
  momentum: number,
  pace: number,
): void {
  for (let l = 0; l < values.length; l++) {
    const value = values[l];
    values[l] += momentum * (value - former[l]) + pace * gradient[l];
    former[l] = value;
  }
}

/** Rows `[n, few]` with zeros up to `[n, k]`. */
export function widened(rows: Float64Array, n: number, k: number): Float64Array {
  const few = rows.length / n;
  const wide = new Float64Array(n * k);
  for (let i = 0; i < n; i++) wide.set(rows.subarray(i * few, (i + 1) * few), i * k);
  return wide;
}
