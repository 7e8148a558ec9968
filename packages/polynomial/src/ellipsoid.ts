// Worst cases over an ellipsoid D = L z, ||z|| <= r (math.md 12.4): in the coordinates x = L t it is a ball again.
//   f(L t) has Q~ = L'QL and q~ = L'q; points t = L^-1 x by forward substitution, many rows at once.   L: lower triangular, `[d, d]`

import { checkFinite, DataError, type NumericBatch, ShapeError } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { type Quadratic, quadraticFromNeurons } from "./quadratic.js";

/** Throws ShapeError or DataError unless L is `[d, d]`, finite, lower triangular with a positive diagonal. */
export function checkEllipsoid(shape: Float64Array, d: number, argument = "options.ellipsoid"): void {
  if (shape.length !== d * d) {
    throw new ShapeError({ argument, expected: `${d} x ${d} values`, received: shape.length });
  }
  checkFinite(shape, argument, d);
  for (let k = 0; k < d; k++) {
    const hint = "pass the Cholesky factor L of the covariance, row-major, zeros above the diagonal";
    const diagonal = shape[k * d + k];
    if (!(diagonal > 0)) {
      throw new DataError({ argument: `${argument}[${k}, ${k}]`, expected: "> 0", received: diagonal, hint });
    }
    for (let l = k + 1; l < d; l++) {
      const above = shape[k * d + l];
      if (above !== 0)
        throw new DataError({ argument: `${argument}[${k}, ${l}]`, expected: "0", received: above, hint });
    }
  }
}

/** Rows handled at a time. */
const blockRows = 512;

/** Points in the coordinates t = L^-1 x and moves back, in matrix operations on blocks of rows in one workspace. */
export interface EllipsoidRows {
  /** t of rows from .. from + count - 1 of the points, count <= `block`; `[count, d]`, reused memory. */
  load(points: NumericBatch, from: number, count: number): Float64Array;
  /** ||t|| of the rows loaded last, `[count]`, reused memory. */
  lengths(count: number): Float64Array;
  /** moves `[count, d]` <- L z, from moves z; any count. */
  displace(moves: Float64Array, count: number): void;
  readonly block: number;
}

export function createEllipsoidRows(shape: Float64Array, d: number, kernels: Kernels): EllipsoidRows {
  const sizes = [d * d, blockRows * d, blockRows * d, blockRows];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [matrix, rows, moved, lengths] = sizes.map((size) => workspace.float64(size));
  matrix.set(shape);
  return {
    block: blockRows,
    load(points, from, count) {
      rows.set(points.data.subarray(from * d, (from + count) * d));
      // t' = x' L'^-1
      workspace.trsm("right", true, count, d, matrix, d, rows, d);
      return rows;
    },
    lengths(count) {
      workspace.rowLengths(count, d, rows, d, lengths);
      return lengths;
    },
    displace(moves, count) {
      for (let from = 0; from < count; from += blockRows) {
        const size = Math.min(blockRows, count - from);
        rows.set(moves.subarray(from * d, (from + size) * d));
        workspace.gemm(false, true, size, d, d, 1, rows, d, matrix, d, 0, moved, d);
        moves.set(moved.subarray(0, size * d), from * d);
      }
    },
  };
}

/** t = L^-1 x for every point, `[samples, d]`. */
export function pointsInEllipsoid(points: NumericBatch, rows: EllipsoidRows): NumericBatch {
  const [samples, d] = points.shape as [number, number];
  const data = new Float64Array(samples * d);
  for (let from = 0; from < samples; from += rows.block) {
    const count = Math.min(rows.block, samples - from);
    data.set(rows.load(points, from, count).subarray(0, count * d), from * d);
  }
  return { data, shape: [samples, d] };
}

/** The quadratic in the coordinates t with x = L t. */
export function quadraticInEllipsoid(quadratic: Quadratic, shape: Float64Array, kernels: Kernels): Quadratic {
  const { dimension: d, Q, q, s, neurons } = quadratic;
  if (neurons) {
    const directions = product(neurons.directions, shape, neurons.weights.length, d, kernels);
    return quadraticFromNeurons({ ...neurons, directions }, d);
  }
  // Q L = half, so Q~ = L' half = (half' L)', and Q~ is symmetric.
  const full = product(transposed(product(Q, shape, d, d, kernels), d), shape, d, d, kernels);
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < k; l++) {
      const mean = 0.5 * (full[k * d + l] + full[l * d + k]);
      full[k * d + l] = mean;
      full[l * d + k] = mean;
    }
  }
  return { dimension: d, Q: full, q: product(q, shape, 1, d, kernels), s };
}

function transposed(matrix: Float64Array, d: number): Float64Array {
  return Float64Array.from(matrix, (_, e) => matrix[(e % d) * d + Math.floor(e / d)]);
}

/** rows * L, `[count, d]`. */
function product(rows: Float64Array, shape: Float64Array, count: number, d: number, kernels: Kernels): Float64Array {
  const sizes = [count * d, d * d, count * d];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [left, right, result] = sizes.map((size) => workspace.float64(size));
  left.set(rows);
  right.set(shape);
  workspace.gemm(false, false, count, d, d, 1, left, d, right, d, 0, result, d);
  const found = result.slice();
  workspace.dispose();
  return found;
}
