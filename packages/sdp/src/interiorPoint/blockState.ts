// The iterate and directions of one psd block and the dense algebra on them. All arrays are `[order, order]`, row-major,
// in the solver's workspace; nothing is allocated after the first iteration.
//
//   HKM direction: dY = mu S^-1 - Y - sym(Y dS S^-1) - sym(dYa dSa S^-1), the last term after Mehrotra's predictor (dSa, dYa)

import type { Workspace } from "@worstcase/linalg";
import { addAdjoint, applyBlock } from "./operators.js";
import type { PsdBlock } from "./reducedProblem.js";
import { addSchur, planSchur, type SchurPlan } from "./schur.js";
import { smallestRatio, stepScratch } from "./stepLength.js";

/** Below this share of nonzeros a product with dS goes row by row instead of through a dense product. */
const SPARSE_DENSITY = 0.04;
const MATRICES = 12;

export class BlockState {
  readonly order: number;
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly ds: Float64Array;
  readonly dy: Float64Array;
  readonly bestS: Float64Array;
  readonly bestY: Float64Array;
  /** P = sum x_k F_k - F_0 - S. */
  readonly residual: Float64Array;
  private readonly factorS: Float64Array;
  private readonly factorY: Float64Array;
  private readonly inverse: Float64Array;
  private readonly g: Float64Array;
  private readonly w: Float64Array;
  private readonly stepVectors: readonly Float64Array[];
  private readonly plan: SchurPlan;
  /** Columns of the pattern of sum x_k F_k - F_0 by row, when it is sparse. */
  private readonly pattern: { readonly start: Int32Array; readonly column: Int32Array } | undefined;

  static lengths({ order }: PsdBlock): number[] {
    return [...new Array<number>(MATRICES).fill(order * order), ...stepScratch(order)];
  }

  constructor(
    readonly block: PsdBlock,
    private readonly workspace: Workspace,
  ) {
    const n = block.order;
    this.order = n;
    const take = () => workspace.float64(n * n);
    [this.s, this.y, this.ds, this.dy, this.bestS, this.bestY] = [take(), take(), take(), take(), take(), take()];
    [this.residual, this.factorS, this.factorY, this.inverse] = [take(), take(), take(), take()];
    [this.g, this.w] = [take(), take()];
    this.stepVectors = stepScratch(n).map((length) => workspace.float64(length));
    this.plan = planSchur(block);
    this.pattern = sparsePattern(block);
  }

  /** residual <- sum x_k F_k - F_0 - S; with `exact`, S <- sum x_k F_k - F_0 and residual <- 0. Returns |residual|^2. */
  updateResidual(x: Float64Array, exact: boolean): number {
    const { residual, s } = this;
    applyBlock(this.block, x, 1, residual);
    if (exact) {
      s.set(residual);
      residual.fill(0);
      return 0;
    }
    let sum = 0;
    for (let i = 0; i < s.length; i++) {
      const value = residual[i] - s[i];
      residual[i] = value;
      sum += value * value;
    }
    return sum;
  }

  /** Factors S and Y and inverts S. False when either is no longer positive definite. */
  factor(): boolean {
    const { order: n, workspace } = this;
    this.factorS.set(this.s);
    if (workspace.potrf(n, this.factorS, n) !== 0) return false;
    this.factorY.set(this.y);
    if (workspace.potrf(n, this.factorY, n) !== 0) return false;
    this.inverse.set(this.factorS);
    workspace.potri(n, this.inverse, n);
    return true;
  }

  addSchur(h: Float64Array, m: number): void {
    const scratch = { left: this.w, right: this.dy, product: this.g };
    addSchur(this.block, this.plan, this.workspace, scratch, this.y, this.inverse, h, m);
  }

  /** out_k -= <F_k, Y P S^-1>. */
  subtractResidualPart(out: Float64Array): void {
    const { order: n, workspace, residual, g, w, y } = this;
    this.timesInverse(residual, g);
    workspace.gemm(false, false, n, n, n, 1, y, n, g, n, 0, w, n);
    addAdjoint(this.block, w, -1, out);
  }

  /** out_k += mu <F_k, S^-1> - <F_k, dYa dSa S^-1>, the corrector's part of the right-hand side. Call after `predict`. */
  addCorrectorPart(mu: number, out: Float64Array): void {
    const { order: n, workspace, inverse, g, w, dy } = this;
    workspace.gemm(false, false, n, n, n, 1, dy, n, g, n, 0, w, n);
    addAdjoint(this.block, w, -1, out);
    addAdjoint(this.block, inverse, mu, out);
  }

  /** Directions dS, dY for dx; `corrected` adds the second-order term left in w by `addCorrectorPart`. */
  direction(dx: Float64Array, mu: number, withResidual: boolean, corrected: boolean): void {
    const { order: n, workspace, ds, dy, g, w, y, inverse, residual } = this;
    applyBlock(this.block, dx, 0, ds);
    if (withResidual) for (let i = 0; i < ds.length; i++) ds[i] += residual[i];
    this.timesInverse(ds, g);
    workspace.gemm(false, false, n, n, n, 1, y, n, g, n, corrected ? 1 : 0, w, n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        const [p, q] = [i * n + j, j * n + i];
        const value = mu * inverse[p] - y[p] - 0.5 * (w[p] + w[q]);
        dy[p] = value;
        dy[q] = value;
      }
    }
  }

  /** Smallest eigenvalues of dS relative to S and of dY relative to Y. */
  ratios(): [slack: number, dual: number] {
    const { order: n, workspace, stepVectors } = this;
    return [
      smallestRatio(workspace, n, this.factorS, this.ds, stepVectors),
      smallestRatio(workspace, n, this.factorY, this.dy, stepVectors),
    ];
  }

  /** <S, Y>, <dS, Y>, <S, dY>, <dS, dY>. */
  products(): [number, number, number, number] {
    const { s, y, ds, dy } = this;
    let [sy, dsy, sdy, dsdy] = [0, 0, 0, 0];
    for (let i = 0; i < s.length; i++) {
      sy += s[i] * y[i];
      dsy += ds[i] * y[i];
      sdy += s[i] * dy[i];
      dsdy += ds[i] * dy[i];
    }
    return [sy, dsy, sdy, dsdy];
  }

  step(primal: number, dual: number): void {
    const { s, y, ds, dy } = this;
    for (let i = 0; i < s.length; i++) {
      s[i] += primal * ds[i];
      y[i] += dual * dy[i];
    }
  }

  keepBest(): void {
    this.bestS.set(this.s);
    this.bestY.set(this.y);
  }

  /** out <- M S^-1 for symmetric M in the aggregate pattern. */
  private timesInverse(matrix: Float64Array, out: Float64Array): void {
    const { order: n, inverse, pattern, workspace } = this;
    if (!pattern) {
      workspace.gemm(false, false, n, n, n, 1, matrix, n, inverse, n, 0, out, n);
      return;
    }
    out.fill(0);
    const { start, column } = pattern;
    for (let i = 0; i < n; i++) {
      const to = i * n;
      for (let e = start[i]; e < start[i + 1]; e++) {
        const weight = matrix[to + column[e]];
        if (weight === 0) continue;
        const from = column[e] * n;
        for (let j = 0; j < n; j++) out[to + j] += weight * inverse[from + j];
      }
    }
  }
}

function sparsePattern({ order, terms, constant, rankOne }: PsdBlock) {
  if (rankOne.length > 0) return undefined;
  const bound = order + 2 * (terms.value.length + constant.value.length);
  if (bound > 40 * SPARSE_DENSITY * order * order && order < 64) return undefined;
  const columns = Array.from({ length: order }, (_, i) => new Set([i]));
  for (const { row, column } of [terms, constant]) {
    for (let e = 0; e < row.length; e++) {
      columns[row[e]].add(column[e]);
      columns[column[e]].add(row[e]);
    }
  }
  const count = columns.reduce((sum, { size }) => sum + size, 0);
  if (count > SPARSE_DENSITY * order * order) return undefined;
  const start = new Int32Array(order + 1);
  columns.forEach(({ size }, i) => {
    start[i + 1] = start[i] + size;
  });
  return { start, column: Int32Array.from(columns.flatMap((set) => [...set].sort((p, q) => p - q))) };
}
