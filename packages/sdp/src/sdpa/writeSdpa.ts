// Strict writer of SDPA sparse files: every entry once, above the diagonal, sorted, in the shortest digits that read back
// exactly. Rank-one terms are written out. Names are lost; equalities are refused or become pairs of inequalities.

import { ResourceError, SettingError, UnsupportedError } from "@worstcase/core";
import { type Block, checkProblem, type SdpProblem } from "../problem.js";

export interface WriteSdpaOptions {
  /**
   * The format has no equalities. `refuse` throws UnsupportedError when there are any; `pairs` writes A x - b >= 0 and
   * b - A x >= 0 as one more diagonal block: the same set of x, but without interior, which solvers dislike.
   */
  readonly equalities?: "refuse" | "pairs" | undefined;
  /** Lines put at the top as comments. */
  readonly comment?: string | undefined;
}

/**
 * The text of a file that `readSdpa` reads back to the same problem, up to the order of entries, sums of repeated ones,
 * rank-one terms and names. Throws UnsupportedError on equalities (see options) and on blocks of size 0, ResourceError
 * when the text is too long for one string, and what `checkProblem` throws.
 */
export function writeSdpa(problem: SdpProblem, options: WriteSdpaOptions = {}): string {
  checkProblem(problem);
  const { equalities = "refuse", comment } = options;
  if (equalities !== "refuse" && equalities !== "pairs") {
    throw new SettingError({ argument: "options.equalities", expected: "refuse or pairs", received: equalities });
  }
  const { objective } = problem;
  const blocks = [...problem.blocks];
  const count = problem.equalities?.right.length ?? 0;
  if (count > 0 && equalities === "refuse") {
    const hint = 'pass { equalities: "pairs" } to write two inequalities for each';
    throw new UnsupportedError({ argument: "problem.equalities", expected: "none", received: count, hint });
  }
  if (count > 0) blocks.push(equalityPairs(problem));
  blocks.forEach(({ size }, b) => {
    if (size > 0) return;
    throw new UnsupportedError({ argument: `problem.blocks[${b}].size`, expected: "at least 1", received: size });
  });
  const sizes = blocks.map(({ kind, size }) => (kind === "psd" ? size : -size));
  const parts = comment === undefined ? [] : comment.split(/\r?\n|\r/).map((line) => `* ${line}`);
  parts.push(String(objective.length), String(blocks.length), sizes.join(" "), Array.from(objective, format).join(" "));
  const byMatrix = blocks.map(summedEntries);
  for (let k = 0; k <= objective.length; k++) {
    byMatrix.forEach((matrices, b) => {
      for (const [row, column, value] of matrices.get(k) ?? []) {
        parts.push(`${k} ${b + 1} ${row + 1} ${column + 1} ${format(value)}`);
      }
    });
  }
  try {
    return `${parts.join("\n")}\n`;
  } catch (cause) {
    const details = { argument: "problem", expected: "a text that fits one string", received: parts.length };
    throw new ResourceError({ ...details, hint: "too many entries" }, { cause });
  }
}

// String(-0) is "0"
const format = (value: number) => String(value);

type Triple = readonly [row: number, column: number, value: number];

/** Per matrix the entries of one block, repeated ones and rank-one terms summed, sorted by row and column, without zeros. */
function summedEntries({ size, entries, rankOne = [] }: Block): Map<number, Triple[]> {
  const sums = new Map<number, Map<number, number>>();
  const add = (matrix: number, row: number, column: number, value: number) => {
    let positions = sums.get(matrix);
    if (!positions) {
      positions = new Map();
      sums.set(matrix, positions);
    }
    const key = row * size + column;
    positions.set(key, (positions.get(key) ?? 0) + value);
  };
  const { matrix, row, column, value } = entries;
  for (let e = 0; e < value.length; e++) add(matrix[e], row[e], column[e], value[e]);
  for (const { matrix: k, weight, vector } of rankOne) {
    for (let i = 0; i < size; i++) {
      if (vector[i] === 0) continue;
      for (let j = i; j < size; j++) if (vector[j] !== 0) add(k, i, j, weight * vector[i] * vector[j]);
    }
  }
  const sorted = new Map<number, Triple[]>();
  for (const [k, positions] of sums) {
    const list = [...positions].filter(([, sum]) => sum !== 0).sort(([a], [b]) => a - b);
    sorted.set(
      k,
      list.map(([key, sum]) => [Math.floor(key / size), key % size, sum]),
    );
  }
  return sorted;
}

/** (A x - b, b - A x) as a nonnegative block. */
function equalityPairs({ equalities }: SdpProblem): Block {
  const { row, variable, value, right } = equalities!;
  const [matrices, rows, values]: [number[], number[], number[]] = [[], [], []];
  const add = (matrix: number, i: number, entry: number) => {
    matrices.push(matrix, matrix);
    rows.push(i, right.length + i);
    values.push(entry, -entry);
  };
  for (let i = 0; i < right.length; i++) add(0, i, right[i]);
  for (let e = 0; e < value.length; e++) add(variable[e] + 1, row[e], value[e]);
  const indices = Int32Array.from(rows);
  return {
    kind: "nonnegative",
    size: 2 * right.length,
    entries: { matrix: Int32Array.from(matrices), row: indices, column: indices, value: Float64Array.from(values) },
  };
}
