// Certified lower bound of the worst case over a box cut with a ball (math.md 12.6: the sum of the multipliers):
//   w(lambda, nu) = s(lambda, nu) - lambda r^2,   s = diagonal S-procedure bound over the box of
//   y f + lambda ||D||^2 + nu (e'D - p)(e'D - q)
// The last term is for the parts of branch and bound: e is the direction of the relaxation's mean, and e'D lies between p and q <= r on
// the part, so that it bends f along the ball's normal, where lambda alone leaves it concave. w is concave with slopes
// E||D||^2 - r^2 and E(e'D - p)(e'D - q) under the relaxation's moments; maxima along lines are found by cutting tangents. Every
// lambda, nu >= 0 gives a bound; it is evaluated in the safe direction. Exact when y f is convex; with no range active it is the trust
// region bound. Box and ball in displacements D; lower <= upper `[d]`.

import { allocateBoxProblem, type BoxProblem, loadBoxProblem } from "../linf/boxProblem.js";
import type { BoxRelaxation } from "../linf/contracts.js";
import type { Quadratic } from "../quadratic.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import { climb } from "./climb.js";

interface BoundSettings {
  /** Relative to 1 + |bound|. */
  readonly tolerance: number;
  /** A bound above this is good enough. */
  readonly enough: number;
  /** Most relaxations solved along one line. */
  readonly maxSteps: number;
  /** Whether to use the term with nu. */
  readonly bend: boolean;
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
  /** Mean displacement of the relaxation at the last solve's best bound, `[d]`. */
  readonly mean: Float64Array;
  /** What each feature loses in the relaxation there: (multiplier) (variance); the place to branch. `[d]` */
  readonly losses: Float64Array;
}

export function createBallBoxBound(d: number, relaxation: BoxRelaxation): BallBoxBound {
  const problem: BoxProblem = allocateBoxProblem(d);
  const mean = new Float64Array(d);
  const losses = new Float64Array(d);
  const curvature = new Float64Array(d * d);
  const slope = new Float64Array(d);
  // e, and its part on the free coordinates of the box times their half-widths
  const direction = new Float64Array(d);
  const along = new Float64Array(d);
  const base = { value: 0, error: 0 };
  const cut = { centre: 0, low: 0, high: 0 };
  let radiusSquare = 0;
  let best = { lambda: 0, nu: 0, bound: Number.NEGATIVE_INFINITY };
  let tolerance = 1e-9;

  /** The bound at (lambda, nu), and the slopes of w there; keeps the best. */
  function evaluate(lambda: number, nu: number): { bound: number; ball: number; bend: number } {
    const { size: m, index, centre, half } = problem;
    let square = 0;
    let reach = 0;
    for (let k = 0; k < d; k++) {
      square += centre[k] * centre[k];
      reach += (Math.abs(centre[k]) + half[k]) ** 2;
    }
    const tilt = nu * (cut.centre - 0.5 * (cut.low + cut.high));
    for (let i = 0; i < m; i++) {
      const k = index[i];
      for (let j = 0; j < m; j++) problem.curvature[i * m + j] = curvature[i * m + j] + nu * along[i] * along[j];
      problem.curvature[i * m + i] += lambda * half[k] * half[k];
      problem.slope[i] = slope[i] + lambda * centre[k] * half[k] + tilt * along[i];
    }
    const bent = (cut.centre - cut.low) * (cut.centre - cut.high);
    problem.value = base.value + lambda * (square - radiusSquare) + nu * bent;
    const width = Math.sqrt(reach) + Math.abs(cut.low) + Math.abs(cut.high);
    const sizes = lambda * (reach + radiusSquare) + nu * width * width;
    problem.error = base.error + 16 * (d + 8) * unitRoundoff * sizes;
    const limits = { stopAbove: Number.POSITIVE_INFINITY };
    const bound = relaxation.solve(problem, { tolerance: 0.1 * tolerance, ...limits });
    let second = square;
    let first = cut.centre;
    let firstSquare = relaxation.squareAlong(along, m);
    for (let i = 0; i < m; i++) {
      const k = index[i];
      second += 2 * centre[k] * half[k] * relaxation.mean[i] + half[k] * half[k] * relaxation.product(i, i);
      first += along[i] * relaxation.mean[i];
    }
    // E(e'D)^2 from e'D = centre + along't
    firstSquare += cut.centre * (2 * first - cut.centre);
    if (bound > best.bound) {
      best = { lambda, nu, bound };
      for (let k = 0; k < d; k++) {
        mean[k] = centre[k];
        losses[k] = 0;
      }
      for (let i = 0; i < m; i++) {
        const k = index[i];
        mean[k] += half[k] * relaxation.mean[i];
        const variance = Math.max(0, relaxation.product(i, i) - relaxation.mean[i] ** 2);
        losses[k] = (relaxation.multipliers[i] + lambda * half[k] * half[k] + nu * along[i] * along[i]) * variance;
      }
    }
    const bend = firstSquare - (cut.low + cut.high) * first + cut.low * cut.high;
    return { bound, ball: second - radiusSquare, bend };
  }

  /** e from the mean, and the range of e'D on the box and in the ball, a little widened for rounding. */
  function aim(lower: Float64Array, upper: Float64Array, radius: number): boolean {
    const { size: m, index, centre, half } = problem;
    let length = 0;
    for (const value of mean) length += value * value;
    length = Math.sqrt(length) * (1 + 4 * d * unitRoundoff);
    if (!(length > 1e-3 * radius)) return false;
    let [low, high, size] = [0, 0, 0];
    cut.centre = 0;
    for (let k = 0; k < d; k++) {
      const e = mean[k] / length;
      direction[k] = e;
      cut.centre += e * centre[k];
      low += Math.min(e * lower[k], e * upper[k]);
      high += Math.max(e * lower[k], e * upper[k]);
      size += Math.abs(e) * Math.max(Math.abs(lower[k]), Math.abs(upper[k]));
    }
    for (let i = 0; i < m; i++) along[i] = direction[index[i]] * half[index[i]];
    const slack = 8 * (d + 4) * unitRoundoff * (size + radius);
    cut.low = Math.max(low, -radius) - slack;
    cut.high = Math.min(high, radius) + slack;
    return cut.high > cut.low && cut.high > 0;
  }

  return {
    mean,
    losses,
    get lambda() {
      return best.lambda;
    },
    solve(quadratic, point, at, label, lower, upper, radius, lambda, settings) {
      loadBoxProblem(problem, quadratic, point, at, label, lower, upper);
      const { size: m } = problem;
      base.value = problem.value;
      base.error = problem.error;
      radiusSquare = radius * radius;
      tolerance = settings.tolerance;
      best = { lambda: 0, nu: 0, bound: Number.NEGATIVE_INFINITY };
      cut.centre = cut.low = cut.high = 0;
      along.fill(0);
      let scale = 0;
      for (let i = 0; i < m; i++) slope[i] = problem.slope[i];
      for (let e = 0; e < m * m; e++) {
        curvature[e] = problem.curvature[e];
        scale = Math.max(scale, Math.abs(curvature[e]));
      }
      for (let i = 0; i < m; i++) scale = Math.max(scale, Math.abs(slope[i]));
      let farthest = 0;
      for (let k = 0; k < d; k++) farthest += Math.max(lower[k] ** 2, upper[k] ** 2);
      const line = { ...settings, first: scale / radiusSquare, best: () => best.bound };
      // The ball does not bind on a box inside it.
      climb(farthest <= radiusSquare ? 0 : lambda, Number.POSITIVE_INFINITY, line, (t) => {
        const { bound, ball } = evaluate(t, 0);
        return { bound, slope: ball };
      });
      const start = best.lambda;
      if (!settings.bend || best.bound > settings.enough || !(start > 0) || !aim(lower, upper, radius))
        return best.bound;
      // nu takes over from lambda so that their pull along e at the ball stays the same.
      const share = (cut.high - cut.low) / (2 * cut.high);
      const bent = { ...line, first: 0.5 * (start / share) };
      climb(0, start / share, bent, (t) => {
        const { bound, ball, bend } = evaluate(Math.max(0, start - share * t), t);
        return { bound, slope: bend - share * ball };
      });
      const { nu } = best;
      if (nu > 0 && best.bound <= settings.enough) {
        climb(best.lambda, Number.POSITIVE_INFINITY, line, (t) => {
          const { bound, ball } = evaluate(t, nu);
          return { bound, slope: ball };
        });
      }
      return best.bound;
    },
  };
}
