// One sample's worst case over a box, in the coordinates of the box (math.md 12.1, 12.5):
//   min over lower <= D <= upper of y f(x + D),  D = centre + half t,  t in [-1, 1]^m
//   = value + 2 slope't + t'curvature t,   curvature_kl = y Q_kl half_k half_l,  slope = y half (Q (x + centre) + q/2)
// Coordinates with half = 0 (immutable, fixed by a branch, or at the edge of their range) drop out.
// `error` bounds what rounding did to the coefficients, as a bound on |f - model| over the box.
// curvature: [m, m]   slope: [m]   index: [m] coordinates of the sample

import { type NumericBatch, type Radius, SettingError } from "@worstcase/core";
import { checkNumber } from "../inputs.js";
import type { Quadratic } from "../quadratic.js";
import { type FeatureRange, rangeEnds } from "../ranges/featureRanges.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";

export interface BoxProblem {
  /** Free coordinates, m. */
  size: number;
  readonly curvature: Float64Array;
  readonly slope: Float64Array;
  value: number;
  error: number;
  readonly index: Int32Array;
  readonly centre: Float64Array;
  readonly half: Float64Array;
}

export function allocateBoxProblem(d: number): BoxProblem {
  return {
    size: 0,
    curvature: new Float64Array(d * d),
    slope: new Float64Array(d),
    value: 0,
    error: 0,
    index: new Int32Array(d),
    centre: new Float64Array(d),
    half: new Float64Array(d),
  };
}

/** Fills `problem` for one sample; allocates nothing. Q as of `symmetrised`; `lower`, `upper`: `[d]`, displacements. */
export function loadBoxProblem(
  problem: BoxProblem,
  { dimension: d, Q, q, s }: Quadratic,
  point: ArrayLike<number>,
  at: number,
  label: number,
  lower: Float64Array,
  upper: Float64Array,
): void {
  const { curvature, slope, index, centre, half } = problem;
  for (let k = 0; k < d; k++) {
    centre[k] = 0.5 * (lower[k] + upper[k]);
    half[k] = 0.5 * (upper[k] - lower[k]);
  }
  let m = 0;
  let value = s;
  let size = Math.abs(s);
  for (let k = 0; k < d; k++) {
    const x = point[at + k] + centre[k];
    const reach = Math.abs(point[at + k]) + Math.abs(centre[k]) + half[k];
    let row = 0;
    let rowSize = Math.abs(q[k]);
    for (let l = 0, p = k * d; l < d; l++) {
      row += Q[p + l] * (point[at + l] + centre[l]);
      rowSize += Math.abs(Q[p + l]) * (Math.abs(point[at + l]) + Math.abs(centre[l]) + half[l]);
    }
    value += (q[k] + row) * x;
    size += rowSize * reach;
    if (!(half[k] > 0)) continue;
    slope[m] = label * half[k] * (0.5 * q[k] + row);
    index[m++] = k;
  }
  for (let i = 0; i < m; i++) {
    const p = index[i] * d;
    const width = half[index[i]];
    // The product of the widths first, so that the matrix is symmetric to the last bit.
    for (let j = 0; j < m; j++) curvature[i * m + j] = label * (width * half[index[j]]) * Q[p + index[j]];
  }
  problem.size = m;
  problem.value = label * value;
  problem.error = 8 * (d + 8) * unitRoundoff * size;
}

export interface BoxOptions {
  /** Valid inputs, for all features or each: the box is cut to them. Default `"unbounded"`. */
  readonly range?: FeatureRange;
  /** Features the adversary cannot move, such as a constant bias or a category. */
  readonly immutable?: ArrayLike<number>;
}

/** Displacements allowed at one point; `lower`, `upper` `[d]` are overwritten. A point outside the range may stay. */
export interface BoxAdversary {
  boxAt(points: NumericBatch, sample: number, lower: Float64Array, upper: Float64Array): void;
}

export function createBoxAdversary(d: number, epsilon: number, options: BoxOptions): BoxAdversary {
  const { range = "unbounded", immutable = [] } = options;
  const width = new Float64Array(d).fill(epsilon);
  for (const k of Array.from(immutable)) {
    if (!Number.isInteger(k) || k < 0 || k >= d) {
      throw new SettingError({ argument: "options.immutable", expected: `coordinates in 0 .. ${d - 1}`, received: k });
    }
    width[k] = 0;
  }
  const ends = rangeEnds(range, d);
  return {
    boxAt(points, sample, lower, upper) {
      for (let k = 0; k < d; k++) {
        lower[k] = -width[k];
        upper[k] = width[k];
        if (!ends || width[k] === 0) continue;
        const x = points.data[sample * d + k];
        lower[k] = Math.min(0, Math.max(lower[k], ends.lower[k] - x));
        upper[k] = Math.max(0, Math.min(upper[k], ends.upper[k] - x));
      }
    },
  };
}

/** A half-width given as a number or as a core `Radius` of norm linf. Throws SettingError on anything else. */
export function epsilonValue(epsilon: number | Radius, argument = "epsilon"): number {
  if (typeof epsilon === "object" && epsilon !== null && epsilon.norm !== "linf") {
    throw new SettingError({ argument: `${argument}.norm`, expected: "linf", received: epsilon.norm });
  }
  const value = typeof epsilon === "object" && epsilon !== null ? epsilon.value : epsilon;
  checkNumber(value, argument, 0);
  return value;
}
