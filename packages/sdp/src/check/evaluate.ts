// The caller's matrices evaluated term by term, for the checks only; no code is shared with the solvers.
//   combination    M = sum_k weights[k] F_k in one block, k = 0..m     (m = variables)
//   inner products <F_k, Y> in one block for every k = 0..m
// A psd block of order n is [n, n] row-major, a nonnegative block [n].

import type { Block, SdpProblem } from "../problem.js";

/** Numbers of one block: `[size * size]` or `[size]`. */
export const blockLength = ({ kind, size }: Block) => (kind === "psd" ? size * size : size);

/** out += sum_k weights[k] F_k with weights `[variables + 1]`; in a psd block only the upper triangle (row <= column). */
export function addCombination(block: Block, weights: Float64Array, out: Float64Array): void {
  const { kind, size, entries, rankOne = [] } = block;
  const { matrix, row, column, value } = entries;
  const stride = kind === "psd" ? size : 0;
  for (let e = 0; e < value.length; e++) out[row[e] * stride + column[e]] += weights[matrix[e]] * value[e];
  for (const { matrix: k, weight, vector } of rankOne) {
    const scale = weights[k] * weight;
    if (scale === 0) continue;
    const support = nonzeros(vector);
    for (let a = 0; a < support.length; a++) {
      const i = support[a];
      const factor = scale * vector[i];
      for (let b = a; b < support.length; b++) out[i * size + support[b]] += factor * vector[support[b]];
    }
  }
}

/** out[k] += <F_k, Y> with out `[variables + 1]`; both triangles of Y are read. */
export function addInnerProducts(block: Block, y: Float64Array, out: Float64Array): void {
  const { kind, size, entries, rankOne = [] } = block;
  const { matrix, row, column, value } = entries;
  for (let e = 0; e < value.length; e++) {
    const [i, j] = [row[e], column[e]];
    const paired = kind === "nonnegative" ? y[i] : i === j ? y[i * size + i] : y[i * size + j] + y[j * size + i];
    out[matrix[e]] += value[e] * paired;
  }
  for (const { matrix: k, weight, vector } of rankOne) {
    const support = nonzeros(vector);
    let total = 0;
    for (const i of support) {
      let sum = 0;
      for (const j of support) sum += y[i * size + j] * vector[j];
      total += vector[i] * sum;
    }
    out[k] += weight * total;
  }
}

/** Largest absolute entry of F_0 over all blocks, after summing repeated entries and rank-one terms. */
export function largestConstant(problem: SdpProblem): number {
  const weights = new Float64Array(problem.objective.length + 1);
  weights[0] = 1;
  let largest = 0;
  for (const block of problem.blocks) {
    const constant = new Float64Array(blockLength(block));
    addCombination(block, weights, constant);
    largest = Math.max(largest, largestEntry(constant));
  }
  return largest;
}

/** Per variable the largest absolute term of its column: entries and rank-one terms of F_k and entries of A, `[variables]`. */
export function variableSizes(problem: SdpProblem): Float64Array {
  const sizes = new Float64Array(problem.objective.length);
  const note = (k: number, value: number) => {
    if (Math.abs(value) > sizes[k]) sizes[k] = Math.abs(value);
  };
  for (const { entries, rankOne = [] } of problem.blocks) {
    for (let e = 0; e < entries.value.length; e++) {
      if (entries.matrix[e] > 0) note(entries.matrix[e] - 1, entries.value[e]);
    }
    for (const { matrix, weight, vector } of rankOne) {
      if (matrix > 0) note(matrix - 1, weight * largestEntry(vector) ** 2);
    }
  }
  const { equalities } = problem;
  if (equalities) for (let e = 0; e < equalities.value.length; e++) note(equalities.variable[e], equalities.value[e]);
  return sizes;
}

/** A x, `[equalities]`. */
export function equalityValues(problem: SdpProblem, x: Float64Array): Float64Array {
  const { row, variable, value, right } = problem.equalities ?? none;
  const values = new Float64Array(right.length);
  for (let e = 0; e < value.length; e++) values[row[e]] += value[e] * x[variable[e]];
  return values;
}

/** out[k - 1] += (A'u)_k with out `[variables]`. */
export function addEqualityMultiples(problem: SdpProblem, multipliers: Float64Array, out: Float64Array): void {
  const { row, variable, value } = problem.equalities ?? none;
  for (let e = 0; e < value.length; e++) out[variable[e]] += value[e] * multipliers[row[e]];
}

const none = {
  row: new Int32Array(),
  variable: new Int32Array(),
  value: new Float64Array(),
  right: new Float64Array(),
};

export function largestEntry(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function nonzeros(vector: Float64Array): number[] {
  const found: number[] = [];
  for (let i = 0; i < vector.length; i++) if (vector[i] !== 0) found.push(i);
  return found;
}
