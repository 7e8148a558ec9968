// The whole iterate of the interior-point method over all blocks: start, residuals, one predictor-corrector step, best point.

import type { Workspace } from "@worstcase/linalg";
import type { SdpProblem } from "../problem.js";
import { BlockState } from "./blockState.js";
import type { ReducedPoint } from "./expand.js";
import { addAdjoint, addRowsAdjoint, applyRows, constantProduct } from "./operators.js";
import type { PsdBlock, ReducedProblem } from "./reducedProblem.js";
import { addRowsSchur } from "./schur.js";
import { SchurSystem } from "./schurSystem.js";

export interface Measures {
  readonly primalObjective: number;
  readonly dualObjective: number;
  /** DIMACS errors 3 and 1, and the larger of |5| and |6|. */
  readonly primalResidual: number;
  readonly dualResidual: number;
  readonly gap: number;
}

export class Iterate {
  readonly x: Float64Array;
  bestMerit = Number.POSITIVE_INFINITY;
  private readonly u: Float64Array;
  private readonly blocks: readonly BlockState[];
  private readonly system: SchurSystem;
  // variables
  private readonly dx: Float64Array;
  private readonly right: Float64Array;
  private readonly predicted: Float64Array;
  private readonly dualGap: Float64Array;
  private readonly bestX: Float64Array;
  // rows: slack, dual, directions, residual, second-order term
  private readonly s: Float64Array;
  private readonly y: Float64Array;
  private readonly ds: Float64Array;
  private readonly dy: Float64Array;
  private readonly p: Float64Array;
  private readonly second: Float64Array;
  private readonly rowScratch: Float64Array;
  private readonly bestS: Float64Array;
  private readonly bestY: Float64Array;
  // equalities
  private readonly du: Float64Array;
  private readonly t: Float64Array;
  private readonly bestU: Float64Array;
  private readonly degree: number;
  private readonly sizes: { readonly c: number; readonly constant: number };
  private feasible = false;
  private measures: Measures = {
    primalObjective: 0,
    dualObjective: 0,
    primalResidual: 0,
    dualResidual: 0,
    gap: 0,
  };
  private norms = { adjoint: 0, residual: 0, equality: 0 };

  static lengths({ objective, rows, equalities }: ReducedProblem): number[] {
    const of = (count: number, length: number) => new Array<number>(count).fill(length);
    return [...of(6, objective.length), ...of(9, rows.right.length), ...of(4, equalities.right.length)];
  }

  constructor(
    problem: SdpProblem,
    readonly reduced: ReducedProblem,
    workspace: Workspace,
  ) {
    const m = reduced.objective.length;
    const take = (length: number) => workspace.float64(length);
    this.blocks = reduced.psd.map((block) => new BlockState(block, workspace));
    this.system = new SchurSystem(workspace, m, reduced.equalities);
    [this.x, this.dx, this.right, this.predicted, this.dualGap, this.bestX] = [m, m, m, m, m, m].map(take);
    const r = reduced.rows.right.length;
    [this.s, this.y, this.ds, this.dy, this.p, this.second, this.rowScratch, this.bestS, this.bestY] = [
      ...new Array<number>(9).fill(r),
    ].map(take);
    const e = reduced.equalities.right.length;
    [this.u, this.du, this.t, this.bestU] = [e, e, e, e].map(take);
    this.degree = reduced.psd.reduce((sum, { order }) => sum + order, r);
    this.sizes = { c: largest(problem.objective), constant: constantSize(problem) };
    this.begin();
  }

  /** S = eta I, Y = xi I, x = 0, u = 0 with sizes from the data (Toh, Todd, Tutuncu, SDPT3). */
  private begin(): void {
    const { objective, psd, rows } = this.reduced;
    psd.forEach((block, j) => {
      const n = block.order;
      const { squares, constant } = blockNorms(block);
      let [ratio, widest] = [0, constant];
      for (const [k, square] of squares) {
        const size = Math.sqrt(square);
        ratio = Math.max(ratio, (1 + Math.abs(objective[k])) / (1 + size));
        widest = Math.max(widest, size);
      }
      const slack = Math.max(10, Math.sqrt(n), widest);
      const dual = Math.max(10, Math.sqrt(n), n * ratio);
      for (let i = 0; i < n; i++) {
        this.blocks[j].s[i * n + i] = slack;
        this.blocks[j].y[i * n + i] = dual;
      }
    });
    const r = rows.right.length;
    if (r === 0) return;
    const squares = new Map<number, number>();
    rows.variable.forEach((k, e) => squares.set(k, (squares.get(k) ?? 0) + rows.value[e] ** 2));
    let [ratio, widest] = [0, Math.sqrt(rows.right.reduce((sum, g) => sum + g * g, 0))];
    for (const [k, square] of squares) {
      const size = Math.sqrt(square);
      ratio = Math.max(ratio, (1 + Math.abs(objective[k])) / (1 + size));
      widest = Math.max(widest, size);
    }
    this.s.fill(Math.max(10, Math.sqrt(r), widest));
    this.y.fill(Math.max(10, Math.sqrt(r), Math.sqrt(r) * ratio));
  }

  /** Residuals and objectives of the current point. */
  measure(): Measures {
    const { objective, psd, rows, equalities } = this.reduced;
    const { x, u, y, dualGap, sizes } = this;
    // (<F_k, Y>)_k + A'u, then c minus it
    dualGap.fill(0);
    let dualObjective = 0;
    psd.forEach((block, j) => {
      addAdjoint(block, this.blocks[j].y, 1, dualGap);
      dualObjective += constantProduct(block, this.blocks[j].y);
    });
    addRowsAdjoint(rows, y, 1, dualGap);
    addRowsAdjoint(equalities, u, 1, dualGap);
    for (let i = 0; i < y.length; i++) dualObjective += rows.right[i] * y[i];
    for (let i = 0; i < u.length; i++) dualObjective += equalities.right[i] * u[i];
    this.norms.adjoint = norm(dualGap);
    let primalObjective = 0;
    for (let k = 0; k < x.length; k++) {
      dualGap[k] = objective[k] - dualGap[k];
      primalObjective += objective[k] * x[k];
    }
    const size = 1 + Math.max(sizes.constant, largest(equalities.right));
    let square = this.updateResiduals(false);
    applyRows(equalities, x, 1, this.t);
    for (let i = 0; i < this.t.length; i++) this.t[i] = -this.t[i];
    this.norms.residual = Math.sqrt(square);
    this.norms.equality = norm(this.t);
    this.feasible = Math.sqrt(square) <= 1e-14 * size;
    if (this.feasible) square = this.updateResiduals(true);
    let complementarity = 0;
    for (const block of this.blocks) for (let i = 0; i < block.s.length; i++) complementarity += block.s[i] * block.y[i];
    for (let i = 0; i < y.length; i++) complementarity += this.s[i] * y[i];
    const scale = 1 + Math.abs(primalObjective) + Math.abs(dualObjective);
    this.measures = {
      primalObjective,
      dualObjective,
      primalResidual: Math.hypot(Math.sqrt(square), this.norms.equality) / size,
      dualResidual: norm(dualGap) / (1 + sizes.c),
      gap: Math.max(Math.abs(primalObjective - dualObjective), Math.abs(complementarity)) / scale,
    };
    return this.measures;
  }

  private updateResiduals(exact: boolean): number {
    const { x, s, p } = this;
    let square = 0;
    for (const block of this.blocks) square += block.updateResidual(x, exact);
    applyRows(this.reduced.rows, x, 1, p);
    for (let i = 0; i < p.length; i++) {
      if (exact) {
        s[i] = p[i];
        p[i] = 0;
      } else {
        p[i] -= s[i];
        square += p[i] * p[i];
      }
    }
    return square;
  }

  /** One predictor-corrector step; the steps taken, or undefined when a factorisation failed. */
  advance(): [primal: number, dual: number] | undefined {
    const { blocks, system, right, predicted, x, u, dx, du, s, y, ds, dy, second } = this;
    const { objective, rows, equalities } = this.reduced;
    const m = x.length;
    for (const block of blocks) if (!block.factor()) return undefined;
    for (let i = 0; i < s.length; i++) if (!(s[i] > 0 && y[i] > 0)) return undefined;
    system.h.fill(0);
    for (const block of blocks) block.addSchur(system.h, m);
    addRowsSchur(rows, y, s, system.h, m);
    if (!system.factor()) return undefined;

    // predictor: mu = 0
    for (let k = 0; k < m; k++) predicted[k] = -objective[k];
    addRowsAdjoint(equalities, u, 1, predicted);
    if (!this.feasible) {
      for (const block of blocks) block.subtractResidualPart(predicted);
      for (let i = 0; i < s.length; i++) this.rowScratch[i] = (y[i] * this.p[i]) / s[i];
      addRowsAdjoint(rows, this.rowScratch, -1, predicted);
    }
    system.solve(predicted, this.t, dx, du);
    second.fill(0);
    this.directions(0, false);
    const [primalAffine, dualAffine] = this.steps(1);
    const products = this.products();
    const mu = products[0] / this.degree;
    const affine = products[0] + primalAffine * products[1] + dualAffine * products[2] + primalAffine * dualAffine * products[3];
    const shortest = Math.min(primalAffine, dualAffine);
    const exponent = mu > 1e-6 ? Math.max(1, 3 * shortest * shortest) : 1;
    const sigma = affine <= 0 ? 1e-8 : Math.min(1, (affine / products[0]) ** exponent);
    const target = sigma * mu;

    // corrector
    right.set(predicted);
    for (const block of blocks) block.addCorrectorPart(target, right);
    for (let i = 0; i < s.length; i++) {
      second[i] = dy[i] * ds[i];
      this.rowScratch[i] = (target - second[i]) / s[i];
    }
    addRowsAdjoint(rows, this.rowScratch, 1, right);
    system.solve(right, this.t, dx, du);
    this.directions(target, true);
    const fraction = 0.9 + 0.09 * shortest;
    const [primal, dual] = this.steps(fraction);
    for (let k = 0; k < m; k++) x[k] += primal * dx[k];
    for (let i = 0; i < u.length; i++) u[i] += dual * du[i];
    for (const block of blocks) block.step(primal, dual);
    for (let i = 0; i < s.length; i++) {
      s[i] += primal * ds[i];
      y[i] += dual * dy[i];
    }
    return [primal, dual];
  }

  private directions(mu: number, corrected: boolean): void {
    const { dx, s, y, ds, dy, p, second } = this;
    for (const block of this.blocks) block.direction(dx, mu, !this.feasible, corrected);
    applyRows(this.reduced.rows, dx, 0, ds);
    for (let i = 0; i < s.length; i++) {
      ds[i] += p[i];
      dy[i] = (mu - second[i] - y[i] * ds[i]) / s[i] - y[i];
    }
  }

  /** The longest steps to the boundary times `fraction`, at most 1. */
  private steps(fraction: number): [primal: number, dual: number] {
    let [slack, dual] = [0, 0];
    for (const block of this.blocks) {
      const [a, b] = block.ratios();
      slack = Math.min(slack, a);
      dual = Math.min(dual, b);
    }
    const { s, y, ds, dy } = this;
    for (let i = 0; i < s.length; i++) {
      slack = Math.min(slack, ds[i] / s[i]);
      dual = Math.min(dual, dy[i] / y[i]);
    }
    return [Math.min(1, fraction / -slack), Math.min(1, fraction / -dual)];
  }

  private products(): [number, number, number, number] {
    const total: [number, number, number, number] = [0, 0, 0, 0];
    for (const block of this.blocks) block.products().forEach((value, i) => (total[i] += value));
    const { s, y, ds, dy } = this;
    for (let i = 0; i < s.length; i++) {
      total[0] += s[i] * y[i];
      total[1] += ds[i] * y[i];
      total[2] += s[i] * dy[i];
      total[3] += ds[i] * dy[i];
    }
    return total;
  }

  keepBest(merit: number): void {
    this.bestMerit = merit;
    this.bestX.set(this.x);
    this.bestU.set(this.u);
    this.bestS.set(this.s);
    this.bestY.set(this.y);
    for (const block of this.blocks) block.keepBest();
  }

  best(): ReducedPoint {
    return {
      x: this.bestX,
      slack: this.blocks.map(({ bestS }) => bestS),
      slackRows: this.bestS,
      dual: this.blocks.map(({ bestY }) => bestY),
      dualRows: this.bestY,
      multipliers: this.bestU,
    };
  }

  current() {
    return { psdDual: this.blocks.map(({ y }) => y), dualRows: this.y, multipliers: this.u };
  }

  /** Cheap relative measures of how close the iterate is to a ray; infinite when the objective has the wrong sign. */
  raySigns(): { dual: number; primal: number } {
    const { primalObjective, dualObjective } = this.measures;
    const { adjoint, residual, equality } = this.norms;
    const constant = 1 + this.sizes.constant;
    return {
      dual: dualObjective > 0 ? (0.01 * adjoint) / dualObjective : Number.POSITIVE_INFINITY,
      primal: primalObjective < 0 ? (0.01 * (constant + residual + equality)) / -primalObjective : Number.POSITIVE_INFINITY,
    };
  }
}

function blockNorms(block: PsdBlock) {
  const squares = new Map<number, number>();
  const add = (k: number, square: number) => squares.set(k, (squares.get(k) ?? 0) + square);
  const { variable, start, row, column, value } = block.terms;
  for (let g = 0; g < variable.length; g++) {
    for (let e = start[g]; e < start[g + 1]; e++) add(variable[g], (row[e] === column[e] ? 1 : 2) * value[e] ** 2);
  }
  for (const { variable: k, weight, vector } of block.rankOne) add(k, (weight * norm(vector) ** 2) ** 2);
  let constant = 0;
  const f = block.constant;
  for (let e = 0; e < f.value.length; e++) constant += (f.row[e] === f.column[e] ? 1 : 2) * f.value[e] ** 2;
  return { squares, constant: Math.sqrt(constant) };
}

function constantSize({ blocks }: SdpProblem): number {
  let size = 0;
  for (const { entries, rankOne = [] } of blocks) {
    for (let e = 0; e < entries.value.length; e++) {
      if (entries.matrix[e] === 0) size = Math.max(size, Math.abs(entries.value[e]));
    }
    for (const { matrix, weight, vector } of rankOne) {
      if (matrix === 0) size = Math.max(size, Math.abs(weight) * largest(vector) ** 2);
    }
  }
  return size;
}

function norm(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

function largest(values: Float64Array): number {
  let size = 0;
  for (let i = 0; i < values.length; i++) size = Math.max(size, Math.abs(values[i]));
  return size;
}
