// Norm cones with p = inf and p = 1 as linear rows (normCones.ts). For every row Newton's equations are z ds + s dz = target - s z - ds dz.
//   p = inf: weights m_k^+- = z / s of the rows tau +- factor a_k
//   p = 1:   sigma_k = m_k^+ + m_k^-, m_0 of the row tau - sum u; with S = sum 1/sigma_k, omega = m_0 / (1 + m_0 S), g_k = factor (m_k^+ - m_k^-) / sigma_k
//            eliminating u leaves omega (tau + g'a)^2 + sum_k 4 factor^2 m_k^+ m_k^- / sigma_k a_k^2

import { longestLinearStep, NormCones } from "./normCones.js";

abstract class PolyhedralCones extends NormCones {
  longestSlackStep(limit: number): number {
    return longestLinearStep(this.slack, this.slackStep, limit);
  }

  longestDualStep(limit: number): number {
    return longestLinearStep(this.dual, this.dualStep, limit);
  }

  protected startDuals(c: number, complementarity: number): void {
    for (let row = c * this.rows; row < (c + 1) * this.rows; row++) this.dual[row] = complementarity / this.slack[row];
  }

  protected aimRows(c: number, target: number, share: number): void {
    const { aim, slack, slackStep, dualStep } = this;
    for (let row = c * this.rows; row < (c + 1) * this.rows; row++) {
      aim[row] = (target - share * slackStep[row] * dualStep[row]) / slack[row];
    }
  }

  protected stepDuals(c: number): void {
    const { aim, slack, dual, slackStep, dualStep } = this;
    for (let row = c * this.rows; row < (c + 1) * this.rows; row++) {
      dualStep[row] = aim[row] - dual[row] - (dual[row] / slack[row]) * slackStep[row];
    }
  }
}

export class LargestEntryCones extends PolyhedralCones {
  constructor(count: number, length: number, factor: number) {
    super(count, length, factor, 2 * length, 2 * length * count);
  }

  start(c: number, tau: number, a: Float64Array, from: number, complementarity: number): void {
    this.fill(this.slack, c, tau, a, from);
    this.startDuals(c, complementarity);
  }

  force(c: number, out: Float64Array, from: number): number {
    const { dual, factor, rows, length } = this;
    let total = 0;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      out[from + k] = factor * (dual[row] - dual[row + 1]);
      total += dual[row] + dual[row + 1];
    }
    return total;
  }

  scale(c: number): void {
    const { length, factor, rows, slack, dual, vector, diagonal } = this;
    let total = 0;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      const plus = dual[row] / slack[row];
      const minus = dual[row + 1] / slack[row + 1];
      total += plus + minus;
      vector[c * length + k] = factor * (plus - minus);
      diagonal[c * length + k] = factor * factor * (plus + minus);
    }
    this.corner[c] = total;
    this.lean[c] = 1;
    this.outer[c] = 0;
    this.outerWithoutTau[c] = -1 / total;
  }

  aimAt(c: number, target: number, share: number): void {
    const { length, factor, rows, aim } = this;
    this.aimRows(c, target, share);
    let total = 0;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      this.sideA[c * length + k] = factor * (aim[row] - aim[row + 1]);
      total += aim[row] + aim[row + 1];
    }
    this.sideTau[c] = total;
  }

  step(c: number, tau: number, a: Float64Array, from: number): void {
    this.fill(this.slackStep, c, tau, a, from);
    this.stepDuals(c);
  }

  private fill(out: Float64Array, c: number, tau: number, a: Float64Array, from: number): void {
    for (let k = 0; k < this.length; k++) {
      out[c * this.rows + 2 * k] = tau + this.factor * a[from + k];
      out[c * this.rows + 2 * k + 1] = tau - this.factor * a[from + k];
    }
  }
}

export class SumCones extends PolyhedralCones {
  private readonly split: Float64Array;
  private readonly splitStep: Float64Array;
  private readonly splitSide: Float64Array;
  private readonly sigma: Float64Array;
  /** sum_k splitSide_k / sigma_k */
  private readonly pull: Float64Array;

  constructor(count: number, length: number, factor: number) {
    super(count, length, factor, 2 * length + 1, (2 * length + 1) * count);
    this.split = new Float64Array(count * length);
    this.splitStep = new Float64Array(count * length);
    this.splitSide = new Float64Array(count * length);
    this.sigma = new Float64Array(count * length);
    this.pull = new Float64Array(count);
  }

  start(c: number, tau: number, a: Float64Array, from: number, complementarity: number): void {
    const { length, factor, split } = this;
    let total = 0;
    for (let k = 0; k < length; k++) total += factor * Math.abs(a[from + k]);
    const room = (tau - total) / (length + 1);
    for (let k = 0; k < length; k++) split[c * length + k] = factor * Math.abs(a[from + k]) + room;
    this.fill(this.slack, c, tau, a, from, split);
    this.startDuals(c, complementarity);
  }

  force(c: number, out: Float64Array, from: number): number {
    const { dual, factor, rows, length } = this;
    for (let k = 0; k < length; k++) {
      out[from + k] = factor * (dual[c * rows + 2 * k] - dual[c * rows + 2 * k + 1]);
    }
    return dual[c * rows + 2 * length];
  }

  scale(c: number): void {
    const { length, factor, rows, slack, dual, vector, diagonal, sigma } = this;
    let inverse = 0;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      const plus = dual[row] / slack[row];
      const minus = dual[row + 1] / slack[row + 1];
      const sum = plus + minus;
      sigma[c * length + k] = sum;
      inverse += 1 / sum;
      vector[c * length + k] = (factor * (plus - minus)) / sum;
      diagonal[c * length + k] = 4 * factor * factor * (plus / sum) * minus;
    }
    const end = c * rows + 2 * length;
    const last = dual[end] / slack[end];
    const omega = last / (1 + last * inverse);
    this.corner[c] = omega;
    this.lean[c] = omega;
    this.outer[c] = omega;
    this.outerWithoutTau[c] = 0;
  }

  aimAt(c: number, target: number, share: number): void {
    const { length, factor, rows, aim, sigma, splitSide, vector, sideA } = this;
    this.aimRows(c, target, share);
    const to = c * length;
    const last = aim[c * rows + 2 * length];
    let pull = 0;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      splitSide[to + k] = aim[row] + aim[row + 1] - last;
      pull += splitSide[to + k] / sigma[to + k];
    }
    this.pull[c] = pull;
    this.sideTau[c] = last + this.corner[c] * pull;
    for (let k = 0; k < length; k++) {
      const row = c * rows + 2 * k;
      sideA[to + k] = factor * (aim[row] - aim[row + 1]) - vector[to + k] * (splitSide[to + k] - this.corner[c] * pull);
    }
  }

  step(c: number, tau: number, a: Float64Array, from: number): void {
    const { length, sigma, splitSide, splitStep, vector } = this;
    const to = c * length;
    let common = tau - this.pull[c];
    for (let k = 0; k < length; k++) common += vector[to + k] * a[from + k];
    common *= this.corner[c];
    for (let k = 0; k < length; k++) {
      splitStep[to + k] = (splitSide[to + k] + common) / sigma[to + k] - vector[to + k] * a[from + k];
    }
    this.fill(this.slackStep, c, tau, a, from, splitStep);
    this.stepDuals(c);
  }

  override advance(primal: number, dualLength: number): void {
    super.advance(primal, dualLength);
    for (let k = 0; k < this.split.length; k++) this.split[k] += primal * this.splitStep[k];
  }

  private fill(out: Float64Array, c: number, tau: number, a: Float64Array, from: number, split: Float64Array): void {
    const at = c * this.rows;
    let total = 0;
    for (let k = 0; k < this.length; k++) {
      const u = split[c * this.length + k];
      out[at + 2 * k] = u + this.factor * a[from + k];
      out[at + 2 * k + 1] = u - this.factor * a[from + k];
      total += u;
    }
    out[at + 2 * this.length] = tau - total;
  }
}
