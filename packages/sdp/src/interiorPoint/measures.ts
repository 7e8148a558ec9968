// What one iterate is judged by.

export interface Measures {
  readonly primalObjective: number;
  readonly dualObjective: number;
  /** DIMACS errors 3 and 1, and the larger of |5| and |6|. */
  readonly primalResidual: number;
  readonly dualResidual: number;
  readonly gap: number;
}

/** Rounding of sum x_k F_k: eps times its largest term, with the largest absolute entry of each F_k in `termSizes`. */
export function rounding(x: Float64Array, termSizes: Float64Array): number {
  let largest = 0;
  for (let k = 0; k < x.length; k++) largest = Math.max(largest, Math.abs(x[k]) * termSizes[k]);
  return 1.1e-16 * largest;
}
