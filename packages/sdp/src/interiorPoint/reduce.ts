// Reduction of a problem before the interior-point method: what is exact, cheap and makes the interior larger.
//
// 1. Variables that occur nowhere are 0 (or prove dual infeasibility when they have a cost).
// 2. The aggregate pattern of F_0..F_m splits a psd block into connected components; orders of one become rows.
// 3. Parts of the cone without any variable are constant: dropped when they hold, a proof of infeasibility when not.
// 4. Two opposite rows, a'x >= g and -t a'x >= -t g, have no interior: they become one equality.

import type { Kernels } from "@worstcase/linalg/kernels";
import { blockZeros, type SdpProblem } from "../problem.js";
import { constantTerms, type Entries, split, variableTerms } from "./components.js";
import type { PsdBlock, ReducedProblem, RowOrigin, Rows, Terms, Verdict } from "./reducedProblem.js";

interface SparseRow {
  origin: RowOrigin;
  /** Sorted by variable, caller's numbering. */
  terms: [variable: number, value: number][];
  right: number;
}

export function reduce(problem: SdpProblem, kernels: Kernels): ReducedProblem | Verdict {
  const notes: string[] = [];
  const { kept, position, unbounded } = keepVariables(problem);
  if (unbounded) return unbounded;
  if (kept.length < problem.objective.length) {
    notes.push(`${problem.objective.length - kept.length} variables occur nowhere and are 0`);
  }
  const rows: SparseRow[] = [];
  const psd: PsdBlock[] = [];
  for (let b = 0; b < problem.blocks.length; b++) {
    const parts = split(problem.blocks[b]);
    let components = 0;
    for (const { index, entries, rankOne } of parts) {
      if (index.length === 1) {
        rows.push(rowOf(b, index[0], entries));
        continue;
      }
      components++;
      const constant = constantTerms(entries);
      if (rankOne.length === 0 && entries.matrix.every((matrix) => matrix === 0)) {
        const direction = negativeDirection(index.length, constant, kernels);
        if (direction) return constantRay(problem, b, index, direction);
        continue;
      }
      const moved = rankOne.map((term) => ({ ...term, variable: position[term.variable] }));
      psd.push({
        order: index.length,
        terms: variableTerms(entries, position),
        rankOne: moved,
        constant,
        block: b,
        index,
      });
    }
    if (problem.blocks[b].kind === "psd" && parts.length > 1) {
      notes.push(`block ${b + 1} falls into ${components} psd blocks and ${parts.length - components} rows`);
    }
  }
  for (const row of rows) {
    if (row.terms.length > 0) continue;
    if (row.right > 0)
      return constantRay(problem, row.origin.block, Int32Array.of(row.origin.index), Float64Array.of(1));
  }
  const { single, pairs } = pairOpposites(rows.filter((row) => row.terms.length > 0));
  if (pairs.length > 0) notes.push(`${pairs.length} pairs of opposite rows are equalities`);
  return {
    objective: Float64Array.from(kept, (k) => problem.objective[k]),
    psd,
    rows: compress(single, position),
    rowOrigins: single.map(({ origin }) => origin),
    equalities: joinEqualities(problem, pairs, position),
    callerEqualities: problem.equalities?.right.length ?? 0,
    pairs: pairs.map(({ row, opposite, ratio }) => ({ row: row.origin, opposite: opposite.origin, ratio })),
    kept,
    notes,
  };
}

function keepVariables({ objective, blocks, equalities }: SdpProblem) {
  const used = new Uint8Array(objective.length);
  for (const { entries, rankOne } of blocks) {
    for (let e = 0; e < entries.matrix.length; e++) {
      if (entries.matrix[e] > 0 && entries.value[e] !== 0) used[entries.matrix[e] - 1] = 1;
    }
    for (const { matrix, weight } of rankOne ?? []) if (matrix > 0 && weight !== 0) used[matrix - 1] = 1;
  }
  equalities?.variable.forEach((k, e) => {
    if (equalities.value[e] !== 0) used[k] = 1;
  });
  const free = used.findIndex((flag, k) => flag === 0 && objective[k] !== 0);
  let unbounded: Verdict | undefined;
  if (free >= 0) {
    const x = new Float64Array(objective.length);
    x[free] = -1 / objective[free];
    unbounded = { kind: "dual-infeasible", x };
  }
  const kept = Int32Array.from([...used.keys()].filter((k) => used[k] === 1));
  const position = new Int32Array(objective.length).fill(-1);
  kept.forEach((k, i) => {
    position[k] = i;
  });
  return { kept, position, unbounded };
}

function rowOf(block: number, index: number, { matrix, value }: Entries): SparseRow {
  const sums = sumByVariable(Array.from(matrix, (k, e) => [k - 1, value[e]]));
  const right = sums.find(([k]) => k === -1)?.[1] ?? 0;
  return { origin: { block, index }, terms: sums.filter(([k]) => k >= 0), right };
}

/** Repeated variables summed, zeros left out, variables ascending: what `addRowsSchur` relies on. */
function sumByVariable(terms: SparseRow["terms"]): SparseRow["terms"] {
  const sums = new Map<number, number>();
  for (const [k, value] of terms) sums.set(k, (sums.get(k) ?? 0) + value);
  return [...sums].filter(([, value]) => value !== 0).sort(([p], [q]) => p - q);
}

/** Pairs rows that are exact negatives of each other up to a positive factor. */
function pairOpposites(rows: SparseRow[]) {
  const waiting = new Map<string, SparseRow[]>();
  const paired = new Set<SparseRow>();
  const pairs: { row: SparseRow; opposite: SparseRow; ratio: number }[] = [];
  for (const row of rows) {
    const scale = Math.abs(row.terms[0][1]);
    const key = (sign: number) =>
      [...row.terms, [-1, row.right] as const].map(([k, v]) => `${k}:${(sign * v) / scale + 0}`).join(" ");
    const match = waiting.get(key(-1))?.pop();
    if (match) {
      pairs.push({ row: match, opposite: row, ratio: scale / Math.abs(match.terms[0][1]) });
      paired.add(row).add(match);
    } else {
      const list = waiting.get(key(1));
      if (list) list.push(row);
      else waiting.set(key(1), [row]);
    }
  }
  return { single: rows.filter((row) => !paired.has(row)), pairs };
}

function compress(rows: readonly SparseRow[], position: Int32Array): Rows {
  const start = new Int32Array(rows.length + 1);
  rows.forEach(({ terms }, i) => {
    start[i + 1] = start[i] + terms.length;
  });
  const all = rows.flatMap(({ terms }) => terms);
  return {
    start,
    variable: Int32Array.from(all, ([k]) => position[k]),
    value: Float64Array.from(all, ([, value]) => value),
    right: Float64Array.from(rows, ({ right }) => right),
  };
}

function joinEqualities(problem: SdpProblem, pairs: readonly { row: SparseRow }[], position: Int32Array): Rows {
  const given = problem.equalities;
  const rows: SparseRow[] = Array.from(given?.right ?? [], (right, index) => ({
    origin: { block: -1, index },
    terms: [],
    right,
  }));
  given?.row.forEach((row, e) => {
    if (given.value[e] !== 0) rows[row].terms.push([given.variable[e], given.value[e]]);
  });
  for (const row of rows) row.terms = sumByVariable(row.terms);
  return compress([...rows, ...pairs.map(({ row }) => row)], position);
}

/** A unit vector v with v'(-F_0)v < 0, or undefined when -F_0 is positive semidefinite up to rounding. */
function negativeDirection(order: number, constant: Terms, kernels: Kernels): Float64Array | undefined {
  const workspace = kernels.workspace(order * order + order + 16);
  const matrix = workspace.float64(order * order);
  const eigenvalues = workspace.float64(order);
  constant.value.forEach((value, e) => {
    const [row, column] = [constant.row[e], constant.column[e]];
    matrix[row * order + column] -= value;
    if (row !== column) matrix[column * order + row] -= value;
  });
  workspace.syevd(order, matrix, order, eigenvalues);
  const largest = Math.max(Math.abs(eigenvalues[0]), Math.abs(eigenvalues[order - 1]));
  const found = eigenvalues[0] >= -1e-13 * order * largest ? undefined : matrix.slice(0, order);
  workspace.dispose();
  return found;
}

/** Y = v v' on a constant part of the cone with <F_0, Y> > 0: no x can be feasible. */
function constantRay(problem: SdpProblem, block: number, index: Int32Array, direction: Float64Array): Verdict {
  const dual = blockZeros(problem.blocks);
  const { kind, size } = problem.blocks[block];
  for (let p = 0; p < index.length; p++) {
    if (kind === "nonnegative") dual[block][index[p]] = 1;
    else for (let q = 0; q < index.length; q++) dual[block][index[p] * size + index[q]] = direction[p] * direction[q];
  }
  const multipliers = new Float64Array(problem.equalities?.right.length ?? 0);
  return { kind: "primal-infeasible", dual, multipliers };
}
