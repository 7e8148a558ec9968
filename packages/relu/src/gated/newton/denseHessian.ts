// The Hessian of the smoothed gated program as one dense matrix, for small working sets and several outputs.
//   1/n sum_i (d_i d_i') kron (w w' weight + x x' bend + spread (Diag(delta) - c v v')) + beta/tau (I - (rho t' + t rho')/(2 tau))
// Rank-one parts are rows V of [rows, N] added by two symmetric products, positive and negative; diagonal parts by loops over pairs of
// open gates. matrix: [N, N]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../../program/program.js";
import { type GroupCurvature, type HessianSolver, NEGLIGIBLE } from "./hessianSolver.js";
import type { SmoothTerms } from "./smoothTerms.js";

/** Rows of V collected before a symmetric product. */
const ROWS = 192;

export class DenseHessian implements HessianSolver {
  private readonly row: number;
  private readonly size: number;
  private readonly workspace: Workspace;
  private readonly hessian: Float64Array;
  private readonly positive: Float64Array;
  private readonly negative: Float64Array;
  private readonly right: Float64Array;
  private readonly open: Int32Array;
  private positiveRows = 0;
  private negativeRows = 0;

  constructor(
    private readonly program: ReluProgram,
    private readonly gates: Int32Array,
    kernels: Kernels,
  ) {
    this.row = program.outputs * program.width;
    this.size = gates.length * this.row;
    const { size } = this;
    this.workspace = kernels.workspace(workspaceSize(size * size, ROWS * size, ROWS * size, size));
    this.hessian = this.workspace.float64(size * size);
    this.positive = this.workspace.float64(ROWS * size);
    this.negative = this.workspace.float64(ROWS * size);
    this.right = this.workspace.float64(size);
    this.open = new Int32Array(gates.length);
  }

  factorise(
    groups: GroupCurvature,
    forEachTerm: (sink: (sample: number, plus: number, minus: number, term: SmoothTerms) => void) => void,
  ): boolean {
    const { size, hessian } = this;
    for (let shift = 1e-13; shift < 1; shift *= 1000) {
      hessian.fill(0);
      this.positiveRows = 0;
      this.negativeRows = 0;
      forEachTerm((sample, plus, minus, term) => this.addTerm(sample, plus, minus, term));
      this.flush(true);
      this.flush(false);
      for (let k = 0; k < hessian.length; k++) hessian[k] /= this.program.samples;
      this.addGroups(groups);
      let largest = 0;
      for (let k = 0; k < size; k++) largest = Math.max(largest, hessian[k * (size + 1)]);
      for (let k = 0; k < size; k++) hessian[k * (size + 1)] += shift * largest;
      if (this.workspace.potrf(size, hessian, size) === 0) return true;
    }
    return false;
  }

  solve(right: Float64Array): void {
    this.right.set(right);
    this.workspace.trsv(false, this.size, this.hessian, this.size, this.right);
    this.workspace.trsv(true, this.size, this.hessian, this.size, this.right);
    right.set(this.right);
  }

  private addGroups({ groupLength, point, rho, tau }: GroupCurvature): void {
    const { size, hessian } = this;
    const { beta } = this.program;
    for (let from = 0; from < size; from += groupLength) {
      const t = tau[from / groupLength];
      for (let j = from; j < from + groupLength; j++) {
        for (let k = from; k <= j; k++) {
          hessian[j * size + k] -= (beta * (rho[j] * point[k] + point[j] * rho[k])) / (2 * t * t);
        }
        hessian[j * (size + 1)] += beta / t;
      }
    }
  }

  private addTerm(sample: number, plus: number, minus: number, term: SmoothTerms): void {
    const { inputs, width, featureCount, beta } = this.program;
    const { gates, open } = this;
    const { bits, gateCount } = this.program;
    let count = 0;
    for (let slot = 0; slot < gates.length; slot++)
      if (bits[sample * gateCount + gates[slot]] !== 0) open[count++] = slot;
    if (count === 0) return;
    if (term.weight > NEGLIGIBLE * beta)
      this.addRow(true, count, plus, minus, Math.sqrt(term.weight), term.w, 0, width);
    if (term.bend > 0) this.addRow(true, count, plus, minus, Math.sqrt(term.bend), inputs, sample * width, width);
    if (!(term.spread > NEGLIGIBLE * beta)) return;
    const { norm } = term;
    if (norm.c > 0) this.addRow(false, count, plus, minus, Math.sqrt(term.spread * norm.c), norm.v, 0, featureCount);
    this.addDiagonal(count, plus, minus, term.spread, norm.delta);
  }

  private addRow(
    positive: boolean,
    count: number,
    plus: number,
    minus: number,
    factor: number,
    vector: Float64Array,
    from: number,
    length: number,
  ): void {
    const { open, row, size } = this;
    const { width } = this.program;
    const rows = positive ? this.positive : this.negative;
    const start = (positive ? this.positiveRows++ : this.negativeRows++) * size;
    rows.fill(0, start, start + size);
    for (let a = 0; a < count; a++) {
      const at = start + open[a] * row;
      for (let k = 0; k < length; k++) rows[at + plus * width + k] = factor * vector[from + k];
      if (minus >= 0) for (let k = 0; k < length; k++) rows[at + minus * width + k] = -factor * vector[from + k];
    }
    if ((positive ? this.positiveRows : this.negativeRows) === ROWS) this.flush(positive);
  }

  private flush(positive: boolean): void {
    const count = positive ? this.positiveRows : this.negativeRows;
    if (count === 0) return;
    const rows = positive ? this.positive : this.negative;
    this.workspace.syrk(true, this.size, count, positive ? 1 : -1, rows, this.size, 1, this.hessian, this.size);
    if (positive) this.positiveRows = 0;
    else this.negativeRows = 0;
  }

  // Lower triangle of spread (d d') kron ((e_plus - e_minus)(e_plus - e_minus)') kron Diag(delta). Both triangles are kept equal,
  // because the symmetric products read the lower one only and write both.
  private addDiagonal(count: number, plus: number, minus: number, spread: number, delta: Float64Array): void {
    const { open, row, size, hessian } = this;
    const { width, featureCount } = this.program;
    for (let a = 0; a < count; a++) {
      for (let b = 0; b <= a; b++) {
        const own = (open[a] * row + plus * width) * size + open[b] * row + plus * width;
        for (let k = 0; k < featureCount; k++) hessian[own + k * (size + 1)] += spread * delta[k];
        if (minus < 0) continue;
        const rival = (open[a] * row + minus * width) * size + open[b] * row + minus * width;
        const mixed = (open[a] * row + plus * width) * size + open[b] * row + minus * width;
        const crossed = (open[a] * row + minus * width) * size + open[b] * row + plus * width;
        for (let k = 0; k < featureCount; k++) {
          hessian[rival + k * (size + 1)] += spread * delta[k];
          hessian[mixed + k * (size + 1)] -= spread * delta[k];
          hessian[crossed + k * (size + 1)] -= spread * delta[k];
        }
      }
    }
  }
}
