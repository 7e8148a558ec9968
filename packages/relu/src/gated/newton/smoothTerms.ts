// The losses of a program as a sum of smooth terms, for Newton's method: value, gradient, dual value and curvature.
// A term is a function of one linear form a in R^D of its sample: a = y A (two classes), A_y - A_c (pairs), A_o (squared).
//   N = radius S(a) with S of smoothNorm.ts, z its gradient
//   hinge     (u + sqrt(u^2 + 4 mu^2))/2, u = 1 - x'a + N; slope alpha in (0, 1)
//   logistic  log(1 + exp(N - x'a)); slope alpha in (0, 1)
//   squared   e^2/2, e = |v|_mu + N, v = x'a - target, |v|_mu = sqrt(v^2 + mu^2) with slope eps (for radius 0 just v^2/2)
// The gradients are those of dual points that are admissible whatever mu is (conjugates of the true losses):
//   margins   -alpha (x - radius z), dual value alpha (hinge) or the entropy of alpha (logistic)
//   squared   e (eps x + radius z), dual value -e eps target - e^2/2, since |e eps| <= e and ||e radius z|| <= radius e
// Curvature of a term: plus w w' + spread (Diag(delta) - c v v') with w and v supported on D and d coordinates.
// sums A, slopes G: [n, outputs, D]

import { marginLoss } from "../../program/objective.js";
import type { ReluProgram } from "../../program/program.js";
import { SmoothNorm } from "./smoothNorm.js";

/** Sums over samples, each divided by n. */
export interface TermSums {
  smooth: number;
  /** Without smoothing. */
  loss: number;
  /** The dual value of the slopes scaled by s is at least s linear - s^2 quadratic. */
  linear: number;
  quadratic: number;
}

/** Receives the curvature of one term: a is +A_plus - A_minus up to sign; minus = -1 when there is only one output. */
export type CurvatureSink = (sample: number, plus: number, minus: number, term: SmoothTerms) => void;

export class SmoothTerms {
  /** Terms per sample. */
  readonly termCount: number;
  readonly norm: SmoothNorm;
  /** Curvature of the present term, see above. */
  weight = 0;
  spread = 0;
  readonly w: Float64Array;
  private readonly a: Float64Array;
  private readonly da: Float64Array;
  private readonly lags: Float64Array;
  private readonly kinks: Float64Array;
  private readonly robust: boolean;
  private score = 0;
  private fresh = true;

  constructor(private readonly program: ReluProgram) {
    const { task, outputs, samples, width, featureCount, dualExponent, radius } = program;
    this.termCount = task === "two-class" ? 1 : outputs;
    this.robust = radius > 0;
    this.norm = new SmoothNorm(dualExponent, featureCount);
    this.w = new Float64Array(width);
    this.a = new Float64Array(width);
    this.da = new Float64Array(width);
    this.lags = new Float64Array(this.robust ? samples * this.termCount * this.norm.lagCount : 0);
    this.kinks = new Float64Array(samples * this.termCount);
  }

  /** Lags are set anew at the next curvature. */
  reset(): void {
    this.fresh = true;
  }

  evaluate(sums: Float64Array, mu: number, slopes: Float64Array | null, out: TermSums): void {
    const { samples, width, outputs, loss } = this.program;
    out.smooth = 0;
    out.loss = 0;
    out.linear = 0;
    out.quadratic = 0;
    slopes?.fill(0);
    for (let i = 0; i < samples; i++) {
      for (let j = 0; j < this.termCount; j++) {
        if (!this.load(i, j, sums, this.a)) continue;
        const reach = this.robust ? this.program.radius * this.norm.value(this.a, mu) : 0;
        const to = (i * outputs + this.plus(i, j)) * width;
        if (loss === "squared") this.squaredTerm(i, j, mu, reach, slopes, to, out);
        else {
          const rival = this.minus(j) < 0 ? -1 : (i * outputs + j) * width;
          this.marginTerm(i, mu, reach, slopes, to, rival, out);
        }
      }
    }
    out.smooth /= samples;
    out.loss /= samples;
    out.linear /= samples;
    out.quadratic /= samples;
  }

  /** Calls `sink` with the curvature of every term that has any. */
  curvatures(sums: Float64Array, mu: number, sink: CurvatureSink): void {
    const { samples } = this.program;
    for (let i = 0; i < samples; i++) {
      for (let j = 0; j < this.termCount; j++) {
        if (!this.load(i, j, sums, this.a)) continue;
        const term = i * this.termCount + j;
        this.curvature(i, j, term, mu);
        sink(i, this.plus(i, j), this.minus(j), this);
      }
    }
    this.fresh = false;
  }

  /** Moves the lags along the step `dSums` taken from `sums`, scaled by `length`. */
  moveLags(sums: Float64Array, dSums: Float64Array, mu: number, length: number): void {
    const { samples, loss, radius, inputs, width, featureCount, outputs, targets } = this.program;
    const { norm, a, da, kinks, lags } = this;
    if (loss === "logistic" && !this.robust) return;
    for (let i = 0; i < samples; i++) {
      for (let j = 0; j < this.termCount; j++) {
        if (!this.load(i, j, sums, a)) continue;
        this.load(i, j, dSums, da);
        const term = i * this.termCount + j;
        let dScore = 0;
        for (let k = 0; k < width; k++) {
          da[k] *= length;
          dScore += da[k] * inputs[i * width + k];
        }
        let reach = 0;
        let dReach = 0;
        if (this.robust) {
          reach = radius * norm.value(a, mu);
          for (let k = 0; k < featureCount; k++) dReach += radius * norm.z[k] * da[k];
          norm.curvature(a, mu, lags, term * norm.lagCount);
          norm.moveLags(a, da, mu, lags, term * norm.lagCount);
        }
        this.loadScore(i);
        const t = loss === "hinge" ? 1 - this.score + reach : this.score - targets[i * outputs + j];
        const dt = loss === "hinge" ? dReach - dScore : dScore;
        const size = Math.sqrt(t * t + (loss === "hinge" ? 4 : 1) * mu * mu);
        kinks[term] = Math.max(-1, Math.min(1, t / size + ((1 - (kinks[term] * t) / size) / size) * dt));
      }
    }
  }

  private plus(i: number, j: number): number {
    const { task, loss, labels } = this.program;
    return task === "two-class" ? 0 : loss === "squared" ? j : labels[i];
  }

  private minus(j: number): number {
    return this.program.task === "multi-class" && this.program.loss !== "squared" ? j : -1;
  }

  // The linear form of term j of sample i; false when there is none (a pair of a class with itself).
  private load(i: number, j: number, sums: Float64Array, a: Float64Array): boolean {
    const { task, loss, labels, outputs, width, targets } = this.program;
    if (loss === "squared" || task === "two-class") {
      const from = (i * outputs + j) * width;
      const sign = loss === "squared" ? 1 : targets[i];
      for (let k = 0; k < width; k++) a[k] = sign * sums[from + k];
      return true;
    }
    if (j === labels[i]) return false;
    const own = (i * outputs + labels[i]) * width;
    const rival = (i * outputs + j) * width;
    for (let k = 0; k < width; k++) a[k] = sums[own + k] - sums[rival + k];
    return true;
  }

  private loadScore(i: number): void {
    const { inputs, width } = this.program;
    let score = 0;
    for (let k = 0; k < width; k++) score += this.a[k] * inputs[i * width + k];
    this.score = score;
  }

  private marginTerm(
    i: number,
    mu: number,
    reach: number,
    slopes: Float64Array | null,
    own: number,
    rival: number,
    out: TermSums,
  ): void {
    const { loss, task, inputs, width, featureCount, radius, targets } = this.program;
    this.loadScore(i);
    let alpha: number;
    if (loss === "hinge") {
      const u = 1 - this.score + reach;
      const size = Math.sqrt(u * u + 4 * mu * mu);
      alpha = u > 0 ? (1 + u / size) / 2 : (2 * mu * mu) / (size * (size - u));
      out.smooth += u > 0 ? (u + size) / 2 : (2 * mu * mu) / (size - u);
      out.linear += alpha;
    } else {
      const margin = this.score - reach;
      alpha = sigmoid(-margin);
      const rest = sigmoid(margin);
      out.smooth += marginLoss(loss, margin);
      if (alpha > 0 && rest > 0) out.linear -= alpha * Math.log(alpha) + rest * Math.log(rest);
    }
    out.loss += marginLoss(loss, this.score - (this.robust ? this.exactReach() : 0));
    if (slopes === null) return;
    const sign = task === "two-class" ? targets[i] : 1;
    for (let k = 0; k < width; k++) {
      const g =
        -alpha * sign * (inputs[i * width + k] - (this.robust && k < featureCount ? radius * this.norm.z[k] : 0));
      slopes[own + k] += g;
      if (rival >= 0) slopes[rival + k] -= g;
    }
  }

  private squaredTerm(
    i: number,
    j: number,
    mu: number,
    reach: number,
    slopes: Float64Array | null,
    to: number,
    out: TermSums,
  ): void {
    const { inputs, width, featureCount, outputs, radius, targets } = this.program;
    this.loadScore(i);
    const target = targets[i * outputs + j];
    const v = this.score - target;
    const size = this.robust ? Math.sqrt(v * v + mu * mu) : Math.abs(v);
    const e = size + reach;
    const pull = this.robust ? (e * v) / size : v;
    out.smooth += (e * e) / 2;
    out.loss += (Math.abs(v) + (this.robust ? this.exactReach() : 0)) ** 2 / 2;
    out.linear -= pull * target;
    out.quadratic += (e * e) / 2;
    if (slopes === null) return;
    for (let k = 0; k < width; k++) {
      slopes[to + k] +=
        pull * inputs[i * width + k] + (this.robust && k < featureCount ? e * radius * this.norm.z[k] : 0);
    }
  }

  private exactReach(): number {
    return this.program.radius * this.norm.exact(this.a);
  }

  private curvature(i: number, j: number, term: number, mu: number): void {
    const { loss, inputs, width, featureCount, outputs, radius, targets } = this.program;
    const { norm, w, a, kinks, lags } = this;
    const reach = this.robust ? radius * norm.value(a, mu) : 0;
    this.loadScore(i);
    const x = i * width;
    if (this.robust) {
      if (this.fresh) norm.resetLags(a, mu, lags, term * norm.lagCount);
      norm.curvature(a, mu, lags, term * norm.lagCount);
    }
    if (loss === "squared") {
      const v = this.score - targets[i * outputs + j];
      const size = this.robust ? Math.sqrt(v * v + mu * mu) : 1;
      if (this.fresh) kinks[term] = v / size;
      const eps = this.robust ? v / size : 1;
      for (let k = 0; k < width; k++) {
        w[k] = eps * inputs[x + k] + (this.robust && k < featureCount ? radius * norm.z[k] : 0);
      }
      this.weight = 1;
      this.spread = this.robust ? (size + reach) * radius : 0;
      this.bend = this.robust ? ((size + reach) * (1 - kinks[term] * eps)) / size : 0;
      return;
    }
    this.bend = 0;
    for (let k = 0; k < width; k++) {
      w[k] = inputs[x + k] - (this.robust && k < featureCount ? radius * norm.z[k] : 0);
    }
    if (loss === "logistic") {
      const alpha = sigmoid(reach - this.score);
      this.weight = alpha * sigmoid(this.score - reach);
      this.spread = alpha * radius;
      return;
    }
    const u = 1 - this.score + reach;
    const size = Math.sqrt(u * u + 4 * mu * mu);
    if (this.fresh) kinks[term] = u / size;
    this.weight = (1 - (kinks[term] * u) / size) / (2 * size);
    this.spread = (radius * (1 + u / size)) / 2;
  }

  /** Additional curvature bend x x' of squared terms (from |v|). */
  bend = 0;
}

function sigmoid(t: number): number {
  return t >= 0 ? 1 / (1 + Math.exp(-t)) : Math.exp(t) / (1 + Math.exp(t));
}
