// Attacks that make two classes look alike in mean and second moments (the dual of a collapsed problem, math.md 7). With l the
// sign of the lighter class and p_i at its hinge weights, over D_i in the ball and over the weights p_i of the heavier class
// (0 <= p_i <= kappa_i, their sum fixed) minimise
//   || E ||^2 + || b g / 2 ||^2,   E = l a A less its clamp to the slack that the certificate leaves,
//   A = sum p_i y_i z_i z_i',  g = l sum p_i y_i z_i,  z_i = x_i + D_i,
// within a few directions, by accelerated projected gradients. The heavier class has weight to
// spare, so its samples that look least like the lighter class end without any. All samples follow one quadratic score, the sum
// of the steps: what a few samples found starts a match of many.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart, DetailedCertificate } from "../certificate.js";
import { clampToSum } from "./clampToSum.js";
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
/** Room for the eigenvalues of l a A, relative to beta, where the heavier class weighs `heavierExcess` beta / c more. */
const lowestEigenvalue = -0.25;
const highestEigenvalue = 1.4;
/** Every so many steps the distance is extrapolated; a limit above this, relative to beta, ends the search. */
const patience = 10;
const hopeless = 0.35;
/** Where the search ends without hope, a size below this is a match all the same: one that nearly holds. */
const stillUseful = 0.5;
/** Steps of the weights, relative to a bound of the curvature that takes all samples for parallel. */
const weightPace = 12;

/** Weight that the heavier class may have beyond the lighter one's, in beta / c. */
export const heavierExcess = 0.7;

/** Samples to match, ascending, with their weights at the start and the largest ones, and the label of the lighter class. */
export interface MatchedSamples {
  readonly samples: Int32Array;
  readonly weights: Float64Array;
  readonly largest: Float64Array;
  readonly lighter: 1 | -1;
}

interface Match {
  readonly part: AttackPart;
  readonly potential: Potential;
  /** Whether the part was accepted. */
  readonly accepted: boolean;
}

/** Sum of the steps of a match, a score x'Q x + q'x in the span of its basis: the heavier class is chosen where it is large. */
export interface Potential {
  /** Q `[k, k]` */
  readonly quadratic: Float64Array;
  /** q `[k]` */
  readonly linear: Float64Array;
}

/** Where a match starts: without an attack, where the potential of a match in the same basis leads, or from given attacks. */
export interface MatchStart {
  /** Directions to match in, orthonormal `[k, d]` */
  readonly basis: Float64Array;
  readonly potential?: Potential;
  /** Coordinates along the first rows of the basis, `[samples, at most k]` */
  readonly moves?: Float64Array;
}

/** Attacks and weights of the given samples; null when the classes cannot be matched. Ends early when a part on the way is accepted. */
export function matchClasses(
  problem: ObjectiveProblem,
  { samples, weights: initial, largest, lighter }: MatchedSamples,
  { basis, potential: earlier, moves: given }: MatchStart,
  accept: (part: AttackPart) => boolean = () => false,
): Match | null {
  const { data, labels, radius, activation, beta } = problem;
  const { dimension: d, rows, buffers, kernels } = data;
  const n = samples.length;
  const k = basis.length / d;
  const { blockRows } = buffers;
  const sizes = [blockRows * d, k * d, blockRows * k, blockRows * k, k * k, k * k, k * k, k, blockRows * k];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const memory = sizes.map((size) => workspace.float64(size));
  const [block, directions, point, weighted, matrix, excess, scaled, eigenvalues, along] = memory;
  directions.set(basis);
  const start = new Float64Array(n * k);
  for (let from = 0; from < n; from += blockRows) {
    const size = Math.min(blockRows, n - from);
    rows.gather(samples, from, size, block);
    workspace.gemm(false, true, size, k, d, 1, block, d, directions, d, 0, point, k);
    start.set(point.subarray(0, size * k), from * k);
  }
  const moves = widened(given ?? new Float64Array(0), n, k);
  const previous = moves.slice();
  const weights = initial.slice();
  const previousWeights = initial.slice();
  const ahead = new Float64Array(n);
  const difference = new Float64Array(k);
  // The potential moves like the attack of a sample that no ball stops.
  const quadratic = earlier ? earlier.quadratic.slice() : new Float64Array(k * k);
  const previousQuadratic = quadratic.slice();
  const linear = earlier ? earlier.linear.slice() : new Float64Array(k);
  const previousLinear = linear.slice();
  const { a } = activation;
  const slope = activation.b ** 2 / 4;
  const heavier = Int32Array.from(samples.keys()).filter((t) => labels[samples[t]] !== lighter);
  const heavierMost = Float64Array.from(heavier, (t) => largest[t]);
  const heavierWeights = Float64Array.from(heavier, (t) => weights[t]);
  const heavierSum = heavierWeights.reduce((sum, p) => sum + p, 0);
  const free = heavierMost.reduce((sum, p) => sum + p, 0) > heavierSum * (1 + 1e-9);
  let mass = 0;
  let spread = 0;
  for (let i = 0; i < n; i++) {
    mass += weights[i];
    for (let l = 0; l < k; l++) spread += weights[i] * start[i * k + l] ** 2;
  }
  const square = spread / mass + radius * radius;
  // The curvature of a square of sums, with the weights' own scale taken out.
  const moveStep = 1 / (mass * (slope + 4 * a * a * square) + Number.MIN_VALUE);
  const unit = heavierSum / Math.max(1, heavier.length);
  const weightStep = (weightPace * unit) / (mass * (slope * square + a * a * square * square) + Number.MIN_VALUE);
  let momentum = 0;
  if (earlier) {
    ahead.set(weights);
    descend(1, quadratic, linear);
    previous.set(moves);
    previousWeights.set(weights);
  }
  let shrink = 1;
  let sinceRestart = 0;
  let last = Number.POSITIVE_INFINITY;
  let record: number[] = [];
  let examined = (k === d ? worthTrying : worthTryingInSome) * beta;
  let accepted = false;
  for (let step = 0; ; step++) {
    momentum = sinceRestart / (sinceRestart + 3);
    const size = measure();
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
      record = [size, ...record.slice(0, 1)];
      if (size < examined) {
        accepted = accept(part());
        if (accepted) break;
        examined = worthAgain * size;
      }
    }
    if (size > 1.001 * last) {
      if (sinceRestart <= 1) shrink *= 0.5;
      sinceRestart = 0;
    } else sinceRestart++;
    last = size;
    for (let l = 0; l < k; l++) difference[l] *= slope;
    descend(shrink, excess, difference);
    accumulate(quadratic, previousQuadratic, excess, shrink);
    accumulate(linear, previousLinear, difference, shrink);
  }
  return { part: part(), potential: { quadratic, linear }, accepted };

  /** The match so far. */
  function part(): AttackPart {
    return { samples, weights: weights.slice(), attack: { coordinates: moves.slice(), basis } };
  }

  /** Points ahead of the moves, of a block from sample `from`. */
  function goAhead(from: number, size: number): void {
    for (let t = 0, q = from * k; t < size * k; t++, q++) {
      point[t] = start[q] + moves[q] + momentum * (moves[q] - previous[q]);
    }
  }

  /** Fills excess and difference; returns the root of the sum of squares. */
  function measure(): number {
    matrix.fill(0);
    difference.fill(0);
    for (let i = 0; i < n; i++) ahead[i] = weights[i] + momentum * (weights[i] - previousWeights[i]);
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      goAhead(from, count);
      for (let t = 0; t < count; t++) {
        const p = ahead[from + t] * lighter * labels[samples[from + t]];
        for (let l = 0, q = t * k; l < k; l++) {
          weighted[q + l] = p * point[q + l];
          difference[l] += weighted[q + l];
        }
      }
      workspace.gemm(true, false, k, k, count, a, weighted, k, point, k, 1, matrix, k);
    }
    let sum = clampEigenvalues();
    for (let l = 0; l < k; l++) sum += slope * difference[l] ** 2;
    return Math.sqrt(sum);
  }

  /** a times what the eigenvalues of `matrix` have beyond their room, as a matrix, into `excess`; returns the sum of squares. */
  function clampEigenvalues(): number {
    // Rows become eigenvectors.
    if (workspace.syevd(k, matrix, k, eigenvalues) !== 0) return Number.POSITIVE_INFINITY;
    let sum = 0;
    for (let j = 0; j < k; j++) {
      const value = eigenvalues[j];
      const beyond = value - Math.min(highestEigenvalue * beta, Math.max(lowestEigenvalue * beta, value));
      sum += beyond * beyond;
      for (let l = 0; l < k; l++) scaled[j * k + l] = beyond * matrix[j * k + l];
    }
    workspace.gemm(true, false, k, k, k, a, scaled, k, matrix, k, 0, excess, k);
    return sum;
  }

  /** Moves all samples against the gradient of z'Q z + q'z, back into the ball; weights of the heavier class follow its value. */
  function descend(pace: number, quadraticPart: Float64Array, linearPart: Float64Array): void {
    excess.set(quadraticPart);
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      goAhead(from, count);
      workspace.gemm(false, false, count, k, k, 1, point, k, excess, k, 0, along, k);
      for (let t = 0; t < count; t++) {
        const sign = lighter * labels[samples[from + t]];
        const length = pace * moveStep * sign;
        let norm = 0;
        let score = 0;
        for (let l = 0, q = (from + t) * k, r = t * k; l < k; l++) {
          const move = moves[q + l] + momentum * (moves[q + l] - previous[q + l]);
          previous[q + l] = moves[q + l];
          score += point[r + l] * (along[r + l] + linearPart[l]);
          const next = move - length * (2 * along[r + l] + linearPart[l]);
          moves[q + l] = next;
          norm += next * next;
        }
        if (sign < 0) ahead[from + t] += pace * weightStep * score;
        if (!(norm > radius * radius)) continue;
        const scale = radius / Math.sqrt(norm);
        for (let l = 0, q = (from + t) * k; l < k; l++) moves[q + l] *= scale;
      }
    }
    if (!free) return;
    for (let h = 0; h < heavier.length; h++) heavierWeights[h] = ahead[heavier[h]];
    clampToSum(heavierWeights, heavierMost, heavierSum);
    for (let h = 0; h < heavier.length; h++) {
      previousWeights[heavier[h]] = weights[heavier[h]];
      weights[heavier[h]] = heavierWeights[h];
    }
  }

  function accumulate(values: Float64Array, former: Float64Array, gradient: Float64Array, pace: number): void {
    for (let l = 0; l < values.length; l++) {
      const value = values[l];
      values[l] += momentum * (value - former[l]) + pace * gradient[l];
      former[l] = value;
    }
  }
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

/** Rows `[n, few]` with zeros up to `[n, k]`. */
export function widened(rows: Float64Array, n: number, k: number): Float64Array {
  const few = rows.length / n;
  const wide = new Float64Array(n * k);
  for (let i = 0; i < n; i++) wide.set(rows.subarray(i * few, (i + 1) * few), i * k);
  return wide;
}

/** Where a sequence goes if its differences keep shrinking as they did; `record` has the last value, then the one before. */
function limitOf(record: readonly number[], size: number): number {
  if (record.length < 2) return 0;
  const [first, second] = [record[1] - record[0], record[0] - size];
  // Differences that grow say nothing yet.
  return second < first ? size - second ** 2 / (first - second) : 0;
}
