// Memory of a large fit, foretold at its worst (every group and every sample in use) and compared with the limit before anything is allocated.

import { ResourceError } from "@worstcase/core";
import { gibibytes, machineBytes } from "../memoryLimit.js";
import { ExactPass } from "./exactPass.js";
import { padded } from "./kernel32.js";
import { patternWords } from "./shardData.js";
import { stepRows } from "./workingRows.js";

export interface LargeSize {
  readonly samples: number;
  readonly featureCount: number;
  readonly width: number;
  readonly classCount: number;
  readonly gateCount: number;
  readonly threads: number;
  /** Whether the rows themselves lie in memory. */
  readonly inMemory: boolean;
}

/** Pairs of the dual bundle. */
export const BUNDLE = 6;
/** Vectors of all pieces in the trainer's thread: gradient, bundle, mail, points, steps, best, model. */
const VECTORS = BUNDLE + 24;
/** Of a thread before it holds anything. */
const BASE = 48 * 2 ** 20;
/** WebAssembly addresses so much per thread. */
const ADDRESSABLE = 2 ** 32;

function bytesOfThread({ samples, width, classCount, gateCount, threads }: LargeSize): { pass: number; steps: number } {
  const own = Math.ceil(samples / threads);
  const pass = 8 * ExactPass.sizes(own, classCount, width, gateCount).reduce((sum, size) => sum + size, 0);
  const bits = 8 * Math.ceil(gateCount / 64) * classCount;
  const row = 4 * padded(width) * classCount;
  const steps =
    own * (4 * width + bits + 8 * classCount + 4) + 2 * gateCount * row + stepRows(classCount, width) * (row + bits);
  return { pass, steps };
}

function predictedLargeBytes(size: LargeSize): number {
  const { samples, featureCount, width, classCount, gateCount, threads, inMemory } = size;
  const { pass, steps } = bytesOfThread(size);
  const perSample = 4 * patternWords(gateCount) + 12 * classCount + (inMemory ? 4 * featureCount : 0);
  return (
    samples * perSample + 8 * gateCount * classCount * width * (VECTORS + threads) + threads * (pass + steps + BASE)
  );
}

/** Throws ResourceError, naming the predicted bytes, when they exceed `limit` or the memory of this machine or container. */
export function checkLargeMemory(size: LargeSize, limit = machineBytes()): void {
  const bytes = predictedLargeBytes(size);
  const { steps } = bytesOfThread(size);
  if (bytes <= limit && steps <= ADDRESSABLE) return;
  const expected = bytes > limit ? `a fit within ${gibibytes(limit)}` : "at most 4 GiB of samples per thread";
  throw new ResourceError({
    argument: "rows",
    expected,
    received: `${size.samples} samples, ${size.featureCount} features, ${size.gateCount} gates, ${size.classCount} classes`,
    hint: `it can take ${gibibytes(bytes)} where every sample and group is in use; use fewer gates or samples, or more threads`,
  });
}
