// The dual norm ||a||_p of a linear form, smoothed for Newton's method, with its gradient in the unit ball and its curvature.
//   p < inf   S(a) = ( sum_k w_k^p )^(1/p),  w_k = sqrt(a_k^2 + mu^2),  z_k = (w_k/S)^(p-1) a_k/w_k,  ||z||_q <= 1, 1/p + 1/q = 1
//   p = inf   S(a) = min_s s - mu sum_k log((s^2 - a_k^2)/s_0^2),  z_k = l+_k - l-_k,  l+- = mu/(s -+ a_k),  sum (l+ + l-) = 1, so ||z||_1 < 1
// Curvature is Diag(delta) - c v v', positive semidefinite. Where kinks at zero or ties matter it uses dual variables of the last step
// (`lags`) instead of the values at a, as primal-dual methods do (Chan, Golub and Mulet, SIAM J. Sci. Comput. 20 (1999) 1964-1977):
//   p < inf   e_k for a_k/w_k in the curvature of w_k; |e_k| <= 1 (not needed for p = 2)
//   p = inf   l+-_k for mu/(s -+ a_k)
// a, z, delta, v: [d]   lags: [2 d] per term for p = inf, [d] for other p

import { lengthOf } from "../../ballSupport.js";

export class SmoothNorm {
  readonly z: Float64Array;
  readonly delta: Float64Array;
  readonly v: Float64Array;
  /** Numbers kept per term. */
  readonly lagCount: number;
  /** c of the last curvature. */
  c = 0;
  private s = 0;

  constructor(
    private readonly p: number,
    private readonly length: number,
  ) {
    this.z = new Float64Array(length);
    this.delta = new Float64Array(length);
    this.v = new Float64Array(length);
    this.lagCount = p === 2 ? 0 : p === Number.POSITIVE_INFINITY ? 2 * length : length;
  }

  /** ||a||_p over the first d numbers. */
  exact(a: Float64Array): number {
    return lengthOf(a, 0, this.length, this.p);
  }

  /** S(a); leaves its gradient in `z`. */
  value(a: Float64Array, mu: number): number {
    if (this.p === Number.POSITIVE_INFINITY) return this.largest(a, mu);
    const { p, length, z } = this;
    let sum = 0;
    let top = mu;
    for (let k = 0; k < length; k++) top = Math.max(top, Math.abs(a[k]));
    for (let k = 0; k < length; k++) {
      const w = Math.sqrt(a[k] * a[k] + mu * mu);
      sum += p === 2 ? w * w : p === 1 ? w : (w / top) ** p;
      z[k] = w;
    }
    const s = p === 2 ? Math.sqrt(sum) : p === 1 ? sum : top * sum ** (1 / p);
    this.s = s;
    for (let k = 0; k < length; k++) {
      const w = z[k];
      z[k] = p === 2 ? a[k] / s : p === 1 ? a[k] / w : (w / s) ** (p - 1) * (a[k] / w);
    }
    return s;
  }

  /** Curvature at a, right after `value(a, mu)`; fills `delta`, `v` and `c`. */
  curvature(a: Float64Array, mu: number, lags: Float64Array, from: number): void {
    const { p, length, z, delta, v, s } = this;
    if (p === Number.POSITIVE_INFINITY) {
      let total = 0;
      for (let k = 0; k < length; k++) {
        const up = lags[from + k] / (s - a[k]);
        const down = lags[from + length + k] / (s + a[k]);
        delta[k] = up + down;
        v[k] = up - down;
        total += up + down;
      }
      this.c = 1 / total;
      return;
    }
    for (let k = 0; k < length; k++) {
      v[k] = z[k];
      if (p === 2) {
        delta[k] = 1 / s;
        continue;
      }
      const w = Math.sqrt(a[k] * a[k] + mu * mu);
      const e = a[k] / w;
      const share = p === 1 ? 1 : (w / s) ** (p - 1);
      delta[k] = (share * (1 - e * lags[from + k])) / w + (p === 1 ? 0 : ((p - 1) / s) * (w / s) ** (p - 2) * e * e);
    }
    this.c = (p - 1) / s;
  }

  /** Sets the lags to their values at a, right after `value(a, mu)`. */
  resetLags(a: Float64Array, mu: number, lags: Float64Array, from: number): void {
    const { p, length, s } = this;
    if (p === 2) return;
    for (let k = 0; k < length; k++) {
      if (p === Number.POSITIVE_INFINITY) {
        lags[from + k] = mu / (s - a[k]);
        lags[from + length + k] = mu / (s + a[k]);
      } else lags[from + k] = a[k] / Math.sqrt(a[k] * a[k] + mu * mu);
    }
  }

  /** Moves the lags along the step `da` by the linearised relations, right after `curvature`; keeps them admissible. */
  moveLags(a: Float64Array, da: Float64Array, mu: number, lags: Float64Array, from: number): void {
    const { p, length, s, v, c } = this;
    if (p === 2) return;
    if (p === Number.POSITIVE_INFINITY) {
      let ds = 0;
      for (let k = 0; k < length; k++) ds += c * v[k] * da[k];
      for (let k = 0; k < length; k++) {
        const up = mu / (s - a[k]);
        const down = mu / (s + a[k]);
        const nextUp = up - (lags[from + k] / (s - a[k])) * (ds - da[k]);
        const nextDown = down - (lags[from + length + k] / (s + a[k])) * (ds + da[k]);
        lags[from + k] = Math.min(1, Math.max(nextUp, 0.01 * up));
        lags[from + length + k] = Math.min(1, Math.max(nextDown, 0.01 * down));
      }
      return;
    }
    for (let k = 0; k < length; k++) {
      const w = Math.sqrt(a[k] * a[k] + mu * mu);
      const e = a[k] / w;
      lags[from + k] = Math.max(-1, Math.min(1, e + ((1 - e * lags[from + k]) / w) * da[k]));
    }
  }

  // s by Newton's method on 1 = 2 mu sum s/(s^2 - a^2), started where the left side is at least 1; the function is convex in s.
  private largest(a: Float64Array, mu: number): number {
    const { length, z } = this;
    let top = 0;
    for (let k = 0; k < length; k++) top = Math.max(top, Math.abs(a[k]));
    let s = top + mu;
    for (let round = 0; round < 100; round++) {
      let sum = -1;
      let slope = 0;
      for (let k = 0; k < length; k++) {
        const up = mu / (s - a[k]);
        const down = mu / (s + a[k]);
        sum += up + down;
        slope -= up / (s - a[k]) + down / (s + a[k]);
      }
      const next = s - sum / slope;
      if (!(next > s) || next - s <= 1e-14 * (s - top)) break;
      s = next;
    }
    this.s = s;
    let value = s;
    for (let k = 0; k < length; k++) {
      z[k] = mu / (s - a[k]) - mu / (s + a[k]);
      value -= mu * Math.log(s - a[k]) + mu * Math.log(s + a[k]);
    }
    let size = 0;
    for (let k = 0; k < length; k++) size += Math.abs(z[k]);
    if (size > 1) for (let k = 0; k < length; k++) z[k] /= size; // rounding only
    return value;
  }
}
