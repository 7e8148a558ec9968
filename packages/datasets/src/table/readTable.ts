// Labelled tables from CSV text: the separator and the header are detected, one column is the label, the others are numbers.
// inputs: [rows, features] float64    labels: [rows], classes numbered in ascending order of their names

import { readFile } from "node:fs/promises";
import { DataError, type LabelledBatch, SettingError, type WorkOptions } from "@worstcase/core";
import { parseFeatures } from "./parseFeatures.js";
import { isNumber, parseRows, type Separator } from "./parseRows.js";

export interface TableOptions extends WorkOptions {
  /** Label column by name or position from 0; negative positions count from the end. Default -1, the last. */
  readonly label?: string | number | null;
  /**
   * `train` (default): at least two rows and two classes. `evaluate`: one row and one class are enough, and with label null the
   * table has no label column. `regression`: the label column holds numbers, `targets` of the result.
   */
  readonly purpose?: "train" | "evaluate" | "regression";
  /** Columns that are no features, for example an id, by name or position. */
  readonly ignore?: readonly (string | number)[];
  /** Whether the first row holds names; default: detected. */
  readonly header?: boolean;
  /** Default: detected among `,` `;` tab and spaces. */
  readonly separator?: Separator;
  /** What to do with empty cells and `?`: refuse (default), or put 0 or the mean of the column's other cells. */
  readonly missing?: "error" | "zero" | "mean";
}

export interface Table extends LabelledBatch {
  /** Name of each feature; `column 3` without a header, counted from 0. */
  readonly featureNames: readonly string[];
  /** Position of each feature among the columns of the table, from 0. */
  readonly featureColumns: readonly number[];
  /** Empty without labels (which then are all 0), and for regression. */
  readonly classNames: readonly string[];
  /** Numbers of the label column, `[rows]`, for the purpose `regression`, else null. */
  readonly targets: Float64Array | null;
  /** Names of features with the same value in every row; not looked for when evaluating. */
  readonly constantFeatures: readonly string[];
  /** Number of missing cells that were filled. */
  readonly filled: number;
}

/**
 * Reads a table from a file or from text. Row numbers in errors are those of the text, from 1. Throws FormatError when rows differ in
 * length, DataError for a cell that is no finite number, a missing cell or label, too few rows or classes, or a missing file, SettingError for an
 * unknown column or purpose. Emits the warning `constant-feature`.
 */
export async function readTable(
  source: { readonly path: string } | { readonly text: string },
  options: TableOptions = {},
): Promise<Table> {
  const { missing = "error", ignore = [], label = -1, purpose = "train" } = options;
  if (!["train", "evaluate", "regression"].includes(purpose) || (label === null && purpose !== "evaluate")) {
    const expected = "train, evaluate or regression; without labels evaluate";
    throw new SettingError({ argument: "options.purpose", expected, received: purpose });
  }
  if (!["error", "zero", "mean"].includes(missing)) {
    throw new SettingError({ argument: "options.missing", expected: "error, zero or mean", received: missing });
  }
  const text = "text" in source ? source.text : await readText(source.path);
  const name = "path" in source ? source.path : "table";
  const { columns, rows } = parseRows(text, name, options.separator, options.header);
  if (rows.length < (purpose === "train" ? 2 : 1)) {
    const expected = purpose === "train" ? "at least two rows" : "at least one row";
    throw new DataError({ argument: name, expected, received: rows.length });
  }

  const labelColumn = label === null ? null : findColumn(label, columns, "options.label");
  const left = new Set([
    ...(labelColumn === null ? [] : [labelColumn]),
    ...ignore.map((column) => findColumn(column, columns, "options.ignore")),
  ]);
  const kept = columns.map((_, column) => column).filter((column) => !left.has(column));
  if (kept.length === 0) {
    throw new DataError({ argument: name, expected: "at least one feature column", received: columns });
  }
  const { data, filled } = parseFeatures(rows, kept, columns, name, missing);
  const featureNames = kept.map((column) => columns[column]!);
  const comparable = purpose !== "evaluate";
  const constantFeatures = featureNames.filter((_, k) => comparable && isConstant(data, k, kept.length));
  for (const feature of constantFeatures) {
    const message = `${name}: ${feature} has the same value in every row`;
    options.onEvent?.({ type: "warning", warning: { code: "constant-feature", message } });
  }
  const labelCells = labelColumn === null ? [] : rows.map(({ cells }) => cells[labelColumn]!);
  const lines = rows.map(({ line }) => line);
  const unlabelled = { labels: new Int32Array(rows.length), classNames: [] };
  return {
    inputs: { data, shape: [rows.length, kept.length] },
    ...(labelColumn === null || purpose === "regression"
      ? unlabelled
      : numberClasses(labelCells, lines, name, purpose === "train" ? 2 : 1)),
    targets: purpose === "regression" ? numbersOf(labelCells, lines, name) : null,
    indices: Int32Array.from({ length: rows.length }, (_, i) => i),
    featureNames,
    featureColumns: kept,
    constantFeatures,
    filled,
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new DataError({ argument: file, expected: "a readable file", received: String(cause) }, { cause });
  }
}

function findColumn(column: string | number, columns: readonly string[], argument: string): number {
  const position = typeof column === "string" ? columns.indexOf(column) : column < 0 ? columns.length + column : column;
  if (!Number.isInteger(position) || position < 0 || position >= columns.length) {
    const expected = `one of the ${columns.length} columns ${columns.slice(0, 12).join(", ")}`;
    throw new SettingError({ argument, expected, received: column });
  }
  return position;
}

function isConstant(data: Float64Array, feature: number, features: number): boolean {
  for (let i = feature; i < data.length; i += features) if (data[i] !== data[feature]) return false;
  return true;
}

/** Targets of a regression, `[rows]`. */
function numbersOf(cells: readonly string[], lines: readonly number[], argument: string): Float64Array {
  return Float64Array.from(cells, (cell, i) => {
    if (isNumber(cell)) return Number(cell);
    const expected = "a finite number to predict";
    throw new DataError({ argument: `${argument}, row ${lines[i]}`, expected, received: cell || "an empty cell" });
  });
}

/** Numbers in ascending order when every name is a number, otherwise by text. */
function numberClasses(names: readonly string[], lines: readonly number[], argument: string, fewest: number) {
  const empty = names.findIndex((name) => name === "" || name === "?");
  if (empty >= 0) {
    throw new DataError({ argument: `${argument}, row ${lines[empty]}`, expected: "a label", received: names[empty] });
  }
  const numeric = names.every((name) => Number.isFinite(Number(name)));
  const order = (a: string, b: string) => (numeric && Number(a) - Number(b)) || (a < b ? -1 : a > b ? 1 : 0);
  const classNames = [...new Set(names)].sort(order);
  if (classNames.length < fewest) {
    throw new DataError({ argument, expected: "at least two classes", received: classNames });
  }
  if (classNames.length > 1000 && classNames.length > names.length / 2) {
    const hint = "choose the label column with options.label";
    throw new DataError({ argument, expected: "a label column of classes", received: classNames.length, hint });
  }
  const numbers = new Map(classNames.map((name, i) => [name, i]));
  return { labels: Int32Array.from(names, (name) => numbers.get(name)!), classNames };
}
