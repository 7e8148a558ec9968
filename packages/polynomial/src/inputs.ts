// Checks of the arguments that most functions of this package share.

import {
  checkBatchShape,
  checkFinite,
  DataError,
  type NumericBatch,
  SettingError,
  ShapeError,
  UnsupportedError,
} from "@worstcase/core";

/** Labels +1 and -1, `[samples]`. */
export type SignLabels = ArrayLike<number>;

/** Throws ShapeError or DataError unless `points` is a finite non-empty batch of vectors; returns [samples, features]. */
export function checkPoints(points: NumericBatch, argument: string, dimension?: number): [number, number] {
  const [samples, features] = checkPointsShape(points, argument, dimension);
  checkFinite(points.data, argument, features);
  return [samples, features];
}

/** As `checkPoints`, for code that meets what is not finite on its own way through the data. */
export function checkPointsShape(points: NumericBatch, argument: string, dimension?: number): [number, number] {
  if (points?.shape?.length !== 2) {
    const received = points?.shape;
    throw new ShapeError({ argument: `${argument}.shape`, expected: "[samples, features]", received });
  }
  checkBatchShape(points, argument, dimension === undefined ? undefined : [dimension]);
  return [points.shape[0], points.shape[1]];
}

/** Throws ShapeError or DataError unless there is one label of +1 or -1 per sample. */
export function checkSignLabels(labels: SignLabels, samples: number, argument = "labels"): void {
  if (labels.length !== samples) {
    throw new ShapeError({ argument, expected: `${samples} labels, one per sample`, received: labels.length });
  }
  for (let i = 0; i < samples; i++) {
    if (labels[i] !== 1 && labels[i] !== -1) {
      const hint = "map the two classes to -1 and +1";
      throw new DataError({ argument: `${argument}[${i}]`, expected: "+1 or -1", received: labels[i], hint });
    }
  }
}

/** Throws SettingError unless the value is finite and at least `least` (above it when `strict`). */
export function checkNumber(value: number, argument: string, least: number, strict = false): void {
  if (typeof value !== "number" || !Number.isFinite(value) || value < least || (strict && value === least)) {
    const expected = `a finite number ${strict ? ">" : ">="} ${least}`;
    throw new SettingError({ argument, expected, received: value });
  }
}

/** Throws SettingError unless the value is an integer of at least `least`. */
export function checkInteger(value: number, argument: string, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SettingError({ argument, expected: `an integer >= ${least}`, received: value });
  }
}

/** Throws SettingError naming an unknown key and the nearest known one; UnsupportedError for valid ranges where none are known. */
export function checkKeys(options: object, known: readonly string[], argument = "options"): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    if (/^(ranges?|bounds)$/.test(key) && !known.includes("range")) {
      throw new UnsupportedError({
        argument: `${argument}.${key}`,
        expected: "no valid ranges, only radius, immutable and ellipsoid",
        received: "valid ranges",
        hint: "train on the whole ball: it contains the part that ranges leave, so certified margins hold there too; rangeWorstCase judges that part, and fitLinf trains with ranges",
      });
    }
    const near = known.find((name) => name.toLowerCase().startsWith(key.toLowerCase().slice(0, 3)));
    const hint = near ? `did you mean ${near}?` : undefined;
    const details = { argument: `${argument}.${key}`, expected: `one of ${known.join(", ")}`, received: "unknown" };
    throw new SettingError(hint ? { ...details, hint } : details);
  }
}
