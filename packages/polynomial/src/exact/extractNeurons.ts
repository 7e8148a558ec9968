// From a weight matrix to unit neurons (math.md 8): Z >= 0 with corner z4 = trace of the rest is a sum of v v' with
// v = (s; t), ||s|| = |t|, so sigma-neurons u = s / t of size alpha = t^2 give the same function for every x.
//   keep eigenvectors p_k sqrt(e_k) above a threshold, restore the trace by scaling their last entries (which keeps the
//   rank, unlike the repair of decomposition/), then rotate pairs.
// Z: `[p, p]`   directions: `[neurons, d]`   sizes: alpha > 0 `[neurons]`

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { rotateToNeurons } from "../decomposition/decompose.js";

export interface Spectrum {
  readonly order: number;
  /** Ascending eigenvalues, `[p]`; row k of vectors belongs to value k. */
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

export interface UnitNeurons {
  readonly directions: Float64Array;
  readonly sizes: Float64Array;
}

/** Eigendecomposition of a symmetric matrix `[p, p]`. */
export function spectrumOf(matrix: Float64Array, order: number, kernels: Kernels): Spectrum {
  const workspace = kernels.workspace(workspaceSize(order * order, order));
  const vectors = workspace.float64(order * order);
  const values = workspace.float64(order);
  vectors.set(matrix);
  workspace.syevd(order, vectors, order, values);
  return { order, values: Float64Array.from(values), vectors: Float64Array.from(vectors) };
}

/** Unit neurons of the part of the matrix with eigenvalues above `threshold`. */
export function extractNeurons({ order: p, values, vectors }: Spectrum, threshold: number): UnitNeurons {
  const d = p - 1;
  const rows: Float64Array[] = [];
  let trace = 0;
  let corner = 0;
  for (let k = p - 1; k >= 0 && values[k] > threshold && values[k] > 0; k--) {
    const root = Math.sqrt(values[k]);
    const row = vectors.slice(k * p, (k + 1) * p).map((value) => root * value);
    for (let l = 0; l < d; l++) trace += row[l] * row[l];
    corner += row[d] * row[d];
    rows.push(row);
  }
  const none = { directions: new Float64Array(0), sizes: new Float64Array(0) };
  if (!(trace > 0) || !(corner > 0)) return none;
  const scale = Math.sqrt(trace / corner);
  for (const row of rows) row[d] *= scale;
  const finished = rotateToNeurons(rows, p);
  const directions = new Float64Array(finished.length * d);
  const sizes = new Float64Array(finished.length);
  let count = 0;
  for (const row of finished) {
    let square = 0;
    for (let l = 0; l < d; l++) square += row[l] * row[l];
    const length = Math.sqrt(square);
    if (!(length > 0) || row[d] === 0) continue;
    const sign = row[d] < 0 ? -1 : 1;
    for (let l = 0; l < d; l++) directions[count * d + l] = (sign * row[l]) / length;
    // ||s|| |t| = t^2 up to rounding, and halves what is left of the defect
    sizes[count++] = length * Math.abs(row[d]);
  }
  return { directions: directions.slice(0, count * d), sizes: sizes.slice(0, count) };
}
