// Shor's relaxation over the box [-1, 1]^m (`contracts.ts`), n = m + 1, by a primal-dual interior point in the direction of Helmberg,
// Rendl, Vanderbei and Wolkowicz, with X_kk + s_k = 1 and Z = C + diag(nu, -t): the equations for w = (dnu, -dt) have the matrix
// X o Z^-1 + diag(s / nu), so a step costs a few products of order n. The bound is what nu proves in floating point.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { BoxCertificate } from "./boxCertificate.js";
import type { BoxProblem } from "./boxProblem.js";
import { coefficientSize, type RelaxationSettings } from "./contracts.js";

const maximumSteps = 60;

export class BoxInteriorPoint {
  /** nu >= 0 of the bound, `[m]`. */
  readonly multipliers: Float64Array;
  /** E[t], `[m]`. */
  readonly mean: Float64Array;
  bound = Number.NEGATIVE_INFINITY;
  /** Whether the last problem was solved to ten times its tolerance. */
  closed = false;
  private readonly workspace: Workspace;
  private readonly certificate: BoxCertificate;
  private readonly cost: Float64Array;
  private readonly dual: Float64Array;
  private readonly factor: Float64Array;
  private readonly inverse: Float64Array;
  /** X = E[(t;1)(t;1)'] `[n, n]`. */
  private readonly moment: Float64Array;
  private readonly change: Float64Array;
  private readonly scratch: Float64Array;
  private readonly scaled: Float64Array;
  private readonly schur: Float64Array;
  private readonly step: Float64Array;
  private readonly slack: Float64Array;
  private readonly slackChange: Float64Array;
  private size = 0;

  constructor(d: number, kernels: Kernels) {
    const full = (d + 1) * (d + 1);
    const workspace = kernels.workspace(workspaceSize(...Array(9).fill(full), d + 1, d * d, d));
    const matrix = () => workspace.float64(full);
    this.workspace = workspace;
    this.certificate = new BoxCertificate(d, workspace);
    this.cost = matrix();
    this.dual = matrix();
    this.factor = matrix();
    this.inverse = matrix();
    this.moment = matrix();
    this.change = matrix();
    this.scratch = matrix();
    this.scaled = matrix();
    this.schur = matrix();
    this.step = workspace.float64(d + 1);
    this.multipliers = new Float64Array(d);
    this.mean = new Float64Array(d);
    this.slack = new Float64Array(d);
    this.slackChange = new Float64Array(d);
  }

  /** E[t_k t_l] */
  product(k: number, l: number): number {
    return this.moment[k * (this.size + 1) + l];
  }

  /** E[(direction't)^2] with direction `[m]`. */
  squareAlong(direction: Float64Array, m: number): number {
    let sum = 0;
    for (let k = 0; k < m; k++) {
      for (let l = 0, p = k * (m + 1); l < m; l++) sum += direction[k] * direction[l] * this.moment[p + l];
    }
    return sum;
  }

  solve(problem: BoxProblem, { tolerance, stopAbove }: RelaxationSettings): number {
    const { size: m, value } = problem;
    const { workspace, cost, dual, inverse, moment, change, scratch, scaled, schur, step, slack, slackChange } = this;
    const { multipliers: nu } = this;
    const n = m + 1;
    const e = n * n - 1;
    this.size = m;
    const scale = coefficientSize(problem);
    let t = this.start(problem, scale);
    let primalValue = 0;
    let pull = 0.3;
    for (let steps = 0; steps < maximumSteps; steps++) {
      dual.set(cost.subarray(0, n * n));
      primalValue = 0;
      let dualValue = t;
      for (let i = 0; i < n * n; i++) primalValue += cost[i] * moment[i];
      for (let k = 0; k < m; k++) {
        dual[k * n + k] += nu[k];
        dualValue -= nu[k];
      }
      dual[e] -= t;
      const gap = primalValue - dualValue;
      if (gap <= tolerance * (1 + Math.abs(dualValue)) || value + scale * dualValue > stopAbove) break;
      const mu = gap / (n + m);
      if (!this.invertDual(n)) break;
      const aim = pull * mu;
      for (let i = 0; i < n * n; i++) schur[i] = moment[i] * inverse[i];
      for (let k = 0; k < m; k++) {
        schur[k * n + k] += slack[k] / nu[k];
        step[k] = aim * (1 / nu[k] + inverse[k * n + k]) - 1;
      }
      step[m] = aim * inverse[e] - 1;
      if (workspace.potrf(n, schur, n) !== 0) break;
      workspace.trsm("left", false, n, 1, schur, n, step, 1);
      workspace.trsm("left", true, n, 1, schur, n, step, 1);
      // dX = aim Z^-1 - X - sym(X diag(w) Z^-1)
      for (let k = 0; k < n; k++) for (let l = 0; l < n; l++) scaled[k * n + l] = moment[k * n + l] * step[l];
      workspace.gemm(false, false, n, n, n, 1, scaled, n, inverse, n, 0, scratch, n);
      for (let k = 0; k < n; k++) {
        for (let l = 0; l <= k; l++) {
          const entry = aim * inverse[k * n + l] - moment[k * n + l] - 0.5 * (scratch[k * n + l] + scratch[l * n + k]);
          change[k * n + l] = entry;
          change[l * n + k] = entry;
        }
      }
      change[e] = 0;
      for (let k = 0; k < m; k++) slackChange[k] = -change[k * n + k];
      const primalStep = this.stepLength(n, moment, change, false, slack, slackChange);
      const dualStep = this.stepLength(n, dual, step, true, nu, step);
      if (primalStep === 0 && dualStep === 0) break;
      for (let i = 0; i < n * n; i++) moment[i] += primalStep * change[i];
      for (let k = 0; k < m; k++) {
        slack[k] = 1 - moment[k * n + k];
        if (!(slack[k] > 0)) slack[k] = 1e-300;
        nu[k] += dualStep * step[k];
      }
      t -= dualStep * step[m];
      const both = Math.min(primalStep, dualStep);
      pull = both > 0.9 ? 0.02 : both > 0.6 ? 0.1 : 0.4;
    }
    for (let k = 0; k < m; k++) {
      this.mean[k] = moment[k * n + m];
      nu[k] *= scale;
    }
    this.bound = this.certificate.bound(problem, nu);
    const gap = value + scale * primalValue - this.bound;
    const enough = 10 * tolerance * scale * (1 + Math.abs(primalValue)) + 2 * this.certificate.rounding;
    this.closed = this.bound > stopAbove || gap <= enough;
    return this.bound;
  }

  /** Strictly feasible: X diagonal, Z diagonally dominant; coefficients scaled to 1. Returns t. */
  private start({ size: m, curvature, slope }: BoxProblem, scale: number): number {
    const { cost, moment, slack, multipliers: nu } = this;
    const n = m + 1;
    moment.fill(0, 0, n * n);
    moment[n * n - 1] = 1;
    cost[n * n - 1] = 0;
    let t = -1;
    for (let k = 0; k < m; k++) {
      let sum = 1 + Math.abs(slope[k]) / scale;
      for (let l = 0; l < m; l++) {
        cost[k * n + l] = curvature[k * m + l] / scale;
        sum += Math.abs(cost[k * n + l]);
      }
      cost[k * n + m] = slope[k] / scale;
      cost[m * n + k] = cost[k * n + m];
      t -= Math.abs(cost[k * n + m]);
      nu[k] = sum;
      slack[k] = 0.5;
      moment[k * n + k] = 0.5;
    }
    return t;
  }

  /** Whether base + length * direction is positive definite; `diagonal`: direction is a diagonal. */
  private stays(n: number, base: Float64Array, direction: Float64Array, length: number, diagonal: boolean): boolean {
    const { factor } = this;
    factor.set(base.subarray(0, n * n));
    if (diagonal) for (let k = 0; k < n; k++) factor[k * n + k] += length * direction[k];
    else for (let i = 0; i < n * n; i++) factor[i] += length * direction[i];
    return this.workspace.potrf(n, factor, n) === 0;
  }

  /** Longest tried step that keeps matrix and vector positive; 0 when even a tiny one fails. */
  private stepLength(
    n: number,
    base: Float64Array,
    direction: Float64Array,
    diagonal: boolean,
    vector: Float64Array,
    vectorChange: Float64Array,
  ): number {
    let length = 1;
    for (let k = 0; k < n - 1; k++) {
      if (vectorChange[k] < 0) length = Math.min(length, (-0.98 * vector[k]) / vectorChange[k]);
    }
    let shrunk = false;
    while (length > 1e-10 && !this.stays(n, base, direction, length, diagonal)) {
      length *= 0.75;
      shrunk = true;
    }
    if (length <= 1e-10) return 0;
    return shrunk ? 0.95 * length : length;
  }

  private invertDual(n: number): boolean {
    const { workspace, factor, dual, scaled, inverse } = this;
    factor.set(dual.subarray(0, n * n));
    if (workspace.potrf(n, factor, n) !== 0) return false;
    scaled.fill(0, 0, n * n);
    for (let k = 0; k < n; k++) scaled[k * n + k] = 1;
    workspace.trsm("left", false, n, n, factor, n, scaled, n);
    workspace.syrk(true, n, n, 1, scaled, n, 0, inverse, n);
    return true;
  }
}
