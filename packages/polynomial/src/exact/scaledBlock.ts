// One semidefinite pair (S, Y) of order p with Nesterov-Todd scaling: R' Y R = R^-1 S R^-T = diag(l), M = R^-T R^-1
// (solvers.md 3). From S = L1 L1', Y = L2 L2', L2' L1 = U diag(l) V': R = L1 V l^-1/2, R^-1 = l^-1/2 U' L2'.
//   direction: dY = base - M dS M,  base = R^-T D R^-1,  D_jk = 2 (mu [j = k] - l_j^2 [j = k] - correction_jk) / (l_j + l_k)
// All matrices `[p, p]`. Nothing is allocated after construction.

import type { Workspace } from "@worstcase/linalg";
import { jacobiSvd } from "./jacobiSvd.js";
import { createStepSearch, stepSearchSizes } from "./stepSearch.js";

export interface ScaledBlock {
  readonly slack: Float64Array;
  readonly dual: Float64Array;
  readonly slackChange: Float64Array;
  readonly dualChange: Float64Array;
  /** R, R^-1 and M, valid after `scale`. */
  readonly root: Float64Array;
  readonly inverseRoot: Float64Array;
  readonly metric: Float64Array;
  /** Computes the scaling of the present pair; false when one of the two is not positive definite. */
  scale(): boolean;
  complementarity(): number;
  /** dual + base, the dual matrix after the step if the slack did not move. */
  target(mu: number, corrected: boolean): Float64Array;
  /** Completes dualChange after slackChange is known (and `target` was called); keeps the second-order correction if asked. */
  finish(keepCorrection: boolean): void;
  primalStep(cap: number): number;
  dualStep(cap: number): number;
  complementarityAfter(primal: number, dual: number): number;
}

/** Lengths of the arrays one block takes from the workspace. */
export function scaledBlockSizes(p: number): number[] {
  return [...Array<number>(14).fill(p * p), ...stepSearchSizes(p)];
}

export function createScaledBlock(p: number, workspace: Workspace): ScaledBlock {
  const size = p * p;
  const [slack, dual, slackChange, dualChange, root, inverseRoot, metric, correction, base, ...scratch] =
    scaledBlockSizes(p)
      .slice(0, 14)
      .map((length) => workspace.float64(length));
  const [lower, dualLower, product, rotations, left] = scratch;
  const search = createStepSearch(1, p, workspace);
  const values = new Float64Array(p);

  const multiply = (ta: boolean, tb: boolean, a: Float64Array, b: Float64Array, c: Float64Array) =>
    workspace.gemm(ta, tb, p, p, p, 1, a, p, b, p, 0, c, p);

  return {
    slack,
    dual,
    slackChange,
    dualChange,
    root,
    inverseRoot,
    metric,

    scale() {
      lower.set(slack);
      dualLower.set(dual);
      if (workspace.potrf(p, lower, p) !== 0 || workspace.potrf(p, dualLower, p) !== 0) return false;
      // Rows of (L2' L1)' = L1' L2 are the columns of L2' L1.
      multiply(true, false, lower, dualLower, product);
      jacobiSvd(p, product, rotations, values);
      for (let k = 0; k < p; k++) {
        if (!(values[k] > 0)) return false;
        // row k of product <- l^-1/2 u_k' (it holds l_k u_k'), row k of rotations <- l^-1/2 v_k'
        const factor = 1 / Math.sqrt(values[k]);
        for (let j = k * p; j < (k + 1) * p; j++) {
          product[j] *= factor / values[k];
          rotations[j] *= factor;
        }
      }
      multiply(false, true, lower, rotations, root);
      multiply(false, true, product, dualLower, inverseRoot);
      workspace.syrk(true, p, p, 1, inverseRoot, p, 0, metric, p);
      return true;
    },

    complementarity() {
      let total = 0;
      for (let k = 0; k < size; k++) total += slack[k] * dual[k];
      return total;
    },

    target(mu, corrected) {
      for (let j = 0; j < p; j++) {
        for (let k = 0; k < p; k++) {
          const diagonal = j === k ? mu - values[j] * values[j] : 0;
          const value = diagonal - (corrected ? correction[j * p + k] : 0);
          left[j * p + k] = (2 * value) / (values[j] + values[k]);
        }
      }
      multiply(true, false, inverseRoot, left, product);
      multiply(false, false, product, inverseRoot, base);
      symmetrise(base, p);
      for (let k = 0; k < size; k++) left[k] = dual[k] + base[k];
      return left;
    },

    finish(keepCorrection) {
      multiply(false, false, metric, slackChange, product);
      multiply(false, false, product, metric, dualChange);
      symmetrise(dualChange, p);
      for (let k = 0; k < size; k++) dualChange[k] = base[k] - dualChange[k];
      if (!keepCorrection) return;
      // correction = sym(R^-1 dS R^-T R' dY R) = sym((R^-1 dS) (dY R)) because R^-T R' = I
      multiply(false, false, inverseRoot, slackChange, product);
      multiply(false, false, dualChange, root, lower);
      multiply(false, false, product, lower, correction);
      symmetrise(correction, p);
    },

    primalStep: (cap) => search.longest(slack, slackChange, cap),
    dualStep: (cap) => search.longest(dual, dualChange, cap),

    complementarityAfter(primal, dualStep) {
      let total = 0;
      for (let k = 0; k < size; k++) {
        total += (slack[k] + primal * slackChange[k]) * (dual[k] + dualStep * dualChange[k]);
      }
      return total;
    },
  };
}

export function symmetrise(matrix: Float64Array, p: number, at = 0): void {
  for (let a = 0; a < p; a++) {
    for (let b = 0; b < a; b++) {
      const mean = 0.5 * (matrix[at + a * p + b] + matrix[at + b * p + a]);
      matrix[at + a * p + b] = mean;
      matrix[at + b * p + a] = mean;
    }
  }
}
