// Attacks that make two classes look alike in mean and second moments (the dual of a collapsed problem, math.md 7). With l the
// sign of the lighter class and p_i at its hinge weights, over D_i in the ball and over the weights p_i of the heavier class
// (0 <= p_i <= kappa_i, their sum fixed) minimise
//   || E ||^2 + || b g / 2 ||^2,   E = l a A less its clamp to the slack that the certificate leaves,
//   A = sum p_i y_i z_i z_i',  g = l sum p_i y_i z_i,  z_i = x_i + D_i,
// within a few directions, by accelerated projected gradients. The heavier class has weight to
// spare, so its samples that look least like the lighter class end without any. All samples follow one quadratic score, the sum
// of the steps: what a few samples found starts a match of many.

import type { AttackPart, DetailedCertificate } from "../certificate.js";
import {
  highestEigenvalue,
  lowestEigenvalue,
  type MatchedSamples,
  type MatchStart,
  MatchSteps,
  type Potential,
} from "./matchSteps.js";
import type { ObjectiveProblem } from "./objective.js";

const mostSteps = 120;
/** Root of the sum of squares, relative to beta: below the first the rest of the moments matters more, above the second no match. */
const closeEnough = 0.04;
const tooFar = 1;
/** Below this a part is offered on the way: in all directions, or in some, where steps cost less than a certificate. */
const worthTrying = 0.5;
const worthTryingInSome = 0.1;
/** And again below this share of the last one. */
const worthAgain = 0.9;
/** Every so many steps the distance is extrapolated; a limit above this, relative to beta, ends the search. */
const patience = 10;
const hopeless = 0.35;
/** Where the search ends without hope, a size below this is a match all the same: one that nearly holds. */
const stillUseful = 0.5;

/** Weight that the heavier class may have beyond the lighter one's, in beta / c. */
export const heavierExcess = 0.7;

interface Match {
  readonly part: AttackPart;
  readonly potential: Potential;
  /** Whether the part was accepted. */
  readonly accepted: boolean;
}

/**
 * Attacks and weights of the given samples; null when the classes cannot be matched. Ends early when a part on the way is accepted;
 * without `accept`, where a match of more samples starts from it, once its pace will not do.
 */
export function matchClasses(
  problem: ObjectiveProblem,
  members: MatchedSamples,
  start: MatchStart,
  accept?: (part: AttackPart) => boolean,
): Match | null {
  const { beta, data } = problem;
  const steps = new MatchSteps(problem, members, start);
  let last = Number.POSITIVE_INFINITY;
  let record: number[] = [];
  let examined = (start.basis.length === data.dimension ** 2 ? worthTrying : worthTryingInSome) * beta;
  let accepted = false;
  for (let step = 0; ; step++) {
    const size = steps.measure();
    if (size < closeEnough * beta) break;
    if (step === mostSteps) {
      if (size < tooFar * beta) break;
      return null;
    }
    if (step > 0 && step % patience === 0) {
      if (limitOf(record, size) > hopeless * beta) {
        if (size > stillUseful * beta) return null;
        break;
      }
      const left = (mostSteps - step) / patience;
      if (!accept && size < stillUseful * beta && size * (size / record[0]) ** left > closeEnough * beta) break;
      record = [size, ...record.slice(0, 1)];
      if (accept && size < examined) {
        accepted = accept(steps.part());
        if (accepted) break;
        examined = worthAgain * size;
      }
    }
    steps.advance(size > 1.001 * last);
    last = size;
  }
  return { part: steps.part(), potential: steps.potential, accepted };
}

/** Directions in which a certificate finds the classes apart: the mean, then eigenvectors of a A beyond their room. */
export function unmatched({ linear, extremes }: DetailedCertificate, beta: number, lighter: 1 | -1): Float64Array[] {
  const d = linear.length;
  const beyond = Array.from(extremes.eigenvalues, (value) =>
    Math.max((lowestEigenvalue * beta) / 2 - lighter * value, lighter * value - highestEigenvalue * beta),
  );
  const order = Array.from(beyond.keys())
    .filter((j) => beyond[j] > 0)
    .sort((i, j) => beyond[j] - beyond[i]);
  return [linear, ...order.map((j) => extremes.eigenvectors.subarray(j * d, (j + 1) * d))];
}

/** Where a sequence goes if its differences keep shrinking as they did; `record` has the last value, then the one before. */
function limitOf(record: readonly number[], size: number): number {
  if (record.length < 2) return 0;
  const [first, second] = [record[1] - record[0], record[0] - size];
  // Differences that grow say nothing yet.
  return second < first ? size - second ** 2 / (first - second) : 0;
}
