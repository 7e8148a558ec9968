// What the interior-point loop needs from the samples. Three implementations: ballSamples (r > 0, one matrix inequality per
// sample), pointSamples (r = 0, one scalar inequality per sample) and squaredPoints (r = 0, regression). All memory is taken when they are made.

import type { LossShape } from "../marginLoss.js";
import type { MoveSet } from "../moveSet.js";

/** The samples of one solve. */
export interface SampleProblem {
  readonly count: number;
  readonly features: number;
  /** `[count, features]` */
  readonly points: Float64Array;
  /** +1 / -1, `[count]` */
  readonly labels: Float64Array;
  /** Margin at which the slack x = target - w is zero: 1 for classes, the signed target values for regression, `[count]`. */
  readonly targets: Float64Array;
  /**
   * Regression: sample i (label +1) and i + count / 2 (label -1) are the two sides of one error and share its slack. Arrays
   * per slack then use their first half.
   */
  readonly paired: boolean;
  /** kappa_i > 0, `[count]` */
  readonly weights: Float64Array;
  /** Margins that must hold: 1 for samples that must reach their margin exactly, 0 for samples with a loss, `[count]`. */
  readonly required: Uint8Array;
  readonly loss: LossShape;
  readonly radius: number;
  /** What the adversary may do within the radius; null for the ball. */
  readonly set: MoveSet | null;
}

/** Moments of the attack on one sample after a solve: weight p, mean displacement, second moments (may be absent). */
export interface DualMoments {
  /** p_i >= 0, `[count]` */
  readonly weights: Float64Array;
  /** Mean displacements, `[count, features]` */
  readonly displacements: Float64Array;
  /** Covariances of the displacements, `[count, features, features]`, or null when there are none (r = 0). */
  readonly covariances: Float64Array | null;
}

/** The variables of a term, kept for a warm start. */
export interface SampleState {
  readonly radius: number;
  /** Dual matrices `[count, m + 1, m + 1]` of m moving features in units of the radius, or the scalars `[count]` of r = 0. */
  readonly dual: Float64Array;
  /** lambda_i `[count]`; empty for r = 0. */
  readonly multiplier: Float64Array;
  readonly multiplierDual: Float64Array;
  readonly slack: Float64Array;
  readonly slackDual: Float64Array;
}

export interface SampleTerm {
  /** Complementarity pairs, counted as in the barrier: orders of the matrices plus scalars. */
  readonly degree: number;
  /** Slack x_i = target_i - w_i, one per sample or pair; for required samples the artificial part of the margin that is still missing. */
  readonly slack: Float64Array;
  /** Puts the samples at an exactly centred start for central-path parameter mu and W = 0. */
  start(mu: number): void;
  /** Puts the samples at the centre for mu of what they can choose when U `[p, p]` is given; r > 0 only. */
  startAt?(pair: Float64Array, mu: number): void;
  /** Memory for `save`, taken before the first step. */
  emptyState(): SampleState;
  save(state: SampleState): void;
  /**
   * Starts from an earlier solve: sample i was number `place[i]` there (-1: it was not, and gets a centred block for mu).
   * The slacks are opened until they are positive for the weight matrices given as U; duals are scaled by `dualScale`.
   */
  restore(state: SampleState, place: Int32Array, pair: Float64Array, mu: number, dualScale: number): void;
  /** Recomputes the slack matrices for U `[p, p]`, factors and inverts them; false when one is not positive definite. */
  setPoint(pair: Float64Array): boolean;
  /** sum <Y_i, S_i> + the scalar products. */
  complementarity(): number;
  /** sum kappa_i loss(x_i), an upper bound of the loss of the present network; required samples count nothing. */
  loss(): number;
  /** Largest artificial slack of a required sample; 0 when all hold. */
  shortfall(): number;
  /** Adds the second derivatives to the lower triangle of hessian `[N, N]`. */
  addHessian(product: Float64Array, hessian: Float64Array): void;
  /** Prepares a Newton direction towards mu (with the second-order correction kept last, if asked) and adds to the right-hand side `[N]`. */
  beginDirection(mu: number, corrected: boolean, rightSide: Float64Array): void;
  /** Completes it for the change of U given as vector `[N]` and matrix `[p, p]`. */
  finishDirection(vector: Float64Array, pair: Float64Array, keepCorrection: boolean): void;
  /** Longest step up to `cap` that keeps the slacks, or the dual matrices, positive definite. */
  primalStep(cap: number): number;
  dualStep(cap: number): number;
  complementarityAfter(primal: number, dual: number): number;
  advance(primal: number, dual: number): void;
  /** Reads the present dual matrices as attacks, into memory that the next call reuses. */
  dualMoments(): DualMoments;
}
