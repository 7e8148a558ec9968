// Networks along a path of radii and weights of the regulariser. A point learns from the one before: margins of gates, which do not depend on the
// radius, so most cones are settled without a search; pieces, moved into their new cones, as first answer and first working set; dual weights,
// whose bound holds for the new program once the ball's forces fit it. Every point ends with its own certified gap.

import { checkObject, type NumericBatch } from "@worstcase/core";
import { checkPath } from "../checks.js";
import type { PathAnswers } from "../gated/fitGatedPath.js";
import { type FitReluOptions, fitFrom, type PathMemory, type ReluResult } from "./fitRelu.js";

export interface ReluPathPoint {
  /** FEATURE space. */
  readonly radius: number;
  readonly beta: number;
  readonly result: ReluResult;
}

/**
 * Trains at every (radius, beta) of `points`, in that order, on features `[n, d]`; the other settings are those of `fitRelu`. Small steps are
 * cheap. Throws SettingError when `points` is empty, otherwise as `fitRelu`.
 */
export async function fitReluPath(
  features: NumericBatch,
  answers: PathAnswers,
  points: readonly { readonly radius: number; readonly beta: number }[],
  options: Omit<FitReluOptions, "radius" | "beta">,
): Promise<ReluPathPoint[]> {
  checkPath(points, options);
  checkObject(answers, "answers", "{ labels, classCount } or { targets }");
  const task =
    "targets" in answers
      ? { kind: "regression" as const, targets: answers.targets }
      : { kind: "classes" as const, labels: answers.labels, classCount: answers.classCount };
  const memory: PathMemory = {};
  const path: ReluPathPoint[] = [];
  for (const { radius, beta } of points) {
    const result = await fitFrom(features, task, { ...options, radius, beta }, memory);
    path.push({ radius, beta, result });
  }
  return path;
}
