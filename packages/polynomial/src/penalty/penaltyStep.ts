// Value and gradient of the penalty objective of the paper's scalable trainer, with the correct sign (math.md 14.1, 19):
//   kappa_B sum_{i in B} max(0, 1 - w_i) + beta (z4 + z4') + rho [ sum_i neg(M_i) + neg(Z) + neg(Z') + |<G,Z>| + |<G,Z'>| + sum_i max(0, -l_i) ]
//   M_i = [ l_i I + y a S1, y (a S1 x + (b/2) s2) ; ., y f_S(x) - w_i - l_i r^2 ],  neg(M) = sum of max(0, -eigenvalue),  S = Z - Z'
// With M = T' (y lift(S)) T + l J - w e e', T = [I x; 0 1], J = diag(I, -r^2), and P = -(sum of v v' over negative eigenvalues):
//   d/dS = y lift(T P T')   d/dl = <J, P>   d/dw = -P_ee.   Matrices are symmetric `[p, p]`, p = d + 1.

import type { Workspace } from "@worstcase/linalg";
import type { Layout } from "../exact/layout.js";

export interface PenaltyProblem {
  readonly points: ArrayLike<number>;
  readonly labels: Float64Array;
  readonly radius: number;
  readonly beta: number;
  readonly penalty: number;
}

/** Everything Adam moves, one flat array: Z, Z' `[p, p]` each, then w and l `[n]`. */
export interface PenaltyParts {
  readonly positive: Float64Array;
  readonly negative: Float64Array;
  readonly margins: Float64Array;
  readonly multipliers: Float64Array;
}

export function partsOf(flat: Float64Array, p: number, n: number): PenaltyParts {
  const pp = p * p;
  return {
    positive: flat.subarray(0, pp),
    negative: flat.subarray(pp, 2 * pp),
    margins: flat.subarray(2 * pp, 2 * pp + n),
    multipliers: flat.subarray(2 * pp + n, 2 * pp + 2 * n),
  };
}

export interface PenaltyStep {
  /** Gradient at `state` for the samples of one batch into `gradient` (other samples' entries 0); returns the value. */
  evaluate(state: PenaltyParts, batch: ArrayLike<number>, gradient: PenaltyParts): number;
  /** Smallest eigenvalue of M_i at `state`. */
  smallestEigenvalue(state: PenaltyParts, i: number): number;
  /** Sum of the negative eigenvalues of a matrix, as a number >= 0. */
  negativePart(matrix: Float64Array): number;
}

export function createPenaltyStep(
  { points, labels, radius, beta, penalty }: PenaltyProblem,
  { features: d, order: p, lift }: Layout,
  workspace: Workspace,
): PenaltyStep {
  const pp = p * p;
  const corner = pp - 1;
  const [vectors, part] = [workspace.float64(pp), workspace.float64(pp)];
  const values = workspace.float64(p);
  const lifted = new Float64Array(pp);
  const sum = new Float64Array(pp);

  function liftDifference({ positive, negative }: PenaltyParts): void {
    for (let k = 0; k < pp; k++) lifted[k] = lift[k] * (positive[k] - negative[k]);
  }

  /** vectors <- M_i, for the matrix now in `lifted`. */
  function formBlock({ margins, multipliers }: PenaltyParts, i: number): void {
    const y = labels[i];
    let value = lifted[corner];
    for (let a = 0; a < d; a++) {
      let row = lifted[a * p + d];
      for (let b = 0; b < d; b++) {
        row += lifted[a * p + b] * points[i * d + b];
        vectors[a * p + b] = y * lifted[a * p + b];
      }
      vectors[a * p + a] += multipliers[i];
      vectors[a * p + d] = y * row;
      vectors[d * p + a] = y * row;
      value += points[i * d + a] * (row + lifted[a * p + d]);
    }
    vectors[corner] = y * value - margins[i] - multipliers[i] * radius * radius;
  }

  /** part <- P of the matrix now in `vectors`; returns the sum of its negative eigenvalues' sizes. */
  function project(): number {
    workspace.syevd(p, vectors, p, values);
    part.fill(0);
    let total = 0;
    for (let k = 0; k < p && values[k] < 0; k++) {
      total -= values[k];
      for (let a = 0; a < p; a++) {
        const va = vectors[k * p + a];
        for (let b = 0; b < p; b++) part[a * p + b] -= va * vectors[k * p + b];
      }
    }
    return total;
  }

  function traceDefect(matrix: Float64Array): number {
    let defect = -matrix[corner];
    for (let a = 0; a < d; a++) defect += matrix[a * (p + 1)];
    return defect;
  }

  return {
    evaluate(state, batch, gradient) {
      liftDifference(state);
      sum.fill(0);
      gradient.margins.fill(0);
      gradient.multipliers.fill(0);
      let total = 0;
      for (let t = 0; t < batch.length; t++) {
        const i = batch[t];
        const [w, l, y] = [state.margins[i], state.multipliers[i], labels[i]];
        if (w < 1) {
          total += (1 - w) / batch.length;
          gradient.margins[i] -= 1 / batch.length;
        }
        if (l < 0) {
          total -= penalty * l;
          gradient.multipliers[i] -= penalty;
        }
        formBlock(state, i);
        const negative = project();
        if (negative === 0) continue;
        total += penalty * negative;
        // T P T' added up; then the slopes of l and w.
        const weight = part[corner];
        let trace = -radius * radius * weight;
        for (let a = 0; a < d; a++) {
          trace += part[a * (p + 1)];
          const xa = points[i * d + a];
          const va = part[a * p + d] + weight * xa;
          for (let b = 0; b < d; b++) {
            sum[a * p + b] += y * (part[a * p + b] + part[b * p + d] * xa + va * points[i * d + b]);
          }
          sum[a * p + d] += y * va;
          sum[d * p + a] += y * va;
        }
        sum[corner] += y * weight;
        gradient.multipliers[i] += penalty * trace;
        gradient.margins[i] -= penalty * weight;
      }
      for (const [matrix, target, sign] of [
        [state.positive, gradient.positive, 1],
        [state.negative, gradient.negative, -1],
      ] as const) {
        vectors.set(matrix);
        total += penalty * project() + beta * matrix[corner];
        const defect = traceDefect(matrix);
        total += penalty * Math.abs(defect);
        for (let k = 0; k < pp; k++) target[k] = penalty * (sign * lift[k] * sum[k] + part[k]);
        const slope = penalty * Math.sign(defect);
        for (let a = 0; a < d; a++) target[a * (p + 1)] += slope;
        target[corner] += beta - slope;
      }
      return total;
    },

    smallestEigenvalue(state, i) {
      liftDifference(state);
      formBlock(state, i);
      workspace.syevd(p, vectors, p, values);
      return values[0];
    },

    negativePart(matrix) {
      vectors.set(matrix);
      return project();
    },
  };
}
