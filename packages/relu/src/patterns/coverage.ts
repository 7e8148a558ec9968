// How much of the patterns a sample of gates has not seen. N draws, f_1 = number of patterns that came exactly once.
//   Good-Turing:  the probability that the next draw shows a pattern not seen so far is about f_1 / N
//   upper bound:  E[unseen mass] <= E[f_1 / N]; the unseen mass exceeds its mean by t with probability <= exp(-N t^2) (McAllester and
//                 Ortiz 2003), f_1 / N falls short of its mean by t with probability <= exp(-N t^2 / 2) (one draw changes f_1 by at most 2). So
//                 with probability 1 - psi  unseen mass <= f_1 / N + (1 + sqrt 2) sqrt(ln(2 / psi) / N),  for N fixed in advance.

import { checkObject, SettingError } from "@worstcase/core";

export interface PatternCoverage {
  /** Patterns drawn, including duplicates and silent ones. */
  readonly draws: number;
  /** Distinct patterns among them, including the silent one if it came. */
  readonly distinct: number;
  /** Patterns that came exactly once. */
  readonly seenOnce: number;
  /** Distinct patterns first seen in each tenth of the draws, `[10]`: a falling row says that few are left. */
  readonly newPerTenth: Int32Array;
  /** Good-Turing estimate of the probability that one more draw shows a new pattern: seenOnce / draws. */
  readonly unseenMass: number;
}

/** Coverage from the times each distinct pattern came and the draws (0-based) at which it came first. */
export function patternCoverage(
  seen: ArrayLike<number>,
  firstDraws: ArrayLike<number>,
  draws: number,
): PatternCoverage {
  let seenOnce = 0;
  const newPerTenth = new Int32Array(10);
  for (let p = 0; p < seen.length; p++) {
    if (seen[p] === 1) seenOnce++;
    newPerTenth[Math.min(9, Math.floor((10 * firstDraws[p]) / draws))]++;
  }
  return { draws, distinct: seen.length, seenOnce, newPerTenth, unseenMass: draws > 0 ? seenOnce / draws : 1 };
}

/**
 * Upper bound of the unseen mass that holds with probability 1 - psi when the number of draws was fixed in advance (a run that stops as
 * soon as `count` patterns are found is not quite that). Throws SettingError unless 0 < psi < 1.
 */
export function unseenMassBound(coverage: PatternCoverage, psi: number): number {
  checkObject(coverage, "coverage", "the coverage of a drawn gate set");
  if (!(psi > 0 && psi < 1)) {
    throw new SettingError({ argument: "psi", expected: "a number in (0, 1)", received: psi });
  }
  if (coverage.draws === 0) return 1;
  const slack = (1 + Math.SQRT2) * Math.sqrt(Math.log(2 / psi) / coverage.draws);
  return Math.min(1, coverage.unseenMass + slack);
}
