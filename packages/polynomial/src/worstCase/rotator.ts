// Moves blocks of points into an eigenbasis and back with matrix products in one reusable workspace.
//   rotated = points * basis'   [rows, rank]        points = rotated * basis   [rows, dimension]

import type { NumericBatch } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { type BallRows, ballRowsSizes, createBallRows } from "./ballRows.js";
import type { RotatedForm } from "./rotatedForm.js";

/** Rows handled at a time: enough of them that packing the basis for the product does not count. */
export const blockRows = 512;

export interface Rotator {
  /** Loads a form's basis; its rank must not exceed the rotator's. */
  use(form: RotatedForm): void;
  /** Rotates rows from .. from + count - 1 (count <= blockRows) of the points; returns `[count, rank]`, reused memory. */
  rotateRows(points: NumericBatch, from: number, count: number): Float64Array;
  /** Lengths of the rows last given to `rotateRows`, `[count]`, reused memory; not finite where a row is not. */
  lengths(count: number): Float64Array;
  /** The rows last given to `rotateRows`, `[count, dimension]`, reused memory. */
  readonly pointRows: Float64Array;
  /** `[blockRows, rank]` scratch for perturbations in rotated coordinates. */
  readonly perturbation: Float64Array;
  /** Worst cases of rotated rows, in this workspace. */
  readonly ballRows: BallRows;
  /** perturbation * basis, `[count, dimension]`, reused memory. */
  rotateBack(count: number): Float64Array;
}

export function createRotator(kernels: Kernels, dimension: number, maxRank: number): Rotator {
  const rankSize = Math.max(1, maxRank);
  const workspace = kernels.workspace(
    workspaceSize(
      ...[rankSize * dimension, blockRows * dimension, blockRows * dimension, blockRows * rankSize * 2, blockRows],
      ...ballRowsSizes(blockRows, rankSize),
    ),
  );
  const basis = workspace.float64(rankSize * dimension);
  const pointRows = workspace.float64(blockRows * dimension);
  const back = workspace.float64(blockRows * dimension);
  const pair = workspace.float64(blockRows * rankSize * 2);
  const rotated = pair.subarray(0, blockRows * rankSize);
  const perturbation = pair.subarray(blockRows * rankSize);
  const rowLengths = workspace.float64(blockRows);
  const ballRows = createBallRows(workspace, blockRows, rankSize);
  let rank = 0;
  return {
    ballRows,
    pointRows,
    perturbation,
    use(form) {
      rank = form.rank;
      basis.set(form.basis);
    },
    rotateRows(points, from, count) {
      const source = points.data.subarray(from * dimension, (from + count) * dimension);
      pointRows.set(source);
      if (rank > 0) {
        workspace.gemm(
          false,
          true,
          count,
          rank,
          dimension,
          1,
          pointRows,
          dimension,
          basis,
          dimension,
          0,
          rotated,
          rank,
        );
      }
      return rotated;
    },
    lengths(count) {
      workspace.rowLengths(count, dimension, pointRows, dimension, rowLengths);
      return rowLengths;
    },
    rotateBack(count) {
      if (rank === 0) return back.fill(0);
      workspace.gemm(false, false, count, dimension, rank, 1, perturbation, rank, basis, dimension, 0, back, dimension);
      return back;
    },
  };
}
