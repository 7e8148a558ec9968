// The worst case smoothed by a log-determinant, differentiable also in the hard case (solvers.md 4):
//   w_mu = max over lambda of  y f - lambda r^2 - sum a_k^2/(y h_k + lambda) + mu sum log((y h_k + lambda)/rho) + mu log(lambda/rho)
// The maximiser is a spread attack: mean D_k = -a_k/(y h_k + lambda), variances mu/(y h_k + lambda), and
// ||D||^2 + sum of variances + mu/lambda = r^2, so it stays in the ball in the mean. The norm equation N(lambda) = r^2 is
// solved by Newton on N^(-1/2), which is concave, hence monotone from the left.

import type { SharedForm } from "../worstCase/ballRows.js";

/** Scratch of `solveSmoothedRows`, made once per form. */
export interface SmoothedSolver {
  readonly form: SharedForm;
  /** gap_k = y h_k - min_l y h_l for y = +1 and y = -1. */
  readonly gapPositive: Float64Array;
  readonly gapNegative: Float64Array;
  readonly halfGradient: Float64Array;
  readonly square: Float64Array;
}

/** `form` may change in place, at most to as many eigenvalues as its array has room for; `refreshGaps` then. */
export function createSmoothedSolver(form: SharedForm): SmoothedSolver {
  const [gapPositive, gapNegative, halfGradient, square] = [0, 0, 0, 0].map(
    () => new Float64Array(form.eigenvalues.length),
  );
  const solver = { form, gapPositive, gapNegative, halfGradient, square };
  refreshGaps(solver);
  return solver;
}

/** Recomputes the gaps after the eigenvalues changed in place. */
export function refreshGaps({ form, gapPositive, gapNegative }: SmoothedSolver): void {
  const { eigenvalues, rank } = form;
  const last = Math.max(0, rank - 1);
  for (let k = 0; k < rank; k++) {
    gapPositive[k] = eigenvalues[k] - eigenvalues[0];
    gapNegative[k] = eigenvalues[last] - eigenvalues[k];
  }
}

export interface SmoothedResults {
  readonly value: Float64Array;
  /** `[rows, rank]` */
  readonly perturbation: Float64Array;
  /** `[rows, rank]` */
  readonly variances: Float64Array;
}

/**
 * Solves rows 0 .. rows - 1 of rotated points `[rows, rank]` with labels `[rows]`. Needs radius > 0 and mu > 0.
 */
export function solveSmoothedRows(
  solver: SmoothedSolver,
  rotated: Float64Array,
  labels: ArrayLike<number>,
  rows: number,
  radius: number,
  mu: number,
  rho: number,
  results: SmoothedResults,
): void {
  const { form, halfGradient, square } = solver;
  const { eigenvalues, linear, constant, rank } = form;
  const { value, perturbation, variances } = results;
  const radiusSquare = radius * radius;
  const floor = mu / radiusSquare;
  const logRho = Math.log(rho);
  for (let i = 0; i < rows; i++) {
    const label = labels[i];
    const positive = label > 0;
    const gap = positive ? solver.gapPositive : solver.gapNegative;
    const lowest = rank === 0 ? 0 : positive ? eigenvalues[0] : -eigenvalues[rank - 1];
    const shift = Math.max(lowest, 0);
    const row = i * rank;
    // delta = excess + shift and lambda = excess + base, both positive for excess > 0.
    const base = shift - lowest;
    let score = constant;
    let excess = Math.max(1e-290, floor - base);
    for (let k = 0; k < rank; k++) {
      const x = rotated[row + k];
      const hx = eigenvalues[k] * x;
      score += x * (hx + linear[k]);
      const a = hx + 0.5 * linear[k];
      halfGradient[k] = a;
      square[k] = a * a;
      excess = Math.max(excess, Math.abs(a) / radius - gap[k] - shift, floor - gap[k] - shift);
    }
    for (let step = 0; step < 60; step++) {
      let size = mu / (excess + base);
      let slope = size / (excess + base);
      for (let k = 0; k < rank; k++) {
        const inverse = 1 / (gap[k] + shift + excess);
        const p = square[k] * inverse;
        size += (p + mu) * inverse;
        slope += (2 * p + mu) * inverse * inverse;
      }
      if (size <= radiusSquare * (1 + 1e-12)) break;
      const next = excess + ((2 * size) / slope) * (Math.sqrt(size) / radius - 1);
      if (!(next > excess)) break;
      excess = next;
    }
    const lambda = excess + base;
    let total = label * score - lambda * radiusSquare + mu * (Math.log(lambda) - logRho);
    for (let k = 0; k < rank; k++) {
      const denominator = gap[k] + shift + excess;
      const inverse = 1 / denominator;
      total += mu * (Math.log(denominator) - logRho) - square[k] * inverse;
      perturbation[row + k] = (positive ? -1 : 1) * halfGradient[k] * inverse;
      variances[row + k] = mu * inverse;
    }
    value[i] = total;
  }
}
