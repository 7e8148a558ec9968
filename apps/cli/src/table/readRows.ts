// The rows a model is to judge: its features in its order, and labels where the table has them. A table whose columns are just the
// model's features is unlabelled; so is any with --label none.

import { DataError, isWorstcaseError, type NumericBatch, UnsupportedError } from "@worstcase/core";
import { readTable, type Table } from "@worstcase/datasets";
import { type CertifyConfig, column, columns } from "../config/table.js";
import { withFlagNames } from "./flagErrors.js";
import type { StoredModel } from "./modelFile.js";

export interface JudgedRows {
  /** `[rows, features]` */
  readonly inputs: NumericBatch;
  /** Names of the scores' classes. */
  readonly classes: readonly string[];
  /** Class indices `[rows]`, or null without labels. */
  readonly labels: Int32Array | null;
  /** The table they came from. */
  readonly table: Table;
}

export interface JudgedTargets {
  readonly inputs: NumericBatch;
  /** `[rows]`, or null without a target column. */
  readonly targets: Float64Array | null;
  readonly table: Table;
}

type RowConfig = Pick<CertifyConfig, "label" | "ignore" | "missing">;

/** Throws DataError when the table does not fit the model. */
export async function readRows(file: string, config: RowConfig, stored: StoredModel): Promise<JudgedRows> {
  const { table, labelled } = await readEither(file, config, stored, "evaluate");
  if (!labelled) return { inputs: table.inputs, classes: namesOf(stored), labels: null, table };
  const [classes, labels] = matchClasses(file, table, stored);
  return { inputs: table.inputs, classes, labels, table };
}

/** The same for a regression model. */
export async function readTargets(file: string, config: RowConfig, stored: StoredModel): Promise<JudgedTargets> {
  const { table } = await readEither(file, config, stored, "regression");
  return { inputs: table.inputs, targets: table.targets, table };
}

async function readEither(
  file: string,
  config: RowConfig,
  stored: StoredModel,
  purpose: "evaluate" | "regression",
): Promise<{ table: Table; labelled: boolean }> {
  const { model, notes } = stored;
  const shared = { ignore: columns(config.ignore ?? notes.ignore), missing: config.missing };
  const plain = () => withFlagNames(() => readTable({ path: file }, { ...shared, label: null, purpose: "evaluate" }));
  if (config.label === "none") {
    const table = await plain();
    checkFeatures(file, table, stored);
    return { table, labelled: false };
  }
  const label = config.label ?? notes.label;
  const options = { ...shared, purpose, ...(label !== undefined && { label: column(label) }) };
  let table: Table | null = null;
  let failure: unknown = null;
  try {
    table = await withFlagNames(() => readTable({ path: file }, options));
    if (table.inputs.shape[1] === model.features) {
      checkFeatures(file, table, stored);
      return { table, labelled: true };
    }
  } catch (error) {
    if (!isWorstcaseError(error)) throw error;
    failure = error;
  }
  if (config.label === undefined) {
    // Exactly the model's features: no label column.
    const unlabelled = await plain().catch(() => null);
    if (unlabelled?.inputs.shape[1] === model.features) {
      const fits = notes.features?.every((name, k) => name === unlabelled.featureNames[k]) ?? true;
      if (fits) return { table: unlabelled, labelled: false };
    }
  }
  if (failure) throw failure;
  checkFeatures(file, table!, stored);
  throw new DataError({ argument: file, expected: "the model's features", received: "others" });
}

function checkFeatures(file: string, { featureNames }: Table, { model, notes }: StoredModel): void {
  const hint = "leave other columns out with --ignore and name the label with --label (none: no labels)";
  if (featureNames.length !== model.features) {
    const expected = `the model's ${model.features} features`;
    throw new DataError({ argument: file, expected, received: featureNames.length, hint });
  }
  const k = notes.features?.findIndex((name, position) => name !== featureNames[position]) ?? -1;
  if (k < 0) return;
  const expected = notes.features![k]!;
  throw new DataError({ argument: `${file}, feature ${k}`, expected, received: featureNames[k], hint });
}

function namesOf({ model, notes }: StoredModel): readonly string[] {
  if (notes.classes) return notes.classes;
  return model.classCount === 2 ? ["-1", "+1"] : Array.from({ length: model.classCount }, (_, c) => `class ${c}`);
}

/** Class names of the model and the table's labels as indices into them. */
function matchClasses(
  file: string,
  { classNames, labels }: Table,
  { model, notes }: StoredModel,
): [readonly string[], Int32Array] {
  const classes = notes.classes ?? classNames;
  if (classes.length !== model.classCount) {
    const expected = `the model's ${model.classCount} classes`;
    const hint = "the model does not name its classes, so the table has to have all of them";
    throw new UnsupportedError({ argument: `${file}, labels`, expected, received: classes.length, hint });
  }
  const indices = classNames.map((name) => classes.indexOf(name));
  const unknown = indices.indexOf(-1);
  if (unknown >= 0) {
    const expected = `the model's classes ${classes.slice(0, 10).join(", ")}`;
    throw new DataError({ argument: `${file}, labels`, expected, received: classNames[unknown] });
  }
  return [classes, labels.map((label) => indices[label]!)];
}
