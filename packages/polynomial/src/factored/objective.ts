// The robust objective of a factored network and its gradient (solvers.md 4). Neuron j is one vector v_j with a sign s_j:
//   alpha_j = s_j ||v_j||^2,  u_j = v_j / ||v_j||,  f(x) = sum_j s_j (a (v_j'x)^2 + b ||v_j|| v_j'x + c ||v_j||^2)
//   F(v) = sum_i kappa_i loss(1 - w_i) + beta sum_j ||v_j||^2,   w_i = exact worst margin, loss = Huber hinge of width eps
//   grad_j = -s_j (2 a A v_j + b (||v_j|| g + (g'v_j) v_j/||v_j||) + 2 c s v_j) + 2 beta v_j
// with A, g, s the moments of the attacked points weighted by p_i y_i, p_i = kappa_i clip((1 - w_i)/eps, 0, 1).
// Everything happens in the span of the neurons; A is applied, never formed: two products of size n d K an evaluation, both
// on a block of points while it is in the cache.

import type { Activation } from "../activation.js";
import type { MoveSet } from "../moveSet.js";
import { trainingTolerance } from "../worstCase/ballRows.js";
import { allocateSpan, orthonormalise, type Span } from "../worstCase/span.js";
import { BlockObjective } from "./blockObjective.js";
import { MovingObjective } from "./movingObjective.js";
import { createSmoothedSolver, refreshGaps, type SmoothedSolver, solveSmoothedRows } from "./smoothedTrustRegion.js";
import type { TrainingData } from "./trainingData.js";

export interface ObjectiveProblem {
  readonly data: TrainingData;
  /** +1 / -1, `[n]` */
  readonly labels: Float64Array;
  /** kappa_i, `[n]` */
  readonly hingeWeights: Float64Array;
  readonly radius: number;
  readonly beta: number;
  readonly activation: Activation;
  /** What the adversary may do within the radius; the ball when left out. */
  readonly set?: MoveSet | null;
}

export interface Smoothing {
  /** Width of the quadratic piece of the hinge; 0 is the hinge itself. */
  readonly width: number;
  /** Log-determinant weight mu of the worst case, 0 for none, and its scale rho. */
  readonly mu: number;
  readonly rho: number;
}

/** The attack that belongs to the last evaluation: feeds the certificate. */
export interface AttackState {
  rank: number;
  /** p_i, `[n]` */
  readonly weights: Float64Array;
  /** Worst margins, `[n]` */
  readonly margins: Float64Array;
  /** Spread of the attack in the span when smoothed, `[n, rank]`, else null. */
  variances: Float64Array | null;
}

export interface Objective {
  readonly problem: ObjectiveProblem;
  readonly state: AttackState;
  readonly evaluations: number;
  /** Evaluations times samples looked at: the work done, in rows. */
  readonly rows: number;
  /**
   * Restricts evaluations to these samples, ascending, or to none of them left out. The others keep their last margin and
   * carry no weight.
   */
  restrict(samples: Int32Array | null): void;
  /**
   * Value at `neurons` `[K, d]` with `signs` `[K]`; writes the gradient `[K, d]` when given.
   * Afterwards `state`, `data.buffers.moves` and `data.buffers.basis` describe the attack.
   */
  evaluate(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    smoothing: Smoothing,
    gradient: Float64Array | null,
  ): number;
}

export function createObjective(problem: ObjectiveProblem): Objective {
  return problem.set ? new MovingObjective(problem, problem.set) : new BallObjective(problem);
}

class BallObjective extends BlockObjective {
  private readonly span: Span;
  private readonly form: { rank: number; eigenvalues: Float64Array; linear: Float64Array; constant: number };
  private readonly solver: SmoothedSolver;
  private readonly smallLinear: Float64Array;

  constructor(problem: ObjectiveProblem) {
    const { dimension, maxNeurons, buffers } = problem.data;
    const span = allocateSpan(maxNeurons, dimension);
    const maxRank = span.stride;
    super(problem, buffers.blockRows, maxRank);
    this.span = span;
    this.form = { rank: 0, eigenvalues: new Float64Array(maxRank), linear: new Float64Array(maxRank), constant: 0 };
    this.solver = createSmoothedSolver(this.form);
    this.smallLinear = new Float64Array(maxRank);
  }

  /** Span of the neurons, its eigenbasis, and the neurons' coordinates in it. */
  protected override decompose(neurons: Float64Array, signs: Float64Array, count: number): number {
    const { span, form, smallLinear, lengths, problem } = this;
    const { dimension: d, buffers } = problem.data;
    const { workspace, small, smallValues, basis, coordinates } = buffers;
    const { a, b, c } = problem.activation;
    orthonormalise(neurons, count, d, span);
    const rank = span.rank;
    small.fill(0, 0, rank * rank);
    smallLinear.fill(0);
    form.constant = 0;
    for (let j = 0; j < count; j++) {
      const row = j * span.stride;
      let square = 0;
      for (let k = 0; k < rank; k++) square += span.coordinates[row + k] ** 2;
      lengths[j] = Math.sqrt(square);
      form.constant += c * signs[j] * square;
      const slope = b * signs[j] * lengths[j];
      const curvature = a * signs[j];
      for (let k = 0; k < rank; k++) {
        const along = span.coordinates[row + k];
        smallLinear[k] += slope * along;
        for (let l = 0; l <= k; l++) small[k * rank + l] += curvature * along * span.coordinates[row + l];
      }
    }
    for (let k = 0; k < rank; k++) for (let l = 0; l < k; l++) small[l * rank + k] = small[k * rank + l];
    if (rank > 0 && workspace.syevd(rank, small.subarray(0, rank * rank), rank, smallValues.subarray(0, rank)) !== 0) {
      return -1;
    }
    form.rank = rank;
    for (let k = 0; k < rank; k++) {
      form.eigenvalues[k] = smallValues[k];
      form.linear[k] = 0;
      basis.fill(0, k * d, (k + 1) * d);
      for (let m = 0; m < rank; m++) {
        const factor = small[k * rank + m];
        form.linear[k] += factor * smallLinear[m];
        for (let l = 0, p = k * d, q = m * d; l < d; l++) basis[p + l] += factor * span.basis[q + l];
      }
    }
    for (let j = 0; j < count; j++) {
      for (let k = 0; k < rank; k++) {
        let sum = 0;
        for (let m = 0; m < rank; m++) sum += small[k * rank + m] * span.coordinates[j * span.stride + m];
        coordinates[j * rank + k] = sum;
      }
    }
    refreshGaps(this.solver);
    return rank;
  }

  protected override attackBlock(from: number, count: number, { mu, rho }: Smoothing): void {
    const { chosen, variances, form, labels, margins, state } = this;
    const { data, radius } = this.problem;
    const { workspace, points, rotated, blockMoves, basis, ballRows, moves } = data.buffers;
    const { dimension: d } = data;
    const { rank } = form;
    data.rows.gather(chosen, from, count, points);
    this.loadLabels(from, count);
    if (rank > 0) workspace.gemm(false, true, count, rank, d, 1, points, d, basis, d, 0, rotated, rank);
    if (state.variances && variances) {
      const results = { value: margins, perturbation: blockMoves, variances };
      solveSmoothedRows(this.solver, rotated, labels, count, radius, mu, rho, results);
      this.scatter(variances, state.variances, from, count);
    } else {
      ballRows.solve(form, rotated, count, labels, radius, trainingTolerance, blockMoves);
      for (let t = 0; t < count; t++) margins[t] = ballRows.values[t];
    }
    this.scatter(blockMoves, moves, from, count);
  }

  protected override startMoments(neurons: number): void {
    const { gradient, smallGradient } = this.problem.data.buffers;
    gradient.fill(0, 0, (neurons + 1) * this.problem.data.dimension);
    smallGradient.fill(0, 0, (neurons + 1) * this.form.rank);
  }

  protected override addMoments(from: number, count: number, neurons: number): number {
    const { dimension: d, buffers } = this.problem.data;
    const { workspace, rotated, blockMoves, coordinates, products, points, gradient, smallGradient } = buffers;
    const { rank } = this.form;
    const width = neurons + 1;
    // z_i in the span, then v_j'z_i.
    for (let t = 0, end = count * rank; t < end; t++) rotated[t] += blockMoves[t];
    workspace.gemm(false, true, count, neurons, rank, 1, rotated, rank, coordinates, rank, 0, products, width);
    const constant = this.weigh(products, from, count, neurons);
    workspace.gemm(true, false, width, d, count, 1, products, width, points, d, 1, gradient, d);
    workspace.gemm(true, false, width, rank, count, 1, products, width, blockMoves, rank, 1, smallGradient, rank);
    return constant;
  }

  protected override writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    constant: number,
    gradient: Float64Array,
  ): void {
    const { data, activation, beta } = this.problem;
    const { dimension: d, buffers } = data;
    const { workspace, basis, coordinates, gradient: stacked, smallGradient } = buffers;
    const { spread, lengths } = this;
    const { rank } = this.form;
    const width = count + 1;
    if (this.state.variances) {
      for (let j = 0; j < count; j++) {
        for (let k = 0; k < rank; k++) smallGradient[j * rank + k] += spread[k] * coordinates[j * rank + k];
      }
    }
    workspace.gemm(false, false, width, d, rank, 1, smallGradient, rank, basis, d, 1, stacked, d);
    const g = count * d;
    const { a, b, c } = activation;
    for (let j = 0; j < count; j++) {
      const row = j * d;
      let product = 0;
      for (let l = 0; l < d; l++) product += stacked[g + l] * neurons[row + l];
      const length = lengths[j];
      const along = length > 0 ? (b * product) / length : 0;
      const own = -signs[j] * (along + 2 * c * constant) + 2 * beta;
      const outer = -signs[j] * b * length;
      const square = -2 * signs[j] * a;
      for (let l = 0; l < d; l++) {
        gradient[row + l] = square * stacked[row + l] + outer * stacked[g + l] + own * neurons[row + l];
      }
    }
  }
}
