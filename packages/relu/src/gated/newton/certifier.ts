// Certified lower bounds of the gated program over ALL its gates from the slopes of one point (math.md 13.6, every loss).
//   h_po = -1/n sum_i d_pi slopes_io;  the slopes scaled by s are dual feasible when s ||h_po||_* <= beta for all p, o,
//   where ||.||_* is the Euclidean norm (group) or the largest absolute value (l1), so
//   p* >= max over 0 <= s <= min(1, beta / max ||h_po||_*) of s linear - s^2 quadratic      (values of smoothTerms.ts)
// slopes: [n, outputs D]   h: [P, outputs D]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../../program/program.js";
import type { TermSums } from "./smoothTerms.js";

export class Certifier {
  /** ||h_po||_* / beta of the last call, largest over outputs, `[P]`. */
  readonly violations: Float64Array;
  private readonly workspace: Workspace;
  private readonly bits: Float64Array;
  private readonly slopes: Float64Array;
  private readonly h: Float64Array;

  constructor(
    private readonly program: ReluProgram,
    kernels: Kernels,
  ) {
    const { samples, gateCount, outputs, width, bits } = program;
    const row = outputs * width;
    this.workspace = kernels.workspace(workspaceSize(samples * gateCount, samples * row, gateCount * row));
    this.bits = this.workspace.float64(samples * gateCount);
    this.bits.set(bits);
    this.slopes = this.workspace.float64(samples * row);
    this.h = this.workspace.float64(gateCount * row);
    this.violations = new Float64Array(gateCount);
  }

  /** The bound; fills `violations`. */
  bound(slopes: Float64Array, value: TermSums): number {
    const { samples, gateCount, outputs, width, beta, regulariser } = this.program;
    const row = outputs * width;
    this.slopes.set(slopes);
    this.workspace.gemm(
      true,
      false,
      gateCount,
      row,
      samples,
      -1 / samples,
      this.bits,
      gateCount,
      this.slopes,
      row,
      0,
      this.h,
      row,
    );
    let largest = 0;
    for (let p = 0; p < gateCount; p++) {
      let top = 0;
      for (let from = p * row; from < (p + 1) * row; from += width) {
        let size = 0;
        if (regulariser === "l1") for (let k = from; k < from + width; k++) size = Math.max(size, Math.abs(this.h[k]));
        else for (let k = from; k < from + width; k++) size += this.h[k] * this.h[k];
        top = Math.max(top, regulariser === "l1" ? size : Math.sqrt(size));
      }
      this.violations[p] = top / beta;
      largest = Math.max(largest, top / beta);
    }
    return scaledDual(value.linear, value.quadratic, largest);
  }
}

/** max of s linear - s^2 quadratic over 0 <= s <= 1 / max(1, violation), a little less than that for rounding. */
export function scaledDual(linear: number, quadratic: number, violation: number): number {
  const most = violation > 1 ? (1 - 1e-14) / violation : 1;
  const s = quadratic > 0 ? Math.max(0, Math.min(most, linear / (2 * quadratic))) : linear > 0 ? most : 0;
  return s * linear - s * s * quadratic;
}
