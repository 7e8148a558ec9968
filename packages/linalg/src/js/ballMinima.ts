// Minima of separable quadratics over balls: min over ||D|| <= r of y f(x + D), f(t) = c + sum_k (h_k t_k + l_k) t_k, h ascending. With
// a_k = h_k x_k + l_k / 2, g_k = y h_k - lowest >= 0 and lowest = min_k y h_k, the dual is
//   max over delta >= max(lowest, 0) of  y f(x) - (delta - lowest) r^2 - sum_k a_k^2 / (g_k + delta)
// Newton on 1/||D(delta)|| - 1/r is monotone from the left of the root and lands left of it from anywhere, so it needs no safeguard.
// The last step from the left is added to the value as its quadratic Taylor term, which stays below the dual.

import type { BallMinima } from "../kernels.js";

/** Keeps 0/0 out when a row is exactly in the hard case. */
const TINIEST = 1e-290;
/** Below it a radius acts only through the slope, and its square would underflow. */
const NEGLIGIBLE = 1e-140;
/** Multipliers so many times the curvatures leave nothing of them in double precision. */
const STRAIGHT = 1e17;
const STEPS = 100;

/** All positions are indices into `p`. */
export function ballMinima(p: Float64Array, { rows, n, radius, tolerance, ...at }: BallMinima<number>): void {
  const { h, ldx, ldl, ldm, signs, values, multipliers, work, perSampleConstants } = at;
  const [first, last] = [p[h], p[h + n - 1]];
  const radiusSquare = radius * radius;
  const inverseRadius = radius < NEGLIGIBLE ? 0 : 1 / radius;
  const [upper, lower] = [radius * (1 + tolerance), radius * (1 - Math.min(tolerance, 1e-9))];
  for (let i = 0; i < rows; i++) {
    const [x, l] = [at.x + i * ldx, at.l + i * ldl];
    const sign = p[signs + i] > 0 ? 1 : -1;
    const lowest = sign > 0 ? first : -last;
    let score = p[at.constants + (perSampleConstants ? i : 0)];
    let least = Math.max(lowest, 0, TINIEST);
    for (let k = 0; k < n; k++) {
      const hx = p[h + k] * p[x + k];
      score += p[x + k] * (hx + p[l + k]);
      const a = hx + 0.5 * p[l + k];
      p[work + k] = a * a;
      const start = Math.abs(a) * inverseRadius - (sign * p[h + k] - lowest);
      if (start > least) least = start;
    }
    const moves = at.moves === undefined ? -1 : at.moves + i * ldm;
    if (radius < NEGLIGIBLE) {
      let norm2 = 0;
      for (let k = 0; k < n; k++) norm2 += p[work + k];
      p[values + i] = sign * score - 2 * radius * Math.sqrt(norm2);
      p[multipliers + i] = 0;
      if (moves >= 0) p.fill(0, moves, moves + n);
      continue;
    }
    let delta = least;
    let [length, quadratic, norm2, norm3] = [0, 0, 0, 0];
    let straight = false;
    if (least > STRAIGHT * Math.max(last - first, Math.abs(lowest))) {
      // all curvatures vanish beside the root ||a|| / r; at tiny radii the sums of a step would underflow
      let total = 0;
      for (let k = 0; k < n; k++) total += p[work + k];
      const size = Math.sqrt(total);
      const root = size * inverseRadius;
      straight = size > 0 && root >= least && root < Number.POSITIVE_INFINITY;
      if (straight) [delta, length, quadratic, norm2] = [root, radius, size * radius, radiusSquare];
    }
    for (let step = 0; !straight; step++) {
      quadratic = norm2 = norm3 = 0;
      for (let k = 0; k < n; k++) {
        // the gap first: adding delta to it has no cancellation
        const inverse = 1 / (sign * p[h + k] - lowest + delta);
        const u = p[work + k] * inverse;
        const v = u * inverse;
        quadratic += u;
        norm2 += v;
        norm3 += v * inverse;
      }
      length = Math.sqrt(norm2);
      if (step === STEPS || (length <= upper && (length >= lower || delta <= least))) break;
      let next = delta + (norm2 / norm3) * (length * inverseRadius - 1);
      if (!(next > least)) next = least;
      if (next === delta) break;
      delta = next;
    }
    let lambda = Math.max(0, delta - lowest);
    let value = sign * score - lambda * radiusSquare - quadratic;
    if (moves >= 0) {
      const signed = -sign * (length > radius ? radius / length : 1);
      for (let k = 0; k < n; k++) {
        const a = p[h + k] * p[x + k] + 0.5 * p[l + k];
        p[moves + k] = (signed * a) / (sign * p[h + k] - lowest + delta);
      }
      // hard case: the multiplier is at its lower end and the ball is not filled; move along the lowest eigenvector
      if (lambda > 0 && length < radius * (1 - 1e-9)) {
        const end = moves + (sign > 0 ? 0 : n - 1);
        const rest = radiusSquare - (norm2 - p[end] * p[end]);
        p[end] = (p[end] < 0 ? -1 : 1) * Math.sqrt(Math.max(rest, 0));
      }
    }
    if (length > radius && norm3 > 0 && norm3 < Number.POSITIVE_INFINITY) {
      const step = (norm2 / norm3) * (length * inverseRadius - 1);
      const gain = (norm2 - radiusSquare - norm3 * step) * step;
      if (gain > 0) {
        value += gain;
        lambda += step;
      }
    }
    p[values + i] = value;
    p[multipliers + i] = lambda;
  }
}
