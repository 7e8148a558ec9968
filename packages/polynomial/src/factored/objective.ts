// The robust objective of a factored network and its gradient (solvers.md 4). Neuron j is one vector v_j with a sign s_j:
//   alpha_j = s_j ||v_j||^2,  u_j = v_j / ||v_j||,  f(x) = sum_j s_j (a (v_j'x)^2 + b ||v_j|| v_j'x + c ||v_j||^2)
//   F(v) = sum_i kappa_i loss(1 - w_i) + beta sum_j ||v_j||^2,   w_i = exact worst margin, loss = Huber hinge of width eps
//   grad_j = -s_j (2 a A v_j + b (||v_j|| g + (g'v_j) v_j/||v_j||) + 2 c s v_j) + 2 beta v_j
// with A, g, s the moments of the attacked points weighted by p_i y_i, p_i = kappa_i clip((1 - w_i)/eps, 0, 1).
// Everything happens in the span of the neurons; A is applied, never formed: two products of size n d K an evaluation.

import type { Activation } from "../activation.js";
import { allocateSpan, orthonormalise } from "../worstCase/span.js";
import { createTrustRegionSolver, refreshGaps, solveRows } from "../worstCase/trustRegion.js";
import { solveSmoothedRows } from "./smoothedTrustRegion.js";
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
  const { data, labels, hingeWeights, radius, beta, activation } = problem;
  const { samples: n, dimension: d, maxNeurons } = data;
  const { workspace, points, rotated, moves, products, basis, small, smallValues } = data.buffers;
  const { gradient: stacked, smallGradient, coordinates } = data.buffers;
  const span = allocateSpan(maxNeurons, d);
  const maxRank = span.stride;
  const form = { rank: 0, eigenvalues: new Float64Array(maxRank), linear: new Float64Array(maxRank), constant: 0 };
  const solver = createTrustRegionSolver(form);
  const lengths = new Float64Array(maxNeurons);
  const smallLinear = new Float64Array(maxRank);
  const spread = new Float64Array(maxRank);
  const multipliers = new Float64Array(n);
  const state: AttackState = { rank: 0, weights: new Float64Array(n), margins: new Float64Array(n), variances: null };
  let variances: Float64Array | null = null;
  let evaluations = 0;

  /** Span of the neurons, its eigenbasis, and the neurons' coordinates in it. */
  function decompose(neurons: Float64Array, signs: Float64Array, count: number): number {
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
      form.constant += activation.c * signs[j] * square;
      const slope = activation.b * signs[j] * lengths[j];
      const curvature = activation.a * signs[j];
      for (let k = 0; k < rank; k++) {
        const c = span.coordinates[row + k];
        smallLinear[k] += slope * c;
        for (let l = 0; l <= k; l++) small[k * rank + l] += curvature * c * span.coordinates[row + l];
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
        let c = 0;
        for (let m = 0; m < rank; m++) c += small[k * rank + m] * span.coordinates[j * span.stride + m];
        coordinates[j * rank + k] = c;
      }
    }
    refreshGaps(solver, rank);
    return rank;
  }

  /** Hinge part of the value; fills margins and p. */
  function hinge(width: number): number {
    let total = 0;
    for (let i = 0; i < n; i++) {
      const m = 1 - state.margins[i];
      const kappa = hingeWeights[i];
      if (!(m > 0)) {
        state.weights[i] = 0;
        if (Number.isNaN(m)) total = Number.NaN;
      } else if (m < width) {
        state.weights[i] = (kappa * m) / width;
        total += (0.5 * kappa * m * m) / width;
      } else {
        state.weights[i] = kappa;
        total += kappa * (m - 0.5 * width);
      }
    }
    return total;
  }

  function writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    rank: number,
    gradient: Float64Array,
  ): void {
    const width = count + 1;
    // z_i in the span, then v_j'z_i.
    for (let i = 0, end = n * rank; i < end; i++) rotated[i] += moves[i];
    workspace.gemm(false, true, n, count, rank, 1, rotated, rank, coordinates, rank, 0, products, width);
    let constant = 0;
    if (state.variances) spread.fill(0);
    for (let i = 0; i < n; i++) {
      const py = state.weights[i] * labels[i];
      const row = i * width;
      for (let j = 0; j < count; j++) products[row + j] *= py;
      products[row + count] = py;
      constant += py;
      if (state.variances && py !== 0) for (let k = 0; k < rank; k++) spread[k] += py * state.variances[i * rank + k];
    }
    workspace.gemm(true, false, width, d, n, 1, products, width, points, d, 0, stacked, d);
    workspace.gemm(true, false, width, rank, n, 1, products, width, moves, rank, 0, smallGradient, rank);
    if (state.variances) {
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

  return {
    problem,
    state,
    get evaluations() {
      return evaluations;
    },
    evaluate(neurons, signs, count, { width, mu, rho }, gradient) {
      evaluations++;
      const rank = decompose(neurons, signs, count);
      if (rank < 0) return Number.POSITIVE_INFINITY;
      state.rank = rank;
      if (rank > 0) workspace.gemm(false, true, n, rank, d, 1, points, d, basis, d, 0, rotated, rank);
      const smoothed = mu > 0 && radius > 0 && rank > 0;
      if (smoothed) {
        variances ??= new Float64Array(n * maxRank);
        state.variances = variances;
        const results = { value: state.margins, perturbation: moves, variances };
        solveSmoothedRows(solver, rotated, labels, n, radius, mu, rho, results);
      } else {
        state.variances = null;
        const results = { value: state.margins, multiplier: multipliers, perturbation: moves, warmStart: null };
        solveRows(solver, rotated, labels, 0, n, radius, results, 1e-9);
      }
      let value = hinge(width);
      for (let j = 0; j < count; j++) value += beta * lengths[j] * lengths[j];
      if (gradient) writeGradient(neurons, signs, count, rank, gradient);
      return value;
    },
  };
}
