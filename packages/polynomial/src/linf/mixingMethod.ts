// Shor's relaxation of a box problem (math.md 12.1) by the mixing method (Wang, Chang and Kolter 2017): the moment matrix is V V' with
// unit or shorter rows v_k and v_e = (1, 0, ...), and a sweep minimises over one row after the other, each in closed form:
//   g_k = slope_k v_e + sum_{l != k} curvature_kl v_l,   v_k = -g_k / max(curvature_kk, |g_k|),   nu_k = max(0, |g_k| - curvature_kk)
// A sweep costs m^2 K multiplications, K the rank; no matrix of order m is factored but by the certificate of the multipliers nu. In most
// problems the moment matrix has a small rank and few sweeps suffice; where a rank leaves a gap it is doubled, up to sqrt(2 (m + 1)),
// which suffices for all. V: transposed, [K, d]. Problems of order 0 to d.

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { BoxCertificate } from "./boxCertificate.js";
import type { BoxProblem } from "./boxProblem.js";
import { coefficientSize, type RelaxationSettings } from "./contracts.js";

const firstRank = 4;
const noise = 0.1;
/** A bound from this share of the last decrease on is worth another certificate. */
const certifyAgain = 0.03;

export class MixingMethod {
  /** nu >= 0 of the bound, `[m]`. */
  readonly multipliers: Float64Array;
  /** E[t], `[m]`. */
  readonly mean: Float64Array;
  /** Largest certified bound so far. */
  bound = Number.NEGATIVE_INFINITY;
  /** Whether that is the relaxation's, to its tolerance, or above `stopAbove`. */
  closed = false;
  private readonly certificate: BoxCertificate;
  private readonly gemv: (m: number, k: number) => void;
  private readonly curvature: Float64Array;
  private readonly factor: Float64Array;
  private readonly gradient: Float64Array;
  private readonly trial: Float64Array;
  private rank = firstRank;
  private primal = 0;
  private scale = 0;

  constructor(
    private readonly d: number,
    kernels: Kernels,
  ) {
    const most = sufficientRank(d);
    const workspace = kernels.workspace(workspaceSize(d * d, d, d * d, most * d, most));
    this.certificate = new BoxCertificate(d, workspace);
    this.curvature = workspace.float64(d * d);
    this.factor = workspace.float64(most * d);
    this.gradient = workspace.float64(most);
    const rows = Array.from({ length: d }, (_, k) => this.curvature.subarray(k * d, (k + 1) * d));
    this.gemv = (m, k) => workspace.gemv(false, this.rank, m, 1, this.factor, d, rows[k], 0, this.gradient);
    this.multipliers = new Float64Array(d);
    this.trial = new Float64Array(d);
    this.mean = new Float64Array(d);
  }

  /** Takes up a problem, at the corner against its slope. */
  begin(problem: BoxProblem): void {
    const { size: m, curvature, slope } = problem;
    const { d, factor } = this;
    this.bound = Number.NEGATIVE_INFINITY;
    this.closed = false;
    this.scale = coefficientSize(problem);
    this.rank = Math.min(firstRank, sufficientRank(m));
    for (let k = 0; k < m; k++) {
      factor[k] = slope[k] > 0 ? -1 : 1;
      for (let l = 0; l < m; l++) this.curvature[k * d + l] = curvature[k * m + l];
    }
    this.disturb(1, m);
  }

  /** At most so many sweeps from where the last ones ended. */
  sweep(problem: BoxProblem, { tolerance, stopAbove }: RelaxationSettings, most: number): void {
    const { size: m, slope, value } = problem;
    let unit = this.scale;
    for (let k = 0; k < m; k++) unit += Math.abs(slope[k]);
    let wanted = (Number.isFinite(stopAbove) ? Math.max(1e-4, tolerance) : tolerance) * unit;
    let next = 30;
    let earlier = Number.POSITIVE_INFINITY;
    for (let sweeps = 1; ; sweeps++) {
      const decrease = this.pass(problem);
      if (decrease > wanted && sweeps < Math.min(next, most)) continue;
      const bound = this.certify(problem);
      if (bound > this.bound) {
        this.bound = bound;
        this.multipliers.set(this.trial.subarray(0, m));
      }
      const gap = this.primal - this.bound;
      const enough = tolerance * (this.scale + Math.abs(this.primal - value)) + 2 * this.certificate.rounding;
      this.closed = this.bound > stopAbove || gap <= enough || this.scale < 1e-290;
      if (this.closed || sweeps >= most) break;
      wanted = certifyAgain * decrease;
      next = 1.4 * sweeps + 4;
      // Too slow, or at the end of what this rank can do.
      if (gap > 0.3 * earlier && this.widen(m)) wanted = tolerance * unit;
      earlier = gap;
    }
    this.mean.set(this.factor.subarray(0, m));
  }

  /** E[t_k t_l] */
  product(k: number, l: number): number {
    const { d, factor } = this;
    let sum = 0;
    for (let c = 0, p = 0; c < this.rank; c++, p += d) sum += factor[p + k] * factor[p + l];
    return sum;
  }

  /** E[(direction't)^2] with direction `[m]`. */
  squareAlong(direction: Float64Array, m: number): number {
    let sum = 0;
    for (let c = 0; c < this.rank; c++) {
      let along = 0;
      for (let k = 0, p = c * this.d; k < m; k++) along += direction[k] * this.factor[p + k];
      sum += along * along;
    }
    return sum;
  }

  /** Fills the dimensions after the first few with a little of a fixed pattern that no symmetry keeps. */
  private disturb(from: number, m: number): void {
    const { d, factor, rank } = this;
    for (let k = 0; k < m; k++) {
      let square = 0;
      for (let c = 0; c < rank; c++) {
        const p = c * d + k;
        if (c >= from) factor[p] = noise * (((0.618034 * (k + 1) + 0.414214 * (c + 1) * (k % 7)) % 1) - 0.5);
        square += factor[p] * factor[p];
      }
      if (!(square > 1)) continue;
      const shrink = 1 / Math.sqrt(square);
      for (let c = 0; c < rank; c++) factor[c * d + k] *= shrink;
    }
  }

  /** Doubles the rank; false where it suffices for any problem already. */
  private widen(m: number): boolean {
    const most = sufficientRank(m);
    if (this.rank >= most) return false;
    const from = this.rank;
    this.rank = Math.min(most, 2 * from);
    this.disturb(from, m);
    return true;
  }

  /** One sweep; returns the decrease of the primal value. */
  private pass({ size: m, slope }: BoxProblem): number {
    const { d, factor, gradient, rank } = this;
    let decrease = 0;
    for (let k = 0; k < m; k++) {
      this.gemv(m, k);
      const own = this.curvature[k * d + k];
      gradient[0] += slope[k];
      let square = 0;
      let length = 0;
      for (let c = 0, p = k; c < rank; c++, p += d) {
        gradient[c] -= own * factor[p];
        square += gradient[c] * gradient[c];
        length += factor[p] * factor[p];
      }
      const size = Math.sqrt(square);
      const weight = Math.max(own, size);
      if (!(weight > 0)) continue;
      // f(v) - f(v') = weight |v - v'|^2 + nu (|v'|^2 - |v|^2) for the minimiser v' of curvature_kk |v|^2 + 2 g'v
      let moved = 0;
      for (let c = 0, p = k; c < rank; c++, p += d) {
        const next = -gradient[c] / weight;
        moved += (next - factor[p]) ** 2;
        factor[p] = next;
      }
      decrease += weight * moved + Math.max(0, size - own) * Math.max(0, 1 - length);
    }
    return decrease;
  }

  /** Primal value and multipliers at V, and what these prove. */
  private certify(problem: BoxProblem): number {
    const { size: m, slope, value } = problem;
    const { d, factor, gradient, rank, trial } = this;
    let total = value;
    for (let k = 0; k < m; k++) {
      this.gemv(m, k);
      const own = this.curvature[k * d + k];
      let square = 0;
      total += 2 * slope[k] * factor[k];
      for (let c = 0, p = k; c < rank; c++, p += d) {
        total += gradient[c] * factor[p];
        const rest = gradient[c] - own * factor[p] + (c === 0 ? slope[k] : 0);
        square += rest * rest;
      }
      trial[k] = Math.max(0, Math.sqrt(square) - own);
    }
    this.primal = total;
    return this.certificate.bound(problem, trial);
  }
}

/** Rank at which the factored problem has no other minima than the relaxation (Barvinok, Pataki; Boumal et al. 2016). */
function sufficientRank(m: number): number {
  return Math.max(2, Math.ceil(Math.sqrt(2 * (m + 1))));
}
