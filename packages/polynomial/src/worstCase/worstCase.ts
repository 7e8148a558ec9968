// Exact l2 worst case of a quadratic score for many points (math.md 6): one eigendecomposition, then a scalar equation
// per sample. value_i <= min over ||D|| <= r of y_i f(x_i + D), with equality up to rounding.

import { checkFinite, type NumericBatch, type Radius, SettingError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkKeys, checkNumber, checkPoints, checkPointsShape, checkSignLabels, type SignLabels } from "../inputs.js";
import { type MoveOptions, type MoveSet, moveSetOf } from "../moveSet.js";
import { checkQuadratic, type Quadratic } from "../quadratic.js";
import { moveTolerance, valueTolerance } from "./ballRows.js";
import { prepareEllipsoid } from "./ellipsoidOracle.js";
import { type ErrorBound, errorBound } from "./errorBound.js";
import { prepareMoving } from "./movingCoordinates.js";
import { type RotatedForm, rotate } from "./rotatedForm.js";
import { blockRows, createRotator, type Rotator } from "./rotator.js";

export interface WorstCase {
  /** Rigorous lower bound of the worst signed score, `[samples]`; short of the exact minimum only by rounding. */
  readonly values: Float64Array;
  /** Multiplier lambda of the ball, `[samples]`; 0 when the minimum lies inside it or the radius is 0. */
  readonly multipliers: Float64Array;
  /** Worst perturbations D, ||D|| <= r, `[samples, features]`; absent when `points: false` was asked for. */
  readonly perturbations?: Float64Array;
}

export interface WorstCaseOptions extends MoveOptions {
  /** Linear algebra to use; default `chooseKernels()`. */
  readonly kernels?: Kernels;
  /** false leaves the perturbations out, which saves a matrix product. Default true. */
  readonly points?: boolean;
}

/** A quadratic prepared for repeated worst-case questions. */
export interface WorstCaseOracle {
  readonly quadratic: Quadratic;
  /** Over the moving features only, in the coordinates of the ellipsoid. */
  readonly form: RotatedForm;
  readonly kernels: string;
  /** Same contract as {@link worstCase}. */
  solve(points: NumericBatch, labels: SignLabels, radius: number | Radius, options?: { points?: boolean }): WorstCase;
}

/** A radius given as a number or as a core `Radius` of norm l2. Throws SettingError on anything else. */
export function radiusValue(radius: number | Radius, argument = "radius"): number {
  if (typeof radius === "object" && radius !== null && radius.norm !== "l2") {
    throw new SettingError({ argument: `${argument}.norm`, expected: "l2", received: radius.norm });
  }
  const value = typeof radius === "object" && radius !== null ? radius.value : radius;
  checkNumber(value, argument, 0);
  return value;
}

/**
 * Decomposes the quadratic once: O(d^3), or O(d K^2) when it carries K neurons with K < 0.75 d.
 * With `immutable` features, of the block of the others. Throws ShapeError or DataError on a malformed quadratic or
 * ellipsoid, SettingError on a list that does not name distinct features or names all.
 */
export function prepareWorstCase(
  quadratic: Quadratic,
  options: Omit<WorstCaseOptions, "points"> = {},
): WorstCaseOracle {
  checkQuadratic(quadratic);
  checkKeys(options, ["kernels", "immutable", "ellipsoid"]);
  const kernels = options.kernels ?? chooseKernels();
  return prepareOver(quadratic, moveSetOf(options, quadratic.dimension), kernels);
}

/** As `prepareWorstCase`, over a move set that was checked already. */
export function prepareOver(quadratic: Quadratic, set: MoveSet | null, kernels: Kernels): WorstCaseOracle {
  if (set?.shape) {
    const plain = set.fixed.length === 0 ? null : { ...set, shape: null };
    return prepareEllipsoid(quadratic, set.shape, kernels, (own) => prepareOver(own, plain, kernels));
  }
  if (set) {
    const oracle = prepareMoving(quadratic, set.moving, kernels);
    return {
      quadratic,
      form: oracle.form,
      kernels: kernels.name,
      solve(points, labels, radius, { points: wanted = true } = {}) {
        const [samples] = checkPoints(points, "points", quadratic.dimension);
        checkSignLabels(labels, samples);
        const tolerance = wanted ? moveTolerance : valueTolerance;
        return oracle.solve(points, labels, radiusValue(radius), tolerance, wanted);
      },
    };
  }
  const form = rotate(quadratic, kernels);
  const bound = errorBound(form);
  let rotator: Rotator | null = null;
  return {
    quadratic,
    form,
    kernels: kernels.name,
    solve(points, labels, radius, { points: wanted = true } = {}) {
      const [samples] = checkPointsShape(points, "points", quadratic.dimension);
      checkSignLabels(labels, samples);
      const r = radiusValue(radius);
      if (!rotator) {
        rotator = createRotator(kernels, form.dimension, form.rank);
        rotator.use(form);
      }
      return solveBatch({ form, bound, rotator }, points, labels, r, wanted);
    },
  };
}

/**
 * Exact worst case of y f(x + D) over ||D||_2 <= radius for every point.
 * points: `[samples, features]`, labels: +1 / -1 `[samples]`, radius in feature space (in that of z with an ellipsoid).
 * Throws ShapeError, DataError or SettingError on misuse. Source: math.md 6.
 */
export function worstCase(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  radius: number | Radius,
  options: WorstCaseOptions = {},
): WorstCase {
  const { points: wanted = true, ...rest } = options;
  return prepareWorstCase(quadratic, rest).solve(points, labels, radius, { points: wanted });
}

interface Prepared {
  readonly form: RotatedForm;
  readonly bound: ErrorBound;
  readonly rotator: Rotator;
}

/** The batched work behind `solve`; shapes, labels and radius are checked already. Throws DataError on NaN and infinities. */
export function solveBatch(
  { form, bound, rotator }: Prepared,
  points: NumericBatch,
  labels: SignLabels,
  radius: number,
  wanted: boolean,
): WorstCase {
  const samples = points.shape[0];
  const d = form.dimension;
  const values = new Float64Array(samples);
  const multipliers = new Float64Array(samples);
  const perturbations = wanted ? new Float64Array(samples * d) : null;
  const { ballRows, perturbation } = rotator;
  const tolerance = wanted ? moveTolerance : valueTolerance;
  const blockLabels = new Float64Array(blockRows);
  for (let from = 0; from < samples; from += blockRows) {
    const count = Math.min(blockRows, samples - from);
    const rotated = rotator.rotateRows(points, from, count);
    const lengths = rotator.lengths(count);
    let total = 0;
    for (let i = 0; i < count; i++) total += lengths[i];
    if (!(total < Number.POSITIVE_INFINITY)) checkFinite(points.data, "points", d);
    for (let i = 0; i < count; i++) blockLabels[i] = labels[from + i];
    ballRows.solve(form, rotated, count, blockLabels, radius, tolerance, wanted ? perturbation : null);
    for (let i = 0; i < count; i++) {
      const multiplier = ballRows.multipliers[i];
      multipliers[from + i] = multiplier;
      values[from + i] = ballRows.values[i] - bound.at(lengths[i], radius, multiplier);
    }
    if (perturbations) perturbations.set(rotator.rotateBack(count).subarray(0, count * d), from * d);
  }
  return perturbations ? { values, multipliers, perturbations } : { values, multipliers };
}
