// The iterate and directions of one psd block and the dense algebra on them. All arrays are `[order, order]`, row-major,
// in the solver's workspace; nothing is allocated after the first iteration.
//
//   HKM direction: dY = mu S^-1 - Y - sym(Y dS S^-1) - sym(dYa dSa S^-1), the last term after Mehrotra's predictor (dSa, dYa)
//
// Two ways to the same direction. The plain form multiplies as written. The careful form works with S = L L' in the scaled
// space L'Y L, L^-1 dS L^-T, whose entries stay of order mu and 1, and comes back by triangular solves: its rounding is
// relative to Y, where |dS S^-1| in the plain form can reach the square root of the condition number of S. It costs about
// twice as much and is used from the iteration on where the plain form loses dual feasibility.

import type { Workspace } from "@worstcase/linalg/kernels";
import { addAdjoint, applyBlock } from "./operators.js";
import type { PsdBlock } from "./reducedProblem.js";
import type { RootSystem } from "./rootSystem.js";
import { addSchur, planSchur, type SchurPlan } from "./schur.js";
import { smallestRatio, stepScratch } from "./stepLength.js";

/** Below this share of nonzeros a product with dS goes row by row instead of through a dense product. */
const SPARSE_DENSITY = 0.04;
const MATRICES = 14;

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
  private readonly second: Float64Array;
  private readonly scaledY: Float64Array;
  private careful = false;
  private readonly stepVectors: readonly Float64Array[];
  private readonly plan: SchurPlan;
  private readonly lanes: Float64Array;
  /** Columns of the pattern of sum x_k F_k - F_0 by row, when it is sparse. */
  private readonly pattern: { readonly start: Int32Array; readonly column: Int32Array } | undefined;

  static lengths(block: PsdBlock): number[] {
    const { order } = block;
    const { lanes } = planSchur(block);
    const gathered = lanes > 1 ? [lanes * order * order] : [];
    return [...new Array<number>(MATRICES).fill(order * order), ...stepScratch(order), ...gathered];
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
    [this.g, this.w, this.second, this.scaledY] = [take(), take(), take(), take()];
    this.stepVectors = stepScratch(n).map((length) => workspace.float64(length));
    this.plan = planSchur(block);
    this.lanes = workspace.float64(this.plan.lanes > 1 ? this.plan.lanes * n * n : 0);
    this.pattern = sparsePattern(block);
  }

  /** S = slack I, Y = dual I. */
  begin(slack: number, dual: number): void {
    for (let i = 0; i < this.order; i++) {
      this.s[i * this.order + i] = slack;
      this.y[i * this.order + i] = dual;
    }
  }

  /** residual <- sum x_k F_k - F_0 - S. Returns |residual|^2. */
  updateResidual(x: Float64Array): number {
    const { residual, s } = this;
    applyBlock(this.block, x, 1, residual);
    let sum = 0;
    for (let i = 0; i < s.length; i++) {
      const value = residual[i] - s[i];
      residual[i] = value;
      sum += value * value;
    }
    return sum;
  }

  /** S += sign residual. */
  shiftByResidual(sign: 1 | -1): void {
    for (let i = 0; i < this.s.length; i++) this.s[i] += sign * this.residual[i];
  }

  /** Factors S, or Y; false when it is not positive definite. Steps, inverses and ratios use the factors. */
  factor(which: "slack" | "dual"): boolean {
    const { order: n, workspace } = this;
    const [matrix, factor] = which === "slack" ? [this.s, this.factorS] : [this.y, this.factorY];
    factor.set(matrix);
    return workspace.potrf(n, factor, n) === 0;
  }

  /** The block's part of the square root of H; only in careful form. */
  fillRoot(root: RootSystem, j: number): boolean {
    return root.fillBlock(j, this.block, this.factorS, this.scaledY);
  }

  addSchur(h: Float64Array, m: number): void {
    const scratch = { left: this.w, right: this.dy, product: this.g, lanes: this.lanes };
    addSchur(this.block, this.plan, this.workspace, scratch, this.y, this.inverse, h, m);
  }

  /** out_k -= <F_k, Y P S^-1>. */
  subtractResidualPart(out: Float64Array): void {
    this.timesY(this.residual, 0);
    this.unscale();
    addAdjoint(this.block, this.w, -1, out);
  }

  /** Begins an iteration: S^-1, and in careful form L'Y L with S = L L'. */
  prepare(careful: boolean): void {
    const { order: n, workspace, inverse, factorS, g, scaledY } = this;
    inverse.set(factorS);
    workspace.potri(n, inverse, n);
    this.careful = careful;
    if (!careful) return;
    workspace.gemm(false, false, n, n, n, 1, this.y, n, factorS, n, 0, g, n);
    workspace.gemm(true, false, n, n, n, 1, factorS, n, g, n, 0, scaledY, n);
  }

  /** Predictor: dS = sum dx_k F_k (+ P), dY = -Y - sym(Y dS S^-1), and w = dY dS S^-1 for the corrector. */
  predict(dx: Float64Array, withResidual: boolean): void {
    const { order: n, workspace, dy, w, g } = this;
    this.slackDirection(dx, withResidual);
    this.timesY(this.ds, 0);
    this.dualDirection(0);
    // in careful form dy holds the scaled direction here
    workspace.gemm(false, false, n, n, n, 1, dy, n, g, n, 0, this.second, n);
    if (!this.careful) return;
    symmetrise(this.second, n);
    w.set(dy);
    this.unscale();
    dy.set(w);
  }

  /** out_k += mu <F_k, S^-1> - <F_k, dYa dSa S^-1>: the corrector's part of the right-hand side. */
  addCorrectorPart(mu: number, out: Float64Array): void {
    this.w.set(this.second);
    this.unscale();
    addAdjoint(this.block, this.w, -1, out);
    addAdjoint(this.block, this.inverse, mu, out);
  }

  /** Final directions: dY = mu S^-1 - Y - sym(Y dS S^-1 + dYa dSa S^-1). */
  correct(dx: Float64Array, mu: number, withResidual: boolean): void {
    const { dy, w } = this;
    this.slackDirection(dx, withResidual);
    w.set(this.second);
    this.timesY(this.ds, 1);
    this.dualDirection(mu);
    if (!this.careful) return;
    w.set(dy);
    this.unscale();
    dy.set(w);
  }

  /** dY <- dY + sym(Y F S^-1) with F = sum_k delta_k F_k, which leaves dS as it is. */
  correctDual(delta: Float64Array): void {
    const { order: n, dy, w, second } = this;
    applyBlock(this.block, delta, 0, second);
    this.timesY(second, 0);
    symmetrise(w, n);
    this.unscale();
    for (let i = 0; i < dy.length; i++) dy[i] += w[i];
  }

  private slackDirection(dx: Float64Array, withResidual: boolean): void {
    const { ds, residual } = this;
    applyBlock(this.block, dx, 0, ds);
    if (withResidual) for (let i = 0; i < ds.length; i++) ds[i] += residual[i];
  }

  /** w <- Y M S^-1 + beta w with g = M S^-1; in careful form w <- (L'Y L) g + beta w with g = L^-1 M L^-T. */
  private timesY(matrix: Float64Array, beta: number): void {
    const { order: n, workspace, y, scaledY, factorS, g, w } = this;
    if (this.careful) {
      g.set(matrix);
      workspace.trsm("left", false, n, n, factorS, n, g, n);
      workspace.trsm("right", true, n, n, factorS, n, g, n);
    } else this.timesInverse(matrix, g);
    workspace.gemm(false, false, n, n, n, 1, this.careful ? scaledY : y, n, g, n, beta, w, n);
  }

  /** dY <- mu S^-1 - Y - sym(w), in careful form scaled: mu I - L'Y L - sym(w). */
  private dualDirection(mu: number): void {
    const { order: n, dy, w, careful, inverse } = this;
    const y = careful ? this.scaledY : this.y;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        const [p, q] = [i * n + j, j * n + i];
        const centre = careful ? (i === j ? mu : 0) : mu * inverse[p];
        const value = centre - 0.5 * (y[p] + y[q]) - 0.5 * (w[p] + w[q]);
        dy[p] = value;
        dy[q] = value;
      }
    }
  }

  /** In careful form w <- L^-T w L^-1 for symmetric w, symmetric again; else nothing. */
  private unscale(): void {
    if (!this.careful) return;
    const { order: n, workspace, factorS, w } = this;
    workspace.trsm("left", true, n, n, factorS, n, w, n);
    workspace.trsm("right", false, n, n, factorS, n, w, n);
    symmetrise(w, n);
  }

  /** Smallest eigenvalues of dS relative to S and of dY relative to Y. */
  ratios(): [slack: number, dual: number] {
    const { order: n, workspace, stepVectors } = this;
    return [
      smallestRatio(workspace, n, this.factorS, this.ds, stepVectors),
      smallestRatio(workspace, n, this.factorY, this.dy, stepVectors),
    ];
  }

  /** sums += (<S, Y>, <dS, Y>, <S, dY>, <dS, dY>). */
  addProducts(sums: Float64Array): void {
    const { s, y, ds, dy } = this;
    for (let i = 0; i < s.length; i++) {
      sums[0] += s[i] * y[i];
      sums[1] += ds[i] * y[i];
      sums[2] += s[i] * dy[i];
      sums[3] += ds[i] * dy[i];
    }
  }

  /** S += step dS or Y += step dY. */
  move(which: "slack" | "dual", step: number): void {
    const [matrix, direction] = which === "slack" ? [this.s, this.ds] : [this.y, this.dy];
    for (let i = 0; i < matrix.length; i++) matrix[i] += step * direction[i];
  }

  keepBest(): void {
    this.bestS.set(this.s);
    this.bestY.set(this.y);
  }

  /** G (lower triangle) += (<F_j, F_k>). Spoils the inverse and the directions. */
  addGram(gram: Float64Array, m: number): void {
    const { order: n, inverse } = this;
    inverse.fill(0);
    for (let i = 0; i < n; i++) inverse[i * n + i] = 1;
    const scratch = { left: this.w, right: this.dy, product: this.g, lanes: this.lanes };
    addSchur(this.block, this.plan, this.workspace, scratch, inverse, inverse, gram, m);
  }

  /** Y of the best point += sum_k z_k F_k. */
  shiftBestY(z: Float64Array): void {
    applyBlock(this.block, z, 0, this.w);
    for (let i = 0; i < this.w.length; i++) this.bestY[i] += this.w[i];
  }

  restoreBest(): void {
    this.s.set(this.bestS);
    this.y.set(this.bestY);
    this.factor("slack");
    this.factor("dual");
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

function symmetrise(matrix: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const value = 0.5 * (matrix[i * n + j] + matrix[j * n + i]);
      matrix[i * n + j] = value;
      matrix[j * n + i] = value;
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
