// The exact l2 worst case of many rows that share one eigenbasis (math.md 6):
//   w = min over ||D|| <= r of  y f(x + D)  =  max over lambda of  y f(x) - lambda r^2 - sum_k a_k^2 / (y h_k + lambda)
// with the half gradient a_k = y (h_k x_k + l_k / 2) in rotated coordinates and D_k = -a_k / (y h_k + lambda).
// The multiplier is kept as delta = lambda + lowest, lowest = min_k y h_k, gap_k = y h_k - lowest >= 0, so that
// denominators gap_k + delta have no cancellation. Newton on 1/||D(delta)|| - 1/r is monotone from the left of the root
// and lands left of it from anywhere, so it needs no safeguard. Hot loop: nothing is allocated per row.
// rotated: [rows, rank] row-major   value, multiplier: [rows]   perturbation: [rows, rank] in rotated coordinates

import type { RotatedForm } from "./rotatedForm.js";

/** Smallest start of delta: keeps 0/0 out of the hot loop when a row is exactly in the hard case. */
const tiniest = 1e-290;
const maximumSteps = 100;
/** Below it a radius only acts through the slope, and its square would underflow. */
const negligible = 1e-140;

/** Scratch of `solveRows`, made once per form. */
export interface TrustRegionSolver {
  readonly form: RotatedForm;
  /** gap_k for y = +1 and y = -1. */
  readonly gapPositive: Float64Array;
  readonly gapNegative: Float64Array;
  readonly halfGradient: Float64Array;
  readonly square: Float64Array;
}

export interface RowResults {
  /** y f at the worst point, from the dual side: a lower bound up to rounding of the row's own arithmetic. */
  readonly value: Float64Array;
  /** lambda >= 0. */
  readonly multiplier: Float64Array;
  /** D in rotated coordinates, or null when only values are wanted. */
  readonly perturbation: Float64Array | null;
  /** delta of an earlier call to start from, and of this one afterwards; 0 means none. Null when not kept. */
  readonly warmStart: Float64Array | null;
}

export function createTrustRegionSolver(form: Pick<RotatedForm, "rank" | "eigenvalues">): TrustRegionSolver {
  const size = form.eigenvalues.length;
  const solver = {
    form: form as RotatedForm,
    gapPositive: new Float64Array(size),
    gapNegative: new Float64Array(size),
    halfGradient: new Float64Array(size),
    square: new Float64Array(size),
  };
  refreshGaps(solver, form.rank);
  return solver;
}

/** Recomputes the gaps after the eigenvalues changed in place. */
export function refreshGaps(solver: TrustRegionSolver, rank: number): void {
  const { eigenvalues } = solver.form;
  const last = Math.max(0, rank - 1);
  for (let k = 0; k < rank; k++) {
    solver.gapPositive[k] = eigenvalues[k] - eigenvalues[0];
    solver.gapNegative[k] = eigenvalues[last] - eigenvalues[k];
  }
}

/**
 * Solves rows from .. to - 1 of `rotated` (indices into all the arrays alike). `tolerance` bounds the relative error of
 * ||D|| = r; the value is accurate to its square. Radius 0 gives w = y f(x), multiplier 0 and D = 0.
 */
export function solveRows(
  solver: TrustRegionSolver,
  rotated: Float64Array,
  labels: ArrayLike<number>,
  from: number,
  to: number,
  radius: number,
  results: RowResults,
  tolerance = 1e-13,
): void {
  const { form, halfGradient, square } = solver;
  const { eigenvalues, linear, constant, rank } = form;
  const { value, multiplier, perturbation, warmStart } = results;
  const upper = radius * (1 + tolerance);
  const radiusSquare = radius * radius;
  for (let i = from; i < to; i++) {
    const label = labels[i];
    const positive = label > 0;
    const gap = positive ? solver.gapPositive : solver.gapNegative;
    const lowest = rank === 0 ? 0 : positive ? eigenvalues[0] : -eigenvalues[rank - 1];
    const row = i * rank;
    const shift = Math.max(lowest, 0);
    let score = constant;
    let delta = Math.max(shift, tiniest);
    const inverseRadius = radius < negligible ? 0 : 1 / radius;
    for (let k = 0; k < rank; k++) {
      const x = rotated[row + k];
      const hx = eigenvalues[k] * x;
      score += x * (hx + linear[k]);
      const a = hx + 0.5 * linear[k];
      halfGradient[k] = a;
      square[k] = a * a;
      const start = Math.abs(a) * inverseRadius - gap[k];
      if (start > delta) delta = start;
    }
    if (radius < negligible || rank === 0) {
      let norm2 = 0;
      for (let k = 0; k < rank; k++) norm2 += square[k];
      value[i] = label * score - 2 * radius * Math.sqrt(norm2);
      multiplier[i] = 0;
      if (perturbation) for (let k = 0; k < rank; k++) perturbation[row + k] = 0;
      continue;
    }
    const least = delta;
    if (warmStart !== null && warmStart[i] > delta) delta = warmStart[i];
    let length = 0;
    let quadratic = 0;
    let steps = 0;
    // One division a coordinate and step serves the value and both derivatives.
    for (;;) {
      quadratic = 0;
      let norm2 = 0;
      let norm3 = 0;
      for (let k = 0; k < rank; k++) {
        const inverse = 1 / (gap[k] + delta);
        const q = square[k] * inverse;
        const p = q * inverse;
        quadratic += q;
        norm2 += p;
        norm3 += p * inverse;
      }
      length = Math.sqrt(norm2);
      if (steps === maximumSteps || (length <= upper && (length >= radius * (1 - tolerance) || delta <= least))) break;
      let next = delta + (norm2 / norm3) * (length * inverseRadius - 1);
      if (!(next > least)) next = least;
      if (next === delta) break;
      delta = next;
      steps++;
    }
    if (warmStart !== null) warmStart[i] = delta;
    let lambda = delta - lowest;
    if (lambda < 0) lambda = 0;
    if (perturbation !== null) {
      const scale = length > radius ? radius / length : 1;
      const signed = positive ? -scale : scale;
      for (let k = 0; k < rank; k++) {
        const inverse = 1 / (gap[k] + delta);
        perturbation[row + k] = signed * halfGradient[k] * inverse;
      }
      // Hard case: the multiplier is at its lower end and the ball is not filled; move along the lowest eigenvector.
      if (lambda > 0 && length < radius * (1 - 1e-9)) {
        const lowestIndex = row + (positive ? 0 : rank - 1);
        const own = perturbation[lowestIndex];
        const rest = radiusSquare - (length * length - own * own);
        perturbation[lowestIndex] = (own < 0 ? -1 : 1) * Math.sqrt(Math.max(rest, 0));
      }
    }
    value[i] = label * score - lambda * radiusSquare - quadratic;
    multiplier[i] = lambda;
  }
}
