// The exact l2 worst case of many rows that share one eigenbasis (math.md 6), by the kernel for minima of separable quadratics over balls:
//   w = min over ||D|| <= r of  y f(x + D)  =  max over lambda of  y f(x) - lambda r^2 - sum_k a_k^2 / (y h_k + lambda)
// with the half gradient a_k = y (h_k x_k + l_k / 2) in rotated coordinates and D_k = -a_k / (y h_k + lambda).
// Everything lies in a workspace of the caller; nothing is allocated per row.   rotated rows, moves: [rows, rank]

import type { Workspace } from "@worstcase/linalg";
import type { RotatedForm } from "./rotatedForm.js";

/** Relative errors of ||D|| = r. Without moves a rough root will do: the value's error is its cube, from below. */
export const moveTolerance = 1e-13;
export const valueTolerance = 1e-5;
/** For training, where moves are only directions of improvement. */
export const trainingTolerance = 1e-9;

export type SharedForm = Pick<RotatedForm, "rank" | "eigenvalues" | "linear" | "constant">;

export interface BallRows {
  /** Of the rows solved last, `[block]`: y f at the worst point, a lower bound up to rounding, and lambda >= 0. */
  readonly values: Float64Array;
  readonly multipliers: Float64Array;
  /** Solves `count` rotated rows; both arrays lie in the workspace, `moves` null when only values are wanted. */
  solve(
    form: SharedForm,
    rotated: Float64Array,
    count: number,
    labels: ArrayLike<number>,
    radius: number,
    tolerance: number,
    moves: Float64Array | null,
  ): void;
  /** As `solve`, with slopes `[count, rank]` (in the workspace) and constants `[count]` of the rows' own. */
  solveOwn(
    form: Pick<SharedForm, "rank" | "eigenvalues">,
    rotated: Float64Array,
    slopes: Float64Array,
    constants: ArrayLike<number>,
    count: number,
    labels: ArrayLike<number>,
    radius: number,
    tolerance: number,
    moves: Float64Array | null,
  ): void;
}

/** Lengths of the arrays that `createBallRows` takes from the workspace. */
export function ballRowsSizes(block: number, maxRank: number): number[] {
  return [maxRank, maxRank, block, block, 3 * maxRank + 24, block, block];
}

export function createBallRows(workspace: Workspace, block: number, maxRank: number): BallRows {
  return new KernelBallRows(workspace, block, maxRank);
}

/** A class, so that it stays compiled from one fit to the next. */
class KernelBallRows implements BallRows {
  readonly values: Float64Array;
  readonly multipliers: Float64Array;
  private readonly h: Float64Array;
  private readonly shared: Float64Array;
  private readonly own: Float64Array;
  private readonly signs: Float64Array;
  private readonly work: Float64Array;

  constructor(
    private readonly workspace: Workspace,
    block: number,
    maxRank: number,
  ) {
    const arrays = ballRowsSizes(block, maxRank).map((size) => workspace.float64(size));
    [this.h, this.shared, this.own, this.signs, this.work, this.values, this.multipliers] = arrays;
  }

  solve(
    form: SharedForm,
    rotated: Float64Array,
    count: number,
    labels: ArrayLike<number>,
    radius: number,
    tolerance: number,
    moves: Float64Array | null,
  ): void {
    const { shared, own } = this;
    for (let k = 0; k < form.rank; k++) shared[k] = form.linear[k];
    own[0] = form.constant;
    const rows = this.load(form, rotated, count, labels, moves);
    this.workspace.ballMinima({ ...rows, l: shared, ldl: 0, perSampleConstants: false, radius, tolerance });
  }

  solveOwn(
    form: Pick<SharedForm, "rank" | "eigenvalues">,
    rotated: Float64Array,
    slopes: Float64Array,
    constants: ArrayLike<number>,
    count: number,
    labels: ArrayLike<number>,
    radius: number,
    tolerance: number,
    moves: Float64Array | null,
  ): void {
    const { own } = this;
    for (let i = 0; i < count; i++) own[i] = constants[i];
    const rows = this.load(form, rotated, count, labels, moves);
    this.workspace.ballMinima({ ...rows, l: slopes, ldl: form.rank, perSampleConstants: true, radius, tolerance });
  }

  /** What both kinds of rows have in common. */
  private load(
    { rank: n, eigenvalues }: Pick<SharedForm, "rank" | "eigenvalues">,
    x: Float64Array,
    rows: number,
    labels: ArrayLike<number>,
    moves: Float64Array | null,
  ) {
    const { h, own: constants, signs, work, values, multipliers } = this;
    for (let k = 0; k < n; k++) h[k] = eigenvalues[k];
    for (let i = 0; i < rows; i++) signs[i] = labels[i];
    return { rows, n, x, ldx: n, h, constants, signs, work, values, multipliers, moves: moves ?? undefined, ldm: n };
  }
}
