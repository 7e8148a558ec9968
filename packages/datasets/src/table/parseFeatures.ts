// Numbers from the cells of a table, with missing cells refused or filled.

import { DataError } from "@worstcase/core";
import { isMissing, isNumber, type Row } from "./parseRows.js";

/** Features `[rows, kept columns]`, and how many cells were filled. Throws DataError naming row and column. */
export function parseFeatures(
  rows: readonly Row[],
  kept: readonly number[],
  columns: readonly string[],
  name: string,
  missing: "error" | "zero" | "mean",
): { data: Float64Array; filled: number } {
  const data = new Float64Array(rows.length * kept.length);
  const gaps: number[] = []; // positions in data
  rows.forEach(({ cells, line }, i) => {
    kept.forEach((column, k) => {
      const cell = cells[column]!;
      const position = i * kept.length + k;
      if (isNumber(cell)) data[position] = Number(cell);
      else if (isMissing(cell) && missing !== "error") gaps.push(position);
      else throw badCell(cell, `${name}, row ${line}, ${columns[column]}`);
    });
  });

  const gapsOf = new Int32Array(kept.length);
  for (const position of gaps) gapsOf[position % kept.length]!++;
  const totals = new Float64Array(kept.length); // gaps hold 0 so far
  for (let i = 0; i < data.length; i++) totals[i % kept.length]! += data[i]!;
  kept.forEach((column, k) => {
    if (gapsOf[k] === rows.length) {
      const argument = `${name}, ${columns[column]}`;
      throw new DataError({ argument, expected: "at least one number", received: "only missing cells" });
    }
  });
  if (missing === "mean") {
    for (const position of gaps) {
      const k = position % kept.length;
      data[position] = totals[k]! / (rows.length - gapsOf[k]!);
    }
  }
  return { data, filled: gaps.length };
}

function badCell(cell: string, argument: string): DataError {
  if (isMissing(cell)) {
    const hint = 'missing; fill it with options.missing "zero" or "mean"';
    return new DataError({ argument, expected: "a number", received: cell || "an empty cell", hint });
  }
  const hint = "name the label column with options.label and leave other text columns out with options.ignore";
  return new DataError({ argument, expected: "a finite number", received: cell, hint });
}
