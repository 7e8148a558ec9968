// How far a point of the iteration is from a solution, or a direction of it from a certificate, in the caller's units.
// The measures are those of SolutionCheck (DIMACS errors 1, 3, 5) and CertificateCheck; S and Y lie in the cone exactly.

import type { ScaledProblem } from "./scaledProblem.js";

export interface Residuals {
  /** DIMACS 3: |(sum x_k F_k - F_0 - S, A x - b)|_F / (1 + max(|F_0|, |b|)). */
  primal: number;
  /** DIMACS 1: |<F_k, Y> + (A'u)_k - c_k|_2 / (1 + |c|). */
  dual: number;
  /** DIMACS 5: (c'x - <F_0, Y> - b'u) / (1 + |c'x| + |<F_0, Y> + b'u|), signed. */
  gap: number;
  primalObjective: number;
  dualObjective: number;
}

/**
 * Fills `into` for x, S, sum x_k F_k - F_0 = `value`, and Y = sigma T with products = <F_k, T> and constant = <F_0, T>.
 */
export function measurePoint(
  problem: ScaledProblem,
  x: Float64Array,
  slack: Float64Array,
  value: Float64Array,
  products: Float64Array,
  constant: number,
  sigma: number,
  into: Residuals,
): void {
  const { objective, objectiveScale, constantScale, blockScale, variableScale, largest } = problem;
  let primal = 0;
  for (let p = 0; p < value.length; p++) {
    const difference = (value[p] - slack[p]) / blockScale[p];
    primal += difference * difference;
  }
  let dual = 0;
  let primalObjective = 0;
  for (let k = 0; k < x.length; k++) {
    const difference = (sigma * products[k] - objective[k]) / variableScale[k];
    dual += difference * difference;
    primalObjective += objective[k] * x[k];
  }
  const unit = objectiveScale * constantScale;
  into.primalObjective = unit * primalObjective;
  into.dualObjective = unit * sigma * constant;
  into.primal = (Math.sqrt(primal) * constantScale) / (1 + largest.constant);
  into.dual = (Math.sqrt(dual) * objectiveScale) / (1 + largest.objective);
  into.gap =
    (into.primalObjective - into.dualObjective) / (1 + Math.abs(into.primalObjective) + Math.abs(into.dualObjective));
}

/** CertificateCheck.residual of a Y in the cone with products <F_k, Y> and constant <F_0, Y>; Infinity when it improves nothing. */
export function dualRayResidual(problem: ScaledProblem, products: Float64Array, constant: number): number {
  const { variableScale, constantScale, largest } = problem;
  if (!(constant > 0)) return Infinity;
  let sum = 0;
  for (let k = 0; k < products.length; k++) {
    if (largest.columns[k] > 0) sum += (products[k] / (variableScale[k] * largest.columns[k])) ** 2;
  }
  return (Math.sqrt(sum) * largest.constant) / (constantScale * constant);
}

/** c'x of a direction in the caller's units, up to the scale of x itself: negative where it improves. */
export function directionCost({ objective, objectiveScale }: ScaledProblem, x: Float64Array): number {
  let cost = 0;
  for (let k = 0; k < x.length; k++) cost += objective[k] * x[k];
  return cost * objectiveScale;
}

/** t = max |c_k| / size_k of CertificateCheck. */
export function costSize({ objective, objectiveScale, variableScale, largest }: ScaledProblem): number {
  let most = 0;
  for (let k = 0; k < objective.length; k++) {
    if (largest.columns[k] === 0) continue;
    most = Math.max(most, Math.abs(objective[k] * objectiveScale) / (variableScale[k] * largest.columns[k]));
  }
  return most;
}
