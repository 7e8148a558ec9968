// Exact l2 distance to the decision boundary of a quadratic score (math.md 9, solvers.md 6), batched.
//   dist^2 = min { ||D||^2 : y f(x + D) <= 0 },  D_k = -a_k / u_k,  u_k = y h_k + lambda,  lambda = 1 / nu > max(0, -lowest)
//   psi(lambda) = y f(x + D) = f0 - sum a_k^2 (1/u_k + lambda/u_k^2),  psi' = 2 lambda sum a_k^2/u_k^3 > 0
//   every admissible lambda bounds it from below: dist^2 >= (f0 - sum a_k^2/u_k) / lambda.
// The unknown is kept as lambda = base + excess with base = max(0, -lowest), so that u_k has no cancellation. Newton in
// 1/lambda far from the pole and in log(excess) near it, inside a bracket. With immutable features or an ellipsoid (math.md 12.4,
// 12.5) the same, row by row, for the block of the moving features in the coordinates of the ellipsoid; distances are ||z||.

import type { NumericBatch } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { createEllipsoidRows, pointsInEllipsoid, quadraticInEllipsoid } from "./ellipsoid.js";
import { checkPoints, checkSignLabels, type SignLabels } from "./inputs.js";
import { type MoveOptions, type MoveSet, moveSetOf } from "./moveSet.js";
import { checkQuadratic, type Quadratic } from "./quadratic.js";
import { createMovingRows, movingBlock } from "./worstCase/movingRows.js";
import { type RotatedForm, rotate } from "./worstCase/rotatedForm.js";
import { blockRows, createRotator, type Rotator } from "./worstCase/rotator.js";

export interface FlipDistances {
  /** Smallest radius at which the adversary changes the sign; Infinity when no perturbation does. `[samples]` */
  readonly distances: Float64Array;
  /** Displacement that reaches the boundary, `[samples, features]`; zeros where the distance is 0 or Infinity. */
  readonly witnesses?: Float64Array;
}

export interface FlipOptions extends MoveOptions {
  readonly kernels?: Kernels;
  /** +1 / -1: misclassified points then have distance 0. Without labels every point's own sign is used. */
  readonly labels?: SignLabels;
  /** false leaves the witnesses out. Default true. */
  readonly witnesses?: boolean;
}

/**
 * Distance of each point `[samples, features]` to the set where the score has the other sign (or is zero).
 * Throws ShapeError or DataError on misuse.
 */
export function flipDistances(quadratic: Quadratic, points: NumericBatch, options: FlipOptions = {}): FlipDistances {
  checkQuadratic(quadratic);
  const [samples] = checkPoints(points, "points", quadratic.dimension);
  if (options.labels) checkSignLabels(options.labels, samples, "options.labels");
  const kernels = options.kernels ?? chooseKernels();
  const set = moveSetOf(options, quadratic.dimension);
  return prepareFlips(quadratic, set, kernels).solve(points, options.labels ?? null, options.witnesses ?? true);
}

export interface FlipOracle {
  solve(points: NumericBatch, labels: SignLabels | null, witnesses: boolean): FlipDistances;
}

/** Distances over a move set, null for the ball; arguments are already checked. */
export function prepareFlips(quadratic: Quadratic, set: MoveSet | null, kernels: Kernels): FlipOracle {
  if (set?.shape) {
    const shape = set.shape;
    const plain = set.fixed.length === 0 ? null : { ...set, shape: null };
    const inner = prepareFlips(quadraticInEllipsoid(quadratic, shape, kernels), plain, kernels);
    const rows = createEllipsoidRows(shape, quadratic.dimension, kernels);
    return {
      solve(points, labels, wanted) {
        const result = inner.solve(pointsInEllipsoid(points, rows), labels, wanted);
        if (result.witnesses) rows.displace(result.witnesses, result.distances.length);
        return result;
      },
    };
  }
  if (set) return prepareMovingFlips(quadratic, set.moving, kernels);
  const form = rotate(quadratic, kernels);
  const rotator = createRotator(kernels, form.dimension, form.rank);
  rotator.use(form);
  const prepared = prepareFlip(form);
  return { solve: (points, labels, wanted) => flipRows(prepared, rotator, points, labels, wanted) };
}

function prepareMovingFlips(quadratic: Quadratic, moving: Int32Array, kernels: Kernels): FlipOracle {
  const d = quadratic.dimension;
  const rows = createMovingRows(quadratic, moving, kernels);
  const form = prepareFlip(rows.form);
  const { rank, eigenvalues } = form;
  const sample = { ...form, linear: new Float64Array(rank), constant: 0 };
  const memory = makeRow(rank);
  return {
    solve(points, labels, wanted) {
      const samples = points.shape[0];
      const distances = new Float64Array(samples);
      const witnesses = wanted ? new Float64Array(samples * d) : null;
      for (let from = 0; from < samples; from += movingBlock) {
        const count = Math.min(movingBlock, samples - from);
        rows.load(points, from, count);
        for (let t = 0; t < count; t++) {
          // Slopes of rounding size along flat directions are zero, or "no flip exists" could not be decided.
          const threshold = 1e-13 * (rows.sizeq + 2 * rows.sizeQ * rows.lengths[t]);
          for (let k = 0; k < rank; k++) {
            const slope = rows.linear[t * rank + k];
            sample.linear[k] = eigenvalues[k] === 0 && Math.abs(slope) <= threshold ? 0 : slope;
          }
          sample.constant = rows.constants[t];
          const label = labels ? labels[from + t] : 0;
          const point = rows.rotated.subarray(t * rank, (t + 1) * rank);
          distances[from + t] = flipRow(sample, point, rows.moves.subarray(t * rank), 0, label, memory);
        }
        if (witnesses) rows.writeMoves(count, witnesses, from);
      }
      return witnesses ? { distances, witnesses } : { distances };
    },
  };
}

/** A form whose eigenvalues and slopes of rounding size are exactly zero, so that "no flip exists" can be decided. */
export function prepareFlip(form: RotatedForm): RotatedForm {
  const { rank } = form;
  const largest = rank === 0 ? 0 : Math.max(Math.abs(form.eigenvalues[0]), Math.abs(form.eigenvalues[rank - 1]));
  const eigenvalues = form.eigenvalues.map((value) => (Math.abs(value) <= 1e-13 * largest ? 0 : value));
  let slope = 0;
  for (const value of form.linear) slope += value * value;
  const threshold = 1e-13 * Math.sqrt(slope);
  const linear = form.linear.map((value, k) => (eigenvalues[k] === 0 && Math.abs(value) <= threshold ? 0 : value));
  return { ...form, eigenvalues, linear };
}

/** The batched work; the rotator must hold the form's basis, and arguments are already checked. */
export function flipRows(
  form: RotatedForm,
  rotator: Rotator,
  points: NumericBatch,
  labels: SignLabels | null,
  wanted: boolean,
): FlipDistances {
  const samples = points.shape[0];
  const d = form.dimension;
  const distances = new Float64Array(samples);
  const witnesses = wanted ? new Float64Array(samples * d) : null;
  const row = makeRow(form.rank);
  for (let from = 0; from < samples; from += blockRows) {
    const count = Math.min(blockRows, samples - from);
    const rotated = rotator.rotateRows(points, from, count);
    for (let i = 0; i < count; i++) {
      const label = labels ? labels[from + i] : 0;
      distances[from + i] = flipRow(form, rotated, rotator.perturbation, i * form.rank, label, row);
    }
    if (witnesses) witnesses.set(rotator.rotateBack(count).subarray(0, count * d), from * d);
  }
  return witnesses ? { distances, witnesses } : { distances };
}

interface FlipRow {
  readonly square: Float64Array;
  readonly half: Float64Array;
  readonly gap: Float64Array;
}

function makeRow(rank: number): FlipRow {
  return { square: new Float64Array(rank), half: new Float64Array(rank), gap: new Float64Array(rank) };
}

/** Distance of one rotated point; writes the displacement at `at`. `label` 0 takes the score's own sign. */
function flipRow(
  { rank, eigenvalues, linear, constant }: Pick<RotatedForm, "rank" | "eigenvalues" | "linear" | "constant">,
  rotated: Float64Array,
  move: Float64Array,
  at: number,
  label: number,
  { square, half, gap }: FlipRow,
): number {
  move.fill(0, at, at + rank);
  let score = constant;
  for (let k = 0; k < rank; k++) {
    const x = rotated[at + k];
    score += x * (eigenvalues[k] * x + linear[k]);
  }
  const sign = label === 0 ? Math.sign(score) : label;
  const start = sign * score;
  if (!(start > 0)) return 0;
  if (rank === 0) return Number.POSITIVE_INFINITY;
  const lowestIndex = sign > 0 ? 0 : rank - 1;
  const lowest = sign * eigenvalues[lowestIndex];
  const base = Math.max(0, -lowest);
  const shift = Math.max(0, lowest);
  let slope = 0;
  let flat = false;
  let drop = 0;
  for (let k = 0; k < rank; k++) {
    const a = sign * (eigenvalues[k] * rotated[at + k] + 0.5 * linear[k]);
    half[k] = a;
    square[k] = a * a;
    gap[k] = sign * eigenvalues[k] - lowest + shift;
    slope += square[k];
    if (gap[k] === 0) flat ||= square[k] > 0;
    else drop += square[k] / gap[k];
  }
  // Bounded below by a positive value: the sign never changes.
  if (base === 0 && !flat && start - drop > 0) return Number.POSITIVE_INFINITY;
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  let excess = Math.max((2 * slope) / start - base, 1e-3 * base, 1e-290);
  let value = 0;
  for (let step = 0; step < 200; step++) {
    const lambda = base + excess;
    value = start;
    let derivative = 0;
    for (let k = 0; k < rank; k++) {
      const inverse = 1 / (gap[k] + excess);
      const p = square[k] * inverse;
      value -= p * (1 + lambda * inverse);
      derivative += p * inverse * inverse;
    }
    derivative *= 2 * lambda;
    if (value > 0) high = excess;
    else low = excess;
    if (Math.abs(value) <= 4e-16 * start || excess < 1e-280) break;
    if (high < Number.POSITIVE_INFINITY && high - low <= 4e-16 * high) break;
    let next: number;
    if (excess >= base) {
      const nu = 1 / lambda + value / (lambda * lambda * derivative);
      next = nu > 0 ? 1 / nu - base : Number.POSITIVE_INFINITY;
    } else {
      next = excess * Math.exp(Math.max(-20, Math.min(20, -value / (excess * derivative))));
    }
    if (!(next > low && next < high)) {
      next = high === Number.POSITIVE_INFINITY ? 4 * excess : low > 0 ? Math.sqrt(low * high) : 1e-3 * high;
    }
    if (next === excess) break;
    excess = next;
  }
  let length = 0;
  for (let k = 0; k < rank; k++) {
    move[at + k] = -half[k] / (gap[k] + excess);
    length += move[at + k] * move[at + k];
  }
  // Hard case: no component along the lowest eigenvector; move along it until the boundary is met.
  if (base > 0 && value > 1e-12 * start && square[lowestIndex] < 1e-280) {
    const rest = value / base;
    move[at + lowestIndex] = Math.sqrt(rest);
    length += rest;
  }
  return Math.sqrt(length);
}
