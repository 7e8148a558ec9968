// What any multipliers nu >= 0 of t_k^2 <= 1 prove about the box problem of `boxProblem.ts` (math.md 12.1), evaluated in floating point
// so that the result never exceeds the true minimum. For A = curvature + diag nu, z ~ -A^-1 slope, rho = slope + A z, all t in the box:
//   f(t) >= f(z) - sum nu (1 - z^2) - 2 sum |rho| (1 + |z|) - eta sum (1 + |z|)^2,   A >= -eta I since Cholesky succeeded
// Where A is indefinite a multiple of the identity is added to it first.

import type { Workspace } from "@worstcase/linalg";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import type { BoxProblem } from "./boxProblem.js";

const mostShifts = 16;

export class BoxCertificate {
  /** What the last bound gave up to rounding. */
  rounding = 0;
  private readonly factor: Float64Array;
  private readonly step: Float64Array;
  private readonly z: Float64Array;

  /** Takes `d * d + d` numbers of the workspace. */
  constructor(
    d: number,
    private readonly workspace: Workspace,
  ) {
    this.factor = workspace.float64(d * d);
    this.step = workspace.float64(d);
    this.z = new Float64Array(d);
  }

  /** Rigorous lower bound of the box minimum from multipliers nu >= 0 `[m]`; -Infinity when they are of no use. */
  bound({ size: m, curvature, slope, value, error }: BoxProblem, multipliers: Float64Array): number {
    this.rounding = error;
    if (m === 0) return value - error;
    const { workspace, factor, step, z } = this;
    let shift = 0;
    let largest = 0;
    for (let k = 0; k < m; k++) largest = Math.max(largest, Math.abs(curvature[k * m + k]) + multipliers[k]);
    for (let attempt = 0; ; attempt++) {
      factor.set(curvature.subarray(0, m * m));
      for (let k = 0; k < m; k++) factor[k * m + k] += multipliers[k] + shift;
      if (workspace.potrf(m, factor, m) === 0) break;
      if (attempt === mostShifts) return Number.NEGATIVE_INFINITY;
      shift = shift === 0 ? 16 * (m + 8) * unitRoundoff * largest || Number.MIN_VALUE : 8 * shift;
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
    this.rounding = eta * spread * (1 + 1e-12) + 4 * (m + 16) * unitRoundoff * size + error;
    return total - loss * (1 + 1e-12) - this.rounding;
  }
}
