// What the solvers of Shor's relaxation over the box [-1, 1]^m share (math.md 12.1):
//   primal  min <C, X>  s.t. X_ee = 1, X_kk <= 1, X >= 0     C = [[curvature, slope], [slope', 0]],  e the last index
//   dual    max t - sum nu  s.t. C + diag(nu, -t) >= 0, nu >= 0

import type { BoxProblem } from "./boxProblem.js";

export interface RelaxationSettings {
  /** Gap between primal and dual value, relative to the largest coefficient plus the size of the optimum's own part. */
  readonly tolerance: number;
  /** Stop as soon as the bound is above this. */
  readonly stopAbove: number;
}

/** The arrays are reused memory: the next problem overwrites them. */
export interface BoxRelaxation {
  /** Rigorous lower bound of the box minimum. `problem.size` may be 0. The rest describes the last problem. */
  solve(problem: BoxProblem, settings: RelaxationSettings): number;
  /** nu >= 0 that prove the bound, `[m]`. */
  readonly multipliers: Float64Array;
  /** E[t] of the primal, `[m]`. */
  readonly mean: Float64Array;
  /** E[t_k t_l] */
  product(k: number, l: number): number;
  /** E[(direction't)^2] with direction `[m]`. */
  squareAlong(direction: Float64Array, m: number): number;
}

/** Largest coefficient of the problem, the unit of its gap. */
export function coefficientSize({ size: m, curvature, slope }: BoxProblem): number {
  let size = 0;
  for (let i = 0; i < m * m; i++) size = Math.max(size, Math.abs(curvature[i]));
  for (let k = 0; k < m; k++) size = Math.max(size, Math.abs(slope[k]));
  return size;
}
