// What the factored trainer takes, reports and returns.

import type { AttackPart } from "../certificate.js";

export interface FactoredSettings {
  readonly tolerance: number;
  readonly maxRounds: number;
  readonly maxEvaluations: number;
  readonly evaluationsPerRound: number;
  readonly timeLimitSeconds: number;
  readonly smoothing: "auto" | "never" | "always";
}

export type FactoredStatus = "optimal" | "zero-optimal" | "stalled" | "round-limit" | "evaluation-limit" | "time-limit";

export interface RoundReport {
  readonly round: number;
  /** Objective of the best network so far, and the certified lower bound so far. */
  readonly upper: number;
  readonly lower: number;
  readonly gap: number;
  readonly neurons: number;
  readonly evaluations: number;
  readonly seconds: number;
}

export interface FactoredOutcome {
  readonly status: FactoredStatus;
  /** Unit directions `[K, d]` and weights alpha `[K]`. */
  readonly directions: Float64Array;
  readonly weights: Float64Array;
  readonly upper: number;
  readonly lower: number;
  readonly rounds: number;
  readonly evaluations: number;
  /** Weights and attacks of the best lower bound: enough to check it again from the data. */
  readonly dual: readonly AttackPart[];
  /** Whether the start was of no use. */
  readonly rejected: boolean;
  /** To go on from with more samples. */
  readonly state: FactoredState;
}

/** The best network with hinge widths that suit it. Opaque outside: only its kind is meant to be read. */
export interface FactoredState {
  readonly kind: "factored";
  /** @internal */
  readonly vectors: Float64Array;
  /** @internal */
  readonly signs: Float64Array;
  /** @internal */
  readonly width: number;
  /** @internal */
  readonly dualWidth: number;
}

export interface FactoredHooks {
  readonly signal: AbortSignal | undefined;
  readonly onRound: (report: RoundReport) => void;
}
