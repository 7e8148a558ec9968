// Where the factored trainer starts from, and what it may take for granted there.

import type { AttackPart } from "../certificate.js";
import type { FactoredSettings, FactoredState } from "./contracts.js";

export interface FactoredStart {
  readonly state: FactoredState;
  /** Attacks of this very problem to go on from: the classes are then not matched. */
  readonly dual: readonly AttackPart[] | null;
  /**
   * Share of the constant network's objective below which the start is worth going on from, and shows that the classes cannot be
   * matched.
   */
  readonly learntBelow: number;
  /** Whether the first round takes steps before it looks for a bound. */
  readonly descendFirst: boolean;
}

/** Another problem's network that is hardly better than the constant leads nowhere. */
const clearlyLearnt = 0.8;

/** From a fit of nearly the same problem. */
export function fromEarlierFit(state: FactoredState): FactoredStart {
  return { state, dual: null, learntBelow: clearlyLearnt, descendFirst: true };
}

/** From a fit to some of the samples: the bounds may meet before any step. */
export function fromSample(state: FactoredState): FactoredStart {
  return { state, dual: null, learntBelow: clearlyLearnt, descendFirst: false };
}

/** From a few steps on this problem; where the constant network is within the tolerance of it, the classes may still match. */
export function fromSteps(state: FactoredState, tolerance: number): FactoredStart {
  return { state, dual: null, learntBelow: 1 - tolerance, descendFirst: true };
}

/** From a network and attacks of this problem that nearly certify it. */
export function fromAttacks(state: FactoredState, dual: readonly AttackPart[]): FactoredStart {
  return { state, dual, learntBelow: Number.POSITIVE_INFINITY, descendFirst: false };
}

/** Width of the first hinge: what a narrower one could add is lost in the gap at first. */
export function firstWidth({ tolerance }: Pick<FactoredSettings, "tolerance">): number {
  return Math.min(0.5, Math.max(0.1, 10 * tolerance));
}
