// model.json: what `worstcase fit` writes, any PolynomialModel written as JSON, or a bare quadratic
//   { "Q": [[..], ..] or flat, "q": [..], "s": 0, "classes": ["no", "yes"], "features": ["a", ..], "immutable": ["a" or 0, ..] }
// with classes, features and immutable optional;
// f(x) = x'Qx + q'x + s is positive for the second class.

import { readFile } from "node:fs/promises";
import { DataError, FormatError, isWorstcaseError } from "@worstcase/core";
import { PolynomialModel } from "@worstcase/polynomial";
import { z } from "zod";

const names = z.array(z.string());

/** What `fit` keeps beside the numbers; models of other origin may lack any of it. */
const notesSchema = z.looseObject({
  /** Class names, in the order of the scores; of two, the second is +1. */
  classes: names.optional(),
  features: names.optional(),
  task: z.enum(["regression"]).optional(),
  label: z.string().optional(),
  ignore: z.string().optional(),
  radius: z.number().min(0).optional(),
});

type ModelNotes = z.output<typeof notesSchema>;

const numbers = z.array(z.number());
const bareSchema = z.looseObject({
  Q: z.union([numbers, z.array(numbers)]),
  q: numbers,
  s: z.number(),
  classes: names.optional(),
  features: names.optional(),
  immutable: z.array(z.union([z.string(), z.int().min(0)])).optional(),
});

export interface StoredModel {
  readonly model: PolynomialModel;
  readonly notes: ModelNotes;
}

/** Throws DataError when the file cannot be read, FormatError when it holds no model or was damaged. */
export async function readModel(path: string): Promise<StoredModel> {
  const text = await readFile(path, "utf8").catch((error) => {
    const hint = (error as Error).message;
    throw new DataError({ argument: "model", expected: "a readable file", received: path, hint });
  });
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && "Q" in json) return readBare(json);
    const model = PolynomialModel.fromJSON(json as never);
    const notes = notesSchema.parse(model.details);
    checkNames(model, notes);
    return { model, notes };
  } catch (cause) {
    const hint = cause instanceof z.ZodError ? issueOf(cause) : (cause as Error).message;
    const expected = "a model written by worstcase fit, or an object with Q, q and s";
    const received = isWorstcaseError(cause) || cause instanceof z.ZodError ? "another" : "a damaged file";
    throw new FormatError({ argument: path, expected, received, hint }, { cause });
  }
}

function readBare(json: object): StoredModel {
  const { Q, q, s, immutable, ...notes } = bareSchema.parse(json);
  const flat = Q.flat();
  if (Array.isArray(Q[0]) && Q.some((row) => (row as number[]).length !== q.length)) {
    throw new DataError({ argument: "Q", expected: `rows of ${q.length} values`, received: "others" });
  }
  const quadratic = { dimension: q.length, Q: Float64Array.from(flat), q: Float64Array.from(q), s };
  const fixed = immutable?.map((column) => {
    const k = typeof column === "number" ? column : (notes.features?.indexOf(column) ?? -1);
    if (k >= 0) return k;
    throw new DataError({ argument: "immutable", expected: "names among features, or indices", received: column });
  });
  const model = new PolynomialModel({ quadratics: [quadratic], ...(fixed && { moves: { immutable: fixed } }) });
  const known = {
    ...(notes.classes && { classes: notes.classes }),
    ...(notes.features && { features: notes.features }),
  };
  checkNames(model, known);
  return { model, notes: known };
}

function checkNames(model: PolynomialModel, { classes, features }: ModelNotes): void {
  if (classes && (classes.length !== model.classCount || new Set(classes).size !== classes.length)) {
    const expected = `${model.classCount} different names`;
    throw new DataError({ argument: "classes", expected, received: classes });
  }
  if (features && features.length !== model.features) {
    throw new DataError({ argument: "features", expected: `${model.features} names`, received: features.length });
  }
}

function issueOf({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not as expected"}`;
}

/** Units of radii and distances of a model, in words. */
export function radiusUnits({ standardisation }: PolynomialModel): string {
  return standardisation ? "standard deviations of each feature in the training table" : "units of the features";
}
