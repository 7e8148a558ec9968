// Rows of text cells from CSV text. The separator is the one that cuts the first lines into equally many cells; the first row is a
// header when it holds no number and rows below do.

import { DataError, FormatError, SettingError } from "@worstcase/core";
import { parse } from "csv-parse/sync";

export type Separator = "," | ";" | "\t" | " ";

export interface Row {
  readonly cells: readonly string[];
  /** Line of the text, from 1. */
  readonly line: number;
}

/** Column names and rows. Throws FormatError when rows differ in length, DataError for an empty text, SettingError for an unknown separator. */
export function parseRows(
  text: string,
  name: string,
  separator: Separator = detectSeparator(text),
  header?: boolean,
): { columns: string[]; rows: Row[] } {
  if (![",", ";", "\t", " "].includes(separator)) {
    throw new SettingError({
      argument: "options.separator",
      expected: "comma, semicolon, tab or space",
      received: separator,
    });
  }
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(separator === " " ? text.replace(/[ \t]+/g, " ").replace(/^ | $/gm, "") : text, {
      delimiter: separator,
      trim: true,
      bom: true,
      skip_empty_lines: true,
      info: true,
    }) as unknown as typeof records;
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : cause;
    throw new FormatError({ argument: name, expected: "rows with equally many cells", received }, { cause });
  }
  const all = records.map(({ record, info }) => ({ cells: record, line: info.lines }));
  const first = all[0];
  if (!first) throw new DataError({ argument: name, expected: "at least one row", received: "no rows" });
  const named = header ?? isHeader(first.cells, all.slice(1, 50));
  const columns = first.cells.map((cell, column) => (named && cell !== "" ? cell : `column ${column}`));
  const twice = columns.find((column, i) => columns.indexOf(column) !== i);
  if (twice !== undefined)
    throw new FormatError({ argument: name, expected: "different column names", received: twice });
  return { columns, rows: named ? all.slice(1) : all };
}

function detectSeparator(text: string): Separator {
  const lines = text.split(/\r?\n/, 50).filter((line) => line.trim() !== "");
  let best: Separator = " ";
  let most = 0;
  for (const separator of [",", ";", "\t"] as const) {
    const counts = lines.map((line) => line.replace(/"[^"]*"/g, "").split(separator).length - 1);
    const fewest = Math.min(...counts);
    if (fewest > most && counts.every((count) => count === fewest)) {
      best = separator;
      most = fewest;
    }
  }
  if (most > 0) return best;
  // No separator cuts all lines alike: a row may be broken, so take the most frequent and let the parser name the row.
  const total = (separator: string) => text.split(separator).length;
  return ([",", ";", "\t"] as const).find((separator) => total(separator) > lines.length) ?? " ";
}

function isHeader(first: readonly string[], others: readonly Row[]): boolean {
  return !first.some(isNumber) && others.some(({ cells }) => cells.some(isNumber));
}

export function isMissing(cell: string): boolean {
  return cell === "" || cell === "?";
}

export function isNumber(cell: string): boolean {
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(cell) && Number.isFinite(Number(cell));
}
