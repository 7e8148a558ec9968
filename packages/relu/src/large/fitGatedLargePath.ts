// Large gated heads along a path of radii and weights of the regulariser, each started from the one before. A start changes how long a point takes,
// never what is certified.

import { checkPath } from "../checks.js";
import type { FeatureRows } from "./featureRows.js";
import { type FitGatedLargeOptions, fitGatedLarge, type GatedLargeResult } from "./fitGatedLarge.js";

export interface GatedLargePathPoint {
  /** FEATURE space. */
  readonly radius: number;
  readonly beta: number;
  readonly result: GatedLargeResult;
}

/**
 * Trains at every (radius, beta) of `points`, in that order, on `rows` `[n, d]` and class indices `[n]`; the other settings are those of
 * `fitGatedLarge`, `start` that of the first point. Small steps are cheap: order radii upwards from 0 and betas downwards. Throws SettingError when
 * `points` is empty, otherwise as `fitGatedLarge`.
 */
export async function fitGatedLargePath(
  rows: FeatureRows,
  labels: Int32Array,
  classCount: number,
  points: readonly { readonly radius: number; readonly beta: number }[],
  options: Omit<FitGatedLargeOptions, "radius" | "beta" | "checkpoint">,
): Promise<GatedLargePathPoint[]> {
  checkPath(points, options);
  const path: GatedLargePathPoint[] = [];
  let { start } = options;
  for (const { radius, beta } of points) {
    const result = await fitGatedLarge(rows, labels, classCount, {
      ...options,
      radius,
      beta,
      ...(start ? { start } : {}),
    });
    path.push({ radius, beta, result });
    start = result.model;
  }
  return path;
}
