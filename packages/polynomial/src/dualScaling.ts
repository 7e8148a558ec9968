// The last step of a certificate: scale the weights p by s so that the dual constraint s max |h| <= beta holds and the dual
// objective sum_i conjugate_i(s p_i) is largest (math.md 7). Any s gives a valid bound.

import type { LossShape } from "./marginLoss.js";
import { unitRoundoff } from "./worstCase/rotatedForm.js";

/** Upper end of p_i. */
export function largestWeight(
  shape: LossShape,
  kappa: Float64Array,
  required: Uint8Array | undefined,
  i: number,
): number {
  if (required?.[i]) return Number.POSITIVE_INFINITY;
  return kappa[i] > 0 ? shape.largestSlope * kappa[i] : 0;
}

/**
 * Largest sum_i conjugate_i(t p_i) over 0 <= t <= most that keep t p_i in the loss's range; linear for the hinge, concave
 * for the others (bisection on the derivative: any t gives a valid bound).
 */
export function bestScaling(
  shape: LossShape,
  weights: Float64Array,
  kappa: Float64Array,
  required: Uint8Array | undefined,
  weightSum: number,
  most: number,
): number {
  let top = most;
  for (let i = 0; i < weights.length; i++) {
    const cap = largestWeight(shape, kappa, required, i);
    if (weights[i] > 0 && cap > 0) top = Math.min(top, Math.max(1, cap / weights[i]));
  }
  if (!(top > 0)) return 0;
  // Nothing in the sum binds: an empty dual, or hard margins that no network can meet.
  if (top === Number.POSITIVE_INFINITY) return weightSum > 0 && !shape.curved ? Number.MAX_VALUE : 0;
  if (!shape.curved) return top * weightSum;
  const sum = (t: number, slope: boolean) => {
    let total = 0;
    for (let i = 0; i < weights.length; i++) {
      if (!(weights[i] > 0)) continue;
      const p = Math.min(weights[i], largestWeight(shape, kappa, required, i));
      if (required?.[i]) total += slope ? p : t * p;
      else if (kappa[i] > 0)
        total += slope ? p * shape.conjugateSlope(t * p, kappa[i]) : shape.conjugate(t * p, kappa[i]);
    }
    return total;
  };
  if (sum(top, true) >= 0) return sum(top, false);
  let [low, high] = [0, top];
  for (let step = 0; step < 60; step++) {
    const middle = 0.5 * (low + high);
    if (sum(middle, true) >= 0) low = middle;
    else high = middle;
  }
  return sum(low, false);
}

/**
 * Largest sum over pairs of s (p+ t+ + p- t-) - s^2 (p+ + p-)^2 / (4 kappa) over 0 <= s <= most, less its rounding: the
 * conjugate of kappa x^2 under x >= t+ - w+, x >= t- - w-.
 */
export function bestSquaredScaling(
  weights: Float64Array,
  kappa: Float64Array,
  targets: Float64Array,
  most: number,
): number {
  const pairs = weights.length / 2;
  let [linear, square, size] = [0, 0, 0];
  for (let i = 0; i < pairs; i++) {
    const [one, two] = [Math.max(0, weights[i]), Math.max(0, weights[i + pairs])];
    if (!(kappa[i] > 0)) continue;
    linear += one * targets[i] + two * targets[i + pairs];
    size += Math.abs(one * targets[i]) + Math.abs(two * targets[i + pairs]);
    square += (one + two) ** 2 / (4 * kappa[i]);
  }
  const s = Math.min(most, square > 0 ? linear / (2 * square) : 0);
  if (!(s > 0)) return 0;
  return s * linear - s * s * square - 4 * (pairs + 8) * unitRoundoff * (s * size + s * s * square);
}
