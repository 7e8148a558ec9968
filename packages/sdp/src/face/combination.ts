// sum_k x_k F_k - constant F_0 of one block of the caller's problem, dense: `[size, size]` with both triangles, or `[size]`.

import type { SdpProblem } from "../problem.js";

/** x `[variables]`. */
export function combination(problem: SdpProblem, b: number, x: Float64Array, constant = 0): Float64Array {
  const { kind, size, entries, rankOne = [] } = problem.blocks[b];
  const psd = kind === "psd";
  const out = new Float64Array(psd ? size * size : size);
  const { matrix, row, column, value } = entries;
  const stride = psd ? size : 1;
  for (let e = 0; e < value.length; e++) {
    const weight = matrix[e] === 0 ? -constant : x[matrix[e] - 1];
    if (weight !== 0) out[row[e] * stride + (psd ? column[e] : 0)] += weight * value[e];
  }
  for (const { matrix: k, weight, vector } of rankOne) {
    const scale = (k === 0 ? -constant : x[k - 1]) * weight;
    if (scale === 0) continue;
    for (let i = 0; i < size; i++) {
      const left = scale * vector[i];
      if (left !== 0) for (let j = i; j < size; j++) out[i * size + j] += left * vector[j];
    }
  }
  if (psd) for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) out[i * size + j] = out[j * size + i];
  return out;
}
