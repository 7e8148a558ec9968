// The Cholesky factor of the Schur complement without forming the Schur complement to its own precision.
//
// With S = L L' and L'Y L = C C', column k of B is vec(C' L^-1 F_k L^-T) and H = B'B. Cholesky of the product loses half the
// digits of B; here B is orthonormalised by repeated Cholesky passes (shifted Cholesky QR: Fukaya, Kannan, Nakatsukasa,
// Yamamoto, Yanagisawa, SIAM J. Sci. Comput. 42, 2020), whose factors multiply to the R factor of B. Rows and equalities
// are further rows of B. B is stored as slabs `[count, m, width]`, so that every pass is products and triangular solves.

import type { Workspace } from "@worstcase/linalg";
import type { PsdBlock, ReducedProblem, Rows } from "./reducedProblem.js";

interface Slab {
  readonly values: Float64Array;
  readonly count: number;
  readonly width: number;
}

/** More numbers than this are not worth reserving: such problems end at the accuracy of the plain factor. */
const LIMIT = 3e7;

export class RootSystem {
  private readonly blocks: readonly Slab[];
  private readonly rows: Slab;
  private readonly equalities: Slab;
  private readonly slabs: readonly Slab[];
  private readonly inverse: Float64Array;
  private readonly panel: Float64Array;
  private readonly scaled: Float64Array;
  private readonly pass: Float64Array;
  private readonly product: Float64Array;

  /** Empty when B is too large. */
  static lengths({ objective, psd, rows, equalities }: ReducedProblem): number[] {
    const m = objective.length;
    const widest = Math.max(0, ...psd.map(({ order }) => order)) ** 2;
    const lengths = [...psd.map(({ order }) => order * order * m), rows.right.length * m, equalities.right.length * m];
    const total = lengths.reduce((sum, length) => sum + length, 3 * widest + 2 * m * m);
    return total > LIMIT ? [] : [...lengths, widest, widest, widest, m * m, m * m];
  }

  constructor(
    private readonly workspace: Workspace,
    private readonly m: number,
    reduced: ReducedProblem,
  ) {
    const take = (length: number) => workspace.float64(length);
    const widest = Math.max(0, ...reduced.psd.map(({ order }) => order)) ** 2;
    this.blocks = reduced.psd.map(({ order: n }) => ({ values: take(n * n * m), count: n, width: n }));
    const [r, p] = [reduced.rows.right.length, reduced.equalities.right.length];
    this.rows = { values: take(r * m), count: r > 0 ? 1 : 0, width: r };
    this.equalities = { values: take(p * m), count: p > 0 ? 1 : 0, width: p };
    this.slabs = [...this.blocks, this.rows, this.equalities];
    [this.inverse, this.panel, this.scaled] = [take(widest), take(widest), take(widest)];
    [this.pass, this.product] = [take(m * m), take(m * m)];
  }

  /** The part of block j: `factor` is L of S = L L', `scaledY` is L'Y L. False when the latter is not positive definite. */
  fillBlock(j: number, block: PsdBlock, factor: Float64Array, scaledY: Float64Array): boolean {
    const { workspace, inverse, panel, scaled, m } = this;
    const { values } = this.blocks[j];
    const n = block.order;
    const line = m * n;
    scaled.set(scaledY);
    if (workspace.potrf(n, scaled, n) !== 0) return false;
    // transposed inverse of L: row j of L^-T is column j of L^-1
    panel.set(factor);
    workspace.trtri(n, panel, n);
    for (let i = 0; i < n; i++) for (let k = 0; k < n; k++) inverse[i * n + k] = panel[k * n + i];
    values.fill(0);
    const { variable, start, row, column, value } = block.terms;
    const add = (k: number, i: number, weight: number, from: number) => {
      const to = i * line + k * n;
      for (let q = from; q < n; q++) values[to + q] += weight * inverse[from * n + q];
    };
    for (let g = 0; g < variable.length; g++) {
      for (let e = start[g]; e < start[g + 1]; e++) {
        add(variable[g], row[e], value[e], column[e]);
        if (row[e] !== column[e]) add(variable[g], column[e], value[e], row[e]);
      }
    }
    for (const { variable: k, weight, vector } of block.rankOne) {
      for (let i = 0; i < n; i++) {
        for (let c = 0; c < n; c++) if (vector[i] * vector[c] !== 0) add(k, i, weight * vector[i] * vector[c], c);
      }
    }
    workspace.trsm("left", false, n, line, factor, n, values, line);
    for (let k = 0; k < m; k++) {
      for (let i = 0; i < n; i++) panel.set(values.subarray(i * line + k * n, i * line + k * n + n), i * n);
      workspace.gemm(true, false, n, n, n, 1, scaled, n, panel, n, 0, values.subarray(k * n), line);
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
    const { m, workspace, pass, product } = this;
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
      product.set(pass);
      while (workspace.potrf(m, pass, m) !== 0) {
        shift = shift === 0 ? 1e-16 * m : 10 * shift;
        if (shift > 1) return false;
        pass.set(product);
        for (let k = 0; k < m; k++) pass[k * m + k] += shift;
      }
      workspace.gemm(false, false, m, m, m, 1, l, m, pass, m, 0, product, m);
      l.set(product);
      clean = shift === 0 ? clean + 1 : 0;
      if (clean === 2) break;
      for (const { values, count, width } of this.slabs) {
        for (let i = 0; i < count; i++) {
          workspace.trsm("left", false, m, width, pass, m, values.subarray(i * m * width), width);
        }
      }
    }
    return true;
  }

  private gram(out: Float64Array): void {
    out.fill(0);
    for (const { values, count, width } of this.slabs) {
      for (let i = 0; i < count; i++) {
        this.workspace.syrk(false, this.m, width, 1, values.subarray(i * this.m * width), width, 1, out, this.m);
      }
    }
  }

  private scaleVariables(scale: Float64Array): void {
    for (const { values, count, width } of this.slabs) {
      for (let i = 0, at = 0; i < count; i++) {
        for (let k = 0; k < this.m; k++) for (let j = 0; j < width; j++) values[at++] *= scale[k];
      }
    }
  }
}
