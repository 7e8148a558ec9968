// Sizes of the data: norms for residuals and rounding, and the starting point that follows from them.

import type { SdpProblem } from "../problem.js";
import type { PsdBlock, ReducedProblem, Rows } from "./reducedProblem.js";

export interface StartingSizes {
  /** S_j = slack[j] I and Y_j = dual[j] I. */
  readonly slack: readonly number[];
  readonly dual: readonly number[];
  readonly slackRows: number;
  readonly dualRows: number;
}

/** Multiples of the identity large enough to enclose solutions of ordinary size (Toh, Todd, Tutuncu, SDPT3). */
export function startingSizes({ objective, psd, rows }: ReducedProblem): StartingSizes {
  const slack: number[] = [];
  const dual: number[] = [];
  for (const block of psd) {
    const { ratio, widest } = compare(blockSquares(block), objective);
    const n = block.order;
    slack.push(Math.max(10, Math.sqrt(n), widest, constantNorm(block)));
    dual.push(Math.max(10, Math.sqrt(n), n * ratio));
  }
  const root = Math.sqrt(rows.right.length);
  const { ratio, widest } = compare(rowSquares(rows), objective);
  return {
    slack,
    dual,
    slackRows: Math.max(10, root, widest, norm(rows.right)),
    dualRows: Math.max(10, root, root * ratio),
  };
}

/** Largest of (1 + |c_k|) / (1 + |F_k|) and of |F_k| over the variables present. */
function compare(squares: ReadonlyMap<number, number>, objective: Float64Array) {
  let [ratio, widest] = [0, 0];
  for (const [k, square] of squares) {
    const size = Math.sqrt(square);
    ratio = Math.max(ratio, (1 + Math.abs(objective[k])) / (1 + size));
    widest = Math.max(widest, size);
  }
  return { ratio, widest };
}

function blockSquares({ terms, rankOne }: PsdBlock): Map<number, number> {
  const squares = new Map<number, number>();
  const add = (k: number, square: number) => {
    squares.set(k, (squares.get(k) ?? 0) + square);
  };
  const { variable, start, row, column, value } = terms;
  for (let g = 0; g < variable.length; g++) {
    for (let e = start[g]; e < start[g + 1]; e++) add(variable[g], (row[e] === column[e] ? 1 : 2) * value[e] ** 2);
  }
  for (const { variable: k, weight, vector } of rankOne) add(k, (weight * norm(vector) ** 2) ** 2);
  return squares;
}

function rowSquares({ variable, value }: Rows): Map<number, number> {
  const squares = new Map<number, number>();
  for (let e = 0; e < variable.length; e++) squares.set(variable[e], (squares.get(variable[e]) ?? 0) + value[e] ** 2);
  return squares;
}

function constantNorm({ constant: { row, column, value } }: PsdBlock): number {
  let square = 0;
  for (let e = 0; e < value.length; e++) square += (row[e] === column[e] ? 1 : 2) * value[e] ** 2;
  return Math.sqrt(square);
}

/** Largest absolute entry of each F_k. */
export function termSizes({ objective, psd, rows }: ReducedProblem): Float64Array {
  const sizes = new Float64Array(objective.length);
  const raise = (k: number, value: number) => {
    sizes[k] = Math.max(sizes[k], Math.abs(value));
  };
  for (const { terms, rankOne } of psd) {
    const { variable, start, value } = terms;
    for (let g = 0; g < variable.length; g++)
      for (let e = start[g]; e < start[g + 1]; e++) raise(variable[g], value[e]);
    for (const { variable: k, weight, vector } of rankOne) raise(k, weight * largest(vector) ** 2);
  }
  for (let e = 0; e < rows.variable.length; e++) raise(rows.variable[e], rows.value[e]);
  return sizes;
}

/** Largest absolute entry of F_0. */
export function constantSize({ blocks }: SdpProblem): number {
  let size = 0;
  for (const { entries, rankOne = [] } of blocks) {
    for (let e = 0; e < entries.value.length; e++) {
      if (entries.matrix[e] === 0) size = Math.max(size, Math.abs(entries.value[e]));
    }
    for (const { matrix, weight, vector } of rankOne) {
      if (matrix === 0) size = Math.max(size, Math.abs(weight) * largest(vector) ** 2);
    }
  }
  return size;
}

export function norm(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

export function largest(values: Float64Array): number {
  let size = 0;
  for (let i = 0; i < values.length; i++) size = Math.max(size, Math.abs(values[i]));
  return size;
}
