// Smooth support functions of a ball by its logarithmic barrier, for the dual Newton method of regionMinimum.ts.
//   S(w) = max over z inside {||z||_q <= r} of  -w'z + mu B(z),   gradient -z(w),   Hessian  M = diag(q) - tau v v'
//   l2    B = log(r^2 - ||z||^2):        z = -w r^2 / (mu + s),  s = sqrt(mu^2 + r^2 ||w||^2)
//   linf  B = sum_k log(r^2 - z_k^2):    the same in every coordinate, M diagonal
//   l1    z = p - n,  B = sum log p_k + sum log n_k + log(r - sum p - sum n):  p_k = mu / (nu + w_k), n_k = mu / (nu - w_k), slack mu / nu,
//         nu > max |w_k| the root of  sum p_k + sum n_k + mu / nu = r
// All are conjugates of self-concordant barriers, hence self-concordant (times mu) themselves. w, z, q, v: [d]

import type { Norm } from "@worstcase/core";

export class BallBarrier {
  /** Maximiser, strictly inside the ball. */
  readonly z: Float64Array;
  readonly diagonal: Float64Array;
  readonly direction: Float64Array;
  /** tau; 0 for linf. */
  factor = 0;
  /** S(w) without the constant part of the barrier. */
  value = 0;

  constructor(
    private readonly norm: Norm,
    readonly radius: number,
    readonly length: number,
  ) {
    this.z = new Float64Array(length);
    this.diagonal = new Float64Array(length);
    this.direction = new Float64Array(length);
  }

  /** Evaluates S at w for barrier weight mu > 0; results are in the fields. */
  evaluate(w: Float64Array, mu: number): void {
    if (this.norm === "l2") this.euclidean(w, mu);
    else if (this.norm === "linf") this.box(w, mu);
    else this.cross(w, mu);
  }

  private euclidean(w: Float64Array, mu: number): void {
    const { z, diagonal, direction, length } = this;
    const square = this.radius * this.radius;
    let norm = 0;
    for (let k = 0; k < length; k++) norm += w[k] * w[k];
    const s = Math.sqrt(mu * mu + square * norm);
    const scale = -square / (mu + s);
    const room = (2 * mu * square) / (mu + s); // r^2 - ||z||^2
    for (let k = 0; k < length; k++) {
      z[k] = scale * w[k];
      direction[k] = z[k];
    }
    const q = room / (2 * mu);
    diagonal.fill(q);
    this.factor = (2 * q) / (2 * square - room);
    this.value = -scale * norm + mu * Math.log(room);
  }

  private box(w: Float64Array, mu: number): void {
    const { z, diagonal, length } = this;
    const square = this.radius * this.radius;
    this.value = 0;
    for (let k = 0; k < length; k++) {
      const s = Math.sqrt(mu * mu + square * w[k] * w[k]);
      const room = (2 * mu * square) / (mu + s);
      z[k] = (-square * w[k]) / (mu + s);
      diagonal[k] = (room * room) / (2 * mu * (2 * square - room));
      this.value += -w[k] * z[k] + mu * Math.log(room);
    }
    this.factor = 0;
  }

  private cross(w: Float64Array, mu: number): void {
    const { z, diagonal, direction, length, radius } = this;
    let largest = 0;
    for (let k = 0; k < length; k++) largest = Math.max(largest, Math.abs(w[k]));
    // The sum of lengths at largest + t lies between mu / t and (2 d + 1) mu / t, so the root does between those t.
    let low = mu / radius;
    let high = ((2 * length + 1) * mu) / radius;
    let t = low;
    for (let pass = 0; pass < 80; pass++) {
      let sum = mu / (largest + t);
      let slope = -mu / (largest + t) ** 2;
      for (let k = 0; k < length; k++) {
        const more = largest + w[k] + t;
        const less = largest - w[k] + t;
        sum += mu / more + mu / less;
        slope -= mu / (more * more) + mu / (less * less);
      }
      const excess = sum - radius;
      if (Math.abs(excess) <= 1e-14 * radius) break;
      if (excess > 0) low = t;
      else high = t;
      // Newton on 1 / sum, which is nearly linear in t
      const next = t - (excess * sum) / (radius * slope);
      t = next > low && next < high ? next : (low + high) / 2;
    }
    const slack = mu / (largest + t);
    let total = (slack * slack) / mu;
    this.value = mu * Math.log(slack);
    for (let k = 0; k < length; k++) {
      const p = mu / (largest + w[k] + t);
      const n = mu / (largest - w[k] + t);
      z[k] = p - n;
      diagonal[k] = (p * p + n * n) / mu;
      direction[k] = (p * p - n * n) / mu;
      total += diagonal[k];
      this.value += -w[k] * z[k] + mu * (Math.log(p) + Math.log(n));
    }
    this.factor = 1 / total;
  }
}
