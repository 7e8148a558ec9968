// The two Breast Cancer Wisconsin sets of the UCI repository: class 0 is benign (-1), class 1 malignant (+1).
//   original:   699 x 9, 16 missing "bare nuclei" cells set to 0; the paper's split is the first 559 rows / the last 140 (math.md 17)
//   diagnostic: 569 x 30
// Features are standardised with the training part's mean and population deviation + 1e-9.

import {
  type Dataset,
  FormatError,
  gatherBatch,
  type Rng,
  SettingError,
  takeSamples,
  type WorkOptions,
} from "@worstcase/core";
import { findFile, resolveDataFolder } from "../dataFolder.js";
import { type DatasetCard, type DescribedDataset, describeTable } from "../describedDataset.js";
import { type SplitPositions, splitStratified } from "../splitStratified.js";
import { fitStandardisation, type Standardisation, standardise } from "../standardise.js";
import { readTable, type Table, type TableOptions } from "../table/readTable.js";

/** `sequential`: the first 80 % of the rows in file order train, the rest test. Otherwise a random split that keeps class shares. */
export type TableSplit =
  | "sequential"
  | { readonly kind: "stratified"; readonly rng: Rng; readonly test: number; readonly validation?: number };

export interface BreastCancerOptions extends WorkOptions {
  /** Folder of the file, or one above it; default WORSTCASE_DATA. Looked for in it and in uci/. */
  readonly folder?: string;
  /** Default `sequential`, the paper's split. */
  readonly split?: TableSplit;
}

export interface SplitTable {
  readonly train: DescribedDataset;
  readonly validation?: DescribedDataset;
  readonly test: DescribedDataset;
  /** How features were centred and scaled. */
  readonly standardisation: Standardisation;
  readonly featureNames: readonly string[];
}

type Card = Pick<DatasetCard, "id" | "source" | "citation">;

const originalFeatures = [
  "clump thickness",
  "uniformity of cell size",
  "uniformity of cell shape",
  "marginal adhesion",
  "single epithelial cell size",
  "bare nuclei",
  "bland chromatin",
  "normal nucleoli",
  "mitoses",
];

const measurements = [
  "radius",
  "texture",
  "perimeter",
  "area",
  "smoothness",
  "compactness",
  "concavity",
  "concave points",
  "symmetry",
  "fractal dimension",
];
const diagnosticFeatures = ["mean", "error", "worst"].flatMap((kind) => measurements.map((name) => `${kind} ${name}`));

/**
 * Breast Cancer Wisconsin (Original), `[n, 9]`, standardised. Class names benign, malignant; indices are row positions. Throws DataError
 * when the file is missing, FormatError when it is not the published one in shape, SettingError.
 */
export async function loadBreastCancerOriginal(options: BreastCancerOptions = {}): Promise<SplitTable> {
  const file = find(options, "breast-cancer-wisconsin.data");
  const table = await readTable({ path: file }, { ...only(options), label: 10, ignore: [0], missing: "zero" });
  check(file, table, 699, ["2", "4"], [458, 241]);
  const card = {
    id: "breast-cancer-original",
    source: "https://archive.ics.uci.edu/dataset/15/breast+cancer+wisconsin+original",
    citation: "William Wolberg: Breast Cancer Wisconsin (Original), UCI Machine Learning Repository, 1990",
  };
  return splitTable(card, table, originalFeatures, options.split);
}

/**
 * Breast Cancer Wisconsin (Diagnostic), `[n, 30]`, standardised. Class names benign, malignant; indices are row positions. Throws as
 * {@link loadBreastCancerOriginal}.
 */
export async function loadBreastCancerDiagnostic(options: BreastCancerOptions = {}): Promise<SplitTable> {
  const file = find(options, "wdbc.data");
  const table = await readTable({ path: file }, { ...only(options), label: 1, ignore: [0] });
  check(file, table, 569, ["B", "M"], [357, 212]);
  const card = {
    id: "breast-cancer-diagnostic",
    source: "https://archive.ics.uci.edu/dataset/17/breast+cancer+wisconsin+diagnostic",
    citation:
      "William Wolberg, Olvi Mangasarian, Nick Street, W. Street: Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, 1993",
  };
  return splitTable(card, table, diagnosticFeatures, options.split);
}

function find({ folder }: BreastCancerOptions, name: string): string {
  const hint = "get the file with downloadBreastCancer, or set WORSTCASE_DATA";
  return findFile(resolveDataFolder(folder), ["uci"], [name], hint);
}

function only({ signal, onEvent }: WorkOptions): TableOptions {
  return { signal, onEvent, separator: ",", header: false };
}

function check(file: string, table: Table, rows: number, classes: readonly string[], counts: readonly number[]): void {
  const found = classes.map((_, label) => table.labels.filter((other) => other === label).length);
  const same = table.classNames.join() === classes.join() && found.join() === counts.join();
  if (table.labels.length === rows && same) return;
  const expected = `${rows} rows with ${counts.join(" and ")} of classes ${classes.join(" and ")}`;
  const received = `${table.labels.length} rows with ${found.join(" and ")} of ${table.classNames.join(" and ")}`;
  throw new FormatError({ argument: file, expected, received, hint: "the file is truncated or changed; get it again" });
}

function splitTable(
  known: Card,
  table: Table,
  featureNames: readonly string[],
  split: TableSplit = "sequential",
): SplitTable {
  const positions = choosePositions(table.labels, split);
  const rule = split === "sequential" ? "sequential" : `stratified ${split.validation ?? 0} ${split.test}`;
  const standardisation = fitStandardisation(gatherBatch(table.inputs, positions.train));
  const whole = { ...table, inputs: standardise(table.inputs, standardisation) };
  const card: DatasetCard = {
    ...known,
    sampleShape: [featureNames.length],
    classNames: ["benign", "malignant"],
    bounds: "unbounded",
    licence: "CC BY 4.0",
  };
  const part = (name: Dataset["split"]) => describeTable(card, name, rule, takeSamples(whole, positions[name]));
  return {
    train: part("train"),
    ...(positions.validation.length > 0 && { validation: part("validation") }),
    test: part("test"),
    standardisation,
    featureNames,
  };
}

function choosePositions(labels: Int32Array, split: TableSplit): SplitPositions {
  if (split === "sequential") {
    const count = Math.floor(0.8 * labels.length);
    const all = Int32Array.from(labels, (_, i) => i);
    return { train: all.slice(0, count), validation: new Int32Array(), test: all.slice(count) };
  }
  if (split?.kind !== "stratified") {
    throw new SettingError({ argument: "options.split", expected: "sequential or kind: stratified", received: split });
  }
  return splitStratified(labels, split, split.rng);
}
