// Attacks that make two classes look alike in mean and second moments (the dual of a collapsed problem, math.md 7): with equal
// total weight on both classes, minimise over D_i in the ball, within a few directions,
//   || a A ||^2 + || b g / 2 ||^2,   A = sum p_i y_i z_i z_i',  g = sum p_i y_i z_i,  z_i = x_i + D_i,
// by accelerated projected gradients. The directions are those in which the classes differ most.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import type { ObjectiveProblem } from "./objective.js";

const mostDirections = 24;
const steps = 80;
/** Root of the sum of squares, relative to beta: below the first the rest of the moments matters more, above the second no match. */
const closeEnough = 0.03;
const tooFar = 1;

/** Signed second moment `[d, d]` and mean `[d]` of all points under weights p. */
export interface SignedMoments {
  readonly matrix: Float64Array;
  readonly mean: Float64Array;
}

/**
 * Attacks of the given samples, whose weights have equal sums on both classes; null when the classes cannot be matched. `moments`
 * give the directions.
 */
export function matchClasses(
  problem: ObjectiveProblem,
  samples: Int32Array,
  weights: Float64Array,
  moments: SignedMoments,
): AttackPart | null {
  const { data, labels, radius, activation, beta } = problem;
  const { dimension: d, rows, buffers, kernels, maxNeurons } = data;
  const n = samples.length;
  const basis = differences(problem, moments, Math.min(mostDirections, maxNeurons, d));
  const k = basis.length / d;
  const { blockRows } = buffers;
  const sizes = [blockRows * d, k * d, blockRows * k, blockRows * k, k * k, blockRows * k];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [block, directions, point, weighted, matrix, along] = sizes.map((size) => workspace.float64(size));
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
  const difference = new Float64Array(k);
  const [curvature, slope] = [activation.a ** 2, activation.b ** 2 / 4];
  let mass = 0;
  let spread = 0;
  for (let i = 0; i < n; i++) {
    mass += weights[i];
    for (let l = 0; l < k; l++) spread += weights[i] * start[i * k + l] ** 2;
  }
  // The curvature of a square of sums, with the weights' own scale taken out.
  const step = 1 / (mass * (slope + 4 * curvature * (spread / mass + radius * radius)) + Number.MIN_VALUE);
  for (let iteration = 0; ; iteration++) {
    const momentum = iteration / (iteration + 3);
    const size = measure(momentum);
    if (size < closeEnough * beta || iteration === steps) {
      return size < tooFar * beta ? { samples, weights, attack: { coordinates: moves, basis } } : null;
    }
    descend(momentum);
  }

  /** Points ahead of the moves, of a block from sample `from`. */
  function goAhead(from: number, size: number, momentum: number): void {
    for (let t = 0, q = from * k; t < size * k; t++, q++) {
      point[t] = start[q] + moves[q] + momentum * (moves[q] - previous[q]);
    }
  }

  /** Fills matrix and difference; returns the root of the sum of squares. */
  function measure(momentum: number): number {
    matrix.fill(0);
    difference.fill(0);
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      goAhead(from, count, momentum);
      for (let t = 0; t < count; t++) {
        const p = weights[from + t] * labels[samples[from + t]];
        for (let l = 0, q = t * k; l < k; l++) {
          weighted[q + l] = p * point[q + l];
          difference[l] += weighted[q + l];
        }
      }
      workspace.gemm(true, false, k, k, count, 1, weighted, k, point, k, 1, matrix, k);
    }
    let sum = 0;
    for (let l = 0; l < k; l++) sum += slope * difference[l] ** 2;
    for (let l = 0; l < k * k; l++) sum += curvature * matrix[l] ** 2;
    return Math.sqrt(sum);
  }

  function descend(momentum: number): void {
    for (let from = 0; from < n; from += blockRows) {
      const count = Math.min(blockRows, n - from);
      goAhead(from, count, momentum);
      workspace.gemm(false, false, count, k, k, 1, point, k, matrix, k, 0, along, k);
      for (let t = 0; t < count; t++) {
        const label = labels[samples[from + t]];
        let square = 0;
        for (let l = 0, q = (from + t) * k, r = t * k; l < k; l++) {
          const ahead = moves[q + l] + momentum * (moves[q + l] - previous[q + l]);
          previous[q + l] = moves[q + l];
          const next = ahead - step * label * (2 * curvature * along[r + l] + slope * difference[l]);
          moves[q + l] = next;
          square += next * next;
        }
        if (!(square > radius * radius)) continue;
        const scale = radius / Math.sqrt(square);
        for (let l = 0, q = (from + t) * k; l < k; l++) moves[q + l] *= scale;
      }
    }
  }
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
