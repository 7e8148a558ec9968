// The Cholesky factor of the Schur complement without forming the Schur complement to its own precision.
//
// With S = L L', L'Y L = Q diag(lambda) Q' and W = L^-T Q,  H_jk = sum_ab lambda_a M_j,ab M_k,ab,  M_k = W'F_k W symmetric, so
// row k of B, over a <= b: sqrt(lambda_a + lambda_b) M_k,ab (sqrt(lambda_a) M_k,aa), has H = B B'. Cholesky of that product
// loses half the digits of B; here B is orthonormalised by repeated Cholesky passes (shifted Cholesky QR: Fukaya, Kannan,
// Nakatsukasa, Yamamoto, Yanagisawa, SIAM J. Sci. Comput. 42, 2020), whose factors multiply to the factor of H. Rows and
// equalities are further columns of B. B is stored as slabs `[m, width]`.

import type { Workspace } from "@worstcase/linalg/kernels";
import type { PsdBlock, ReducedProblem, Rows } from "./reducedProblem.js";

interface Slab {
  /** `[m, width]`. */
  readonly values: Float64Array;
  readonly width: number;
}

const triangle = (n: number) => (n * (n + 1)) / 2;

/** More numbers than this are not worth reserving: such problems end at the accuracy of the plain factor. */
const LIMIT = 3e7;

export class RootSystem {
  private readonly blocks: readonly Slab[];
  private readonly rows: Slab;
  private readonly equalities: Slab;
  private readonly slabs: readonly Slab[];
  private readonly basis: Float64Array;
  private readonly panel: Float64Array;
  private readonly scaled: Float64Array;
  private readonly product: Float64Array;
  private readonly roots: Float64Array;
  private readonly pass: Float64Array;
  private readonly next: Float64Array;

  /** Empty when B is too large. */
  static lengths({ objective, psd, rows, equalities }: ReducedProblem): number[] {
    const m = objective.length;
    const widest = Math.max(0, ...psd.map(({ order }) => order)) ** 2;
    const lengths = [
      ...psd.map(({ order }) => triangle(order) * m),
      rows.right.length * m,
      equalities.right.length * m,
    ];
    const total = lengths.reduce((sum, length) => sum + length, 3 * widest + 2 * m * m);
    return total > LIMIT ? [] : [...lengths, widest, widest, widest, widest, Math.sqrt(widest), m * m, m * m];
  }

  constructor(
    private readonly workspace: Workspace,
    private readonly m: number,
    reduced: ReducedProblem,
  ) {
    const take = (length: number) => workspace.float64(length);
    const widest = Math.max(0, ...reduced.psd.map(({ order }) => order)) ** 2;
    this.blocks = reduced.psd.map(({ order: n }) => ({ values: take(triangle(n) * m), width: triangle(n) }));
    const [r, p] = [reduced.rows.right.length, reduced.equalities.right.length];
    this.rows = { values: take(r * m), width: r };
    this.equalities = { values: take(p * m), width: p };
    this.slabs = [...this.blocks, this.rows, this.equalities].filter(({ width }) => width > 0);
    [this.basis, this.panel, this.scaled, this.product] = [take(widest), take(widest), take(widest), take(widest)];
    this.roots = take(Math.sqrt(widest));
    [this.pass, this.next] = [take(m * m), take(m * m)];
  }

  /** The part of block j: `factor` is L of S = L L', `scaledY` is L'Y L. False when the latter is not positive definite. */
  fillBlock(j: number, block: PsdBlock, factor: Float64Array, scaledY: Float64Array): boolean {
    const { workspace, basis, panel, scaled, product, roots } = this;
    const { values, width } = this.blocks[j];
    const n = block.order;
    scaled.set(scaledY);
    if (workspace.syevd(n, scaled, n, roots) !== 0 || !(roots[0] > 0)) return false;
    // W = L^-T Q; rows of `scaled` are the eigenvectors
    for (let i = 0; i < n; i++) for (let k = 0; k < n; k++) basis[i * n + k] = scaled[k * n + i];
    workspace.trsm("left", true, n, n, factor, n, basis, n);
    const { variable, start, row, column, value } = block.terms;
    values.fill(0);
    const add = (i: number, weight: number, from: number) => {
      for (let q = 0; q < n; q++) panel[i * n + q] += weight * basis[from * n + q];
    };
    const finish = (k: number) => {
      workspace.gemm(true, false, n, n, n, 1, basis, n, panel, n, 0, product, n);
      for (let a = 0, at = k * width; a < n; a++) {
        values[at++] += Math.sqrt(roots[a]) * product[a * n + a];
        for (let b = a + 1; b < n; b++) {
          values[at++] += Math.sqrt(roots[a] + roots[b]) * 0.5 * (product[a * n + b] + product[b * n + a]);
        }
      }
    };
    for (let g = 0; g < variable.length; g++) {
      panel.fill(0, 0, n * n);
      for (let e = start[g]; e < start[g + 1]; e++) {
        add(row[e], value[e], column[e]);
        if (row[e] !== column[e]) add(column[e], value[e], row[e]);
      }
      finish(variable[g]);
    }
    for (const { variable: k, weight, vector } of block.rankOne) {
      panel.fill(0, 0, n * n);
      for (let i = 0; i < n; i++) {
        for (let c = 0; c < n; c++) if (vector[i] * vector[c] !== 0) add(i, weight * vector[i] * vector[c], c);
      }
      finish(k);
    }
    return true;
  }

  /** The part of the rows: sqrt(y / s) R. */
  fillRows(rows: Rows, y: Float64Array, s: Float64Array): void {
    this.fillSparse(this.rows, rows, (i) => Math.sqrt(y[i] / s[i]));
  }

  fillEqualities(rows: Rows, weight: number): void {
    this.fillSparse(this.equalities, rows, () => weight);
  }

  private fillSparse({ values, width }: Slab, { start, variable, value, right }: Rows, weight: (i: number) => number) {
    values.fill(0);
    for (let i = 0; i < right.length; i++) {
      const scale = weight(i);
      for (let e = start[i]; e < start[i + 1]; e++) values[variable[e] * width + i] += scale * value[e];
    }
  }

  /** l <- the factor of D H D, D = diag(scale) with unit diagonal of D H D. False on NaN or infinities. */
  factor(l: Float64Array, scale: Float64Array): boolean {
    const { m, workspace, pass, next } = this;
    this.gram(pass);
    for (let k = 0; k < m; k++) {
      const d = pass[k * m + k];
      if (!Number.isFinite(d)) return false;
      scale[k] = d > 0 ? 1 / Math.sqrt(d) : 1;
    }
    this.scaleVariables(scale);
    for (let k = 0; k < m; k++) {
      for (let i = 0; i <= k; i++) pass[k * m + i] *= scale[k] * scale[i];
      if (!(pass[k * m + k] > 0)) pass[k * m + k] = 1;
    }
    l.fill(0);
    for (let k = 0; k < m; k++) l[k * m + k] = 1;
    // a pass that needed a shift leaves B better conditioned but not orthonormal: go on until none was needed, and once more
    for (let clean = 0, passes = 0; clean < 2 && passes < 6; passes++) {
      let shift = 0;
      if (passes > 0) this.gram(pass);
      next.set(pass);
      while (workspace.potrf(m, pass, m) !== 0) {
        shift = shift === 0 ? 1e-16 * m : 10 * shift;
        if (shift > 1) return false;
        pass.set(next);
        for (let k = 0; k < m; k++) pass[k * m + k] += shift;
      }
      workspace.gemm(false, false, m, m, m, 1, l, m, pass, m, 0, next, m);
      l.set(next);
      clean = shift === 0 ? clean + 1 : 0;
      if (clean === 2) break;
      for (const { values, width } of this.slabs) workspace.trsm("left", false, m, width, pass, m, values, width);
    }
    return true;
  }

  private gram(out: Float64Array): void {
    out.fill(0);
    for (const { values, width } of this.slabs) {
      this.workspace.syrk(false, this.m, width, 1, values, width, 1, out, this.m);
    }
  }

  private scaleVariables(scale: Float64Array): void {
    for (const { values, width } of this.slabs) {
      for (let k = 0, at = 0; k < this.m; k++) for (let j = 0; j < width; j++) values[at++] *= scale[k];
    }
  }
}
