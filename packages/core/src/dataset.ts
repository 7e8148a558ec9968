// A labelled data set with a fingerprint, held in memory or streamed by its implementation.

import { gatherBatch, type LabelledBatch, type NumericBatch, sampleCount, sliceBatch } from "./batch.js";
import type { Bounds } from "./budget.js";

export interface Dataset {
  /** For example `cifar10`. */
  readonly id: string;
  readonly split: "train" | "validation" | "test";
  readonly size: number;
  /** Shape of one sample. */
  readonly sampleShape: readonly number[];
  readonly classNames: readonly string[];
  readonly bounds: Bounds;
  readonly licence: string;
  /** Hash of the bytes and of the split rule. */
  readonly fingerprint: string;
  /** All samples at once. */
  all(): Promise<LabelledBatch>;
}

/** Samples at `positions` of a batch with its labels and original indices. */
export function takeSamples(batch: LabelledBatch, positions: ArrayLike<number>): LabelledBatch {
  const pick = (values: Int32Array) => Int32Array.from({ length: positions.length }, (_, i) => values[positions[i]!]!);
  return { inputs: gatherBatch(batch.inputs, positions), labels: pick(batch.labels), indices: pick(batch.indices) };
}

/** Consecutive parts of at most `size` samples, as views. */
export function* inChunks(
  inputs: NumericBatch,
  size: number,
): Generator<{ from: number; to: number; inputs: NumericBatch }> {
  const count = sampleCount(inputs);
  for (let from = 0; from < count; from += size) {
    const to = Math.min(count, from + size);
    yield { from, to, inputs: sliceBatch(inputs, from, to) };
  }
}
