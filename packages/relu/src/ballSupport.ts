// Support functions of the perturbation ball {z : ||z||_q <= radius}, exact and smoothed (math.md 13.3).
//   exact     N(a) = max over the ball of z'a = radius ||a||_{q*}                  (q* dual to q; the norm named is ALWAYS that of the perturbation)
//   smoothed  N_mu(a) = max over the ball of z'a - mu/2 ||z||_2^2, attained at z = projection of a/mu on the ball
//   N_mu <= N <= N_mu + mu/2 sup||z||_2^2, and the maximiser z is the gradient of N_mu, so it always lies in the ball.
// a, z: [length]. Coordinates beyond `length` (an immutable constant coordinate) are the caller's business and are not moved.

import { type Norm, SettingError } from "@worstcase/core";

/** l1, l2, linf, or q >= 1 for the norm l_q (1, 2 and Infinity are l1, l2 and linf). */
export type PerturbationNorm = Norm | number;

/** q of a norm, Infinity for linf. */
export function normExponent(norm: PerturbationNorm): number {
  if (typeof norm === "number") return norm;
  return norm === "l1" ? 1 : norm === "l2" ? 2 : Number.POSITIVE_INFINITY;
}

/** q* with 1/q + 1/q* = 1. */
export function dualExponentOf(norm: PerturbationNorm): number {
  const q = normExponent(norm);
  return q === 1 ? Number.POSITIVE_INFINITY : q === Number.POSITIVE_INFINITY ? 1 : q / (q - 1);
}

/** ||a[from .. from+length)||_p for p in [1, Infinity]. */
export function lengthOf(a: ArrayLike<number>, from: number, length: number, p: number): number {
  let total = 0;
  if (p === 2) {
    for (let k = from; k < from + length; k++) total += a[k] * a[k];
    return Math.sqrt(total);
  }
  if (p === 1) {
    for (let k = from; k < from + length; k++) total += Math.abs(a[k]);
    return total;
  }
  let largest = 0;
  for (let k = from; k < from + length; k++) largest = Math.max(largest, Math.abs(a[k]));
  if (p === Number.POSITIVE_INFINITY || largest === 0) return largest;
  for (let k = from; k < from + length; k++) total += (Math.abs(a[k]) / largest) ** p;
  return largest * total ** (1 / p);
}

/** Throws SettingError unless `norm` is linf, l2, l1 or a number >= 1 and `radius` is finite and >= 0. */
export function checkBall(norm: PerturbationNorm, radius: number, prefix = ""): void {
  const known = typeof norm === "number" ? norm >= 1 : norm === "linf" || norm === "l2" || norm === "l1";
  if (!known) {
    throw new SettingError({ argument: `${prefix}norm`, expected: "linf, l2, l1 or a number >= 1", received: norm });
  }
  if (!Number.isFinite(radius) || radius < 0) {
    throw new SettingError({ argument: `${prefix}radius`, expected: "a finite number >= 0", received: radius });
  }
}

/** radius ||a[from .. from+length)||_{q*}: the most that a perturbation of l_q length `radius` can change z'a. */
export function ballSupport(
  a: Float64Array,
  from: number,
  length: number,
  norm: PerturbationNorm,
  radius: number,
): number {
  return radius === 0 ? 0 : radius * lengthOf(a, from, length, dualExponentOf(norm));
}

/** Largest squared Euclidean length in the ball: radius^2 for q <= 2, radius^2 length^(1 - 2/q) for larger q. */
export function squaredReach(norm: PerturbationNorm, radius: number, length: number): number {
  const q = normExponent(norm);
  return radius * radius * (q <= 2 ? 1 : length ** (1 - 2 / q));
}

/** Smoothed support value; writes its maximiser to z[0 .. length). Needs mu > 0 unless radius is 0. */
export function smoothedSupport(
  a: Float64Array,
  from: number,
  length: number,
  norm: PerturbationNorm,
  radius: number,
  mu: number,
  z: Float64Array,
): number {
  if (radius === 0) {
    z.fill(0, 0, length);
    return 0;
  }
  const q = normExponent(norm);
  if (q === 2) return smoothedEuclidean(a, from, length, radius, mu, z);
  if (q === Number.POSITIVE_INFINITY) return smoothedBox(a, from, length, radius, mu, z);
  if (q === 1) return smoothedCross(a, from, length, radius, mu, z);
  return smoothedGeneral(a, from, length, q, radius, mu, z);
}

function smoothedEuclidean(a: Float64Array, from: number, length: number, radius: number, mu: number, z: Float64Array) {
  let square = 0;
  for (let k = 0; k < length; k++) square += a[from + k] * a[from + k];
  const size = Math.sqrt(square);
  const inside = size <= mu * radius;
  const factor = inside ? 1 / mu : radius / size;
  for (let k = 0; k < length; k++) z[k] = factor * a[from + k];
  return inside ? square / (2 * mu) : radius * size - (mu * radius * radius) / 2;
}

function smoothedBox(a: Float64Array, from: number, length: number, radius: number, mu: number, z: Float64Array) {
  let value = 0;
  for (let k = 0; k < length; k++) {
    const t = a[from + k];
    const step = t / mu;
    const clipped = step > radius ? radius : Math.max(step, -radius);
    z[k] = clipped;
    value += clipped * (t - (mu / 2) * clipped);
  }
  return value;
}

// Projection on the l1 ball: soft threshold at theta with sum (|a_k| - theta)_+ = mu radius. Every pass raises theta
// from below over a set that contains the support, so it ends after finitely many passes (Michelot 1986).
function smoothedCross(a: Float64Array, from: number, length: number, radius: number, mu: number, z: Float64Array) {
  const mass = mu * radius;
  let total = 0;
  let largest = 0;
  for (let k = 0; k < length; k++) {
    const t = Math.abs(a[from + k]);
    total += t;
    if (t > largest) largest = t;
  }
  let theta = 0;
  if (total > mass) {
    theta = Math.max(0, largest - mass, (total - mass) / length);
    for (let pass = 0; pass < length; pass++) {
      let sum = 0;
      let count = 0;
      for (let k = 0; k < length; k++) {
        const t = Math.abs(a[from + k]);
        if (t > theta) {
          sum += t;
          count++;
        }
      }
      const next = count > 0 ? (sum - mass) / count : theta;
      if (!(next > theta)) break;
      theta = next;
    }
  }
  let value = 0;
  let reach = 0;
  for (let k = 0; k < length; k++) {
    const t = a[from + k];
    const kept = Math.abs(t) - theta;
    z[k] = kept > 0 ? (t > 0 ? kept : -kept) / mu : 0;
    reach += Math.abs(z[k]);
  }
  const scale = reach > radius ? radius / reach : 1; // rounding only
  for (let k = 0; k < length; k++) {
    z[k] *= scale;
    value += z[k] * (a[from + k] - (mu / 2) * z[k]);
  }
  return value;
}

// Projection of v = |a| / mu on the l_q ball: z_k + nu z_k^(q-1) = v_k with nu >= 0 such that ||z||_q = radius. Bisection on log nu,
// each z_k by bisection in [0, v_k] followed by Newton steps; the result is scaled into the ball, so it is always a point of it.
function smoothedGeneral(
  a: Float64Array,
  from: number,
  length: number,
  q: number,
  radius: number,
  mu: number,
  z: Float64Array,
) {
  const fill = (nu: number) => {
    for (let k = 0; k < length; k++) z[k] = shrunk(Math.abs(a[from + k]) / mu, nu, q);
    return lengthOf(z, 0, length, q);
  };
  let reach = fill(0);
  if (reach > radius) {
    let low = -60;
    let high = 60;
    for (let round = 0; round < 80 && high - low > 1e-13; round++) {
      const middle = (low + high) / 2;
      if (fill(Math.exp(middle)) > radius) low = middle;
      else high = middle;
    }
    reach = fill(Math.exp(high));
  }
  const scale = reach > radius ? radius / reach : 1;
  let value = 0;
  for (let k = 0; k < length; k++) {
    z[k] *= a[from + k] < 0 ? -scale : scale;
    value += z[k] * (a[from + k] - (mu / 2) * z[k]);
  }
  return value;
}

/** The root z in [0, v] of z + nu z^(q-1) = v. */
function shrunk(v: number, nu: number, q: number): number {
  if (nu === 0 || v === 0) return v;
  let low = 0;
  let high = v;
  let z = Math.min(v, (v / nu) ** (1 / (q - 1)));
  for (let round = 0; round < 100; round++) {
    const excess = z + nu * z ** (q - 1) - v;
    if (excess > 0) high = z;
    else low = z;
    const newton = z - excess / (1 + nu * (q - 1) * z ** (q - 2));
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    if (Math.abs(next - z) <= 1e-15 * z) return next;
    z = next;
  }
  return z;
}

/** Writes the Euclidean projection of a[from .. from+length) on the ball to z[0 .. length). */
export function projectOnBall(
  a: Float64Array,
  from: number,
  length: number,
  norm: PerturbationNorm,
  radius: number,
  z: Float64Array,
): void {
  smoothedSupport(a, from, length, norm, radius, 1, z);
}
