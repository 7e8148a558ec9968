// Support functions of the perturbation ball {z : ||z||_q <= radius}, exact and smoothed (math.md 13.3).
//   exact     N(a) = max over the ball of z'a = radius ||a||_{q*}                  (q* dual to q; the norm named is ALWAYS that of the perturbation)
//   smoothed  N_mu(a) = max over the ball of z'a - mu/2 ||z||_2^2, attained at z = projection of a/mu on the ball
//   N_mu <= N <= N_mu + mu/2 sup||z||_2^2, and the maximiser z is the gradient of N_mu, so it always lies in the ball.
// a, z: [length]. Coordinates beyond `length` (an immutable constant coordinate) are the caller's business and are not moved.

import { dualNorm, type Norm, normOf, SettingError } from "@worstcase/core";

/** Throws SettingError unless `norm` is linf, l2 or l1 and `radius` is finite and >= 0. */
export function checkBall(norm: Norm, radius: number, prefix = ""): void {
  if (norm !== "linf" && norm !== "l2" && norm !== "l1") {
    throw new SettingError({ argument: `${prefix}norm`, expected: "linf, l2 or l1", received: norm });
  }
  if (!Number.isFinite(radius) || radius < 0) {
    throw new SettingError({ argument: `${prefix}radius`, expected: "a finite number >= 0", received: radius });
  }
}

/** radius ||a[from .. from+length)||_{q*}: the most that a perturbation of l_q length `radius` can change z'a. */
export function ballSupport(a: Float64Array, from: number, length: number, norm: Norm, radius: number): number {
  return radius === 0 ? 0 : radius * normOf(a, dualNorm(norm), from, from + length);
}

/** Largest squared Euclidean length in the ball: radius^2, or radius^2 * length for linf. */
export function squaredReach(norm: Norm, radius: number, length: number): number {
  return radius * radius * (norm === "linf" ? length : 1);
}

/** Smoothed support value; writes its maximiser to z[0 .. length). Needs mu > 0 unless radius is 0. */
export function smoothedSupport(
  a: Float64Array,
  from: number,
  length: number,
  norm: Norm,
  radius: number,
  mu: number,
  z: Float64Array,
): number {
  if (radius === 0) {
    z.fill(0, 0, length);
    return 0;
  }
  if (norm === "l2") return smoothedEuclidean(a, from, length, radius, mu, z);
  if (norm === "linf") return smoothedBox(a, from, length, radius, mu, z);
  return smoothedCross(a, from, length, radius, mu, z);
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

/** Writes the Euclidean projection of a[from .. from+length) on the ball to z[0 .. length). */
export function projectOnBall(
  a: Float64Array,
  from: number,
  length: number,
  norm: Norm,
  radius: number,
  z: Float64Array,
): void {
  smoothedSupport(a, from, length, norm, radius, 1, z);
}
