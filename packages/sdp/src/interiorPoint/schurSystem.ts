// Factor and solve of the Newton system after the block variables are eliminated:
//
//   [ H  -A' ] [dx]   [r]
//   [ A   0  ] [du] = [t]        H [m, m] symmetric positive definite (lower triangle), A [p, m] sparse
//
// H is scaled to unit diagonal and factored by Cholesky; a pivot lost to rounding gets a small shift, which iterative
// refinement against the unshifted system takes out again. Equalities keep their own rows (no splitting of free
// variables): H + rho A'A is factored, which changes nothing for solutions and is positive definite also where H is not.

import type { Workspace } from "@worstcase/linalg/kernels";
import { addRowsAdjoint } from "./operators.js";
import type { Rows } from "./reducedProblem.js";
import type { RootSystem } from "./rootSystem.js";

const MAXIMUM_ROUNDS = 30;
const PROXIMAL = 1e-8;

export class SchurSystem {
  /** H, lower triangle; fill it, then call `factor`. */
  readonly h: Float64Array;
  private readonly l: Float64Array;
  private readonly scale: Float64Array;
  private readonly v: Float64Array;
  private readonly small: Float64Array;
  private readonly residual: Float64Array;
  private readonly z: Float64Array;
  private readonly direction: Float64Array;
  private readonly best: Float64Array;
  private readonly u: Float64Array;
  private readonly product: Float64Array;
  private rho = 0;
  /** Whether `h` holds H, so that residuals of solves can be formed. */
  private exactProducts = true;

  static lengths(m: number, p: number): number[] {
    return [m * m, m * m, p * m, p * p, m, m, m, m, m, m, p];
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
    this.residual = workspace.float64(m);
    this.z = workspace.float64(m);
    this.direction = workspace.float64(m);
    this.best = workspace.float64(m);
    this.u = workspace.float64(p);
    this.product = workspace.float64(m);
  }

  /** Factors through the square root of H instead of H; `root` holds its parts but those of the equalities. */
  factorRoot(root: RootSystem): boolean {
    this.setWeight(1);
    root.fillEqualities(this.a, Math.sqrt(this.rho));
    this.exactProducts = false;
    return root.factor(this.l, this.scale) && this.factorEqualities();
  }

  /** Cholesky of H with a shift where needed. False when even a large shift gives no factor (NaN or infinities in H). */
  factor(): boolean {
    this.exactProducts = true;
    const { m, h, l, scale, workspace } = this;
    let trace = 0;
    for (let i = 0; i < m; i++) trace += h[i * m + i];
    if (!Number.isFinite(trace)) return false;
    this.setWeight(trace);
    for (let shift = 0; shift < 1e-3; shift = shift === 0 ? 1e-16 : shift * 30) {
      l.set(h);
      if (this.rho > 0) this.addNormal(l);
      // no cone at all: x only has A x = b to keep; a small proximal term picks the nearest solution
      if (trace === 0) for (let i = 0; i < m; i++) l[i * m + i] += PROXIMAL;
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
      if (this.factorEqualities()) return true;
    }
    return false;
  }

  /** Solves H x = r for any positive definite matrix put into `h`, equalities aside; false when it cannot be factored. */
  solveAlone(r: Float64Array, x: Float64Array): boolean {
    const { m, h, l, scale, residual, product, workspace } = this;
    for (let shift = 1e-16; shift < 1e-6; shift *= 30) {
      for (let i = 0; i < m; i++) scale[i] = h[i * m + i] > 0 ? 1 / Math.sqrt(h[i * m + i]) : 1;
      for (let i = 0; i < m; i++) {
        for (let j = 0, at = i * m; j < i; j++) l[at + j] = h[at + j] * scale[i] * scale[j];
        l[i * m + i] = 1 + shift;
      }
      if (workspace.potrf(m, l, m) !== 0) continue;
      x.fill(0);
      residual.set(r);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < m; i++) residual[i] *= scale[i];
        workspace.trsv(false, m, l, m, residual);
        workspace.trsv(true, m, l, m, residual);
        for (let i = 0; i < m; i++) x[i] += residual[i] * scale[i];
        workspace.symv(m, 1, h, m, x, 0, product);
        for (let i = 0; i < m; i++) residual[i] = r[i] - product[i];
      }
      return true;
    }
    return false;
  }

  private setWeight(trace: number): void {
    let square = 0;
    for (const value of this.a.value) square += value * value;
    this.rho = square > 0 ? (trace > 0 ? trace : 1) / square : 0;
  }

  /** small <- Cholesky factor of V V' with V = A D L^-T, `[p, m]`. */
  private factorEqualities(): boolean {
    const { m, l, v, small, scale, workspace, a } = this;
    const p = a.right.length;
    if (p === 0) return true;
    v.fill(0);
    for (let i = 0; i < p; i++) {
      for (let e = a.start[i]; e < a.start[i + 1]; e++) v[i * m + a.variable[e]] += a.value[e] * scale[a.variable[e]];
    }
    workspace.trsm("right", true, p, m, l, m, v, m);
    workspace.syrk(false, p, m, 1, v, m, 0, small, p);
    let largest = 0;
    for (let i = 0; i < p; i++) largest = Math.max(largest, small[i * p + i]);
    for (let i = 0; i < p; i++) small[i * p + i] += 1e-15 * largest;
    return workspace.potrf(p, small, p) === 0;
  }

  /**
   * Solves into dx, du by conjugate gradients with the factors as preconditioner: one or two rounds where the factor is
   * good, more where a shift was needed or the condition is near the limit. Directions stay in the null space of A
   * (constraint preconditioner; Gould, Hribar, Nocedal, SIAM J. Sci. Comput. 23, 2001). Returns the relative residual.
   */
  solve(r: Float64Array, t: Float64Array, dx: Float64Array, du: Float64Array): number {
    const { m, h, workspace, residual, z, u, direction, product, best, a } = this;
    const target = norm(r);
    residual.set(r);
    this.approximate(residual, t, dx, du);
    if (!this.exactProducts) return 0;
    this.residualOf(r, dx, du);
    let size = norm(residual);
    let bestSize = size;
    best.set(dx);
    let previous = 0;
    for (let round = 0; round < MAXIMUM_ROUNDS && size > 1e-15 * target; round++) {
      product.set(residual);
      this.approximate(product, undefined, z, u);
      addRowsAdjoint(a, u, 1, residual);
      for (let i = 0; i < u.length; i++) du[i] += u[i];
      const energy = dot(residual, z);
      if (!(energy > 0)) break;
      const beta = previous > 0 ? energy / previous : 0;
      previous = energy;
      for (let i = 0; i < m; i++) direction[i] = z[i] + beta * direction[i];
      workspace.symv(m, 1, h, m, direction, 0, product);
      const curvature = dot(direction, product);
      if (!(curvature > 0)) break;
      const step = energy / curvature;
      for (let i = 0; i < m; i++) {
        dx[i] += step * direction[i];
        residual[i] -= step * product[i];
      }
      size = norm(residual);
      if (size < bestSize) {
        bestSize = size;
        best.set(dx);
      } else if (size > 100 * bestSize) break;
    }
    dx.set(best);
    return bestSize / target;
  }

  /** residual <- r - H dx + A'du. */
  private residualOf(r: Float64Array, dx: Float64Array, du: Float64Array): void {
    const { m, h, workspace, residual, product, a } = this;
    workspace.symv(m, 1, h, m, dx, 0, product);
    for (let i = 0; i < m; i++) residual[i] = r[i] - product[i];
    addRowsAdjoint(a, du, 1, residual);
  }

  /** One solve with the factors: x, u from right-hand sides r, t (r is spoiled). */
  private approximate(r: Float64Array, t: Float64Array | undefined, x: Float64Array, u: Float64Array): void {
    const { m, l, scale, workspace, a, rho, small } = this;
    const p = a.right.length;
    if (t) addRowsAdjoint(a, t, rho, r);
    for (let i = 0; i < m; i++) x[i] = r[i] * scale[i];
    workspace.trsv(false, m, l, m, x);
    if (p > 0) {
      // small u = t - V x, then x += V'u
      if (t) u.set(t);
      else u.fill(0);
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
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += left[i] * right[i];
  return sum;
}
