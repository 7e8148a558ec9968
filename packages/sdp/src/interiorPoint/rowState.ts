// The iterate and directions of the rows R x - g >= 0 (everything of order one): slack s, dual y, their directions, the
// residual p = R x - g - s and the second-order term of the corrector. All arrays are `[rows]`.
//
//   ds = R dx + p,   dy = (mu - second - y ds) / s - y

import type { Workspace } from "@worstcase/linalg/kernels";
import { addRowsAdjoint, addRowsSchur, applyRows } from "./operators.js";
import type { Rows } from "./reducedProblem.js";

export class RowState {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly ds: Float64Array;
  readonly dy: Float64Array;
  readonly bestS: Float64Array;
  readonly bestY: Float64Array;
  private readonly residual: Float64Array;
  private readonly second: Float64Array;
  private readonly scratch: Float64Array;

  static lengths(rows: Rows): number[] {
    return new Array<number>(9).fill(rows.right.length);
  }

  constructor(
    readonly rows: Rows,
    workspace: Workspace,
  ) {
    const take = () => workspace.float64(rows.right.length);
    [this.s, this.y, this.ds, this.dy, this.bestS, this.bestY] = [take(), take(), take(), take(), take(), take()];
    [this.residual, this.second, this.scratch] = [take(), take(), take()];
  }

  begin(slack: number, dual: number): void {
    this.s.fill(slack);
    this.y.fill(dual);
  }

  /** <g, y>. */
  constantProduct(): number {
    let sum = 0;
    for (let i = 0; i < this.y.length; i++) sum += this.rows.right[i] * this.y[i];
    return sum;
  }

  /** residual <- R x - g - s. Returns its square. */
  updateResidual(x: Float64Array): number {
    const { residual, s } = this;
    applyRows(this.rows, x, 1, residual);
    let square = 0;
    for (let i = 0; i < s.length; i++) {
      residual[i] -= s[i];
      square += residual[i] * residual[i];
    }
    return square;
  }

  /** s += sign residual. */
  shiftByResidual(sign: 1 | -1): void {
    for (let i = 0; i < this.s.length; i++) this.s[i] += sign * this.residual[i];
  }

  isPositive(which: "slack" | "dual"): boolean {
    return (which === "slack" ? this.s : this.y).every((value) => value > 0);
  }

  /** H (lower triangle, `[m, m]`) += R' diag(y / s) R. */
  addSchur(h: Float64Array, m: number): void {
    addRowsSchur(this.rows, this.y, this.s, h, m);
  }

  /** out_k -= (R' diag(y / s) residual)_k. */
  subtractResidualPart(out: Float64Array): void {
    const { s, y, residual, scratch } = this;
    for (let i = 0; i < s.length; i++) scratch[i] = (y[i] * residual[i]) / s[i];
    addRowsAdjoint(this.rows, scratch, -1, out);
  }

  /** Predictor: the directions at mu = 0 without a second-order term. */
  predict(dx: Float64Array): void {
    this.second.fill(0);
    this.directions(dx, 0);
  }

  /** out += R'(mu - ds dy) / s with the predictor's directions: the corrector's part of the right-hand side. */
  addCorrectorPart(mu: number, out: Float64Array): void {
    const { s, ds, dy, second, scratch } = this;
    for (let i = 0; i < s.length; i++) {
      second[i] = dy[i] * ds[i];
      scratch[i] = (mu - second[i]) / s[i];
    }
    addRowsAdjoint(this.rows, scratch, 1, out);
  }

  directions(dx: Float64Array, mu: number): void {
    const { s, y, ds, dy, residual, second } = this;
    applyRows(this.rows, dx, 0, ds);
    for (let i = 0; i < s.length; i++) {
      ds[i] += residual[i];
      dy[i] = (mu - second[i] - y[i] * ds[i]) / s[i] - y[i];
    }
  }

  /** dy += diag(y / s) R delta, which leaves ds as it is. */
  correctDual(delta: Float64Array): void {
    const { s, y, dy, scratch } = this;
    applyRows(this.rows, delta, 0, scratch);
    for (let i = 0; i < y.length; i++) dy[i] += (y[i] / s[i]) * scratch[i];
  }

  /** The smallest ds / s and dy / y. */
  ratios(): [slack: number, dual: number] {
    const { s, y, ds, dy } = this;
    let [slack, dual] = [0, 0];
    for (let i = 0; i < s.length; i++) {
      slack = Math.min(slack, ds[i] / s[i]);
      dual = Math.min(dual, dy[i] / y[i]);
    }
    return [slack, dual];
  }

  /** sums += (s'y, ds'y, s'dy, ds'dy). */
  addProducts(sums: Float64Array): void {
    const { s, y, ds, dy } = this;
    for (let i = 0; i < s.length; i++) {
      sums[0] += s[i] * y[i];
      sums[1] += ds[i] * y[i];
      sums[2] += s[i] * dy[i];
      sums[3] += ds[i] * dy[i];
    }
  }

  /** s += step ds or y += step dy. */
  move(which: "slack" | "dual", step: number): void {
    const [values, direction] = which === "slack" ? [this.s, this.ds] : [this.y, this.dy];
    for (let i = 0; i < values.length; i++) values[i] += step * direction[i];
  }

  keepBest(): void {
    this.bestS.set(this.s);
    this.bestY.set(this.y);
  }

  restoreBest(): void {
    this.s.set(this.bestS);
    this.y.set(this.bestY);
  }

  /** G (lower triangle) += R'R. */
  addGram(gram: Float64Array, m: number): void {
    this.scratch.fill(1);
    addRowsSchur(this.rows, this.scratch, this.scratch, gram, m);
  }

  /** y of the best point += R z. */
  shiftBestY(z: Float64Array): void {
    applyRows(this.rows, z, 0, this.scratch);
    for (let i = 0; i < this.bestY.length; i++) this.bestY[i] += this.scratch[i];
  }
}
