// The whole iterate of the interior-point method over all blocks: start, residuals, one predictor-corrector step, best point.

import type { Workspace } from "@worstcase/linalg/kernels";
import type { SdpProblem } from "../problem.js";
import { BlockState } from "./blockState.js";
import type { ReducedPoint } from "./expand.js";
import { type Measures, rounding } from "./measures.js";
import { addAdjoint, addRowsAdjoint, addRowsSchur, applyRows, constantProduct } from "./operators.js";
import type { ReducedProblem } from "./reducedProblem.js";
import { RootSystem } from "./rootSystem.js";
import { RowState } from "./rowState.js";
import { SchurSystem } from "./schurSystem.js";
import { constantSize, largest, norm, startingSizes, termSizes } from "./sizes.js";

/** The square-root form works where the problem is near degenerate; shorter, more central steps go further there. */
const ROOT_CENTRING = 0.1;
const ROOT_FRACTION = 0.8;

export class Iterate {
  readonly x: Float64Array;
  bestMerit = Number.POSITIVE_INFINITY;
  /** <S, Y>. */
  complementarity = 0;
  private readonly u: Float64Array;
  private readonly blocks: readonly BlockState[];
  private readonly rows: RowState;
  /** All of them. */
  private readonly parts: readonly (BlockState | RowState)[];
  private readonly system: SchurSystem;
  // variables
  /** The last direction of x. */
  readonly dx: Float64Array;
  private readonly right: Float64Array;
  private readonly predicted: Float64Array;
  private readonly dualGap: Float64Array;
  private readonly bestX: Float64Array;
  // equalities
  private readonly du: Float64Array;
  private readonly t: Float64Array;
  private readonly bestU: Float64Array;
  private readonly extra: Float64Array;
  /** Zeros. */
  private readonly lower: Float64Array;
  private readonly degree: number;
  /** Largest absolute entry of F_k. */
  private readonly termSizes: Float64Array;
  private readonly sizes: { readonly c: number; readonly constant: number };
  /** S is exactly sum x_k F_k - F_0. */
  private feasible = false;
  private fullStep = false;
  /** How the directions are computed; it only ever rises, when rounding takes dual feasibility away. */
  private precision: "plain" | "careful" | "root" = "plain";
  private root: RootSystem | undefined;
  private measures: Measures = {
    primalObjective: 0,
    dualObjective: 0,
    primalResidual: 0,
    dualResidual: 0,
    gap: 0,
  };
  /** <S, Y>, <dS, Y>, <S, dY>, <dS, dY>. */
  private readonly products = new Float64Array(4);
  private norms = { adjoint: 0, residual: 0, equality: 0 };

  static lengths({ objective, rows, equalities }: ReducedProblem): number[] {
    const of = (count: number, length: number) => new Array<number>(count).fill(length);
    return [...of(6, objective.length), ...RowState.lengths(rows), ...of(6, equalities.right.length)];
  }

  constructor(
    problem: SdpProblem,
    readonly reduced: ReducedProblem,
    private readonly workspace: Workspace,
  ) {
    const m = reduced.objective.length;
    const take = (length: number) => workspace.float64(length);
    this.blocks = reduced.psd.map((block) => new BlockState(block, workspace));
    this.system = new SchurSystem(workspace, m, reduced.equalities);
    [this.x, this.dx, this.right, this.predicted, this.dualGap, this.bestX] = [m, m, m, m, m, m].map(take);
    this.rows = new RowState(reduced.rows, workspace);
    this.parts = [...this.blocks, this.rows];
    const e = reduced.equalities.right.length;
    [this.u, this.du, this.t, this.bestU, this.extra, this.lower] = [e, e, e, e, e, e].map(take);
    this.degree = reduced.psd.reduce((sum, { order }) => sum + order, reduced.rows.right.length);
    this.termSizes = termSizes(reduced);
    this.sizes = { c: largest(problem.objective), constant: constantSize(problem) };
    const start = startingSizes(reduced);
    this.blocks.forEach((block, j) => {
      block.begin(start.slack[j], start.dual[j]);
    });
    this.rows.begin(start.slackRows, start.dualRows);
    for (const block of this.blocks) {
      block.factor("slack");
      block.factor("dual");
    }
  }

  /** Residuals and objectives of the current point. */
  measure(): Measures {
    const { objective, psd, equalities } = this.reduced;
    const { x, u, rows, dualGap, sizes } = this;
    // (<F_k, Y>)_k + A'u, then c minus it
    dualGap.fill(0);
    let dualObjective = 0;
    psd.forEach((block, j) => {
      addAdjoint(block, this.blocks[j].y, 1, dualGap);
      dualObjective += constantProduct(block, this.blocks[j].y);
    });
    addRowsAdjoint(rows.rows, rows.y, 1, dualGap);
    addRowsAdjoint(equalities, u, 1, dualGap);
    dualObjective += rows.constantProduct();
    for (let i = 0; i < u.length; i++) dualObjective += equalities.right[i] * u[i];
    this.norms.adjoint = norm(dualGap);
    let primalObjective = 0;
    for (let k = 0; k < x.length; k++) {
      dualGap[k] = objective[k] - dualGap[k];
      primalObjective += objective[k] * x[k];
    }
    const size = 1 + Math.max(sizes.constant, largest(equalities.right));
    let square = this.updateResiduals();
    applyRows(equalities, x, 1, this.t);
    for (let i = 0; i < this.t.length; i++) this.t[i] = -this.t[i];
    if (this.feasible || Math.sqrt(square) <= (this.fullStep ? 1e-8 : 1e-14) * size) {
      this.feasible = this.absorbResidual();
      if (this.feasible) square = 0;
    }
    this.norms.residual = Math.sqrt(square);
    this.norms.equality = norm(this.t);
    let complementarity = 0;
    for (const { s, y } of this.parts) for (let i = 0; i < s.length; i++) complementarity += s[i] * y[i];
    this.complementarity = complementarity;
    const scale = 1 + Math.abs(primalObjective) + Math.abs(dualObjective);
    this.measures = {
      primalObjective,
      dualObjective,
      // S is no better known than the rounding of its largest term
      primalResidual: (Math.hypot(Math.sqrt(square), this.norms.equality) + rounding(x, this.termSizes)) / size,
      dualResidual: norm(dualGap) / (1 + sizes.c),
      gap: Math.max(Math.abs(primalObjective - dualObjective), Math.abs(complementarity)) / scale,
    };
    return this.measures;
  }

  private updateResiduals(): number {
    let square = this.rows.updateResidual(this.x);
    for (const block of this.blocks) square += block.updateResidual(this.x);
    return square;
  }

  /** S <- sum x_k F_k - F_0 exactly, unless that is not positive definite. */
  private absorbResidual(): boolean {
    const { blocks, rows } = this;
    for (const block of blocks) block.shiftByResidual(1);
    rows.shiftByResidual(1);
    if (blocks.every((block) => block.factor("slack")) && rows.isPositive("slack")) return true;
    for (const block of blocks) {
      block.shiftByResidual(-1);
      block.factor("slack");
    }
    rows.shiftByResidual(-1);
    return false;
  }

  /** One predictor-corrector step; the steps taken, or undefined when a factorisation failed. */
  advance(tolerance: number): [primal: number, dual: number] | undefined {
    const { x, u, dx, du } = this;
    let fraction = 0;
    for (;;) {
      if (!this.factor()) return undefined;
      fraction = this.findDirections();
      const harmless = Math.max(0.1 * tolerance, 1e-5 * Math.max(this.measures.gap, this.measures.dualResidual));
      if (this.refineDual() <= harmless || this.precision !== "plain") break;
      this.precision = "careful";
    }
    const longest = this.steps(fraction);
    const primal = this.move("slack", longest[0]);
    for (let k = 0; k < x.length; k++) x[k] += primal * dx[k];
    const dual = this.move("dual", longest[1]);
    for (let i = 0; i < u.length; i++) u[i] += dual * du[i];
    this.fullStep = primal === 1;
    return [primal, dual];
  }

  /**
   * Moves the best Y by the least-norm sum z_k F_k that meets <F_k, Y> + (A'u)_k = c_k; its eigenvalues may become slightly
   * negative. Returns a function that takes the move back, or undefined when it could not be made. For the last point only:
   * where multipliers are unbounded, what is missing in these equations is multiplied by them in the objective.
   */
  projectBestDual(): (() => void) | undefined {
    const { system, right, predicted, bestU, rows } = this;
    const { objective, equalities } = this.reduced;
    const m = objective.length;
    system.h.fill(0);
    for (const block of this.blocks) block.addGram(system.h, m);
    rows.addGram(system.h, m);
    addRowsSchur(equalities, this.extra.fill(1), this.extra, system.h, m);
    right.set(objective);
    for (const { block, bestY: best } of this.blocks) addAdjoint(block, best, -1, right);
    addRowsAdjoint(rows.rows, rows.bestY, -1, right);
    addRowsAdjoint(equalities, bestU, -1, right);
    if (!system.solveAlone(right, predicted)) return undefined;
    const move = (sign: number) => {
      for (let k = 0; k < m; k++) right[k] = sign * predicted[k];
      for (const block of this.blocks) block.shiftBestY(right);
      rows.shiftBestY(right);
      applyRows(equalities, right, 0, this.extra);
      for (let i = 0; i < bestU.length; i++) bestU[i] += this.extra[i];
    };
    move(1);
    return () => move(-1);
  }

  /** The last step as a share of |x|, and the cosine between its direction and the objective. */
  growth(step: number): { share: number; cosine: number } {
    const { objective } = this.reduced;
    let cost = 0;
    for (let k = 0; k < objective.length; k++) cost += objective[k] * this.dx[k];
    const size = norm(this.dx);
    const [length, weight] = [norm(this.x), norm(objective)];
    return {
      share: length > 0 ? (step * size) / length : 0,
      cosine: size > 0 && weight > 0 ? Math.abs(cost) / (size * weight) : 0,
    };
  }

  /** Whether the square-root form is still to come and fits. */
  get canEscalate(): boolean {
    return this.precision !== "root" && RootSystem.lengths(this.reduced).length > 0;
  }

  get careful(): boolean {
    return this.precision === "careful";
  }

  get escalated(): boolean {
    return this.precision === "root";
  }

  /** Goes back to the best point and on from there in the square-root form; false when that is in use or too large. */
  escalate(): boolean {
    if (!this.canEscalate) return false;
    // its part of the workspace is reserved from the start but not touched before it is needed
    this.root = new RootSystem(this.workspace, this.x.length, this.reduced);
    this.precision = "root";
    this.x.set(this.bestX);
    this.u.set(this.bestU);
    this.rows.restoreBest();
    for (const block of this.blocks) block.restoreBest();
    this.measure();
    return true;
  }

  private factor(): boolean {
    const { blocks, rows, system, x, root, precision } = this;
    for (const block of blocks) block.prepare(precision !== "plain");
    if (root && precision === "root") {
      if (!blocks.every((block, j) => block.fillRoot(root, j))) return false;
      root.fillRows(rows.rows, rows.y, rows.s);
      return system.factorRoot(root);
    }
    system.h.fill(0);
    for (const block of blocks) block.addSchur(system.h, x.length);
    rows.addSchur(system.h, x.length);
    return system.factor();
  }

  /** Predictor and corrector into dx, du, dS, dY; returns the fraction of the way to the boundary to go. */
  private findDirections(): number {
    const { blocks, rows, system, right, predicted, u, dx, du } = this;
    const { objective, equalities } = this.reduced;
    // predictor: mu = 0
    for (let k = 0; k < predicted.length; k++) predicted[k] = -objective[k];
    addRowsAdjoint(equalities, u, 1, predicted);
    if (!this.feasible) {
      for (const block of blocks) block.subtractResidualPart(predicted);
      rows.subtractResidualPart(predicted);
    }
    system.solve(predicted, this.t, dx, du);
    for (const block of blocks) block.predict(dx, !this.feasible);
    rows.predict(dx);
    const [primalAffine, dualAffine] = this.steps(1);
    const products = this.products.fill(0);
    for (const part of this.parts) part.addProducts(products);
    const mu = this.degree > 0 ? products[0] / this.degree : 0;
    const affine =
      products[0] + primalAffine * products[1] + dualAffine * products[2] + primalAffine * dualAffine * products[3];
    const shortest = Math.min(primalAffine, dualAffine);
    const exponent = mu > 1e-6 ? Math.max(1, 3 * shortest * shortest) : 1;
    const target =
      mu *
      Math.max(
        this.precision === "root" ? ROOT_CENTRING : 0,
        affine <= 0 ? 1e-8 : Math.min(1, (affine / products[0]) ** exponent),
      );

    // corrector
    right.set(predicted);
    for (const block of blocks) block.addCorrectorPart(target, right);
    rows.addCorrectorPart(target, right);
    system.solve(right, this.t, dx, du);
    for (const block of blocks) block.correct(dx, target, !this.feasible);
    rows.directions(dx, target);
    return this.precision === "root" ? ROOT_FRACTION : 0.9 + 0.09 * shortest;
  }

  /**
   * Rounding leaves dY off its equations <F_k, dY> + (A'du)_k = r_k. What is missing is solved for and added to dY alone:
   * a small term, whose own rounding is smaller still. Returns what is missing in the end, relative as DIMACS error 1.
   */
  private refineDual(): number {
    const { right, dualGap, predicted, du, rows, system, lower, sizes, extra } = this;
    const { equalities } = this.reduced;
    let before = Number.POSITIVE_INFINITY;
    for (let round = 0; ; round++) {
      right.set(dualGap);
      for (const { block, dy: direction } of this.blocks) addAdjoint(block, direction, -1, right);
      addRowsAdjoint(rows.rows, rows.dy, -1, right);
      addRowsAdjoint(equalities, du, -1, right);
      const missing = norm(right) / (1 + sizes.c);
      if (missing < 1e-12 || missing > 0.5 * before || round === 10) return missing;
      before = missing;
      // <F_k, sym(Y F(delta) S^-1)> = (H delta)_k; a zero right-hand side keeps A delta = 0
      system.solve(right, lower, predicted, extra);
      for (const block of this.blocks) block.correctDual(predicted);
      rows.correctDual(predicted);
      for (let i = 0; i < du.length; i++) du[i] -= extra[i];
    }
  }

  /** Moves S or Y by at most `step`, shorter when rounding made the end point indefinite; the step taken. */
  private move(which: "slack" | "dual", step: number): number {
    const { blocks, rows, parts } = this;
    let taken = 0;
    for (let attempt = step, tries = 0; tries < 40; attempt *= tries < 3 ? 0.95 : 0.7, tries++) {
      for (const part of parts) part.move(which, attempt - taken);
      taken = attempt;
      if (blocks.every((block) => block.factor(which)) && rows.isPositive(which)) return taken;
    }
    for (const part of parts) part.move(which, -taken);
    for (const block of blocks) block.factor(which);
    return 0;
  }

  /** The longest steps to the boundary times `fraction`, at most 1. */
  private steps(fraction: number): [primal: number, dual: number] {
    let [slack, dual] = [0, 0];
    for (const part of this.parts) {
      const [a, b] = part.ratios();
      slack = Math.min(slack, a);
      dual = Math.min(dual, b);
    }
    return [slack < 0 ? Math.min(1, fraction / -slack) : 1, dual < 0 ? Math.min(1, fraction / -dual) : 1];
  }

  keepBest(merit: number): void {
    this.bestMerit = merit;
    this.bestX.set(this.x);
    this.bestU.set(this.u);
    for (const part of this.parts) part.keepBest();
  }

  best(): ReducedPoint {
    return {
      x: this.bestX,
      slack: this.blocks.map(({ bestS }) => bestS),
      slackRows: this.rows.bestS,
      dual: this.blocks.map(({ bestY }) => bestY),
      dualRows: this.rows.bestY,
      multipliers: this.bestU,
    };
  }

  current() {
    return { psdDual: this.blocks.map(({ y }) => y), dualRows: this.rows.y, multipliers: this.u };
  }

  /** Cheap relative measures of how close the iterate is to a ray; infinite when the objective has the wrong sign. */
  raySigns(): { dual: number; primal: number } {
    const { primalObjective, dualObjective } = this.measures;
    const { adjoint, residual, equality } = this.norms;
    const constant = 1 + this.sizes.constant;
    return {
      dual: dualObjective > 0 ? (0.01 * adjoint) / dualObjective : Number.POSITIVE_INFINITY,
      primal:
        primalObjective < 0 ? (0.01 * (constant + residual + equality)) / -primalObjective : Number.POSITIVE_INFINITY,
    };
  }
}
