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
  let filled = 0;
  kept.forEach((column, k) => {
    const gaps: number[] = [];
    let total = 0;
    rows.forEach(({ cells, line }, i) => {
      const cell = cells[column]!;
      const argument = `${name}, row ${line}, ${columns[column]}`;
      if (isMissing(cell)) {
        if (missing === "error") {
          const hint = 'fill it with options.missing "zero" or "mean"';
          throw new DataError({ argument, expected: "a number", received: cell || "an empty cell", hint });
        }
        gaps.push(i);
        return;
      }
      if (!isNumber(cell)) {
        const hint = "name the label column with options.label and leave other text columns out with options.ignore";
        throw new DataError({ argument, expected: "a finite number", received: cell, hint });
      }
      total += data[i * kept.length + k] = Number(cell);
    });
    if (gaps.length === rows.length) {
      throw new DataError({
        argument: `${name}, ${columns[column]}`,
        expected: "at least one number",
        received: "none",
      });
    }
    const filler = missing === "mean" ? total / (rows.length - gaps.length) : 0;
    for (const i of gaps) data[i * kept.length + k] = filler;
    filled += gaps.length;
  });
  return { data, filled };
}
