// The problem as the interior-point method works on it: only variables that occur, positive semidefinite blocks split
// into their connected components, everything of order one in a single vector of rows, and opposite rows as equalities.
//
//   minimise c'x   subject to   S_j = sum_k x_k F_kj - F_0j >= 0 for every psd block j,   R x - g >= 0,   A x = b

import type { BlockMatrix } from "../problem.js";

/** Entries of the upper triangle (row <= column), grouped by variable in order of descending count. */
export interface Terms {
  /** `[groups]`: which variable a group belongs to, from 0. */
  readonly variable: Int32Array;
  /** `[groups + 1]`: first entry of each group. */
  readonly start: Int32Array;
  readonly row: Int32Array;
  readonly column: Int32Array;
  readonly value: Float64Array;
}

/** weight vector vector' for one variable. */
export interface RankOne {
  readonly variable: number;
  readonly weight: number;
  readonly vector: Float64Array;
}

export interface PsdBlock {
  readonly order: number;
  /** F_k, k >= 1. */
  readonly terms: Terms;
  readonly rankOne: readonly RankOne[];
  /** F_0: one group, variable -1; rank-one terms of F_0 are written out. */
  readonly constant: Terms;
  /** Where it came from: position `index[i]` of block `block` of the caller's problem. */
  readonly block: number;
  readonly index: Int32Array;
}

/** Sparse rows in compressed form. */
export interface Rows {
  /** `[rows + 1]`. */
  readonly start: Int32Array;
  readonly variable: Int32Array;
  readonly value: Float64Array;
  /** g or b, `[rows]`. */
  readonly right: Float64Array;
}

/** Where rows came from: rows of `nonnegative` blocks and diagonal entries of `psd` blocks. */
export interface RowOrigin {
  readonly block: number;
  readonly index: number;
}

export interface ReducedProblem {
  /** c, `[variables]`. */
  readonly objective: Float64Array;
  readonly psd: readonly PsdBlock[];
  readonly rows: Rows;
  readonly rowOrigins: readonly RowOrigin[];
  readonly equalities: Rows;
  /** The first `callerEqualities` equalities are the caller's; the others pairs of opposite rows: a'x >= g, -t a'x >= -t g. */
  readonly callerEqualities: number;
  readonly pairs: readonly { readonly row: RowOrigin; readonly opposite: RowOrigin; readonly ratio: number }[];
  /** The caller's index of each variable kept. */
  readonly kept: Int32Array;
  /** One sentence per simplification, for the start event. */
  readonly notes: readonly string[];
}

/** What the reduction alone can prove: a ray in the caller's space. */
export type Verdict =
  | { readonly kind: "primal-infeasible"; readonly dual: BlockMatrix; readonly multipliers: Float64Array }
  | { readonly kind: "dual-infeasible"; readonly x: Float64Array };
