// The proximal step of one term of the loss in its score z and its robust part a (both divided by the weight kappa of the term):
//   minimise over z, a   l(z, N(a)) + pz/2 (z - z0)^2 + pa/2 ||a - a0||^2,   N(a) = radius ||a||_{q*}
// With the multiplier e of the margin (lowerBound.ts) both have closed forms, z = z0 + f / pz and a = a0 - P(a0), P the projection on the
// l_q ball of radius e radius / pa (Moreau), so one increasing equation in e is left:
//   hinge     f = e in [0, 1]     z - N(a) = 1
//   logistic  f = e in (0, 1)     z - N(a) = log((1 - e) / e)
//   squared   f = pz (target - z0) cut to [-e, e]     |target - z| + N(a) = e

import { lengthOf, projectOnBall } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";
import { increasingRoot } from "./increasingRoot.js";

export class LossProx {
  private readonly projected: Float64Array;
  private readonly rest: Float64Array;
  // the term at hand
  private z0 = 0;
  private target = 0;
  private size = 0;
  private pz = 1;
  private pa = 1;
  private a0: Float64Array = new Float64Array(0);
  private from = 0;

  constructor(private readonly program: ReluProgram) {
    this.projected = new Float64Array(program.featureCount);
    this.rest = new Float64Array(program.featureCount);
  }

  /** Returns z; a0[from ..] becomes a where there is a ball. */
  step(z0: number, target: number, a0: Float64Array, from: number, pz: number, pa: number): number {
    const { program, projected } = this;
    const { loss, radius, featureCount, dualExponent, norm } = program;
    Object.assign(this, { z0, target, pz, pa, a0, from });
    this.size = radius > 0 ? lengthOf(a0, from, featureCount, dualExponent) : 0;
    let e: number;
    let f: number;
    if (loss === "squared") {
      e = increasingRoot(this.squared, 0, Math.abs(target - z0) + radius * this.size);
      f = this.force(e);
    } else {
      e = loss === "hinge" ? increasingRoot(this.hinge, 0, 1) : increasingRoot(this.logistic, 1e-300, 1 - 1e-16);
      f = e;
    }
    if (radius > 0) {
      projectOnBall(a0, from, featureCount, norm, (e * radius) / pa, projected);
      for (let k = 0; k < featureCount; k++) a0[from + k] -= projected[k];
    }
    return z0 + f / pz;
  }

  private readonly hinge = (e: number): number => this.z0 + e / this.pz - this.reach(e) - 1;

  private readonly logistic = (e: number): number =>
    this.z0 + e / this.pz - this.reach(e) - Math.log1p(-e) + Math.log(e);

  private readonly squared = (e: number): number =>
    e - Math.abs(this.target - this.z0 - this.force(e) / this.pz) - this.reach(e);

  private force(e: number): number {
    return Math.max(-e, Math.min(e, this.pz * (this.target - this.z0)));
  }

  /** N(a) for the multiplier e. */
  private reach(e: number): number {
    const { program, a0, from, pa, projected, rest, size } = this;
    const { radius, featureCount, norm, exponent, dualExponent } = program;
    if (radius === 0) return 0;
    if (exponent === 2) return radius * Math.max(0, size - (e * radius) / pa);
    projectOnBall(a0, from, featureCount, norm, (e * radius) / pa, projected);
    for (let k = 0; k < featureCount; k++) rest[k] = a0[from + k] - projected[k];
    return radius * lengthOf(rest, 0, featureCount, dualExponent);
  }
}
