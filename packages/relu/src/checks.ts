// Argument checks shared by the files of this package.

import { checkBatch, type NumericBatch, SettingError, sampleSize, UnsupportedError } from "@worstcase/core";

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

/** Refuses settings that other trainers of this package know and this one would silently ignore; `known` names the only value of each. */
export function checkKnown(options: object, known: Readonly<Record<string, unknown>>, hint: string): void {
  const given = options as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(known)) {
    if (given[name] === undefined || given[name] === value) continue;
    throw new UnsupportedError({
      argument: `options.${name}`,
      expected: String(value),
      received: String(given[name]),
      hint,
    });
  }
}

/** Margins are between classes: a network with one output, of a regression, has none. */
export function checkTwoClasses(classCount: number): void {
  if (classCount >= 2) return;
  throw new SettingError({ argument: "model.classCount", expected: "at least 2 classes", received: classCount });
}
