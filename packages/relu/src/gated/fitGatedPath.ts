// Solutions along a path of radii and weights of the regulariser, each started from the one before (math.md 24 H, I). A start changes how
// long a point takes, never what is certified: every point ends with its own gap.

import { checkObject, type NumericBatch } from "@worstcase/core";
import { checkPath } from "../checks.js";
import { type FitGatedReluOptions, fitGatedRegression, fitGatedRelu, type GatedReluResult } from "./fitGatedRelu.js";

export interface GatedPathPoint {
  /** FEATURE space. */
  readonly radius: number;
  readonly beta: number;
  readonly result: GatedReluResult;
}

/** Class indices `[n]` with their number of classes, or targets `[n, outputs]` of a regression. */
export type PathAnswers =
  | { readonly labels: Int32Array; readonly classCount: number }
  | { readonly targets: NumericBatch };

/**
 * Trains at every (radius, beta) of `points`, in that order, on features `[n, d]`; the other settings are those of `fitGatedRelu`. Small
 * steps are cheap: order radii upwards from 0 and betas downwards. Throws SettingError when `points` is empty, otherwise as `fitGatedRelu`.
 */
export async function fitGatedPath(
  features: NumericBatch,
  answers: PathAnswers,
  points: readonly { readonly radius: number; readonly beta: number }[],
  options: Omit<FitGatedReluOptions, "radius" | "beta" | "resume" | "onCheckpoint">,
): Promise<GatedPathPoint[]> {
  checkPath(points, options);
  checkObject(answers, "answers", "{ labels, classCount } or { targets }");
  const path: GatedPathPoint[] = [];
  let start = options.start;
  for (const { radius, beta } of points) {
    const settings = { ...options, radius, beta, ...(start ? { start } : {}) };
    const result =
      "targets" in answers
        ? await fitGatedRegression(features, answers.targets, settings)
        : await fitGatedRelu(features, answers.labels, answers.classCount, settings);
    path.push({ radius, beta, result });
    start = result.model;
  }
  return path;
}
