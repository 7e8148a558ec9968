// The samples of the exact trainer: equal ones merged, and the ones of a working set as an interior-point problem.

import type { NumericBatch } from "@worstcase/core";
import type { LossShape } from "../marginLoss.js";
import type { MoveSet } from "../moveSet.js";
import type { SampleProblem } from "./sampleTerm.js";
import type { ExactProblem } from "./trainExact.js";

interface MergedSamples {
  readonly count: number;
  readonly points: Float64Array;
  readonly batch: NumericBatch;
  readonly labels: Float64Array;
  readonly weights: Float64Array;
  readonly required: Uint8Array;
  /** Label, flag and coordinates of each, to find it again. */
  readonly keys: readonly string[];
  /** Root mean square length of the points. */
  readonly scale: number;
}

/** Equal samples once with the sum of their weights; samples that neither weigh anything nor are required left out. */
export function mergeSamples({ points, labels, weights, required }: ExactProblem): MergedSamples {
  const [n, d] = points.shape;
  const index = new Map<string, number>();
  const kept: number[] = [];
  const mass: number[] = [];
  for (let i = 0; i < n; i++) {
    const flag = required?.[i] ? 1 : 0;
    if (!(weights[i] > 0) && !flag) continue;
    const key = `${labels[i]},${flag},${points.data.subarray(i * d, (i + 1) * d).join(",")}`;
    const place = index.get(key);
    if (place === undefined) {
      index.set(key, kept.length);
      kept.push(i);
      mass.push(weights[i]);
    } else mass[place] += weights[i];
  }
  const count = kept.length;
  const merged = new Float64Array(count * d);
  for (const [k, i] of kept.entries()) merged.set(points.data.subarray(i * d, (i + 1) * d), k * d);
  let square = 0;
  for (const value of merged) square += value * value;
  return {
    count,
    points: merged,
    batch: { data: merged, shape: [count, d] },
    labels: Float64Array.from(kept, (i) => labels[i]),
    weights: Float64Array.from(mass),
    required: Uint8Array.from(kept, (i) => (required?.[i] ? 1 : 0)),
    keys: [...index.keys()],
    scale: Math.sqrt(square / count),
  };
}

/** The samples of a working set, by their numbers among the merged ones. */
export function subset(
  samples: MergedSamples,
  working: Int32Array,
  d: number,
  loss: LossShape,
  radius: number,
  set: MoveSet | null,
): SampleProblem {
  const points = new Float64Array(working.length * d);
  for (const [k, i] of working.entries()) points.set(samples.points.subarray(i * d, (i + 1) * d), k * d);
  // A plain literal without spreads keeps one hidden class over all solves (layout.ts).
  return {
    count: working.length,
    features: d,
    loss,
    radius,
    points,
    labels: Float64Array.from(working, (i) => samples.labels[i]),
    targets: new Float64Array(working.length).fill(1),
    paired: false,
    weights: Float64Array.from(working, (i) => samples.weights[i]),
    required: Uint8Array.from(working, (i) => samples.required[i]),
    set,
  };
}
