// Projection of (s, t), s one number per sample and t in R^d, on the robust cone {s_i >= radius ||t||_{q*} for all i} in the metric
// ws sum_i ds_i^2 + wt ||dt||^2. With Gamma the sum of the multipliers,
//   t = t0 - P(t0), P the projection on the l_q ball of radius radius Gamma / wt,   s_i = max(s0_i, radius ||t||),
//   Gamma = ws sum_i (radius ||t|| - s0_i)_+     one equation, whose difference increases with Gamma

import { lengthOf, projectOnBall } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";
import { increasingRoot } from "./increasingRoot.js";

export class ConeProjection {
  private readonly below: Float64Array;
  private readonly projected: Float64Array;
  private readonly rest: Float64Array;
  private count = 0;
  private size = 0;
  private t: Float64Array = new Float64Array(0);
  private from = 0;

  constructor(
    private readonly program: ReluProgram,
    private readonly ws: number,
    private readonly wt: number,
  ) {
    this.below = new Float64Array(program.samples);
    this.projected = new Float64Array(program.featureCount);
    this.rest = new Float64Array(program.featureCount);
  }

  /** In place: s at `at`, `at + stride`, ... (one per sample) and t[from .. from + d), which is not used without a ball. */
  project(s: Float64Array, at: number, stride: number, t: Float64Array, from: number): void {
    const { program, below, projected } = this;
    const { samples, radius, featureCount, dualExponent, norm } = program;
    if (radius === 0) {
      for (let i = 0, e = at; i < samples; i++, e += stride) if (s[e] < 0) s[e] = 0;
      return;
    }
    this.size = lengthOf(t, from, featureCount, dualExponent);
    const most = radius * this.size;
    let count = 0;
    for (let i = 0, e = at; i < samples; i++, e += stride) if (s[e] < most) below[count++] = s[e];
    if (count === 0) return;
    Object.assign(this, { count, t, from });
    const gamma = increasingRoot(this.excess, 0, -this.excess(0));
    projectOnBall(t, from, featureCount, norm, (radius * gamma) / this.wt, projected);
    for (let k = 0; k < featureCount; k++) t[from + k] -= projected[k];
    const level = radius * lengthOf(t, from, featureCount, dualExponent);
    for (let i = 0, e = at; i < samples; i++, e += stride) if (s[e] < level) s[e] = level;
  }

  private readonly excess = (gamma: number): number => {
    const { below, count, ws } = this;
    const level = this.level(gamma);
    let total = 0;
    for (let i = 0; i < count; i++) if (below[i] < level) total += level - below[i];
    return gamma - ws * total;
  };

  /** radius ||t|| for the multiplier Gamma. */
  private level(gamma: number): number {
    const { program, t, from, wt, projected, rest, size } = this;
    const { radius, featureCount, norm, exponent, dualExponent } = program;
    if (exponent === 2) return radius * Math.max(0, size - (radius * gamma) / wt);
    projectOnBall(t, from, featureCount, norm, (radius * gamma) / wt, projected);
    for (let k = 0; k < featureCount; k++) rest[k] = t[from + k] - projected[k];
    return radius * lengthOf(rest, 0, featureCount, dualExponent);
  }
}
