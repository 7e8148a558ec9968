// What Newton's method needs of a Hessian: factorise at a point, then solve.

import type { CurvatureSink } from "./smoothTerms.js";

/** Curvature of the regulariser: beta/tau (I - (rho t' + t rho')/(2 tau)) per group of `groupLength`. */
export interface GroupCurvature {
  readonly groupLength: number;
  /** t, `[N]` */
  readonly point: Float64Array;
  /** Lagged duals, `[N]`, in the unit ball group by group. */
  readonly rho: Float64Array;
  /** `[N / groupLength]` */
  readonly tau: Float64Array;
}

export interface HessianSolver {
  /** Assembles and factorises; `forEachTerm` calls its sink with every term. False when that failed. */
  factorise(groups: GroupCurvature, forEachTerm: (sink: CurvatureSink) => void): boolean;
  /** right <- H^-1 right, `[N]` */
  solve(right: Float64Array): void;
}

/** Curvatures below this times beta are left out: they change the step by less than the steps differ from each other. */
export const NEGLIGIBLE = 1e-6;
