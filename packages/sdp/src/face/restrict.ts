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
  const sorted = new SparseRows(rows.width);
  for (const k of order) {
    for (let e = rows.start[k]; e < rows.start[k + 1]; e++) sorted.push(rows.position[e], rows.value[e]);
    sorted.endRow();
  }
  const space = new NullSpace(sorted, kernels);
  const position = new Int32Array(m).fill(-1);
  const gone = new Set(space.dependent.map((p) => order[p]));
  const variables = Int32Array.from({ length: m }, (_, k) => k).filter((k) => !gone.has(k));
  variables.forEach((k, i) => {
    position[k] = i;
  });
  const blocks = problem.blocks.map((block, b): Block => {
    const { matrix, row, column, value, rankOne } = sparse[b];
    const dense = new Set(rankOne.map((term) => term.matrix));
    const keep = matrix
      .map((_, e) => e)
      .filter((e) => matrix[e] === 0 || (position[matrix[e] - 1] >= 0 && !dense.has(matrix[e])));
    return {
      kind: block.kind,
      size: free[b],
      entries: {
        matrix: Int32Array.from(keep, (e) => (matrix[e] === 0 ? 0 : position[matrix[e] - 1] + 1)),
        row: Int32Array.from(keep, (e) => row[e]),
        column: Int32Array.from(keep, (e) => column[e]),
        value: Float64Array.from(keep, (e) => value[e]),
      },
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

/** Upper triangles of N' F_k N, k = 0..m, as parallel lists in order of k; `rankOne` repeats those that have that form. */
function restrictEntries(block: Block, basis: KernelBasis, m: number) {
  const free = basis.size - basis.count;
  const { start, column, value } = basis;
  const grouped = byMatrix(block, m);
  const dense = new Float64Array(block.kind === "psd" ? free * free : free);
  const seen = new Uint8Array(dense.length);
  const out = { matrix: [] as number[], row: [] as number[], column: [] as number[], value: [] as number[] };
  const rankOne: RankOneTerm[] = [];
  for (let k = 0; k <= m; k++) {
    const touched: number[] = [];
    let scale = 0;
    if (k > 0) rankOne.push(...asRankOne(block, grouped, k, basis));
    const add = (a: number, c: number, v: number) => {
      const at = block.kind === "psd" ? a * free + c : a;
      dense[at] += v;
      scale = Math.max(scale, Math.abs(v));
      if (seen[at] === 0) touched.push(at);
      seen[at] = 1;
    };
    forEntries(block, grouped, k, (i, j, v) => {
      for (let e = start[i]; e < start[i + 1]; e++) {
        for (let f = start[j]; f < start[j + 1]; f++) {
          const [a, c] = [column[e], column[f]];
          const product = v * value[e] * value[f];
          if (i === j) {
            if (a <= c) add(a, c, product);
          } else add(Math.min(a, c), Math.max(a, c), a === c ? 2 * product : product);
        }
      }
    });
    for (const at of touched.sort((p, q) => p - q)) {
      if (Math.abs(dense[at]) > 1e-14 * scale) {
        out.matrix.push(k);
        out.row.push(block.kind === "psd" ? Math.floor(at / free) : at);
        out.column.push(block.kind === "psd" ? at % free : at);
        out.value.push(dense[at]);
      }
      dense[at] = seen[at] = 0;
    }
  }
  return { ...out, rankOne };
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
  const cursor = sparse.map(({ matrix }) => matrix.findIndex((k) => k > 0));
  for (let k = 1; k <= m; k++) {
    let offset = 0;
    sparse.forEach(({ matrix, row, column, value }, b) => {
      let e = cursor[b];
      for (; e >= 0 && matrix[e] === k; e++) {
        const diagonal = row[e] === column[e];
        const at = problem.blocks[b].kind === "psd" ? row[e] * free[b] + column[e] : row[e];
        rows.push(offset + at, diagonal ? value[e] : Math.SQRT2 * value[e]);
      }
      cursor[b] = e;
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
