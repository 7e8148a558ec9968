// What a solve returns: a union over `status`. Why the solver stopped is the status, how well is `accuracy`, and what a
// sceptic finds on the caller's own data is `check`. A point and a certificate (ray) are different types.

import type { Warning } from "@worstcase/core";
import type { BlockMatrix } from "./problem.js";

/** A primal point x with its slack S = sum x_k F_k - F_0 and a dual point (Y, u). */
export interface Point {
  /** `[variables]`. */
  readonly x: Float64Array;
  /** S as the solver holds it; `checkSolution` measures how far it is from sum x_k F_k - F_0. */
  readonly slack: BlockMatrix;
  /** Y. */
  readonly dual: BlockMatrix;
  /** u, `[equalities]`. */
  readonly multipliers: Float64Array;
}

/**
 * A proof that one of the two problems has no feasible point, free to scale.
 * `dual` with `multipliers`: Y in K, <F_k, Y> + (A'u)_k = 0, <F_0, Y> + b'u > 0: no x is feasible (primal infeasible).
 * `x`: sum x_k F_k in K, A x = 0, c'x < 0: no Y is feasible (dual infeasible).
 */
export type Ray =
  | { readonly kind: "primal-infeasible"; readonly dual: BlockMatrix; readonly multipliers: Float64Array }
  | { readonly kind: "dual-infeasible"; readonly x: Float64Array };

export interface Objective {
  /** c'x. */
  readonly primal: number;
  /** <F_0, Y> + b'u. */
  readonly dual: number;
}

/**
 * The six DIMACS error measures (Mittelmann, Mathematical Programming 95:407-430, 2003) of a point, from the caller's data.
 * |.|_F is the Frobenius norm over all blocks, |c|, |F_0|, |b| are largest absolute entries.
 */
export interface SolutionCheck {
  readonly objective: Objective;
  /**
   * [0] |<F_k, Y> + (A'u)_k - c_k|_2 / (1 + |c|)
   * [1] max(0, -smallest eigenvalue of Y) / (1 + |c|)
   * [2] |(sum x_k F_k - F_0 - S, A x - b)|_F / (1 + max(|F_0|, |b|))
   * [3] max(0, -smallest eigenvalue of S) / (1 + max(|F_0|, |b|))
   * [4] (primal - dual) / (1 + |primal| + |dual|)
   * [5] <S, Y> / (1 + |primal| + |dual|)
   */
  readonly dimacs: readonly [number, number, number, number, number, number];
  /** The largest absolute value among the six. */
  readonly worst: number;
  readonly smallestEigenvalues: { readonly slack: number; readonly dual: number };
}

/** How well a ray proves infeasibility, from the caller's data, after scaling the ray to improvement 1. */
export interface CertificateCheck {
  readonly kind: Ray["kind"];
  /** <F_0, Y> + b'u or -c'x of the ray as given; positive for a certificate. */
  readonly improvement: number;
  /**
   * Norm of what should vanish, divided by improvement: (<F_k, Y> + (A'u)_k)_k for a dual ray (2-norm), A x for an x ray;
   * relative to the size of the data, so that scaling ray or data changes nothing.
   */
  readonly residual: number;
  /** max(0, -smallest eigenvalue) of Y, or of sum x_k F_k, on the same scale. */
  readonly coneViolation: number;
  /** The larger of residual and coneViolation. */
  readonly worst: number;
  /** Blocks and variables (by name, or `block 3`) that carry the proof, heaviest first, at most ten. */
  readonly explains: readonly string[];
}

interface ResultBase {
  readonly solver: { readonly name: string; readonly backend: string };
  readonly iterations: number;
  readonly seconds: number;
  /** Bytes of the solver's arena, known before the first iteration. */
  readonly bytes: number;
  readonly warmStart: "none" | "used" | "rejected";
  readonly warnings: readonly Warning[];
}

export type SdpResult =
  | (ResultBase & {
      readonly status: "optimal";
      /** `full`: worst DIMACS error within the tolerance asked for. `reduced`: within its square root's neighbourhood, see `solve`. */
      readonly accuracy: "full" | "reduced";
      readonly point: Point;
      readonly check: SolutionCheck;
    })
  | (ResultBase & {
      readonly status: "primal-infeasible" | "dual-infeasible";
      readonly accuracy: "full" | "reduced";
      readonly certificate: Ray;
      readonly check: CertificateCheck;
    })
  | (ResultBase & {
      readonly status: "iteration-limit" | "time-limit" | "aborted" | "stalled";
      /** The best point seen, if any iteration completed. */
      readonly point: Point | undefined;
      readonly check: SolutionCheck | undefined;
    });

export type SdpStatus = SdpResult["status"];
