// Sparse rows, one per variable, and what facial reduction asks of them: which rows depend on the others, and the nearest
// vector that no row combination leaves over, i.e. the projection of z on { z : sum_k z_k row_k = 0 }.
//
// Both come from one Cholesky factor of D R R' D + delta I, D = diag(1 / |row_k|). Projection is z <- z - D (.)^-1 D R (R'z),
// repeated; R'z is formed anew each time, so the result is exact to rounding although R R' squares the condition.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg/kernels";

const SHIFT = 1e-10;
/** A scaled row this close to the span of the rows before it depends on them. */
const DEPENDENT = 1e-5;
const ROUNDS = 40;

/** Collects rows in compressed form; positions are any numbers from 0 to `width`. */
export class SparseRows {
  readonly start: number[] = [0];
  /** Those of row k stand from start[k] to start[k + 1]; the arrays are replaced when they grow. */
  position = new Int32Array(256);
  value = new Float64Array(256);
  private length = 0;

  constructor(readonly width: number) {}

  get count(): number {
    return this.start.length - 1;
  }

  push(position: number, value: number): void {
    if (value === 0) return;
    if (this.length === this.position.length) this.reserve(2 * this.length);
    this.position[this.length] = position;
    this.value[this.length++] = value;
  }

  endRow(): void {
    this.start.push(this.length);
  }

  /** The rows of `other` in another order. */
  static reordered(other: SparseRows, order: Int32Array): SparseRows {
    const rows = new SparseRows(other.width);
    rows.reserve(Math.max(1, other.length));
    for (const k of order) {
      const [from, to] = [other.start[k], other.start[k + 1]];
      rows.position.set(other.position.subarray(from, to), rows.length);
      rows.value.set(other.value.subarray(from, to), rows.length);
      rows.length += to - from;
      rows.endRow();
    }
    return rows;
  }

  private reserve(length: number): void {
    const { position, value } = this;
    this.position = new Int32Array(length);
    this.value = new Float64Array(length);
    this.position.set(position.subarray(0, this.length));
    this.value.set(value.subarray(0, this.length));
  }

  /** out <- sum_k z_k row_k, `[width]`. */
  combine(z: Float64Array, out: Float64Array): void {
    out.fill(0);
    for (let k = 0; k < this.count; k++) {
      if (z[k] === 0) continue;
      for (let e = this.start[k]; e < this.start[k + 1]; e++) out[this.position[e]] += z[k] * this.value[e];
    }
  }

  /** out_k <- <row_k, t>. */
  products(t: Float64Array, out: Float64Array): void {
    for (let k = 0; k < this.count; k++) {
      let sum = 0;
      for (let e = this.start[k]; e < this.start[k + 1]; e++) sum += this.value[e] * t[this.position[e]];
      out[k] = sum;
    }
  }

  /** gram (lower triangle, `[count, count]`, zeros before) += R R'. */
  addGram(gram: Float64Array): void {
    const { count: m } = this;
    const first = new Int32Array(this.width + 1);
    for (let e = 0; e < this.length; e++) first[this.position[e] + 1]++;
    for (let p = 0; p < this.width; p++) first[p + 1] += first[p];
    const cursor = first.slice(0, this.width);
    const row = new Int32Array(this.length);
    const value = new Float64Array(this.length);
    for (let k = 0; k < m; k++) {
      for (let e = this.start[k]; e < this.start[k + 1]; e++) {
        const at = cursor[this.position[e]]++;
        row[at] = k;
        value[at] = this.value[e];
      }
    }
    for (let p = 0; p < this.width; p++) {
      for (let e = first[p]; e < first[p + 1]; e++) {
        const to = row[e] * m;
        for (let f = first[p]; f <= e; f++) gram[to + row[f]] += value[e] * value[f];
      }
    }
  }
}

export class NullSpace {
  /** Rows that depend on earlier ones, ascending. */
  readonly dependent: readonly number[];
  private readonly factor: Float64Array;
  private readonly scale: Float64Array;
  private readonly step: Float64Array;
  private readonly workspace: Workspace;

  constructor(
    private readonly rows: SparseRows,
    private readonly kernels: Kernels,
  ) {
    const m = rows.count;
    const workspace = kernels.workspace(workspaceSize(m * m, m));
    this.workspace = workspace;
    this.factor = workspace.float64(m * m);
    this.step = workspace.float64(m);
    rows.addGram(this.factor);
    this.scale = new Float64Array(m).fill(1);
    for (let k = 0; k < m; k++) if (this.factor[k * m + k] > 0) this.scale[k] = 1 / Math.sqrt(this.factor[k * m + k]);
    for (let k = 0; k < m; k++) {
      for (let i = 0; i < k; i++) this.factor[k * m + i] *= this.scale[k] * this.scale[i];
      this.factor[k * m + k] = (this.factor[k * m + k] > 0 ? 1 : 0) + SHIFT;
    }
    if (workspace.potrf(m, this.factor, m) !== 0) throw new RangeError("rows hold NaN or infinities");
    this.dependent = Array.from({ length: m }, (_, k) => k).filter((k) => this.factor[k * m + k] ** 2 <= DEPENDENT);
  }

  /** Columns that span the null space, one per dependent row, to about nine digits: `[rows, dependent]`. */
  basis(): Float64Array {
    const { scale, dependent } = this;
    const m = scale.length;
    const count = dependent.length;
    const workspace = this.kernels.workspace(workspaceSize(m * m, m * count));
    const factor = workspace.float64(m * m);
    factor.set(this.factor);
    const columns = workspace.float64(m * count);
    dependent.forEach((k, j) => {
      columns[k * count + j] = 1;
    });
    // shift (G + shift I)^-1 leaves what G annihilates and takes away the rest
    for (let round = 0; round < 2; round++) {
      workspace.trsm("left", false, m, count, factor, m, columns, count);
      workspace.trsm("left", true, m, count, factor, m, columns, count);
      for (let e = 0; e < columns.length; e++) columns[e] *= SHIFT;
    }
    for (let k = 0; k < m; k++) for (let j = 0; j < count; j++) columns[k * count + j] *= scale[k];
    const out = columns.slice();
    workspace.dispose();
    return out;
  }

  /** Hands the memory back; nothing else may be called afterwards. */
  dispose(): void {
    this.workspace.dispose();
  }

  /** The projection of z, in the metric of D, and the largest entry left of sum_k z_k row_k. */
  project(z: Float64Array): { readonly z: Float64Array; readonly left: number } {
    const { rows, workspace, factor, scale, step } = this;
    const m = rows.count;
    const rest = new Float64Array(rows.width);
    let best = { z, left: Number.POSITIVE_INFINITY };
    const current = z.slice();
    for (let round = 0; round < ROUNDS; round++) {
      rows.combine(current, rest);
      let left = 0;
      for (const value of rest) left = Math.max(left, Math.abs(value));
      if (left > 0.5 * best.left) {
        if (left < best.left) best = { z: current.slice(), left };
        break;
      }
      best = { z: current.slice(), left };
      if (left === 0) break;
      rows.products(rest, step);
      for (let k = 0; k < m; k++) step[k] *= scale[k];
      workspace.trsv(false, m, factor, m, step);
      workspace.trsv(true, m, factor, m, step);
      for (let k = 0; k < m; k++) current[k] -= scale[k] * step[k];
    }
    return best;
  }
}
