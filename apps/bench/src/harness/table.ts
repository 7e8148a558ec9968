// Groups as text.

import { type Group, shown } from "./suite.js";

export function formatGroup({ title, unit, rows, notes }: Group): string {
  const header = ["", `median ${unit.name}`, `best ${unit.name}`, "ratio", "repeats"];
  const body = rows.map(({ name, median, minimum, ratio, repeats }) => [
    name,
    number(shown(median, unit)),
    number(shown(minimum, unit)),
    `${number(ratio)} x`,
    String(repeats),
  ]);
  const table = [header, ...body];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  "),
  );
  const extra = Object.entries(notes ?? {}).map(
    ([key, value]) => `${key} ${typeof value === "number" ? number(value) : value}`,
  );
  return [title, ...lines.map((line) => `  ${line}`), ...(extra.length > 0 ? [`  ${extra.join(", ")}`] : [])].join(
    "\n",
  );
}

/** Three significant digits. */
function number(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 1e6 || (rounded !== 0 && Math.abs(rounded) < 1e-3)
    ? rounded.toExponential()
    : String(rounded);
}
