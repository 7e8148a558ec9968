// A random split that keeps the class shares. Within each class the samples are put into a random order; the first go to test, the next
// to validation, the rest to train. Counts are rounded to the nearest integer for each class.

import { DataError, type Rng, SettingError } from "@worstcase/core";

export interface SplitPositions {
  /** Ascending positions. */
  readonly train: Int32Array;
  /** Empty when `validation` is 0. */
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/**
 * Positions of `labels` (`[samples]`, nonnegative integers) for the three parts; shares are of each class. Throws SettingError unless
 * 0 <= validation, 0 < test and validation + test < 1, and DataError when a class is too small to have a sample in every wanted part.
 */
export function splitStratified(
  labels: Int32Array,
  shares: { readonly validation?: number; readonly test: number },
  rng: Rng,
): SplitPositions {
  const { validation = 0, test } = shares;
  if (!(validation >= 0 && test > 0 && validation + test < 1)) {
    const expected = "0 <= validation, 0 < test, validation + test < 1";
    throw new SettingError({ argument: "shares", expected, received: [validation, test] });
  }
  if (labels.length === 0) throw new DataError({ argument: "labels", expected: "at least one sample", received: 0 });
  const parts: { train: number[]; validation: number[]; test: number[] } = { train: [], validation: [], test: [] };
  for (const label of [...new Set(labels)].sort((a, b) => a - b)) {
    const positions: number[] = [];
    for (let i = 0; i < labels.length; i++) if (labels[i] === label) positions.push(i);
    const count = positions.length;
    const testCount = Math.round(count * test);
    const validationCount = Math.round(count * validation);
    const trainCount = count - testCount - validationCount;
    if (testCount < 1 || trainCount < 1 || (validation > 0 && validationCount < 1)) {
      const expected = "enough samples of every class for every part";
      throw new DataError({ argument: "labels", expected, received: `${count} of class ${label}` });
    }
    const order = rng.fork(`class ${label}`).permutation(count);
    const take = (from: number, to: number) => Array.from(order.subarray(from, to), (k) => positions[k]!);
    parts.test.push(...take(0, testCount));
    parts.validation.push(...take(testCount, testCount + validationCount));
    parts.train.push(...take(testCount + validationCount, count));
  }
  const ascending = (positions: number[]) => Int32Array.from(positions).sort();
  return { train: ascending(parts.train), validation: ascending(parts.validation), test: ascending(parts.test) };
}
