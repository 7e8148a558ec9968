// `certify --range FILE`: the values that columns can take, in the table's own units, and the margins over what is left of the ball.
//   { "age": [0, 120], "income": [0, null] }     null leaves a side open; columns that are not named are free

import { readFile } from "node:fs/promises";
import { DataError, FormatError, SettingError, UnsupportedError } from "@worstcase/core";
import type { Table } from "@worstcase/datasets";
import { type FeatureRange, type MoveOptions, type PolynomialModel, rangeWorstCase } from "@worstcase/polynomial";
import { z } from "zod";
import type { MarginColumns } from "./certifyRows.js";
import { pairColumns } from "./pairColumns.js";

const rangeSchema = z.record(z.string(), z.tuple([z.number().nullable(), z.number().nullable()]));

/** Ends in the model's units, `[features]`. Throws DataError, FormatError or SettingError on a file that names no valid ranges. */
export async function readRange(
  path: string,
  { featureNames }: Pick<Table, "featureNames">,
  { standardisation }: PolynomialModel,
  moves: MoveOptions,
): Promise<Exclude<FeatureRange, "unbounded">> {
  const argument = "--range";
  if (moves.ellipsoid) {
    const hint = "--ellipsoid none takes the ball instead";
    throw new UnsupportedError({ argument, expected: "the l2 ball", received: "an ellipsoid", hint });
  }
  const text = await readFile(path, "utf8").catch((error) => {
    const hint = (error as Error).message;
    throw new DataError({ argument, expected: "a readable file", received: path, hint });
  });
  let ranges: z.output<typeof rangeSchema>;
  try {
    ranges = rangeSchema.parse(JSON.parse(text));
  } catch (cause) {
    const expected = 'JSON like {"column": [low, high]}, null for an open side';
    throw new FormatError({ argument, expected, received: path }, { cause });
  }
  const lower = new Float64Array(featureNames.length).fill(Number.NEGATIVE_INFINITY);
  const upper = new Float64Array(featureNames.length).fill(Number.POSITIVE_INFINITY);
  for (const [name, [low, high]] of Object.entries(ranges)) {
    const k = featureNames.indexOf(name);
    if (k < 0) {
      const shown = featureNames.slice(0, 12).join(", ");
      throw new SettingError({ argument, expected: `features among ${shown}`, received: name });
    }
    if (low !== null && high !== null && !(low < high)) {
      const hint = "a column that cannot change belongs into --immutable";
      throw new SettingError({
        argument: `--range, ${name}`,
        expected: "low < high",
        received: `${low}, ${high}`,
        hint,
      });
    }
    const [mean, scale] = [standardisation?.means[k] ?? 0, standardisation?.scales[k] ?? 1];
    if (low !== null) lower[k] = (low - mean) / scale;
    if (high !== null) upper[k] = (high - mean) / scale;
  }
  return { lower, upper };
}

/** Worst margins over the l2 ball cut with the ranges; exact where bound and attained margin agree. */
export function rangeColumns(
  model: PolynomialModel,
  inputs: Parameters<typeof rangeWorstCase>[1],
  labels: Int32Array,
  radius: number,
  options: Parameters<typeof rangeWorstCase>[4],
): MarginColumns {
  return pairColumns(model, inputs, labels, (difference, batch, signs) => {
    const found = rangeWorstCase(difference, batch, signs, radius, options);
    const exact = found.values.map((value, t) => (found.statuses[t] === "exact" ? value : Number.NaN));
    return { bounds: found.lowerBounds, exact, attacked: found.values };
  });
}
