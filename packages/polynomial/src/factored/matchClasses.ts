// Attacks that make two classes look alike in mean and second moments (the dual of a collapsed problem, math.md 7). With l the
// sign of the lighter class and p_i at its hinge weights, over D_i in the ball and over the weights p_i of the heavier class
// (0 <= p_i <= kappa_i, their sum fixed) minimise
//   || E ||^2 + || b g / 2 ||^2,   E = l a A less its clamp to the slack that the certificate leaves,
//   A = sum p_i y_i z_i z_i',  g = sum p_i y_i z_i,  z_i = x_i + D_i,
// within the directions in which the classes differ most, by accelerated projected gradients. The heavier class has weight to
// spare, so its samples that look least like the lighter class end without any.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import { clampToSum } from "./clampToSum.js";
import type { ObjectiveProblem } from "./objective.js";

const mostDirections = 64;
const steps = 120;
/** Root of the sum of squares, relative to beta: below the first the rest of the moments matters more, above the second no match. */
const closeEnough = +(process.env.CE ?? 0.04);
const tooFar = 1;
/** Room for the eigenvalues of l a A, relative to beta, where the heavier class weighs `heavierExcess` beta / c more. */
const lowestEigenvalue = -0.25;
const highestEigenvalue = 1.4;
/** Every so many steps the distance is extrapolated; a limit above this, relative to beta, ends the search. */
const patience = 10;
const hopeless = 0.35;

/** Weight that the heavier class may have beyond the lighter one's, in beta / c. */
export const heavierExcess = 0.7;

/** Signed second moment `[d, d]` and mean `[d]` of all points under weights p. */
export interface SignedMoments {
  readonly matrix: Float64Array;
  readonly mean: Float64Array;
}

/** Samples to match, ascending, with their weights at the start and the largest ones, and the label of the lighter class. */
export interface MatchedSamples {
  readonly samples: Int32Array;
  readonly weights: Float64Array;
  readonly largest: Float64Array;
  readonly lighter: 1 | -1;
}

/** Attacks and weights of the given samples; null when the classes cannot be matched. `moments` give the directions. */
export function matchClasses(
  problem: ObjectiveProblem,
  { samples, weights: initial, largest, lighter }: MatchedSamples,
  moments: SignedMoments,
): AttackPart | null {
  const { data, labels, radius, activation, beta } = problem;
  const { dimension: d, rows, buffers, kernels, maxNeurons } = data;
  const n = samples.length;
  const basis = differences(problem, moments, Math.min(mostDirections, maxNeurons, d));
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
  const moves = new Float64Array(n * k);
  const previous = new Float64Array(n * k);
  const weights = initial.slice();
  const ahead = new Float64Array(n);
  const before = initial.slice();
  const difference = new Float64Array(k);
  const { a } = activation;
  const slope = activation.b ** 2 / 4;
  // The heavier class: positions in the list, and the weights that may move.
  const heavier = Int32Array.from(samples.keys()).filter((t) => labels[samples[t]] !== lighter);
  const heavierMost = Float64Array.from(heavier, (t) => largest[t]);
  const heavierWeights = Float64Array.from(heavier, (t) => weights[t]);
  let heavierSum = 0;
  let mostSum = 0;
  for (let h = 0; h < heavier.length; h++) {
    heavierSum += heavierWeights[h];
    mostSum += heavierMost[h];
  }
  const free = mostSum > heavierSum * (1 + 1e-9);
  let mass = 0;
  let spread = 0;
  for (let i = 0; i < n; i++) {
    mass += weights[i];
    for (let l = 0; l < k; l++) spread += weights[i] * start[i * k + l] ** 2;
  }
  const square = spread / mass + radius * radius;
  // The curvature of a square of sums, with the weights' own scale taken out.
  const moveStep = +(process.env.MS ?? 1) / (mass * (slope + 4 * a * a * square) + Number.MIN_VALUE);
  const unit = heavierSum / Math.max(1, heavier.length);
  const weightStep = (+(process.env.WS ?? 12) * unit) / (mass * (slope * square + a * a * square * square) + Number.MIN_VALUE);
  let shrink = 1;
  let momentum = 0;
  let sinceRestart = 0;
  let last = Number.POSITIVE_INFINITY;
  let earlier: number[] = [];
  for (let iteration = 0; ; iteration++) {
    momentum = sinceRestart / (sinceRestart + 3);
    const size = measure();
    if (process.env.TRACE && iteration % 10 === 0) console.log("match", n, k, iteration, size / beta, shrink, sinceRestart);
    if (size < closeEnough * beta) break;
    if (iteration === steps) {
      if (size < tooFar * beta) break;
      return null;
    }
    if (iteration > 0 && iteration % patience === 0) {
      if (limitOf(earlier, size) > hopeless * beta) return null;
      earlier = [size, ...earlier.slice(0, 1)];
    }
    if (size > 1.001 * last) {
      if (sinceRestart <= 1) shrink *= 0.5;
      sinceRestart = 0;
    } else sinceRestart++;
    last = size;
    descend();
  }
  return { samples, weights, attack: { coordinates: moves, basis } };

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
    for (let i = 0; i < n; i++) ahead[i] = weights[i] + momentum * (weights[i] - before[i]);
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

  /** What the eigenvalues of `matrix` have beyond their room, as a matrix, into `excess`; returns its sum of squares. */
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

  function descend(): void {
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      goAhead(from, count);
      workspace.gemm(false, false, count, k, k, 1, point, k, excess, k, 0, along, k);
      for (let t = 0; t < count; t++) {
        const sign = lighter * labels[samples[from + t]];
        const step = shrink * moveStep * sign;
        let length = 0;
        let score = 0;
        for (let l = 0, q = (from + t) * k, r = t * k; l < k; l++) {
          const move = moves[q + l] + momentum * (moves[q + l] - previous[q + l]);
          previous[q + l] = moves[q + l];
          score += point[r + l] * (along[r + l] + slope * difference[l]);
          const next = move - step * (2 * along[r + l] + slope * difference[l]);
          moves[q + l] = next;
          length += next * next;
        }
        if (sign < 0) ahead[from + t] += shrink * weightStep * score;
        if (!(length > radius * radius)) continue;
        const scale = radius / Math.sqrt(length);
        for (let l = 0, q = (from + t) * k; l < k; l++) moves[q + l] *= scale;
      }
    }
    if (!free) return;
    for (let h = 0; h < heavier.length; h++) heavierWeights[h] = ahead[heavier[h]];
    clampToSum(heavierWeights, heavierMost, heavierSum);
    for (let h = 0; h < heavier.length; h++) {
      before[heavier[h]] = weights[heavier[h]];
      weights[heavier[h]] = heavierWeights[h];
    }
  }
}

/** Where a sequence goes if its differences keep shrinking as they did; `earlier` has the last value, then the one before. */
function limitOf(earlier: readonly number[], size: number): number {
  if (earlier.length < 2) return 0;
  const [first, second] = [earlier[1] - earlier[0], earlier[0] - size];
  // Differences that grow say nothing yet.
  return second < first ? size - second ** 2 / (first - second) : 0;
}

/** Orthonormal rows: the difference of the means, then the eigenvectors with the largest eigenvalues of either sign. */
function differences({ data }: ObjectiveProblem, { matrix, mean }: SignedMoments, count: number): Float64Array {
  const { dimension: d, kernels } = data;
  const workspace = kernels.workspace(workspaceSize(d * d, d));
  const vectors = workspace.float64(d * d);
  const values = workspace.float64(d);
  vectors.set(matrix);
  const failed = workspace.syevd(d, vectors, d, values) !== 0;
  const order = failed ? [] : Array.from(values.keys()).sort((i, j) => Math.abs(values[j]) - Math.abs(values[i]));
  const candidates = [mean, ...order.map((k) => vectors.subarray(k * d, (k + 1) * d))];
  const basis = new Float64Array(count * d);
  let held = 0;
  for (const candidate of candidates) {
    if (held === count) break;
    const row = basis.subarray(held * d, (held + 1) * d);
    row.set(candidate);
    const size = Math.hypot(...row);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < held; j++) {
        let product = 0;
        for (let l = 0; l < d; l++) product += basis[j * d + l] * row[l];
        for (let l = 0; l < d; l++) row[l] -= product * basis[j * d + l];
      }
    }
    const rest = Math.hypot(...row);
    if (!(rest > 1e-6 * size)) {
      row.fill(0);
      continue;
    }
    for (let l = 0; l < d; l++) row[l] /= rest;
    held++;
  }
  return basis.slice(0, held * d);
}
