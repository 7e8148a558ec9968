// Worst case of a score over a ball cut with the features' valid ranges (math.md 12.5, 12.6), batched:
//   min y f(x + D)  over  ||D||_2 <= r,  D = 0 on immutable features,  low_k <= x_k + D_k <= high_k
// A row whose worst perturbation in the ball respects the ranges is solved by that. Others: the bound with one multiplier for the
// ball and one for each range (certified), and branch and bound up to 20 features (exact).

import { checkBatch, type NumericBatch, type Radius, SettingError, throwIfAborted } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkInteger, checkKeys, checkNumber, checkSignLabels, type SignLabels } from "../inputs.js";
import { createBoxRelaxation } from "../linf/boxRelaxation.js";
import { createCoordinateDescent } from "../linf/coordinateDescent.js";
import { moveSetOf } from "../moveSet.js";
import { checkQuadratic, type Quadratic, symmetrised } from "../quadratic.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import { prepareOver, radiusValue } from "../worstCase/worstCase.js";
import { createBallBoxBound } from "./ballBoxBound.js";
import { minimiseInBallAndBox } from "./ballBoxBranching.js";
import { createBallBoxDescent } from "./ballBoxDescent.js";
import { type FeatureRange, rangeEnds } from "./featureRanges.js";

export interface RangeOptions {
  /** Valid values of the features, in the units of the points. */
  readonly range: FeatureRange;
  /** Features the adversary cannot move. */
  readonly immutable?: ArrayLike<number>;
  /** Branch and bound for rows the bound leaves open: always, never, or for at most 20 features (`auto`, default). */
  readonly exact?: "auto" | "always" | "never";
  /** Parts that branch and bound may take for a row. Default 1000. */
  readonly maxNodes?: number;
  /** Gap between `values` and `lowerBounds` at which a row counts as exact, relative to 1 + |value|. Default 1e-6. */
  readonly tolerance?: number;
  readonly kernels?: Kernels;
  readonly signal?: AbortSignal;
}

export interface RangeWorstCase {
  /** Rigorous lower bound of the worst signed score, `[samples]`. */
  readonly lowerBounds: Float64Array;
  /** Attained at the perturbation, so never below the true worst case, `[samples]`. */
  readonly values: Float64Array;
  /** `[samples, features]` */
  readonly perturbations: Float64Array;
  /** `exact`: both agree to the tolerance; `certified`: only the bound is known to hold. */
  readonly statuses: readonly ("exact" | "certified")[];
  /** Parts bounded, `[samples]`; 0 where the ball alone decides. */
  readonly nodes: Int32Array;
}

const exactFeatures = 20;

/**
 * Worst case over ball and ranges for every point. points `[samples, features]`, labels +1 / -1 `[samples]`, radius l2 in
 * feature space. A point outside a range may stay and move towards it. Throws ShapeError, DataError or SettingError on misuse,
 * AbortedError when the signal fires.
 */
export function rangeWorstCase(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  radius: number | Radius,
  options: RangeOptions,
): RangeWorstCase {
  checkQuadratic(quadratic);
  const d = quadratic.dimension;
  checkBatch(points, "points", [d]);
  const samples = points.shape[0];
  checkSignLabels(labels, samples);
  const r = radiusValue(radius);
  const score = symmetrised(quadratic);
  if (typeof options !== "object" || options === null || options.range === undefined) {
    const hint = "without ranges the function is worstCase";
    throw new SettingError({ argument: "options.range", expected: "the features' ranges", received: "none", hint });
  }
  checkKeys(options, ["range", "immutable", "exact", "maxNodes", "tolerance", "kernels", "signal"]);
  const { exact = "auto", maxNodes = 1000, tolerance = 1e-6, signal } = options;
  if (!["auto", "always", "never"].includes(exact)) {
    throw new SettingError({ argument: "options.exact", expected: "auto, always or never", received: exact });
  }
  checkInteger(maxNodes, "options.maxNodes", 1);
  checkNumber(tolerance, "options.tolerance", 0, true);
  const kernels = options.kernels ?? chooseKernels();
  const set = moveSetOf({ immutable: options.immutable ?? [] }, d);
  const ends = rangeEnds(options.range, d);
  const ball = prepareOver(quadratic, set, kernels).solve(points, labels, r);
  const perturbations = ball.perturbations as Float64Array;
  const lowerBounds = ball.values;
  const values = new Float64Array(samples);
  const nodes = new Int32Array(samples);
  const statuses: ("exact" | "certified")[] = [];
  const relaxation = createBoxRelaxation(d, kernels);
  const descent = createBallBoxDescent(d);
  const tools = {
    relaxation,
    descent,
    bound: createBallBoxBound(d, relaxation),
    coordinates: createCoordinateDescent(d),
  };
  const branch = exact === "always" || (exact === "auto" && d <= exactFeatures);
  const settings = { tolerance, maxNodes: branch ? maxNodes : 1, signal };
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  const [wideLower, wideUpper] = [new Float64Array(d), new Float64Array(d)];
  for (let i = 0; i < samples; i++) {
    throwIfAborted(signal, "worst cases in ranges");
    const at = i * d;
    const move = perturbations.subarray(at, at + d);
    let inside = true;
    for (let k = 0; k < d; k++) {
      const x = points.data[at + k];
      lower[k] = ends ? Math.min(0, Math.max(-r, ends.lower[k] - x)) : -r;
      upper[k] = ends ? Math.max(0, Math.min(r, ends.upper[k] - x)) : r;
      inside &&= move[k] >= lower[k] && move[k] <= upper[k];
      // The bound is over a little more than the range, for the rounding of its ends.
      const slack = 4 * unitRoundoff * (Math.abs(x) + r);
      wideLower[k] = lower[k] - slack;
      wideUpper[k] = upper[k] + slack;
    }
    for (const k of set?.fixed ?? []) lower[k] = upper[k] = wideLower[k] = wideUpper[k] = 0;
    if (inside) {
      values[i] = descent.improve(score, points.data, at, labels[i], lower, upper, r, move);
      if (values[i] - lowerBounds[i] <= tolerance * (1 + Math.abs(values[i]))) {
        statuses.push("exact");
        continue;
      }
    }
    descent.project(move, lower, upper, r);
    const wide = [wideLower, wideUpper] as const;
    const outcome = minimiseInBallAndBox(score, points.data, at, labels[i], ...wide, r, tools, settings, move);
    // Back from the widened box: what is attained must be admissible.
    descent.project(move, lower, upper, r);
    values[i] = descent.improve(score, points.data, at, labels[i], lower, upper, r, move);
    lowerBounds[i] = Math.max(lowerBounds[i], Math.min(outcome.lowerBound, values[i]));
    nodes[i] = outcome.nodes;
    statuses.push(values[i] - lowerBounds[i] <= tolerance * (1 + Math.abs(values[i])) ? "exact" : "certified");
  }
  return { lowerBounds, values, perturbations, statuses, nodes };
}
