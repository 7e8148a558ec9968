// Points as seen by an adversary that moves some features only (math.md 12.5). With M the moving and F the fixed features, z = x_M + D,
//   f = z'Q_MM z + l'z + c,   l = q_M + 2 Q_MF x_F,   c = s + q_F'x_F + x_F'Q_FF x_F
// so Q_MM is decomposed once and every sample has a linear part and a constant of its own.
// points: [samples, features]   moving: ascending indices, [m]

import type { NumericBatch } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Quadratic } from "../quadratic.js";
import { type BallRows, ballRowsSizes, createBallRows } from "./ballRows.js";
import { type RotatedForm, rotate } from "./rotatedForm.js";

/** Rows handled at a time. */
export const movingBlock = 256;

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
  /** Frobenius norms of Q and q. */
  readonly sizeQ: number;
  readonly sizeq: number;
  /** target `[features]` at `to` <- the move with these coordinates in the eigenbasis; the fixed features stay as they are. */
  writeMove(step: Float64Array, at: number, target: Float64Array, to: number): void;
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
  const sizes = [2 * movingBlock * m, rank * m, 2 * movingBlock * rank, movingBlock * rank];
  const workspace = kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(movingBlock, rank)));
  const [both, axes, products, moves] = sizes.map((size) => workspace.float64(size));
  axes.set(basis);
  const constants = new Float64Array(movingBlock);
  const lengths = new Float64Array(movingBlock);
  const linear = products.subarray(movingBlock * rank);
  return {
    form,
    rotated: products,
    linear,
    constants,
    lengths,
    moves,
    ballRows: createBallRows(workspace, movingBlock, rank),
    sizeQ: norm(Q),
    sizeq: norm(q),
    load(points, from, count) {
      for (let i = 0; i < count; i++) {
        const x = points.data.subarray((from + i) * d, (from + i + 1) * d);
        let [constant, square] = [s, 0];
        for (const value of x) square += value * value;
        for (const f of fixed) {
          let line = q[f];
          for (const g of fixed) line += Q[f * d + g] * x[g];
          constant += line * x[f];
        }
        constants[i] = constant;
        lengths[i] = Math.sqrt(square);
        for (let k = 0; k < m; k++) {
          let slope = q[moving[k]];
          for (const f of fixed) slope += 2 * Q[moving[k] * d + f] * x[f];
          both[i * m + k] = x[moving[k]];
          both[(movingBlock + i) * m + k] = slope;
        }
      }
      if (rank === 0) return;
      workspace.gemm(false, true, count, rank, m, 1, both, m, axes, m, 0, products, rank);
      workspace.gemm(false, true, count, rank, m, 1, both.subarray(movingBlock * m), m, axes, m, 0, linear, rank);
    },
    writeMove(step, at, target, to) {
      for (let k = 0; k < m; k++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += basis[r * m + k] * step[at + r];
        target[to + moving[k]] = sum;
      }
    },
  };
}

function norm(values: Float64Array): number {
  let square = 0;
  for (const value of values) square += value * value;
  return Math.sqrt(square);
}
