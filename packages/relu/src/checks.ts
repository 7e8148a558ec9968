// Argument checks shared by the files of this package.

import { checkBatch, type NumericBatch, SettingError, sampleSize } from "@worstcase/core";

/** Features must be `[n, d]`, finite and not empty. */
export function checkFeatures(features: NumericBatch, featureCount?: number): void {
  checkBatch(features, "features", featureCount === undefined ? undefined : [featureCount]);
  if (features.shape.length !== 2) checkBatch(features, "features", [sampleSize(features)]);
}

export function checkPositive(value: number, argument: string): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new SettingError({ argument, expected: "an integer >= 1", received: value });
  }
}
