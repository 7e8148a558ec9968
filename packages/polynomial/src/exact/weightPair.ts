// The two weight matrices Z = U + Z' and Z' of the network in the interior point (solvers.md 3): both positive
// semidefinite with corner = trace of the rest, cost beta (Z[e,e] + Z'[e,e]). The Newton system in (dU, dZ') is
//   [H + K1, K1; K1, K1 + K2],   K1: X -> M1 X M1,  K2: X -> M2 X M2,  H from the samples.
// Z' is eliminated in closed form. With R2^-1 R1 = P diag(sqrt(t)) Q' and W = R1^-T Q: M1 = W W', M2 = W diag(t) W', so
//   (K1 + K2)^-1: R -> W^-T [(W^-1 R W^-T)_jk / (1 + t_j t_k)] W^-1, less its component along G = diag(I, -1),
//   Schur complement = H + sum_j kronecker(w_j w_j', E_j) + g g',  E_j = sum_k t_j t_k / (1 + t_j t_k) w_k w_k'.
// That leaves one Cholesky factor of order N - 1; steps of refinement on the full system follow.

import type { Workspace } from "@worstcase/linalg";
import { jacobiSvd } from "./jacobiSvd.js";
import { addGradient, addKronecker, type Dimensions, expand, type Layout, pack } from "./layout.js";
import { createScaledBlock, type ScaledBlock, scaledBlockSizes, symmetrise } from "./scaledBlock.js";

/** U, Z' and the dual partners of Z and Z', kept for a warm start. */
export interface WeightState {
  readonly beta: number;
  readonly difference: Float64Array;
  readonly negative: Float64Array;
  readonly positiveDual: Float64Array;
  readonly negativeDual: Float64Array;
}

export function emptyWeightState(order: number, beta: number): WeightState {
  const make = () => new Float64Array(order * order);
  return { beta, difference: make(), negative: make(), positiveDual: make(), negativeDual: make() };
}

/**
 * How far a network is moved into the interior, in mu / beta: the dual of a direction without neurons becomes beta / 0.2, above
 * its largest value of 2 beta at the optimum. Of 0.03 to 2, values of 0.1 to 0.3 need the fewest iterations on wdbc and synth.
 */
const networkMargin = 0.2;

export interface WeightPair {
  /** Z and Z' with their dual partners. */
  readonly positive: ScaledBlock;
  readonly negative: ScaledBlock;
  /** U = Z - Z' and Z', `[p, p]`. */
  readonly difference: Float64Array;
  /** Changes of U: as vector `[N]` and matrix `[p, p]`. */
  readonly vector: Float64Array;
  readonly change: Float64Array;
  readonly degree: number;
  start(mu: number): void;
  /** Near given Z and Z', pushed into the interior, with duals centred for mu. */
  startAt(z: Float64Array, z2: Float64Array, mu: number): void;
  save(state: WeightState): void;
  /** Starts from an earlier solve with another beta. */
  restore(state: WeightState, dualScale: number): void;
  /** Recomputes Z and the scalings; false when a matrix is not positive definite. */
  setPoint(): boolean;
  /** Z[e,e] + Z'[e,e] = sum of |alpha_j|. */
  mass(): number;
  /**
   * Builds the Schur complement on the sample Hessian (lower triangle, `[N, N]`, kept) and factors it.
   * False when it is not positive definite in floating point.
   */
  factor(sampleHessian: Float64Array, product: Float64Array): boolean;
  /** Solves for the change of (U, Z') towards mu, refined; rightSide `[N]` is what the samples contribute. */
  solve(
    sampleHessian: Float64Array,
    rightSide: Float64Array,
    mu: number,
    corrected: boolean,
    refinements: number,
  ): void;
  advance(primal: number, dual: number): void;
}

export function weightPairSizes({ order: p, entries }: Dimensions): number[] {
  const blocks = [...scaledBlockSizes(p), ...scaledBlockSizes(p)];
  return [
    ...blocks,
    ...Array<number>(17).fill(p * p),
    ...Array<number>(5).fill(entries),
    entries * entries,
    2 * p * entries,
  ];
}

export function createWeightPair(layout: Layout, beta: number, workspace: Workspace): WeightPair {
  const { order: p, features: d, entries, free } = layout;
  const size = p * p;
  const corner = size - 1;
  const positive = createScaledBlock(p, workspace);
  const negative = createScaledBlock(p, workspace);
  const matrices = Array.from({ length: 17 }, () => workspace.float64(size));
  const [difference, change, basis, inverseBasis, rotations, product, scratch, rest] = matrices;
  const [constraint, negativeChange, image, correctionU, correctionZ, restU, inner, spare, constraintImage] =
    matrices.slice(8);
  const vectors = Array.from({ length: 5 }, () => workspace.float64(entries));
  const [vector, residual, solution, scaling, trial] = vectors;
  const schur = workspace.float64(entries * entries);
  const outer = workspace.float64(2 * p * entries);
  const first = outer.subarray(0, p * entries);
  const second = outer.subarray(p * entries);
  const ratios = new Float64Array(p);
  const denominators = new Float64Array(size);
  let constraintSquare = 1;

  const multiply = (ta: boolean, tb: boolean, a: Float64Array, b: Float64Array, c: Float64Array) =>
    workspace.gemm(ta, tb, p, p, p, 1, a, p, b, p, 0, c, p);

  /** out <- left x left' for symmetric x; uses `spare`. */
  function congruence(transposed: boolean, left: Float64Array, x: Float64Array, out: Float64Array): void {
    multiply(transposed, false, left, x, spare);
    multiply(false, !transposed, spare, left, out);
    symmetrise(out, p);
  }

  /** out <- solution X of M1 X M1 + M2 X M2 = r up to G, with <G, X> = 0. */
  function solveBlock(r: Float64Array, out: Float64Array): void {
    congruence(false, inverseBasis, r, inner);
    for (let k = 0; k < size; k++) inner[k] /= denominators[k];
    congruence(true, inverseBasis, inner, out);
    const excess = constraintValue(out) / constraintSquare;
    for (let k = 0; k < size; k++) out[k] -= excess * constraint[k];
  }

  /** One solve of the eliminated system into solution / correctionU / correctionZ. */
  function solveOnce(rightU: Float64Array, rightZ: Float64Array): void {
    solveBlock(rightZ, rest);
    congruence(false, positive.metric, rest, image);
    for (let k = 0; k < free; k++) trial[k] = rightU[k];
    trial[free] = 0;
    addGradient(layout, image, false, -1, trial);
    for (let k = 0; k < free; k++) solution[k] = trial[k] * scaling[k];
    const x = solution.subarray(0, free);
    workspace.trsv(false, free, schur, entries, x);
    workspace.trsv(true, free, schur, entries, x);
    for (let k = 0; k < free; k++) solution[k] *= scaling[k];
    expand(layout, solution, correctionU);
    congruence(false, positive.metric, correctionU, image);
    solveBlock(image, correctionZ);
    for (let k = 0; k < size; k++) correctionZ[k] = rest[k] - correctionZ[k];
  }

  /** Trace of the leading block less the corner. */
  function constraintValue(matrix: Float64Array): number {
    let value = -matrix[corner];
    for (let a = 0; a < d; a++) value += matrix[a * (p + 1)];
    return value;
  }

  return {
    positive,
    negative,
    difference,
    vector,
    change,
    degree: 2 * p,

    start(mu) {
      const size1 = (2 * mu) / beta;
      difference.fill(0);
      for (const { slack, dual } of [positive, negative]) {
        slack.fill(0);
        dual.fill(0);
        for (let a = 0; a < p; a++) {
          slack[a * (p + 1)] = a < d ? size1 / d : size1;
          dual[a * (p + 1)] = mu / slack[a * (p + 1)];
        }
      }
    },

    startAt(z, z2, mu) {
      const added = (networkMargin * mu) / beta;
      const starts = [
        { block: positive, from: z },
        { block: negative, from: z2 },
      ];
      for (const { block, from } of starts) {
        block.slack.set(from);
        for (let a = 0; a < p; a++) block.slack[a * (p + 1)] += a < d ? added : d * added;
        block.dual.set(block.slack);
        const failed = workspace.potrf(p, block.dual, p) !== 0;
        if (!failed) workspace.potri(p, block.dual, p);
        for (let k = 0; k < size; k++) block.dual[k] *= failed ? Number.NaN : mu;
      }
      for (let k = 0; k < size; k++) difference[k] = positive.slack[k] - negative.slack[k];
    },

    save(state) {
      state.difference.set(difference);
      state.negative.set(negative.slack);
      state.positiveDual.set(positive.dual);
      state.negativeDual.set(negative.dual);
    },

    restore(state, dualScale) {
      difference.set(state.difference);
      negative.slack.set(state.negative);
      // Dual equations: both duals and the moments of the samples balance beta. A smaller beta scales everything, a
      // larger one is added to the corners, so that they hold as before and nothing loses definiteness.
      for (let k = 0; k < size; k++) {
        positive.dual[k] = dualScale * state.positiveDual[k];
        negative.dual[k] = dualScale * state.negativeDual[k];
      }
      const added = beta - dualScale * state.beta;
      positive.dual[corner] += added;
      negative.dual[corner] += added;
    },

    setPoint() {
      for (let k = 0; k < size; k++) positive.slack[k] = difference[k] + negative.slack[k];
      if (!positive.scale() || !negative.scale()) return false;
      // Columns of A = R2^-1 R1 as rows: A' = R1' R2^-T
      multiply(true, true, positive.root, negative.inverseRoot, product);
      jacobiSvd(p, product, rotations, ratios);
      for (let k = 0; k < p; k++) ratios[k] *= ratios[k];
      // W = R1^-T Q with Q' in rotations; W^-1 = Q' R1'
      multiply(true, true, positive.inverseRoot, rotations, basis);
      multiply(false, true, rotations, positive.root, inverseBasis);
      for (let j = 0; j < p; j++) {
        for (let k = 0; k < p; k++) denominators[j * p + k] = 1 + ratios[j] * ratios[k];
      }
      // G in the basis, its inverse image and length.
      for (let j = 0; j < p; j++) {
        for (let k = 0; k < p; k++) {
          let value = -inverseBasis[j * p + d] * inverseBasis[k * p + d];
          for (let a = 0; a < d; a++) value += inverseBasis[j * p + a] * inverseBasis[k * p + a];
          image[j * p + k] = value;
        }
      }
      constraintSquare = 0;
      for (let k = 0; k < size; k++) {
        inner[k] = image[k] / denominators[k];
        constraintSquare += image[k] * inner[k];
      }
      congruence(true, inverseBasis, inner, constraint);
      congruence(false, basis, inner, constraintImage);
      return constraintSquare > 0;
    },

    mass: () => positive.slack[corner] + negative.slack[corner],

    factor(sampleHessian, k) {
      schur.set(sampleHessian);
      // E_j and w_j w_j' as upper triangles; rows of `rotations` hold the columns w_j from here on.
      for (let a = 0; a < p; a++) for (let m = 0; m < p; m++) rotations[m * p + a] = basis[a * p + m];
      for (let j = 0, at = 0; j < p; j++) {
        for (let a = 0; a < p; a++) {
          const wa = rotations[j * p + a];
          for (let b = a; b < p; b++) first[at++] = wa * rotations[j * p + b];
        }
        for (let m = 0; m < p; m++) {
          const share = (ratios[j] * ratios[m]) / denominators[j * p + m];
          for (let a = m * p; a < (m + 1) * p; a++) product[a] = share * rotations[a];
        }
        multiply(true, false, product, rotations, scratch);
        pack(layout, scratch, 0, second, j * entries);
      }
      workspace.gemm(true, false, entries, entries, p, 1, first, entries, second, entries, 0, k, entries);
      addKronecker(layout, k, false, schur);
      trial.fill(0);
      addGradient(layout, constraintImage, false, 1 / Math.sqrt(constraintSquare), trial);
      trial[free] = 0;
      workspace.syrk(true, free, 1, 1, trial, entries, 1, schur, entries);
      for (let i = 0; i < free; i++) scaling[i] = 1 / Math.sqrt(Math.max(schur[i * (entries + 1)], 1e-300));
      for (let i = 0; i < free; i++) {
        const factor = scaling[i];
        for (let j = 0, q = i * entries; j <= i; j++) schur[q + j] *= factor * scaling[j];
      }
      k.set(schur);
      for (let regularisation = 1e-15; regularisation < 1e-3; regularisation *= 30) {
        for (let i = 0; i < free; i++) schur[i * (entries + 1)] += regularisation;
        if (workspace.potrf(free, schur, entries) === 0) return true;
        schur.set(k);
      }
      return false;
    },

    solve(sampleHessian, rightSide, mu, corrected, refinements) {
      const targetPositive = positive.target(mu, corrected);
      const targetNegative = negative.target(mu, corrected);
      for (let i = 0; i < size; i++) restU[i] = targetPositive[i];
      restU[corner] -= beta;
      addGradient(layout, restU, false, 1, rightSide);
      for (let i = 0; i < size; i++) restU[i] = targetPositive[i] + targetNegative[i];
      restU[corner] -= 2 * beta;
      // restU is the right-hand side of the Z' equation from here on.
      solveOnce(rightSide, restU);
      vector.set(solution);
      change.set(correctionU);
      negativeChange.set(correctionZ);
      for (let step = 0; step < refinements; step++) {
        // residual of the (U, Z') system
        for (let i = 0; i < size; i++) scratch[i] = change[i] + negativeChange[i];
        congruence(false, positive.metric, scratch, image);
        const x = vector.subarray(0, free);
        const y = residual.subarray(0, free);
        for (let i = 0; i < free; i++) y[i] = rightSide[i];
        residual[free] = 0;
        workspace.symv(free, -1, sampleHessian, entries, x, 1, y);
        addGradient(layout, image, false, -1, residual);
        congruence(false, negative.metric, negativeChange, product);
        for (let i = 0; i < size; i++) scratch[i] = restU[i] - image[i] - product[i];
        solveOnce(residual, scratch);
        for (let i = 0; i < free; i++) vector[i] += solution[i];
        for (let i = 0; i < size; i++) {
          change[i] += correctionU[i];
          negativeChange[i] += correctionZ[i];
        }
      }
      // Rounding must not move the trace away from the corner: the network is read from these matrices.
      negativeChange[corner] = 0;
      for (let a = 0; a < d; a++) negativeChange[corner] += negativeChange[a * (p + 1)];
      for (let i = 0; i < size; i++) {
        negative.slackChange[i] = negativeChange[i];
        positive.slackChange[i] = change[i] + negativeChange[i];
      }
    },

    advance(primal, dual) {
      for (let i = 0; i < size; i++) {
        difference[i] += primal * change[i];
        negative.slack[i] += primal * negativeChange[i];
        positive.dual[i] += dual * positive.dualChange[i];
        negative.dual[i] += dual * negative.dualChange[i];
      }
    },
  };
}
