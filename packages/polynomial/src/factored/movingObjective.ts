// The robust objective of a factored network (objective.ts) over a move set D = P z, ||z|| <= r, z = 0 on immutable features (moveSet.ts).
// The network as the adversary sees it has the directions P'v_j cut to the moving features; they span the space of z. A sample's form
// has the shared eigenvalues of that span, and a slope and a constant of its own:
//   slope_i = 2 sum_j s_j (a v_j'x_i + b ||v_j|| / 2) e_j,   constant_i = f(x_i),   e_j = P'v_j in the eigenbasis W of the span
// Displacements are step * basis with basis = W P' `[rank, d]`, which is what the certificate gets.

import { workspaceSize } from "@worstcase/linalg";
import { displaceRows, type MoveSet, projectRows } from "../moveSet.js";
import { ballRowsSizes, createBallRows, trainingTolerance } from "../worstCase/ballRows.js";
import { allocateSpan, orthonormalise } from "../worstCase/span.js";
import { blockObjective, createFrame, scatterRows, weighProducts } from "./blockObjective.js";
import type { Objective, ObjectiveProblem, Smoothing } from "./objective.js";
import { createSmoothedSolver, refreshGaps, solveSmoothedRows } from "./smoothedTrustRegion.js";

export function createMovingObjective(problem: ObjectiveProblem, set: MoveSet): Objective {
  const { data, labels, radius, beta, activation } = problem;
  const { samples: n, dimension: d, maxNeurons } = data;
  const { blockRows: block, moves, basis: displacements } = data.buffers;
  const { a, b, c } = activation;
  const span = allocateSpan(maxNeurons, d);
  const maxRank = span.stride;
  const K = maxNeurons;
  const sizes = [
    ...[K * d, block * d, block * (K + 1), block * maxRank, K * maxRank, maxRank * d],
    ...[(K + 1) * d, (K + 1) * maxRank, maxRank * maxRank, maxRank, block * maxRank],
    block * maxRank,
  ];
  const workspace = data.kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(block, maxRank)));
  const arrays = sizes.map((size) => workspace.float64(size));
  const [vectors, points, products, half, coordinates, basis] = arrays;
  // the rows' slopes and constants are those at the point itself, so in their coordinates every row is at the origin
  const [stacked, smallGradient, small, smallValues, blockMoves, origin] = arrays.slice(6);
  const ballRows = createBallRows(workspace, block, maxRank);
  const form = { rank: 0, eigenvalues: new Float64Array(maxRank), linear: new Float64Array(maxRank), constant: 0 };
  const solver = createSmoothedSolver(form);
  const projected = new Float64Array(K * d);
  const frame = createFrame(n, block, K, maxRank);
  const { state, lengths, spread, labels: blockLabels, margins: blockMargins } = frame;

  let network: { readonly signs: Float64Array; readonly size: number } = { signs: new Float64Array(0), size: 0 };

  /** Eigenbasis of the directions that the adversary sees; -1 when the eigenproblem failed. */
  function decompose(neurons: Float64Array, signs: Float64Array, count: number): number {
    network = { signs, size: count };
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
    refreshGaps(solver);
    return rank;
  }

  /** Attacks `count` samples of the list from position `from`. */
  function attackBlock(from: number, count: number, smoothing: Smoothing): void {
    const { chosen, variances } = frame;
    const { signs, size } = network;
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
      blockMargins[t] = score;
      blockLabels[t] = labels[chosen[from + t]];
    }
    if (rank > 0) workspace.gemm(false, false, count, rank, size, 1, products, size, coordinates, rank, 0, half, rank);
    const slopes = half;
    for (let p = 0; p < count * rank; p++) slopes[p] *= 2;
    if (!state.variances) {
      ballRows.solveOwn(
        ...([form, origin, slopes, blockMargins, count, blockLabels, radius, trainingTolerance, blockMoves] as const),
      );
      for (let t = 0; t < count; t++) blockMargins[t] = ballRows.values[t];
    }
    for (let t = 0; variances && state.variances && t < count; t++) {
      for (let k = 0; k < rank; k++) form.linear[k] = slopes[t * rank + k];
      form.constant = blockMargins[t];
      const [first, end] = [t * rank, (t + 1) * rank];
      const own = {
        value: blockMargins.subarray(t, t + 1),
        perturbation: blockMoves.subarray(first, end),
        variances: variances.subarray(first, end),
      };
      solveSmoothedRows(solver, origin, blockLabels.subarray(t, t + 1), 1, radius, smoothing.mu, smoothing.rho, own);
    }
    scatterRows(blockMoves, moves, frame, from, count, rank);
    if (variances && state.variances) scatterRows(variances, state.variances, frame, from, count, rank);
    for (let t = 0; t < count; t++) state.margins[chosen[from + t]] = blockMargins[t];
  }

  function addMoments(from: number, count: number, neurons: number): number {
    const rank = form.rank;
    const width = neurons + 1;
    // v_j'(x_i + D_i) = v_j'x_i + step_i'e_j
    workspace.gemm(false, true, count, neurons, d, 1, points, d, vectors, d, 0, products, width);
    if (rank > 0) {
      workspace.gemm(false, true, count, neurons, rank, 1, blockMoves, rank, coordinates, rank, 1, products, width);
    }
    const constant = weighProducts(frame, products, from, count, neurons);
    workspace.gemm(true, false, width, d, count, 1, products, width, points, d, 1, stacked, d);
    if (rank > 0) {
      workspace.gemm(true, false, width, rank, count, 1, products, width, blockMoves, rank, 1, smallGradient, rank);
    }
    return constant;
  }

  function writeGradient(
    neurons: Float64Array,
    signs: Float64Array,
    count: number,
    constant: number,
    gradient: Float64Array,
  ): void {
    const rank = form.rank;
    if (state.variances) {
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

  return blockObjective(problem, frame, {
    decompose,
    attackBlock,
    startMoments(count) {
      stacked.fill(0, 0, (count + 1) * d);
      smallGradient.fill(0, 0, (count + 1) * form.rank);
    },
    addMoments,
    writeGradient,
  });
}
