// Certified lower bound of the worst case over a box cut with a ball (math.md 12.6: the sum of the multipliers):
//   w = max over lambda >= 0 of  s(lambda) - lambda r^2,   s(lambda) = diagonal S-procedure bound over the box of y f + lambda ||D||^2
// w(lambda) is concave with slope E||D||^2 - r^2 under the relaxation's moments, so its maximum is found by cutting tangents. Every
// lambda gives a bound; it is evaluated in the safe direction. Exact when y f is convex; with no range active it is the trust region
// bound. Box and ball in displacements D; lower <= upper `[d]`.

import { allocateBoxProblem, type BoxProblem, loadBoxProblem } from "../linf/boxProblem.js";
import type { ShorSolver } from "../linf/shorSolver.js";
import type { Quadratic } from "../quadratic.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";

export interface BoundSettings {
  /** Relative to 1 + |bound|. */
  readonly tolerance: number;
  /** A bound above this is good enough. */
  readonly enough: number;
  /** Most relaxations solved. */
  readonly maxSteps: number;
}

export interface BallBoxBound {
  /** Bound for one sample and box. `lambda` is where to start; the best one is kept in `lambda` afterwards. */
  solve(
    quadratic: Quadratic,
    point: ArrayLike<number>,
    at: number,
    label: number,
    lower: Float64Array,
    upper: Float64Array,
    radius: number,
    lambda: number,
    settings: BoundSettings,
  ): number;
  readonly lambda: number;
  /** Mean displacement of the relaxation at the last solve's best lambda, `[d]`. */
  readonly mean: Float64Array;
  /** What each feature loses in the relaxation there: (multiplier) (variance); the place to branch. `[d]` */
  readonly losses: Float64Array;
}

export function createBallBoxBound(d: number, shor: ShorSolver): BallBoxBound {
  const problem: BoxProblem = allocateBoxProblem(d);
  const mean = new Float64Array(d);
  const losses = new Float64Array(d);
  const diagonal = new Float64Array(d);
  const slope = new Float64Array(d);
  const base = { value: 0, error: 0 };
  let radiusSquare = 0;
  let best = { lambda: 0, bound: Number.NEGATIVE_INFINITY };
  let tolerance = 1e-9;

  /** The bound at lambda, and the slope of w there; keeps the best. */
  function evaluate(lambda: number): { bound: number; slope: number } {
    const { size: m, curvature, index, centre, half } = problem;
    let square = 0;
    let reach = 0;
    for (const c of centre) square += c * c;
    for (let i = 0; i < m; i++) {
      const k = index[i];
      curvature[i * m + i] = diagonal[i] + lambda * half[k] * half[k];
      problem.slope[i] = slope[i] + lambda * centre[k] * half[k];
    }
    for (let k = 0; k < d; k++) reach += (Math.abs(centre[k]) + half[k]) ** 2;
    problem.value = base.value + lambda * (square - radiusSquare);
    problem.error = base.error + 8 * (d + 8) * unitRoundoff * lambda * (reach + radiusSquare);
    const limits = { stopAbove: Number.POSITIVE_INFINITY, stopBelow: Number.NEGATIVE_INFINITY };
    const bound = shor.solve(problem, { tolerance: 0.1 * tolerance, ...limits });
    let second = square;
    for (let i = 0; i < m; i++) {
      const k = index[i];
      const own = shor.moment[i * (m + 1) + i];
      second += 2 * centre[k] * half[k] * shor.mean[i] + half[k] * half[k] * own;
    }
    if (bound > best.bound) {
      best = { lambda, bound };
      for (let k = 0; k < d; k++) {
        mean[k] = centre[k];
        losses[k] = 0;
      }
      for (let i = 0; i < m; i++) {
        const k = index[i];
        mean[k] += half[k] * shor.mean[i];
        const variance = Math.max(0, shor.moment[i * (m + 1) + i] - shor.mean[i] ** 2);
        losses[k] = (shor.multipliers[i] + lambda * half[k] * half[k]) * variance;
      }
    }
    return { bound, slope: second - radiusSquare };
  }

  return {
    mean,
    losses,
    get lambda() {
      return best.lambda;
    },
    solve(quadratic, point, at, label, lower, upper, radius, lambda, settings) {
      loadBoxProblem(problem, quadratic, point, at, label, lower, upper);
      const { size: m, curvature } = problem;
      base.value = problem.value;
      base.error = problem.error;
      radiusSquare = radius * radius;
      tolerance = settings.tolerance;
      best = { lambda: 0, bound: Number.NEGATIVE_INFINITY };
      let scale = 0;
      for (let i = 0; i < m; i++) {
        diagonal[i] = curvature[i * m + i];
        slope[i] = problem.slope[i];
        for (let j = 0; j < m; j++) scale = Math.max(scale, Math.abs(curvature[i * m + j]));
        scale = Math.max(scale, Math.abs(slope[i]));
      }
      let farthest = 0;
      for (let k = 0; k < d; k++) farthest += Math.max(lower[k] ** 2, upper[k] ** 2);
      let left = { lambda: 0, bound: 0, slope: 0, known: false };
      let right: typeof left | null = null;
      // The ball does not bind on a box inside it.
      let next = farthest <= radiusSquare ? 0 : lambda;
      for (let step = 0; step < settings.maxSteps; step++) {
        const found = evaluate(next);
        if (best.bound > settings.enough) break;
        const here = { lambda: next, ...found, known: true };
        if (found.slope > 0) left = here;
        else right = here;
        if (next === 0 && found.slope <= 0) break;
        const margin = tolerance * (1 + Math.abs(best.bound));
        if (Math.abs(found.slope) * Math.max(next, 1e-300) <= 0.1 * margin && found.slope <= 0) break;
        if (!right) {
          next = Math.max(4 * next, scale / radiusSquare, 1e-12);
          if (!Number.isFinite(next)) break;
          continue;
        }
        if (!left.known) {
          // Look at 0 only after points between.
          next = step > 3 ? 0 : 0.25 * right.lambda;
          if (right.lambda < 1e-290) break;
          continue;
        }
        const width = right.lambda - left.lambda;
        const meeting =
          (left.bound - right.bound + right.slope * right.lambda - left.slope * left.lambda) /
          (right.slope - left.slope);
        const most = left.bound + left.slope * (meeting - left.lambda);
        if (most - best.bound <= margin || !(width > 1e-15 * right.lambda)) break;
        next = Math.min(right.lambda - 0.05 * width, Math.max(left.lambda + 0.05 * width, meeting));
        if (!Number.isFinite(next)) next = 0.5 * (left.lambda + right.lambda);
      }
      return best.bound;
    },
  };
}
