// The linear maps of one block: x -> sum_k x_k F_k, and its adjoint T -> (<F_k, sym T>)_k. Matrices are dense row-major
// `[order, order]`; only the stored entries of F_k are visited.

import type { PsdBlock, Rows, Terms } from "./reducedProblem.js";

/** out <- sum_k x_k F_k - constantWeight F_0, both triangles. */
export function applyBlock(block: PsdBlock, x: Float64Array, constantWeight: number, out: Float64Array): void {
  const n = block.order;
  out.fill(0);
  const { variable, start, row, column, value } = block.terms;
  for (let g = 0; g < variable.length; g++) {
    const weight = x[variable[g]];
    if (weight === 0) continue;
    for (let e = start[g]; e < start[g + 1]; e++) out[row[e] * n + column[e]] += weight * value[e];
  }
  if (constantWeight !== 0) {
    const f = block.constant;
    for (let e = 0; e < f.value.length; e++) out[f.row[e] * n + f.column[e]] -= constantWeight * f.value[e];
  }
  for (const term of block.rankOne) {
    const weight = x[term.variable] * term.weight;
    if (weight === 0) continue;
    for (let i = 0; i < n; i++) {
      const left = weight * term.vector[i];
      if (left !== 0) for (let j = i; j < n; j++) out[i * n + j] += left * term.vector[j];
    }
  }
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) out[j * n + i] = out[i * n + j];
}

/** out_k += scale <F_k, (T + T')/2>. */
export function addAdjoint(block: PsdBlock, t: Float64Array, scale: number, out: Float64Array): void {
  const n = block.order;
  const { variable, start } = block.terms;
  for (let g = 0; g < variable.length; g++) {
    out[variable[g]] += scale * innerProduct(block.terms, start[g], start[g + 1], t, n);
  }
  for (const { variable: k, weight, vector } of block.rankOne) {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      if (vector[i] === 0) continue;
      let line = 0;
      for (let j = 0; j < n; j++) line += t[i * n + j] * vector[j];
      sum += vector[i] * line;
    }
    out[k] += scale * weight * sum;
  }
}

/** <F_0, (T + T')/2>. */
export function constantProduct(block: PsdBlock, t: Float64Array): number {
  return innerProduct(block.constant, 0, block.constant.value.length, t, block.order);
}

function innerProduct(terms: Terms, from: number, to: number, t: Float64Array, n: number): number {
  const { row, column, value } = terms;
  let sum = 0;
  for (let e = from; e < to; e++) {
    const i = row[e];
    const j = column[e];
    sum += i === j ? value[e] * t[i * n + i] : value[e] * (t[i * n + j] + t[j * n + i]);
  }
  return sum;
}

/** out_i <- sum_k R_ik x_k - constantWeight right_i. */
export function applyRows(rows: Rows, x: Float64Array, constantWeight: number, out: Float64Array): void {
  const { start, variable, value, right } = rows;
  for (let i = 0; i < right.length; i++) {
    let sum = -constantWeight * right[i];
    for (let e = start[i]; e < start[i + 1]; e++) sum += value[e] * x[variable[e]];
    out[i] = sum;
  }
}

/** out_k += scale sum_i R_ik y_i. */
export function addRowsAdjoint(rows: Rows, y: Float64Array, scale: number, out: Float64Array): void {
  const { start, variable, value, right } = rows;
  for (let i = 0; i < right.length; i++) {
    const weight = scale * y[i];
    if (weight !== 0) for (let e = start[i]; e < start[i + 1]; e++) out[variable[e]] += weight * value[e];
  }
}

/** H += R' diag(y / s) R. Variables ascend within a row. */
export function addRowsSchur(rows: Rows, y: Float64Array, s: Float64Array, h: Float64Array, m: number): void {
  const { start, variable, value, right } = rows;
  for (let i = 0; i < right.length; i++) {
    const weight = y[i] / s[i];
    for (let e = start[i]; e < start[i + 1]; e++) {
      const scaled = weight * value[e];
      const line = variable[e] * m;
      for (let f = start[i]; f <= e; f++) h[line + variable[f]] += scaled * value[f];
    }
  }
}
