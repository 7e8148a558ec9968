// The problem on a face of its cone: with Y_b = N_b Y'_b N_b' in every block the data become F'_k = N' F_k N, of lower order.
// A variable whose data on the face depend on those of others adds nothing there and is left out (its x is 0).

import type { Kernels } from "@worstcase/linalg/kernels";
import type { Block, RankOneTerm, SdpProblem } from "../problem.js";
import type { KernelBasis } from "./kernelBasis.js";
import { NullSpace, SparseRows } from "./sparseRows.js";

export interface Restriction {
  /** The problem on the face; its variables are `variables` of the original. */
  readonly problem: SdpProblem;
  readonly variables: Int32Array;
  /** Columns that span { w : sum_k w_k F'_k = 0, A w = 0 } to about nine digits, `[all variables, columns]`. */
  readonly vanishing: () => { readonly columns: Float64Array; readonly count: number };
  /** Projects x `[all variables]` on that space, to rounding. */
  readonly project: (x: Float64Array) => Float64Array;
  /** Hands the memory of the two back. */
  readonly dispose: () => void;
}

/** Entries and rank-one terms of one block, by matrix. */
interface ByMatrix {
  readonly start: Int32Array;
  readonly order: Int32Array;
}

/** Rows (F_k N of all blocks, A_k, c_k), one per variable: a z with sum_k z_k row_k = 0 has F(z) N = 0, A z = 0, c'z = 0. */
export function exposingRows(problem: SdpProblem, bases: readonly KernelBasis[]): SparseRows {
  const { objective, blocks } = problem;
  const m = objective.length;
  const free = bases.map((basis) => basis.size - basis.count);
  const width = blocks.reduce((sum, { size }, b) => sum + size * free[b], 0);
  const equalities = problem.equalities?.right.length ?? 0;
  const rows = new SparseRows(width + equalities + 1);
  const grouped = blocks.map((block) => byMatrix(block, m));
  const columns = equalityColumns(problem);
  const widest = Math.max(0, ...blocks.map(({ size }, b) => size * free[b]));
  const dense = new Float64Array(widest);
  const seen = new Uint8Array(widest);
  for (let k = 1; k <= m; k++) {
    let offset = 0;
    blocks.forEach((block, b) => {
      const basis = bases[b];
      const touched: number[] = [];
      const add = (i: number, j: number, v: number) => {
        for (let e = basis.start[j]; e < basis.start[j + 1]; e++) {
          const at = i * free[b] + basis.column[e];
          dense[at] += v * basis.value[e];
          if (seen[at] === 0) touched.push(at);
          seen[at] = 1;
        }
      };
      forEntries(block, grouped[b], k, (i, j, v) => {
        add(i, j, v);
        if (i !== j) add(j, i, v);
      });
      for (const at of touched) {
        rows.push(offset + at, dense[at]);
        dense[at] = seen[at] = 0;
      }
      offset += block.size * free[b];
    });
    for (const [i, v] of columns[k - 1]) rows.push(width + i, v);
    rows.push(width + equalities, objective[k - 1]);
    rows.endRow();
  }
  return rows;
}

/** The restricted problem, by the kernel bases of all blocks. */
export function restrict(problem: SdpProblem, bases: readonly KernelBasis[], kernels: Kernels): Restriction {
  const { objective } = problem;
  const m = objective.length;
  const free = bases.map((basis) => basis.size - basis.count);
  const sparse = problem.blocks.map((block, b) => restrictEntries(block, bases[b], m));
  const rows = restrictedRows(problem, sparse, free);
  // sparse data first: what depends on them is left out
  const order = Int32Array.from({ length: m }, (_, k) => k).sort(
    (p, q) => rows.start[p + 1] - rows.start[p] - (rows.start[q + 1] - rows.start[q]) || p - q,
  );
  const space = new NullSpace(SparseRows.reordered(rows, order), kernels);
  const position = new Int32Array(m).fill(-1);
  const gone = new Set(space.dependent.map((p) => order[p]));
  const variables = Int32Array.from({ length: m }, (_, k) => k).filter((k) => !gone.has(k));
  variables.forEach((k, i) => {
    position[k] = i;
  });
  const blocks = problem.blocks.map((block, b): Block => {
    const { rows: entries, rankOne } = sparse[b];
    const dense = new Set(rankOne.map((term) => term.matrix));
    // matrix on the face, 0 for the constant, or -1 for those left out
    const target = Int32Array.from({ length: m + 1 }, (_, k) => {
      if (k === 0) return 0;
      return dense.has(k) ? -1 : position[k - 1] < 0 ? -1 : position[k - 1] + 1;
    });
    const count = target.reduce((sum, to, k) => sum + (to < 0 ? 0 : entries.start[k + 1] - entries.start[k]), 0);
    const [matrix, row, column] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    const value = new Float64Array(count);
    const stride = block.kind === "psd" ? free[b] : 0;
    let next = 0;
    target.forEach((to, k) => {
      if (to < 0) return;
      for (let e = entries.start[k]; e < entries.start[k + 1]; e++, next++) {
        const at = entries.position[e];
        matrix[next] = to;
        row[next] = stride > 0 ? Math.floor(at / stride) : at;
        column[next] = stride > 0 ? at % stride : at;
        value[next] = entries.value[e];
      }
    });
    return {
      kind: block.kind,
      size: free[b],
      entries: { matrix, row, column, value },
      rankOne: rankOne
        .filter((term) => position[term.matrix - 1] >= 0)
        .map((term) => ({ ...term, matrix: position[term.matrix - 1] + 1 })),
    };
  });
  const given = problem.equalities;
  const inside = given ? [...given.variable.keys()].filter((e) => position[given.variable[e]] >= 0) : [];
  return {
    problem: {
      objective: Float64Array.from(variables, (k) => objective[k]),
      blocks,
      equalities: given && {
        row: Int32Array.from(inside, (e) => given.row[e]),
        variable: Int32Array.from(inside, (e) => position[given.variable[e]]),
        value: Float64Array.from(inside, (e) => given.value[e]),
        right: given.right,
      },
    },
    variables,
    dispose: () => space.dispose(),
    vanishing() {
      const sortedColumns = space.basis();
      const count = space.dependent.length;
      const columns = new Float64Array(m * count);
      order.forEach((k, p) => {
        columns.set(sortedColumns.subarray(p * count, (p + 1) * count), k * count);
      });
      return { columns, count };
    },
    project(x) {
      const projected = space.project(Float64Array.from(order, (k) => x[k])).z;
      const out = new Float64Array(m);
      order.forEach((k, p) => {
        out[k] = projected[p];
      });
      return out;
    },
  };
}

/** A diagonal entry of F_k at a row of N with so many entries is kept as the rank-one term it becomes. */
const LONG_ROW = 8;

/**
 * Upper triangles of N' F_k N, a row for each k = 0..m, positions row * free + column in a psd block and row in another;
 * `rankOne` repeats those that have that form.
 */
function restrictEntries(block: Block, basis: KernelBasis, m: number) {
  const free = basis.size - basis.count;
  const { start, column, value } = basis;
  const grouped = byMatrix(block, m);
  const stride = block.kind === "psd" ? free : 0;
  const dense = new Float64Array(stride > 0 ? free * free : free);
  const seen = new Uint8Array(dense.length);
  const touched = new Int32Array(dense.length);
  const rows = new SparseRows(dense.length);
  const rankOne: RankOneTerm[] = [];
  let count = 0;
  let scale = 0;
  const visit = (i: number, j: number, v: number) => {
    for (let e = start[i]; e < start[i + 1]; e++) {
      const a = column[e];
      const left = v * value[e];
      for (let f = start[j]; f < start[j + 1]; f++) {
        const c = column[f];
        if (i === j && a > c) continue;
        const product = i !== j && a === c ? 2 * left * value[f] : left * value[f];
        const at = stride === 0 ? a : a < c ? a * stride + c : c * stride + a;
        dense[at] += product;
        scale = Math.max(scale, Math.abs(product));
        if (seen[at] === 0) touched[count++] = at;
        seen[at] = 1;
      }
    }
  };
  for (let k = 0; k <= m; k++) {
    if (k > 0) rankOne.push(...asRankOne(block, grouped, k, basis));
    forEntries(block, grouped, k, visit);
    for (const at of touched.subarray(0, count).sort()) {
      if (Math.abs(dense[at]) > 1e-14 * scale) rows.push(at, dense[at]);
      dense[at] = seen[at] = 0;
    }
    rows.endRow();
    count = scale = 0;
  }
  return { rows, rankOne };
}

/** F_k = v e_p e_p' in this block, and row p of N long: v N_p N_p'. */
function asRankOne(block: Block, { start, order }: ByMatrix, k: number, basis: KernelBasis): RankOneTerm[] {
  const { entries, kind, rankOne = [] } = block;
  if (kind !== "psd" || start[k + 1] - start[k] !== 1 || rankOne.some(({ matrix }) => matrix === k)) return [];
  const e = order[start[k]];
  const p = entries.row[e];
  if (p !== entries.column[e] || basis.start[p + 1] - basis.start[p] < LONG_ROW) return [];
  const vector = new Float64Array(basis.size - basis.count);
  for (let f = basis.start[p]; f < basis.start[p + 1]; f++) vector[basis.column[f]] = basis.value[f];
  return [{ matrix: k, weight: entries.value[e], vector }];
}

/** Rows (N' F_k N scaled to the Frobenius product, A_k), one per variable. */
function restrictedRows(
  problem: SdpProblem,
  sparse: readonly ReturnType<typeof restrictEntries>[],
  free: readonly number[],
): SparseRows {
  const m = problem.objective.length;
  const widths = problem.blocks.map(({ kind }, b) => (kind === "psd" ? free[b] * free[b] : free[b]));
  const width = widths.reduce((sum, w) => sum + w, 0);
  const rows = new SparseRows(width + (problem.equalities?.right.length ?? 0));
  const columns = equalityColumns(problem);
  for (let k = 1; k <= m; k++) {
    let offset = 0;
    sparse.forEach(({ rows: { start, position, value } }, b) => {
      // the diagonal of a psd block; every position of another
      const diagonal = problem.blocks[b].kind === "psd" ? free[b] + 1 : 1;
      for (let e = start[k]; e < start[k + 1]; e++) {
        const at = position[e];
        rows.push(offset + at, at % diagonal === 0 ? value[e] : Math.SQRT2 * value[e]);
      }
      offset += widths[b];
    });
    for (const [i, v] of columns[k - 1]) rows.push(width + i, v);
    rows.endRow();
  }
  return rows;
}

function byMatrix({ entries: { matrix } }: Block, m: number): ByMatrix {
  const start = new Int32Array(m + 2);
  for (const k of matrix) start[k + 1]++;
  for (let k = 0; k <= m; k++) start[k + 1] += start[k];
  const cursor = start.slice();
  const order = new Int32Array(matrix.length);
  matrix.forEach((k, e) => {
    order[cursor[k]++] = e;
  });
  return { start, order };
}

/** Calls back with every entry (row <= column) of F_k in the block, rank-one terms written out. */
function forEntries(
  { entries, rankOne = [] }: Block,
  { start, order }: ByMatrix,
  k: number,
  visit: (row: number, column: number, value: number) => void,
): void {
  for (let p = start[k]; p < start[k + 1]; p++) {
    const e = order[p];
    if (entries.value[e] !== 0) visit(entries.row[e], entries.column[e], entries.value[e]);
  }
  for (const { matrix, weight, vector } of rankOne) {
    if (matrix !== k) continue;
    for (let i = 0; i < vector.length; i++) {
      if (vector[i] === 0) continue;
      for (let j = i; j < vector.length; j++) {
        if (vector[j] !== 0) visit(i, j, weight * vector[i] * vector[j]);
      }
    }
  }
}

function equalityColumns({ objective, equalities }: SdpProblem): [row: number, value: number][][] {
  const columns: [number, number][][] = Array.from(objective, () => []);
  equalities?.row.forEach((row, e) => {
    columns[equalities.variable[e]].push([row, equalities.value[e]]);
  });
  return columns;
}
