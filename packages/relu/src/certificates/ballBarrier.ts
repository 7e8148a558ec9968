// Smooth support functions of a ball by its logarithmic barrier, for the dual Newton method of regionMinimum.ts.
//   S(w) = max over z inside {||z||_q <= r} of  -w'z + mu B(z),   gradient -z(w),   Hessian  M = diag(q) - tau v v'
//   l2    B = log(r^2 - ||z||^2):        z = -w r^2 / (mu + s),  s = sqrt(mu^2 + r^2 ||w||^2)
//   linf  B = sum_k log(r^2 - z_k^2):    the same in every coordinate, M diagonal
//   l1    z = p - n,  B = sum log p_k + sum log n_k + log(r - sum p - sum n):  p_k = mu / (nu + w_k), n_k = mu / (nu - w_k), slack mu / nu,
//         nu > max |w_k| the root of  sum p_k + sum n_k + mu / nu = r
//   other q > 1  B = log(1 - ||z / r||_q^q):  z_k = -r sign(w_k) (r |w_k| s / (mu q))^(q*-1), s = 1 - ||z / r||_q^q the root of
//         sum_k (r |w_k| / (mu q))^q* s^q* + s = 1.  For q > 2 the Hessian is capped where w_k vanishes.
// The first three are conjugates of self-concordant barriers, hence self-concordant (times mu) themselves; the last is not, and the step rules
// of regionMinimum.ts only make it slower there: bounds come from the dual value, which holds for any w. w, z, q, v: [d]

import { dualExponentOf, type PerturbationNorm } from "../ballSupport.js";

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
    private readonly norm: PerturbationNorm,
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
    else if (this.norm === "l1") this.cross(w, mu);
    else this.general(w, mu, this.norm);
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

  private general(w: Float64Array, mu: number, q: number): void {
    const { z, diagonal, direction, length, radius } = this;
    const dual = dualExponentOf(q);
    let largest = 0;
    for (let k = 0; k < length; k++) largest = Math.max(largest, Math.abs(w[k]));
    direction.fill(0);
    if (largest === 0) {
      z.fill(0);
      diagonal.fill(0);
      this.factor = 0;
      this.value = 0;
      return;
    }
    let sum = 0;
    for (let k = 0; k < length; k++) sum += (Math.abs(w[k]) / largest) ** dual;
    // log of (sum (r |w| / (mu q))^q*): C s^q* + s = 1 has its root between half of min(1, C^(-1/q*)) and that
    const logC = dual * Math.log((radius * largest) / (mu * q)) + Math.log(sum);
    let high = Math.min(0, -logC / dual);
    let low = high - Math.LN2;
    let t = high;
    for (let pass = 0; pass < 80; pass++) {
      const power = Math.exp(logC + dual * t);
      const excess = power + Math.exp(t) - 1;
      if (Math.abs(excess) <= 1e-15) break;
      if (excess > 0) high = t;
      else low = t;
      const next = t - excess / (dual * power + Math.exp(t));
      t = next > low && next < high ? next : (low + high) / 2;
      if (high - low <= 1e-16) break;
    }
    const room = Math.exp(t);
    const floor = 1e-6 * largest;
    this.value = mu * t;
    for (let k = 0; k < length; k++) {
      const size = Math.abs(w[k]);
      const reach = size > 0 ? radius * Math.exp((dual - 1) * (Math.log((radius * size) / (mu * q)) + t)) : 0;
      z[k] = w[k] > 0 ? -reach : reach;
      direction[k] = z[k];
      diagonal[k] = ((dual - 1) * reach) / Math.max(size, floor);
      this.value += size * reach;
    }
    this.factor = (dual - 1) ** 2 / (mu * (1 + (dual * (1 - room)) / room));
  }
}
