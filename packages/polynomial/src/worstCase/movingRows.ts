// Points as seen by an adversary that moves some features only (math.md 12.5). With M the moving and F the fixed features, z = x_M + D,
//   f = z'Q_MM z + l'z + c,   l = q_M + 2 Q_MF x_F,   c = s + q_F'x_F + x_F'Q_FF x_F
// so Q_MM is decomposed once and every sample has a linear part and a constant of its own. In the eigenbasis B of Q_MM the linear part
// is B l = B q_M + (2 B Q_MF) x_F, whose matrix is made once: a row costs the products of a ball and no more.
// points: [samples, features]   moving: ascending indices, [m]

import type { NumericBatch } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Quadratic } from "../quadratic.js";
import { type BallRows, ballRowsSizes, createBallRows } from "./ballRows.js";
import { type RotatedForm, rotate } from "./rotatedForm.js";

/** Rows handled at a time. */
export const movingBlock = 512;

export interface MovingRows {
  /** Of Q_MM, with q_M as its linear part. */
  readonly form: RotatedForm;
  /** Loads rows from .. from + count - 1 of the points, count <= movingBlock. */
  load(points: NumericBatch, from: number, count: number): void;
  /** Of the rows loaded last: x_M and l in the eigenbasis `[count, rank]`, c `[count]`, lengths of x `[count]`. */
  readonly rotated: Float64Array;
  readonly linear: Float64Array;
  readonly constants: Float64Array;
  readonly lengths: Float64Array;
  /** Worst cases of such rows, and room for their moves `[movingBlock, rank]`, in the same workspace. */
  readonly ballRows: BallRows;
  readonly moves: Float64Array;
  /** Frobenius norms of Q and q, of 2 Q_MF and of q_M. */
  readonly sizeQ: number;
  readonly sizeq: number;
  readonly sizeAcross: number;
  readonly sizeSlope: number;
  /** target `[.., features]` from row `from` on <- the first `count` of `moves`; the fixed features stay as they are. */
  writeMoves(count: number, target: Float64Array, from: number): void;
}

export function createMovingRows(
  { dimension: d, Q, q, s }: Quadratic,
  moving: Int32Array,
  kernels: Kernels,
): MovingRows {
  const m = moving.length;
  const isMoving = new Uint8Array(d);
  for (const k of moving) isMoving[k] = 1;
  const fixed = Int32Array.from({ length: d }, (_, k) => k).filter((k) => isMoving[k] === 0);
  const block = Float64Array.from({ length: m * m }, (_, e) => Q[moving[Math.floor(e / m)] * d + moving[e % m]]);
  const form = rotate({ dimension: m, Q: block, q: Float64Array.from(moving, (k) => q[k]), s }, kernels);
  const { rank, basis } = form;
  const F = fixed.length;
  const sizes = [
    ...[movingBlock * m, rank * m, movingBlock * rank, movingBlock * rank, movingBlock * rank],
    ...[F * m, F * rank, F * F, movingBlock * F, movingBlock * F],
  ];
  const workspace = kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(movingBlock, rank)));
  const arrays = sizes.map((size) => workspace.float64(size));
  const [own, axes, rotated, linear, moves, across, turned, within, held, lines] = arrays;
  axes.set(basis);
  fixed.forEach((f, a) => {
    for (let k = 0; k < m; k++) across[a * m + k] = 2 * Q[f * d + moving[k]];
    fixed.forEach((g, b) => {
      within[a * F + b] = Q[f * d + g];
    });
  });
  if (rank > 0 && F > 0) workspace.gemm(false, true, F, rank, m, 1, across, m, axes, m, 0, turned, rank);
  const constants = new Float64Array(movingBlock);
  const lengths = new Float64Array(movingBlock);
  return {
    form,
    rotated,
    linear,
    constants,
    lengths,
    moves,
    ballRows: createBallRows(workspace, movingBlock, rank),
    sizeQ: norm(Q),
    sizeq: norm(q),
    sizeAcross: norm(across),
    sizeSlope: norm(Float64Array.from(moving, (k) => q[k])),
    load(points, from, count) {
      const { data } = points;
      for (let i = 0, at = from * d; i < count; i++, at += d) {
        let square = 0;
        for (let a = 0; a < F; a++) {
          const value = data[at + fixed[a]];
          held[i * F + a] = value;
          square += value * value;
        }
        for (let k = 0, p = i * m; k < m; k++, p++) {
          const value = data[at + moving[k]];
          own[p] = value;
          square += value * value;
        }
        lengths[i] = Math.sqrt(square);
        linear.set(form.linear, i * rank);
      }
      if (F > 0) {
        if (rank > 0) workspace.gemm(false, false, count, rank, F, 1, held, F, turned, rank, 1, linear, rank);
        workspace.gemm(false, false, count, F, F, 1, held, F, within, F, 0, lines, F);
      }
      for (let i = 0; i < count; i++) {
        let constant = s;
        for (let a = 0; a < F; a++) constant += (lines[i * F + a] + q[fixed[a]]) * held[i * F + a];
        constants[i] = constant;
      }
      if (rank === 0) return;
      workspace.gemm(false, true, count, rank, m, 1, own, m, axes, m, 0, rotated, rank);
    },
    writeMoves(count, target, from) {
      if (rank === 0) return;
      // The points are not needed any more.
      workspace.gemm(false, false, count, m, rank, 1, moves, rank, axes, m, 0, own, m);
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < m; k++) target[(from + i) * d + moving[k]] = own[i * m + k];
      }
    },
  };
}

function norm(values: Float64Array): number {
  let square = 0;
  for (const value of values) square += value * value;
  return Math.sqrt(square);
}
