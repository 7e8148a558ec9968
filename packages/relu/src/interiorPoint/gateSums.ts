// Products with the gates: A_io = sum_p d_pi t_po and its transpose, and from there to the terms of the loss (lossTerms.ts).
// T: [P, outputs D]   A: [n, outputs D]   sums: [terms, D]   score: [terms]

import type { Workspace } from "@worstcase/linalg";
import type { ReluProgram } from "../program/program.js";
import type { TermIndex } from "./termIndex.js";

export class GateSums {
  /** d_pi as numbers, `[n, P]`, a workspace array. */
  readonly open: Float64Array;
  private readonly rows: Float64Array;

  static sizes({ samples, gateCount, outputs, width }: ReluProgram): number[] {
    return [samples * gateCount, samples * outputs * width];
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly terms: TermIndex,
    private readonly workspace: Workspace,
  ) {
    const { samples, gateCount, outputs, width, bits } = program;
    this.open = workspace.float64(samples * gateCount);
    this.open.set(bits);
    this.rows = workspace.float64(samples * outputs * width);
  }

  /** A_k and m_k of every term for T (a workspace array). */
  apply(pieces: Float64Array, sums: Float64Array, score: Float64Array): void {
    const { program, terms, rows, workspace } = this;
    const { samples, gateCount, outputs, width, inputs } = program;
    const row = outputs * width;
    workspace.gemm(false, false, samples, row, gateCount, 1, this.open, gateCount, pieces, row, 0, rows, row);
    for (let k = 0; k < terms.count; k++) {
      const i = terms.sample[k];
      const own = i * row + terms.first[k] * width;
      const other = terms.second[k] < 0 ? -1 : i * row + terms.second[k] * width;
      let total = 0;
      for (let j = 0; j < width; j++) {
        const a = terms.plus[k] * rows[own + j] - (other < 0 ? 0 : rows[other + j]);
        sums[k * width + j] = a;
        total += a * inputs[i * width + j];
      }
      score[k] = total;
    }
  }

  /** out [P, outputs D] = sum_k of the transposed map of (onScore_k x + onA_k); `onA` is [terms, d] or null. */
  transpose(onScore: Float64Array, onA: Float64Array | null, out: Float64Array): void {
    const { program, terms, rows, workspace } = this;
    const { samples, gateCount, outputs, width, inputs, featureCount } = program;
    const row = outputs * width;
    rows.fill(0);
    for (let k = 0; k < terms.count; k++) {
      const i = terms.sample[k];
      const own = i * row + terms.first[k] * width;
      const other = terms.second[k] < 0 ? -1 : i * row + terms.second[k] * width;
      for (let j = 0; j < width; j++) {
        let force = onScore[k] * inputs[i * width + j];
        if (onA !== null && j < featureCount) force += onA[k * featureCount + j];
        rows[own + j] += terms.plus[k] * force;
        if (other >= 0) rows[other + j] -= force;
      }
    }
    workspace.gemm(true, false, gateCount, row, samples, 1, this.open, gateCount, rows, row, 0, out, row);
  }
}
