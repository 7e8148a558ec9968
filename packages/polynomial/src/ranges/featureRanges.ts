// Valid ranges of the features (math.md 12.5): low_k <= x_k + D_k <= high_k, one pair for all features or one for each. A point
// outside its range may stay where it is and move towards it.

import { type Bounds, SettingError, ShapeError } from "@worstcase/core";

/** `"unbounded"`, the same ends for every feature, or ends `[features]`; -Infinity and Infinity leave a side open. */
export type FeatureRange =
  | Bounds
  | { readonly lower: number | ArrayLike<number>; readonly upper: number | ArrayLike<number> };

export interface RangeEnds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** Null when nothing is bounded. Throws ShapeError or SettingError unless lower < upper for every feature. */
export function rangeEnds(range: FeatureRange, dimension: number, argument = "options.range"): RangeEnds | null {
  if (range === "unbounded") return null;
  if (typeof range !== "object" || range === null) {
    throw new SettingError({ argument, expected: "unbounded, or lower and upper ends", received: range });
  }
  const side = (ends: number | ArrayLike<number>, name: string): Float64Array => {
    if (typeof ends === "number") return new Float64Array(dimension).fill(ends);
    if (typeof ends !== "object" || ends === null || ends.length !== dimension) {
      const expected = `a number or ${dimension} of them, one for each feature`;
      throw new ShapeError({ argument: `${argument}.${name}`, expected, received: ends?.length ?? ends });
    }
    return Float64Array.from(ends);
  };
  const lower = side(range.lower, "lower");
  const upper = side(range.upper, "upper");
  for (let k = 0; k < dimension; k++) {
    if (lower[k] < upper[k] && lower[k] < Number.POSITIVE_INFINITY && upper[k] > Number.NEGATIVE_INFINITY) continue;
    const received = `${lower[k]} .. ${upper[k]}`;
    const hint = "a feature that cannot change at all belongs into options.immutable";
    throw new SettingError({ argument, expected: `lower < upper for feature ${k}`, received, hint });
  }
  return { lower, upper };
}
