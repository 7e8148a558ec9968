// One output of the gated squared-loss program as a problem in kernel weights eta >= 0 (math.md 13.2; the NTK view of gated networks):
//   beta ||t_p|| = min over eta_p of beta/2 (||t_p||^2 / eta_p + eta_p), and for fixed eta the program is kernel ridge regression with
//   K = sum_p eta_p D_p X X' D_p:   alpha = (K + n beta I)^-1 y,   t_p = eta_p X'D_p alpha,   f = y - n beta alpha
//   value of eta   G(eta) = beta/2 y'alpha + beta/2 sum eta, convex in eta
//   gradient       beta/2 (1 - rho_p^2),  rho_p = ||X'D_p alpha||        Hessian  beta (K_p alpha)'(K + n beta I)^-1 (K_q alpha)
//   reweighting    eta_p <- ||t_p|| = eta_p rho_p never raises the value (it minimises a majorant)
//   dual bound     residuals f - y scaled by s <= 1 / max rho_p are feasible
// K = (X X') o (B diag(eta) B') entry by entry, B the bits.       bits B: [n, P]   eta, rho: [P]   alpha, y: [n]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../program/program.js";

export class KernelProblem {
  readonly alpha: Float64Array;
  /** rho of the last `evaluate`. */
  readonly ratios: Float64Array;
  value = 0;
  private readonly workspace: Workspace;
  private readonly gram: Float64Array;
  private readonly bits: Float64Array;
  private readonly weighted: Float64Array;
  private readonly matrix: Float64Array;
  private readonly images: Float64Array;
  private readonly hessian: Float64Array;
  private readonly step: Float64Array;

  constructor(
    private readonly program: ReluProgram,
    kernels: Kernels,
  ) {
    const { samples: n, gateCount: P, width, inputs, bits } = program;
    const sizes = [n * width, n * n, n * P, n * P, n * n, n * P, P * P, n, P, P];
    this.workspace = kernels.workspace(workspaceSize(...sizes));
    const x = this.workspace.float64(n * width);
    x.set(inputs);
    this.gram = this.workspace.float64(n * n);
    this.workspace.syrk(false, n, width, 1, x, width, 0, this.gram, n);
    this.bits = this.workspace.float64(n * P);
    this.bits.set(bits);
    this.weighted = this.workspace.float64(n * P);
    this.matrix = this.workspace.float64(n * n);
    this.images = this.workspace.float64(n * P);
    this.hessian = this.workspace.float64(P * P);
    this.alpha = this.workspace.float64(n);
    this.ratios = this.workspace.float64(P);
    this.step = this.workspace.float64(P);
  }

  /** Fills alpha, ratios and value; leaves the Cholesky factor in `matrix` and the columns K_p alpha in `images`. */
  evaluate(eta: Float64Array, y: Float64Array): void {
    const { samples: n, gateCount: P, beta } = this.program;
    const { workspace, gram, bits, weighted, matrix, images, alpha, ratios } = this;
    for (let i = 0; i < n; i++) for (let p = 0; p < P; p++) weighted[i * P + p] = bits[i * P + p] * eta[p];
    workspace.gemm(false, true, n, n, P, 1, weighted, P, bits, P, 0, matrix, n);
    for (let k = 0; k < n * n; k++) matrix[k] *= gram[k];
    for (let i = 0; i < n; i++) matrix[i * n + i] += n * beta;
    workspace.potrf(n, matrix, n); // positive definite: K is, and n beta > 0
    alpha.set(y);
    workspace.trsv(false, n, matrix, n, alpha);
    workspace.trsv(true, n, matrix, n, alpha);
    for (let i = 0; i < n; i++) for (let p = 0; p < P; p++) weighted[i * P + p] = bits[i * P + p] * alpha[i];
    workspace.gemm(false, false, n, P, n, 1, gram, n, weighted, P, 0, images, P);
    ratios.fill(0);
    this.value = 0;
    for (let i = 0; i < n; i++) {
      this.value += (beta / 2) * y[i] * alpha[i];
      for (let p = 0; p < P; p++) {
        images[i * P + p] *= bits[i * P + p];
        ratios[p] += alpha[i] * images[i * P + p];
      }
    }
    for (let p = 0; p < P; p++) {
      ratios[p] = Math.sqrt(Math.max(0, ratios[p]));
      this.value += (beta / 2) * eta[p];
    }
  }

  /** Newton direction on the weights listed in `free`, from the last `evaluate`; `ridge` is relative to the largest diagonal entry. */
  newtonDirection(free: readonly number[], ridge: number): Float64Array | null {
    const { samples: n, gateCount: P, beta } = this.program;
    const { workspace, matrix, images, weighted, hessian, step, ratios } = this;
    const m = free.length;
    for (let i = 0; i < n; i++) for (let a = 0; a < m; a++) weighted[i * m + a] = images[i * P + free[a]];
    workspace.trsm("left", false, n, m, matrix, n, weighted, m);
    workspace.syrk(true, m, n, beta, weighted, m, 0, hessian, m);
    let largest = 0;
    for (let a = 0; a < m; a++) largest = Math.max(largest, hessian[a * m + a]);
    for (let a = 0; a < m; a++) hessian[a * m + a] += ridge * largest + Number.MIN_VALUE;
    if (workspace.potrf(m, hessian, m) > 0) return null;
    const direction = step.subarray(0, m);
    for (let a = 0; a < m; a++) direction[a] = (beta / 2) * (ratios[free[a]] ** 2 - 1);
    workspace.trsv(false, m, hessian, m, direction);
    workspace.trsv(true, m, hessian, m, direction);
    return direction;
  }

  /** t_p = eta_p X'D_p alpha, written at `pieces[(p outputs + o) D ..]`. */
  writePieces(eta: Float64Array, o: number, pieces: Float64Array): void {
    const { samples, gateCount, outputs, width, inputs, bits } = this.program;
    for (let p = 0; p < gateCount; p++) {
      const to = (p * outputs + o) * width;
      pieces.fill(0, to, to + width);
      if (eta[p] === 0) continue;
      for (let i = 0; i < samples; i++) {
        if (bits[i * gateCount + p] === 0) continue;
        const weight = eta[p] * this.alpha[i];
        for (let k = 0; k < width; k++) pieces[to + k] += weight * inputs[i * width + k];
      }
    }
  }
}
