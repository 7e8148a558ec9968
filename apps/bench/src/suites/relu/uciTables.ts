// UCI tables as two-class problems: constant columns dropped, the others standardised and divided by the mean row norm, so that a radius of 1
// is as long as a typical sample.

import { readFileSync } from "node:fs";
import type { NumericBatch } from "@worstcase/core";
import { dataFile } from "../../harness/data.js";

interface Table {
  readonly file: string;
  readonly label: number;
  readonly positive: string;
  /** Columns of features: from, to (exclusive). */
  readonly columns: readonly [number, number];
}

const tables = {
  "Breast Cancer": { file: "breast-cancer-wisconsin.data", label: 10, positive: "4", columns: [1, 10] },
  Ionosphere: { file: "ionosphere.data", label: 34, positive: "g", columns: [0, 34] },
  Sonar: { file: "sonar.all-data", label: 60, positive: "M", columns: [0, 60] },
  wdbc: { file: "wdbc.data", label: 1, positive: "M", columns: [2, 32] },
} satisfies Record<string, Table>;

export type UciName = keyof typeof tables;
export const uciNames = Object.keys(tables) as UciName[];

/** Features `[n, d]` and labels 0 or 1, or null when the file is not here. */
export function uciTable(name: UciName): { features: NumericBatch; labels: Int32Array } | null {
  const { file, label, positive, columns } = tables[name];
  const path = dataFile(`uci/${file}`);
  if (!path) return null;
  const rows = readFileSync(path, "utf8")
    .split(/\r?\n/)
    .filter((line) => line.trim() && !line.includes("?"))
    .map((line) => line.split(","));
  const values = rows.map((row) => row.slice(columns[0], columns[1]).map(Number));
  const kept: Float64Array[] = [];
  for (let k = 0; k < values[0].length; k++) {
    const column = Float64Array.from(values, (row) => row[k]);
    const mean = column.reduce((sum, t) => sum + t, 0) / column.length;
    const spread = Math.sqrt(column.reduce((sum, t) => sum + (t - mean) ** 2, 0) / column.length);
    if (spread > 0) kept.push(column.map((t) => (t - mean) / spread));
  }
  const [n, d] = [rows.length, kept.length];
  const data = Float64Array.from({ length: n * d }, (_, k) => kept[k % d][Math.floor(k / d)]);
  let norms = 0;
  for (let i = 0; i < n; i++) norms += Math.sqrt(data.subarray(i * d, (i + 1) * d).reduce((sum, t) => sum + t * t, 0));
  for (let k = 0; k < data.length; k++) data[k] /= norms / n;
  return {
    features: { data, shape: [n, d] },
    labels: Int32Array.from(rows, (row) => (row[label] === positive ? 1 : 0)),
  };
}
