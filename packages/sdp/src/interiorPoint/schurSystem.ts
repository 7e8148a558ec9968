// Factor and solve of the Newton system after the block variables are eliminated:
//
//   [ H  -A' ] [dx]   [r]
//   [ A   0  ] [du] = [t]        H [m, m] symmetric positive definite (lower triangle), A [p, m] sparse
//
// H is scaled to unit diagonal and factored by Cholesky; a pivot lost to rounding gets a small shift, which iterative
// refinement against the unshifted system takes out again. Equalities keep their own rows (no splitting of free
// variables): H + rho A'A is factored, which changes nothing for solutions and is positive definite also where H is not.

import type { Workspace } from "@worstcase/linalg";
import { addRowsAdjoint, applyRows } from "./operators.js";
import type { Rows } from "./reducedProblem.js";

export class SchurSystem {
  /** H, lower triangle; fill it, then call `factor`. */
  readonly h: Float64Array;
  private readonly l: Float64Array;
  private readonly scale: Float64Array;
  private readonly v: Float64Array;
  private readonly small: Float64Array;
  private readonly x: Float64Array;
  private readonly residual: Float64Array;
  private readonly lower: Float64Array;
  private readonly u: Float64Array;
  private readonly product: Float64Array;
  private rho = 0;

  static lengths(m: number, p: number): number[] {
    return [m * m, m * m, p * m, p * p, m, m, m, m, p, p];
  }

  constructor(
    private readonly workspace: Workspace,
    private readonly m: number,
    private readonly a: Rows,
  ) {
    const p = a.right.length;
    this.h = workspace.float64(m * m);
    this.l = workspace.float64(m * m);
    this.v = workspace.float64(p * m);
    this.small = workspace.float64(p * p);
    this.scale = workspace.float64(m);
    this.x = workspace.float64(m);
    this.residual = workspace.float64(m);
    this.lower = workspace.float64(p);
    this.u = workspace.float64(p);
    this.product = workspace.float64(m);
  }

  /** Returns false when even a large shift gives no factor (NaN or infinities in H). */
  factor(): boolean {
    const { m, h, l, scale, workspace, a } = this;
    const p = a.right.length;
    let trace = 0;
    for (let i = 0; i < m; i++) trace += h[i * m + i];
    if (!Number.isFinite(trace)) return false;
    this.rho = 0;
    if (p > 0) {
      let square = 0;
      for (const value of a.value) square += value * value;
      this.rho = square > 0 ? Math.max(trace, 1e-300) / square : 0;
    }
    for (let shift = 0; shift < 1e-3; shift = shift === 0 ? 1e-16 : shift * 30) {
      l.set(h);
      if (this.rho > 0) this.addNormal(l);
      for (let i = 0; i < m; i++) {
        const d = l[i * m + i];
        scale[i] = d > 0 ? 1 / Math.sqrt(d) : 1;
      }
      for (let i = 0; i < m; i++) {
        const s = scale[i];
        for (let j = 0, at = i * m; j < i; j++) l[at + j] *= s * scale[j];
        l[i * m + i] = l[i * m + i] > 0 ? 1 + shift : 1;
      }
      if (workspace.potrf(m, l, m) !== 0) continue;
      if (p === 0) return true;
      // v = L^-1 D A' stored as rows [p, m]: solve from the right with L'
      this.v.fill(0);
      for (let i = 0; i < p; i++) {
        for (let e = a.start[i]; e < a.start[i + 1]; e++) this.v[i * m + a.variable[e]] += a.value[e] * scale[a.variable[e]];
      }
      workspace.trsm("right", true, p, m, l, m, this.v, m);
      workspace.syrk(false, p, m, 1, this.v, m, 0, this.small, p);
      let largest = 0;
      for (let i = 0; i < p; i++) largest = Math.max(largest, this.small[i * p + i]);
      for (let i = 0; i < p; i++) this.small[i * p + i] += 1e-15 * largest;
      if (workspace.potrf(p, this.small, p) === 0) return true;
    }
    return false;
  }

  /** Solves into dx, du with iterative refinement; returns the relative residual reached. */
  solve(r: Float64Array, t: Float64Array, dx: Float64Array, du: Float64Array): number {
    const { residual, lower, x } = this;
    const target = norm(r) + norm(t);
    dx.fill(0);
    du.fill(0);
    if (target === 0) return 0;
    let before = Number.POSITIVE_INFINITY;
    residual.set(r);
    lower.set(t);
    for (let round = 0; ; round++) {
      // a correction that did not help is taken back
      const now = (norm(residual) + norm(lower)) / target;
      if (!(now < before)) {
        for (let i = 0; i < dx.length; i++) dx[i] -= x[i];
        for (let i = 0; i < du.length; i++) du[i] -= this.u[i];
        return before;
      }
      if (now < 1e-15 || round === 8 || now > 0.7 * before) return now;
      before = now;
      this.approximate(residual, lower, x, this.u);
      for (let i = 0; i < dx.length; i++) dx[i] += x[i];
      for (let i = 0; i < du.length; i++) du[i] += this.u[i];
      this.residuals(r, t, dx, du);
    }
  }

  /** residual = r - H dx + A'du, lower = t - A dx. */
  private residuals(r: Float64Array, t: Float64Array, dx: Float64Array, du: Float64Array): void {
    const { m, h, workspace, residual, lower, a } = this;
    residual.set(dx);
    const { product } = this;
    workspace.symv(m, 1, h, m, residual, 0, product);
    for (let i = 0; i < m; i++) residual[i] = r[i] - product[i];
    if (a.right.length === 0) return;
    addRowsAdjoint(a, du, 1, residual);
    applyRows(a, dx, 0, lower);
    for (let i = 0; i < lower.length; i++) lower[i] = t[i] - lower[i];
  }

  /** One solve with the factors: x, u from right-hand sides r, t (r is spoiled). */
  private approximate(r: Float64Array, t: Float64Array, x: Float64Array, u: Float64Array): void {
    const { m, l, scale, workspace, a, rho, small } = this;
    const p = a.right.length;
    if (p > 0) addRowsAdjoint(a, t, rho, r);
    for (let i = 0; i < m; i++) x[i] = r[i] * scale[i];
    workspace.trsv(false, m, l, m, x);
    if (p > 0) {
      // small u = t - V x, then x += V'u
      u.set(t);
      workspace.gemv(false, p, m, -1, this.v, m, x, 1, u);
      workspace.trsv(false, p, small, p, u);
      workspace.trsv(true, p, small, p, u);
      workspace.gemv(true, p, m, 1, this.v, m, u, 1, x);
    }
    workspace.trsv(true, m, l, m, x);
    for (let i = 0; i < m; i++) x[i] *= scale[i];
  }

  /** l += rho A'A, lower triangle. */
  private addNormal(l: Float64Array): void {
    const { start, variable, value, right } = this.a;
    for (let i = 0; i < right.length; i++) {
      for (let e = start[i]; e < start[i + 1]; e++) {
        for (let f = start[i]; f < start[i + 1]; f++) {
          if (variable[f] <= variable[e]) l[variable[e] * this.m + variable[f]] += this.rho * value[e] * value[f];
        }
      }
    }
  }
}

function norm(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
