// Second-order cones (tau; factor a) with the Nesterov-Todd scaling W = eta (2 v v' - J), W z = W^-1 s
// (L. Vandenberghe, "The CVXOPT linear and quadratic cone program solvers", 2010, section 5).
//   W^-2 = eta^-2 (2 (J w)(J w)' - J),   w = (s / |s| + J z / |z|) / (2 gamma),  eta^2 = |s| / |z|,  |s|^2 = s_0^2 - |s_1|^2

import { NormCones } from "./normCones.js";

export class SecondOrderCones extends NormCones {
  /** w of each cone. */
  private readonly point: Float64Array;
  /** eta^-2 of each cone. */
  private readonly inverse: Float64Array;
  private readonly left: Float64Array;
  private readonly right: Float64Array;

  constructor(count: number, length: number, factor: number) {
    super(count, length, factor, length + 1, count);
    this.point = new Float64Array(count * (length + 1));
    this.inverse = new Float64Array(count);
    this.left = new Float64Array(length + 1);
    this.right = new Float64Array(length + 1);
  }

  start(c: number, tau: number, a: Float64Array, from: number, complementarity: number): void {
    const { length, factor, slack, dual, rows } = this;
    const at = c * rows;
    slack[at] = tau;
    for (let k = 0; k < length; k++) slack[at + 1 + k] = factor * a[from + k];
    const square = lorentz(slack, at, length);
    dual[at] = (complementarity * tau) / square;
    for (let k = 1; k <= length; k++) dual[at + k] = (-complementarity * slack[at + k]) / square;
  }

  force(c: number, out: Float64Array, from: number): number {
    const at = c * this.rows;
    for (let k = 0; k < this.length; k++) out[from + k] = this.factor * this.dual[at + 1 + k];
    return this.dual[at];
  }

  scale(c: number): void {
    const { length, factor, rows, slack, dual, point, vector, diagonal } = this;
    const at = c * rows;
    const sizeS = Math.sqrt(lorentz(slack, at, length));
    const sizeZ = Math.sqrt(lorentz(dual, at, length));
    let product = 0;
    for (let row = at; row < at + rows; row++) product += (slack[row] / sizeS) * (dual[row] / sizeZ);
    const half = 1 / Math.sqrt(2 + 2 * product);
    const inverse = sizeZ / sizeS;
    let tail = 0;
    for (let k = 0; k < length; k++) {
      const w = half * (slack[at + 1 + k] / sizeS - dual[at + 1 + k] / sizeZ);
      point[at + 1 + k] = w;
      tail += w * w;
      vector[c * length + k] = factor * w;
      diagonal[c * length + k] = inverse * factor * factor;
    }
    point[at] = Math.sqrt(1 + tail);
    this.inverse[c] = inverse;
    this.lean[c] = -2 * inverse * point[at];
    this.corner[c] = inverse * (1 + 2 * tail);
    this.outer[c] = 2 * inverse;
    this.outerWithoutTau[c] = (-2 * inverse) / (1 + 2 * tail);
  }

  // aim = -W^-1 (lambda \ (W^-1 ds o W dz - target e)),  lambda = W z
  aimAt(c: number, target: number, share: number): void {
    const { length, rows, aim, dual, left, right, factor } = this;
    const at = c * rows;
    if (target === 0 && share === 0) {
      aim.fill(0, at, at + rows);
    } else {
      let product = -target;
      if (share > 0) {
        this.applyScaling(c, -1, this.slackStep, at, left);
        this.applyScaling(c, 1, this.dualStep, at, right);
        for (let k = 0; k <= length; k++) product += share * left[k] * right[k];
        for (let k = 1; k <= length; k++) left[k] = share * (left[0] * right[k] + right[0] * left[k]);
      } else left.fill(0);
      left[0] = product;
      this.applyScaling(c, 1, dual, at, right);
      let head = right[0] * left[0];
      for (let k = 1; k <= length; k++) head -= right[k] * left[k];
      head /= lorentz(right, 0, length);
      for (let k = 1; k <= length; k++) left[k] = (left[k] - head * right[k]) / right[0];
      left[0] = head;
      this.applyScaling(c, -1, left, 0, right);
      for (let k = 0; k <= length; k++) aim[at + k] = -right[k];
    }
    this.sideTau[c] = aim[at];
    for (let k = 0; k < length; k++) this.sideA[c * length + k] = factor * aim[at + 1 + k];
  }

  step(c: number, tau: number, a: Float64Array, from: number): void {
    const { length, rows, factor, point, dual, aim, slackStep, dualStep } = this;
    const at = c * rows;
    slackStep[at] = tau;
    for (let k = 0; k < length; k++) slackStep[at + 1 + k] = factor * a[from + k];
    let along = point[at] * tau;
    for (let k = 1; k < rows; k++) along -= point[at + k] * slackStep[at + k];
    const inverse = this.inverse[c];
    for (let k = 0; k < rows; k++) {
      const sign = k === 0 ? 1 : -1;
      dualStep[at + k] = aim[at + k] - dual[at + k] - inverse * sign * (2 * point[at + k] * along - slackStep[at + k]);
    }
  }

  longestSlackStep(limit: number): number {
    return this.longest(this.slack, this.slackStep, limit);
  }

  longestDualStep(limit: number): number {
    return this.longest(this.dual, this.dualStep, limit);
  }

  private longest(x: Float64Array, change: Float64Array, limit: number): number {
    let best = limit;
    for (let c = 0; c < this.count; c++) best = Math.min(best, toBoundary(x, change, c * this.rows, this.length));
    return best;
  }

  // out = W x (sign 1) or W^-1 x (sign -1): W = eta [w_0 w_1'; w_1 I + w_1 w_1' / (1 + w_0)], W^-1 with -w_1 and 1/eta.
  private applyScaling(c: number, sign: number, x: Float64Array, from: number, out: Float64Array): void {
    const { length, rows, point } = this;
    const at = c * rows;
    const eta = this.inverse[c] ** (-sign / 2);
    let along = 0;
    for (let k = 1; k <= length; k++) along += point[at + k] * x[from + k];
    const head = x[from];
    const tail = sign * head + along / (1 + point[at]);
    out[0] = eta * (point[at] * head + sign * along);
    for (let k = 1; k <= length; k++) out[k] = eta * (x[from + k] + tail * point[at + k]);
  }
}

/** x_0^2 - |x_1|^2 */
function lorentz(x: Float64Array, at: number, length: number): number {
  let tail = 0;
  for (let k = 1; k <= length; k++) tail += x[at + k] * x[at + k];
  tail = Math.sqrt(tail);
  return Math.max((x[at] - tail) * (x[at] + tail), Number.MIN_VALUE);
}

/** Smallest positive t with |x + t d| = 0 in the Lorentz sense; Infinity when there is none. */
function toBoundary(x: Float64Array, d: Float64Array, at: number, length: number): number {
  let square = d[at] * d[at];
  let mixed = x[at] * d[at];
  for (let k = 1; k <= length; k++) {
    square -= d[at + k] * d[at + k];
    mixed -= x[at + k] * d[at + k];
  }
  const constant = lorentz(x, at, length);
  // Never negative but by rounding: straight down the axis both roots are one.
  const root = Math.max(0, mixed * mixed - square * constant);
  const denominator = Math.sqrt(root) - mixed;
  // Near the side `mixed` may be all rounding: no step passes the tip.
  const tip = d[at] < 0 ? -x[at] / d[at] : Number.POSITIVE_INFINITY;
  return denominator > 0 ? Math.min(tip, constant / denominator) : tip;
}
