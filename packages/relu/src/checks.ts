// Argument checks shared by the files of this package.

import {
  checkBatch,
  checkObject,
  type NumericBatch,
  SettingError,
  sampleSize,
  UnsupportedError,
} from "@worstcase/core";

/** Features must be `[n, d]`, finite and not empty. */
export function checkFeatures(features: NumericBatch, featureCount?: number): void {
  checkBatch(features, "features", featureCount === undefined ? undefined : [featureCount]);
  if (features.shape.length !== 2) checkBatch(features, "features", [sampleSize(features)]);
}

export function checkOptions(options: unknown): void {
  checkObject(options, "options", "an object of settings");
}

/** A gated model or a network as the trainers of this package return them. */
export function checkModel(
  model: unknown,
  kinds: readonly string[] = ["gated-relu", "relu-network"],
  argument = "model",
): void {
  const expected = `a model of kind ${kinds.join(" or ")}`;
  checkObject(model, argument, expected);
  const { kind, featureCount } = model as { kind?: unknown; featureCount?: unknown };
  if (kinds.includes(String(kind)) && Number.isSafeInteger(featureCount)) return;
  const hint = "take the one in a trainer's result, or read one with the ...FromJson functions";
  throw new SettingError({ argument, expected, received: `kind ${String(kind)}`, hint });
}

export function checkRng(rng: unknown): void {
  checkObject(rng, "options.rng", "a random number generator: createRng(seed) of @worstcase/core");
}

/** What the functions for paths of radii and betas have in common. */
export function checkPath(
  points: readonly { readonly radius: number; readonly beta: number }[],
  options: unknown,
): void {
  checkOptions(options);
  if (Array.isArray(points) && points.length > 0) return;
  const received = Array.isArray(points) ? "none" : points;
  throw new SettingError({ argument: "points", expected: "an array of at least one { radius, beta }", received });
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
