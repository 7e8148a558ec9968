// Norm cones of a general p in (1, inf), p != 2, as one nonlinear row each: s = tau - N(a) > 0 with the rounded norm
//   N(a) = factor ||b||_p,  b_k = sqrt(a_k^2 + eps^2),  grad_k = factor (b_k / ||b||)^(p-2) a_k / ||b||,
//   Hessian = diag(factor (b_k/||b||)^(p-2) ((p-1) a_k^2 + eps^2) / (b_k^2 ||b||)) - (p-1)/N grad grad'.
// grad always lies in the ball of the dual norm with radius `factor`, since |grad_k| <= factor (b_k/||b||)^(p-1). eps falls with the slack.
// Newton's step linearises the row: ds = dtau - grad'da - (s - (tau - N(a))).

import { lengthOf } from "../ballSupport.js";
import { longestLinearStep, NormCones } from "./normCones.js";

const LEAST_ROUNDING = 1e-12;

export class GeneralCones extends NormCones {
  private readonly residual: Float64Array;
  private readonly rounded: Float64Array;
  private readonly value: Float64Array;
  private readonly rounding: Float64Array;

  constructor(
    count: number,
    length: number,
    factor: number,
    private readonly p: number,
  ) {
    super(count, length, factor, 1, count);
    this.residual = new Float64Array(count);
    this.rounded = new Float64Array(length);
    this.value = new Float64Array(count);
    this.rounding = new Float64Array(count);
  }

  start(c: number, tau: number, a: Float64Array, from: number, complementarity: number): void {
    this.slack[c] = tau - this.factor * lengthOf(a, from, this.length, this.p);
    this.dual[c] = complementarity / this.slack[c];
  }

  force(c: number, out: Float64Array, from: number, a: Float64Array, at: number): number {
    const { length, factor, p, dual, rounded, rounding } = this;
    for (let k = 0; k < length; k++) rounded[k] = Math.hypot(a[at + k], rounding[c]);
    const size = lengthOf(rounded, 0, length, p);
    for (let k = 0; k < length; k++) {
      out[from + k] = a[at + k] === 0 ? 0 : (-dual[c] * factor * (rounded[k] / size) ** (p - 2) * a[at + k]) / size;
    }
    return dual[c];
  }

  scale(c: number, a: Float64Array, from: number): void {
    const { length, factor, p, slack, dual, vector, diagonal, rounded } = this;
    const eps = Math.max(LEAST_ROUNDING, (0.1 * slack[c]) / factor);
    for (let k = 0; k < length; k++) rounded[k] = Math.hypot(a[from + k], eps);
    const size = lengthOf(rounded, 0, length, p);
    const value = factor * size;
    this.rounding[c] = eps;
    for (let k = 0; k < length; k++) {
      const t = a[from + k];
      const b = rounded[k];
      const slope = (factor * (b / size) ** (p - 2)) / size;
      vector[c * length + k] = slope * t;
      diagonal[c * length + k] = dual[c] * slope * (p - 1 - (p - 2) * (eps / b) ** 2);
    }
    const weight = dual[c] / slack[c];
    this.value[c] = value;
    this.corner[c] = weight;
    this.lean[c] = -weight;
    this.outerWithoutTau[c] = (-dual[c] * (p - 1)) / value;
    this.outer[c] = weight + this.outerWithoutTau[c];
  }

  aimAt(c: number, target: number, share: number, tau: number): void {
    const { length, slack, dual, slackStep, dualStep, aim, vector } = this;
    this.residual[c] = slack[c] - (tau - this.value[c]);
    const product = share * slackStep[c] * dualStep[c];
    aim[c] = (target - product + dual[c] * this.residual[c]) / slack[c];
    this.sideTau[c] = aim[c];
    for (let k = 0; k < length; k++) this.sideA[c * length + k] = -aim[c] * vector[c * length + k];
  }

  step(c: number, tau: number, a: Float64Array, from: number): void {
    const { length, slack, dual, aim, vector } = this;
    let change = tau;
    for (let k = 0; k < length; k++) change -= vector[c * length + k] * a[from + k];
    this.slackStep[c] = change - this.residual[c];
    this.dualStep[c] = aim[c] - dual[c] - (dual[c] / slack[c]) * change;
  }

  longestSlackStep(limit: number): number {
    return longestLinearStep(this.slack, this.slackStep, limit);
  }

  longestDualStep(limit: number): number {
    return longestLinearStep(this.dual, this.dualStep, limit);
  }
}
