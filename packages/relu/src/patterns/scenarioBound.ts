// How many i.i.d. gates are enough (math.md 13.4; Campi and Garatti 2008). The dual program has D variables and one convex constraint per
// pattern, so after P gates, with probability 1 - psi, a fresh gate improves the optimum with probability at most xi when
//   sum_{i=0}^{D-1} binomial(P, i) xi^i (1 - xi)^(P - i) <= psi,   for which  P >= (2 / xi) (ln(1 / psi) + D)  is enough.
// D: n for one output without perturbations, n (C - 1) for C classes; a ball adds its n (C - 1) d perturbation variables.
// The bound is over the distribution the gates are drawn from, and counts draws, not distinct patterns.

import { SettingError } from "@worstcase/core";
import { checkOptions } from "../checks.js";

export interface ScenarioOptions {
  /** D: variables of the dual program. */
  readonly dualVariables: number;
  /** Probability that the statement fails, in (0, 1). */
  readonly psi: number;
}

/** Smallest P for which the binomial condition holds at improvement probability `xi`, in (0, 1). Throws SettingError. */
export function scenarioGateCount(xi: number, options: ScenarioOptions): number {
  inUnit(xi, "xi");
  check(options);
  const { dualVariables, psi } = options;
  let enough = Math.ceil((2 / xi) * (Math.log(1 / psi) + dualVariables));
  let few = 0;
  while (enough - few > 1) {
    const middle = Math.floor((few + enough) / 2);
    if (logTail(middle, xi, dualVariables) <= Math.log(psi)) enough = middle;
    else few = middle;
  }
  return enough;
}

/** Smallest xi, to 1e-12, that the binomial condition allows after `gates` draws; 1 when there are not more draws than variables. */
export function scenarioImprovementProbability(gates: number, options: ScenarioOptions): number {
  wholeFrom(gates, "gates", 0);
  check(options);
  const { dualVariables, psi } = options;
  if (gates <= dualVariables) return 1;
  let low = 0;
  let high = 1;
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2;
    if (logTail(gates, middle, dualVariables) <= Math.log(psi)) high = middle;
    else low = middle;
  }
  return high;
}

// ln sum_{i<D} binomial(P, i) xi^i (1-xi)^(P-i); terms from the largest downwards by their ratios.
function logTail(P: number, xi: number, D: number): number {
  if (P < D) return 0;
  const odds = Math.log(xi) - Math.log1p(-xi);
  let term = P * Math.log1p(-xi);
  let largest = term;
  let sum = 1; // in units of exp(largest)
  for (let i = 1; i < D; i++) {
    term += Math.log((P - i + 1) / i) + odds;
    if (term > largest) {
      sum = sum * Math.exp(largest - term) + 1;
      largest = term;
    } else sum += Math.exp(term - largest);
  }
  return largest + Math.log(sum);
}

function check(options: ScenarioOptions): void {
  checkOptions(options);
  const { dualVariables, psi } = options;
  wholeFrom(dualVariables, "options.dualVariables", 1);
  inUnit(psi, "options.psi");
}

function inUnit(value: number, argument: string): void {
  if (!(value > 0 && value < 1)) {
    throw new SettingError({ argument, expected: "a number in (0, 1)", received: value });
  }
}

function wholeFrom(value: number, argument: string, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SettingError({ argument, expected: `an integer >= ${least}`, received: value });
  }
}
