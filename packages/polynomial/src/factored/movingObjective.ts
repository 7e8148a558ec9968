// The robust objective of a factored network (objective.ts) over a move set D = P z, ||z|| <= r, z = 0 on immutable features (moveSet.ts).
// The network as the adversary sees it has the directions P'v_j cut to the moving features; they span the space of z. A sample's form
// has the shared eigenvalues of that span, and a slope and a constant of its own:
//   slope_i = 2 sum_j s_j (a v_j'x_i + b ||v_j|| / 2) e_j,   constant_i = f(x_i),   e_j = P'v_j in the eigenbasis W of the span
// Displacements are step * basis with basis = W P' `[rank, d]`, which is what the certificate gets.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { displaceRows, type MoveSet, projectRows } from "../moveSet.js";
import { type BallRows, ballRowsSizes, createBallRows, trainingTolerance } from "../worstCase/ballRows.js";
import { allocateSpan, orthonormalise, type Span } from "../worstCase/span.js";
import { BlockObjective } from "./blockObjective.js";
import type { ObjectiveProblem, Smoothing } from "./objective.js";
import { createSmoothedSolver, refreshGaps, type SmoothedSolver, solveSmoothedRows } from "./smoothedTrustRegion.js";

type Memory = ReturnType<typeof allocate>;

function allocate({ data }: ObjectiveProblem, span: Span) {
  const { dimension: d, maxNeurons: K, kernels, buffers } = data;
  const { blockRows: block } = buffers;
  const maxRank = span.stride;
  const sizes = [
    ...[K * d, block * d, block * (K + 1), block * maxRank, K * maxRank, maxRank * d],
    ...[(K + 1) * d, (K + 1) * maxRank, maxRank * maxRank, maxRank, block * maxRank],
    block * maxRank,
  ];
  const workspace: Workspace = kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(block, maxRank)));
  const arrays = sizes.map((size) => workspace.float64(size));
  const [vectors, points, products, half, coordinates, basis] = arrays;
  // the rows' slopes and constants are those at the point itself, so in their coordinates every row is at the origin
  const [stacked, smallGradient, small, smallValues, blockMoves, origin] = arrays.slice(6);
  const ballRows: BallRows = createBallRows(workspace, block, maxRank);
  return {
    ...{ workspace, vectors, points, products, half, coordinates, basis },
    ...{ stacked, smallGradient, small, smallValues, blockMoves, origin, ballRows },
    projected: new Float64Array(K * d),
  };
}

export class MovingObjective extends BlockObjective {
  private readonly span: Span;
  private readonly memory: Memory;
  private readonly form: { rank: number; eigenvalues: Float64Array; linear: Float64Array; constant: number };
  private readonly solver: SmoothedSolver;
  private network: { readonly signs: Float64Array; readonly size: number } = { signs: new Float64Array(0), size: 0 };

  constructor(
    problem: ObjectiveProblem,
    private readonly set: MoveSet,
  ) {
    const { dimension, maxNeurons, buffers } = problem.data;
    const span = allocateSpan(maxNeurons, dimension);
    const maxRank = span.stride;
    super(problem, buffers.blockRows, maxRank);
    this.span = span;
    this.memory = allocate(problem, span);
    this.form = { rank: 0, eigenvalues: new Float64Array(maxRank), linear: new Float64Array(maxRank), constant: 0 };
    this.solver = createSmoothedSolver(this.form);
  }

  /** Eigenbasis of the directions that the adversary sees; -1 when the eigenproblem failed. */
  protected override decompose(neurons: Float64Array, signs: Float64Array, count: number): number {
    const { span, form, set, lengths } = this;
    const { workspace, vectors, projected, small, smallValues, basis, coordinates } = this.memory;
    const { dimension: d, buffers } = this.problem.data;
    const { basis: displacements } = buffers;
    const { a } = this.problem.activation;
    this.network = { signs, size: count };
    vectors.set(neurons.subarray(0, count * d));
    projected.set(neurons.subarray(0, count * d));
    projectRows(set, projected, count);
    orthonormalise(projected, count, d, span);
    const { rank, stride } = span;
    small.fill(0, 0, rank * rank);
    for (let j = 0; j < count; j++) {
      const row = j * stride;
      let square = 0;
      for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
      lengths[j] = Math.sqrt(square);
      for (let k = 0; k < rank; k++) {
        const scaled = a * signs[j] * span.coordinates[row + k];
        for (let l = 0; l < rank; l++) small[k * rank + l] += scaled * span.coordinates[row + l];
      }
    }
    if (rank > 0 && workspace.syevd(rank, small.subarray(0, rank * rank), rank, smallValues.subarray(0, rank)) !== 0) {
      return -1;
    }
    form.rank = rank;
    for (let k = 0; k < rank; k++) {
      form.eigenvalues[k] = smallValues[k];
      displacements.fill(0, k * d, (k + 1) * d);
      for (let m = 0; m < rank; m++) {
        const factor = small[k * rank + m];
        for (let l = 0, p = k * d, q = m * d; l < d; l++) displacements[p + l] += factor * span.basis[q + l];
      }
    }
    displaceRows(set, displacements, rank);
    basis.set(displacements.subarray(0, rank * d));
    for (let j = 0; j < count; j++) {
      for (let k = 0; k < rank; k++) {
        let sum = 0;
        for (let m = 0; m < rank; m++) sum += small[k * rank + m] * span.coordinates[j * stride + m];
        coordinates[j * rank + k] = sum;
      }
    }
    refreshGaps(this.solver);
    return rank;
  }

  /** Attacks `count` samples of the list from position `from`. */
  protected override attackBlock(from: number, count: number, smoothing: Smoothing): void {
    const { chosen, variances, form, lengths, state, labels, margins } = this;
    const { workspace, points, vectors, products, half, coordinates, origin, blockMoves, ballRows } = this.memory;
    const { data, radius, activation } = this.problem;
    const { dimension: d, buffers } = data;
    const { a, b, c } = activation;
    const { signs, size } = this.network;
    const { rank } = form;
    data.rows.gather(chosen, from, count, points);
    workspace.gemm(false, true, count, size, d, 1, points, d, vectors, d, 0, products, size);
    // f(x_i) into the margins for now, and what each neuron adds to the half slope in place of v_j'x_i.
    for (let t = 0; t < count; t++) {
      let score = 0;
      for (let j = 0, p = t * size; j < size; j++, p++) {
        const along = products[p];
        score += signs[j] * (along * (a * along + b * lengths[j]) + c * lengths[j] * lengths[j]);
        products[p] = signs[j] * (a * along + 0.5 * b * lengths[j]);
      }
      margins[t] = score;
    }
    this.loadLabels(from, count);
    if (rank > 0) workspace.gemm(false, false, count, rank, size, 1, products, size, coordinates, rank, 0, half, rank);
    const slopes = half;
    for (let p = 0; p < count * rank; p++) slopes[p] *= 2;
    if (!state.variances) {
      ballRows.solveOwn(
        ...([form, origin, slopes, margins, count, labels, radius, trainingTolerance, blockMoves] as const),
      );
      for (let t = 0; t < count; t++) margins[t] = ballRows.values[t];
    }
    for (let t = 0; variances && state.variances && t < count; t++) {
      for (let k = 0; k < rank; k++) form.linear[k] = slopes[t * rank + k];
      form.constant = margins[t];
      const [first, end] = [t * rank, (t + 1) * rank];
      const own = {
        value: margins.subarray(t, t + 1),
        perturbation: blockMoves.subarray(first, end),
        variances: variances.subarray(first, end),
      };
      solveSmoothedRows(this.solver, origin, labels.subarray(t, t + 1), 1, radius, smoothing.mu, smoothing.rho, own);
    }
    this.scatter(blockMoves, buffers.moves, from, count);
    if (variances && state.variances) this.scatter(variances, state.variances, from, count);
  }

  protected override startMoments(neurons: number): void {
    const { stacked, smallGradient } = this.memory;
    stacked.fill(0, 0, (neurons + 1) * this.problem.data.dimension);
    smallGradient.fill(0, 0, (neurons + 1) * this.form.rank);
  }

  protected override addMoments(from: number, count: number, neurons: number): number {
    const { workspace, points, vectors, products, blockMoves, coordinates, stacked, smallGradient } = this.memory;
    const { dimension: d } = this.problem.data;
    const { rank } = this.form;
    const width = neurons + 1;
    // v_j'(x_i + D_i) = v_j'x_i + step_i'e_j
    workspace.gemm(false, true, count, neurons, d, 1, points, d, vectors, d, 0, products, width);
    if (rank > 0) {
      workspace.gemm(false, true, count, neurons, rank, 1, blockMoves, rank, coordinates, rank, 1, products, width);
    }
    const constant = this.weigh(products, from, count, neurons);
    workspace.gemm(true, false, width, d, count, 1, products, width, points, d, 1, stacked, d);
    if (rank > 0) {
      workspace.gemm(true, false, width, rank, count, 1, products, width, blockMoves, rank, 1, smallGradient, rank);
    }
    return constant;
  }

  protected override writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    constant: number,
    gradient: Float64Array,
  ): void {
    const { workspace, basis, coordinates, stacked, smallGradient } = this.memory;
    const { data, activation, beta } = this.problem;
    const { dimension: d } = data;
    const { a, b, c } = activation;
    const { spread, lengths } = this;
    const { rank } = this.form;
    if (this.state.variances) {
      for (let j = 0; j < count; j++) {
        for (let k = 0; k < rank; k++) smallGradient[j * rank + k] += spread[k] * coordinates[j * rank + k];
      }
    }
    if (rank > 0) workspace.gemm(false, false, count + 1, d, rank, 1, smallGradient, rank, basis, d, 1, stacked, d);
    const g = count * d;
    for (let j = 0; j < count; j++) {
      const row = j * d;
      let product = 0;
      for (let l = 0; l < d; l++) product += stacked[g + l] * neurons[row + l];
      const length = lengths[j];
      const along = length > 0 ? (b * product) / length : 0;
      const own = -signs[j] * (along + 2 * c * constant) + 2 * beta;
      for (let l = 0; l < d; l++) {
        const outer = 2 * a * stacked[row + l] + b * length * stacked[g + l];
        gradient[row + l] = own * neurons[row + l] - signs[j] * outer;
      }
    }
  }
}
