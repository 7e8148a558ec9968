// Diagonal S-procedure over the box [-1, 1]^m (math.md 12.1; Shor's relaxation), n = m + 1:
//   primal  min <C, X>  s.t. X_ee = 1, X_kk + s_k = 1, X >= 0, s >= 0        C = [[curvature, slope], [slope', 0]]
//   dual    max t - sum nu  s.t. Z = C + diag(nu, -t) >= 0, nu >= 0
// Primal-dual interior point in the direction of Helmberg, Rendl, Vanderbei and Wolkowicz: the equations for
// w = (dnu, -dt) have the matrix X o Z^-1 + diag(s / nu), so a step costs a few products of order n.
// Any nu >= 0 is a certificate; `certify` evaluates one in floating point so that the result never exceeds the true minimum:
// for A = curvature + diag nu, z ~ -A^-1 slope, rho = slope + A z and all t in the box,
//   f(t) >= f(z) - sum nu (1 - z^2) - 2 sum |rho| (1 + |z|) - eta sum (1 + |z|)^2,   A >= -eta I since Cholesky succeeded.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import type { BoxProblem } from "./boxProblem.js";

interface ShorSettings {
  /** Gap between primal and dual value, relative to the larger of 1 and the size of the coefficients. */
  readonly tolerance: number;
  /** Stop as soon as the dual value is above (y f is then known to be larger), or the primal value below. */
  readonly stopAbove: number;
  readonly stopBelow: number;
}

export interface ShorSolver {
  /**
   * Rigorous lower bound of the box minimum. `problem.size` may be 0. Afterwards `multipliers` (of t^2 <= 1), `mean` and
   * `moment` describe the primal: E[t] `[m]` and E[(t;1)(t;1)'] `[m + 1, m + 1]`, reused memory.
   */
  solve(problem: BoxProblem, settings: ShorSettings): number;
  /** The same from given multipliers nu >= 0 `[m]`, without optimising; -Infinity when they are not admissible. */
  certify(problem: BoxProblem, multipliers: Float64Array): number;
  readonly multipliers: Float64Array;
  readonly mean: Float64Array;
  readonly moment: Float64Array;
  /** Interior-point steps of the last solve. */
  readonly steps: number;
}

const maximumSteps = 60;

export function createShorSolver(d: number, kernels: Kernels): ShorSolver {
  const full = (d + 1) * (d + 1);
  const workspace: Workspace = kernels.workspace(workspaceSize(...Array(9).fill(full), 4 * d + 8));
  const [cost, dual, factor, inverse, moment, change, product, scaled, schur] = Array.from({ length: 9 }, () =>
    workspace.float64(full),
  );
  const step = workspace.float64(d + 1);
  const nu = new Float64Array(d);
  const slack = new Float64Array(d);
  const slackChange = new Float64Array(d);
  const mean = new Float64Array(d);
  const z = new Float64Array(d);
  let steps = 0;

  /** Whether base + length * direction is positive definite; `diagonal`: direction is a diagonal. */
  function stays(n: number, base: Float64Array, direction: Float64Array, length: number, diagonal: boolean): boolean {
    factor.set(base.subarray(0, n * n));
    if (diagonal) for (let k = 0; k < n; k++) factor[k * n + k] += length * direction[k];
    else for (let i = 0; i < n * n; i++) factor[i] += length * direction[i];
    return workspace.potrf(n, factor, n) === 0;
  }

  /** Longest tried step that keeps matrix and vector positive; 0 when even a tiny one fails. */
  function stepLength(
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
    while (length > 1e-10 && !stays(n, base, direction, length, diagonal)) {
      length *= 0.75;
      shrunk = true;
    }
    if (length <= 1e-10) return 0;
    return shrunk ? 0.95 * length : length;
  }

  function invertDual(n: number): boolean {
    factor.set(dual.subarray(0, n * n));
    if (workspace.potrf(n, factor, n) !== 0) return false;
    scaled.fill(0, 0, n * n);
    for (let k = 0; k < n; k++) scaled[k * n + k] = 1;
    workspace.trsm("left", false, n, n, factor, n, scaled, n);
    workspace.syrk(true, n, n, 1, scaled, n, 0, inverse, n);
    return true;
  }

  function certify({ size: m, curvature, slope, value, error }: BoxProblem, multipliers: Float64Array): number {
    if (m === 0) return value - error;
    let shift = 0;
    let largest = 0;
    for (let k = 0; k < m; k++) largest = Math.max(largest, Math.abs(curvature[k * m + k]) + multipliers[k]);
    for (let attempt = 0; ; attempt++) {
      factor.set(curvature.subarray(0, m * m));
      for (let k = 0; k < m; k++) factor[k * m + k] += multipliers[k] + shift;
      if (workspace.potrf(m, factor, m) === 0) break;
      if (attempt === 8) return Number.NEGATIVE_INFINITY;
      shift = shift === 0 ? 16 * (m + 8) * unitRoundoff * largest || Number.MIN_VALUE : 10 * shift;
    }
    for (let k = 0; k < m; k++) step[k] = -slope[k];
    workspace.trsm("left", false, m, 1, factor, m, step, 1);
    workspace.trsm("left", true, m, 1, factor, m, step, 1);
    // Any z gives a bound; one far outside the box only weakens it.
    for (let k = 0; k < m; k++) z[k] = Number.isFinite(step[k]) ? Math.max(-2, Math.min(2, step[k])) : 0;
    let total = value;
    let size = Math.abs(value);
    let loss = 0;
    let trace = 0;
    let spread = 0;
    for (let k = 0; k < m; k++) {
      const own = multipliers[k] + shift;
      let row = 0;
      let rowSize = own * Math.abs(z[k]);
      for (let l = 0, p = k * m; l < m; l++) {
        row += curvature[p + l] * z[l];
        rowSize += Math.abs(curvature[p + l] * z[l]);
      }
      total += z[k] * (2 * slope[k] + row) - own * (1 - z[k] * z[k]);
      size += Math.abs(z[k]) * (2 * Math.abs(slope[k]) + rowSize) + own * (1 + z[k] * z[k]);
      const residual =
        Math.abs(slope[k] + row + own * z[k]) + 4 * (m + 8) * unitRoundoff * (Math.abs(slope[k]) + rowSize);
      loss += 2 * residual * (1 + Math.abs(z[k]));
      trace += Math.abs(curvature[k * m + k] + own);
      spread += (1 + Math.abs(z[k])) ** 2;
    }
    const eta = 4 * (m + 8) * unitRoundoff * trace;
    return total - (loss + eta * spread) * (1 + 1e-12) - 4 * (m + 16) * unitRoundoff * size - error;
  }

  return {
    multipliers: nu,
    mean,
    moment,
    get steps() {
      return steps;
    },
    certify,
    solve(problem, { tolerance, stopAbove, stopBelow }) {
      const { size: m, curvature, slope, value } = problem;
      const n = m + 1;
      const e = n * n - 1;
      steps = 0;
      if (m === 0) {
        moment[0] = 1;
        return certify(problem, nu);
      }
      let scale = 0;
      for (let i = 0; i < m * m; i++) scale = Math.max(scale, Math.abs(curvature[i]));
      for (let k = 0; k < m; k++) scale = Math.max(scale, Math.abs(slope[k]));
      moment.fill(0, 0, n * n);
      moment[e] = 1;
      if (scale < 1e-290) {
        nu.fill(0);
        mean.fill(0);
        return certify(problem, nu);
      }
      // Strictly feasible start: X diagonal, Z diagonally dominant; coefficients scaled to 1.
      let t = -1;
      cost[e] = 0;
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
      const shiftedAbove = (stopAbove - value) / scale;
      const shiftedBelow = (stopBelow - value) / scale;
      let pull = 0.3;
      for (; steps < maximumSteps; steps++) {
        dual.set(cost.subarray(0, n * n));
        let primalValue = 0;
        let dualValue = t;
        for (let i = 0; i < n * n; i++) primalValue += cost[i] * moment[i];
        for (let k = 0; k < m; k++) {
          dual[k * n + k] += nu[k];
          dualValue -= nu[k];
        }
        dual[e] -= t;
        const gap = primalValue - dualValue;
        if (gap <= tolerance * (1 + Math.abs(dualValue)) || dualValue > shiftedAbove || primalValue < shiftedBelow)
          break;
        const mu = gap / (n + m);
        if (!invertDual(n)) break;
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
        workspace.gemm(false, false, n, n, n, 1, scaled, n, inverse, n, 0, product, n);
        for (let k = 0; k < n; k++) {
          for (let l = 0; l <= k; l++) {
            const entry =
              aim * inverse[k * n + l] - moment[k * n + l] - 0.5 * (product[k * n + l] + product[l * n + k]);
            change[k * n + l] = entry;
            change[l * n + k] = entry;
          }
        }
        change[e] = 0;
        for (let k = 0; k < m; k++) slackChange[k] = -change[k * n + k];
        const primalStep = stepLength(n, moment, change, false, slack, slackChange);
        const dualStep = stepLength(n, dual, step, true, nu, step);
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
        mean[k] = moment[k * n + m];
        nu[k] *= scale;
      }
      return certify(problem, nu);
    },
  };
}
