// What may change in a row: --immutable names columns, --ellipsoid a file with the shape of the perturbations. In the model these are
// indices of features and a matrix in the model's units.

import { readFile } from "node:fs/promises";
import { DataError, FormatError, SettingError } from "@worstcase/core";
import type { Table } from "@worstcase/datasets";
import type { MoveOptions } from "@worstcase/polynomial";
import { z } from "zod";
import { columns } from "../config/table.js";

type Columns = Pick<Table, "featureNames" | "featureColumns">;

/** Indices of the features that --immutable lists by name or by position in the table; null for `none`. */
function immutableFeatures(text: string, { featureNames, featureColumns }: Columns): number[] | null {
  if (text.trim() === "none") return null;
  const argument = "--immutable";
  const indices = columns(text).map((column) => {
    const byPosition = typeof column === "number" ? featureColumns.indexOf(column) : -1;
    const k = byPosition >= 0 ? byPosition : featureNames.indexOf(String(column));
    if (k >= 0) return k;
    const shown = featureNames.slice(0, 12).join(", ");
    const expected = `feature columns among ${shown}${featureNames.length > 12 ? ", ..." : ""}`;
    throw new SettingError({
      argument,
      expected,
      received: column,
      hint: "by name, or by position from 0 in the table",
    });
  });
  const repeated = indices.find((k, place) => indices.indexOf(k) !== place);
  if (repeated !== undefined) {
    throw new SettingError({ argument, expected: "every column once", received: featureNames[repeated] });
  }
  if (indices.length === featureNames.length) {
    throw new SettingError({ argument, expected: "at least one feature left to change", received: "all of them" });
  }
  return indices;
}

const matrixSchema = z.array(z.array(z.number()));

/** The lower triangular matrix of a JSON file `[[..], ..]`, `[features, features]`, row by row; null for `none`. */
async function readEllipsoid(path: string, features: number): Promise<Float64Array | null> {
  if (path === "none") return null;
  const argument = "--ellipsoid";
  const text = await readFile(path, "utf8").catch((error) => {
    const hint = (error as Error).message;
    throw new DataError({ argument, expected: "a readable file", received: path, hint });
  });
  const expected = `JSON with ${features} rows of ${features} numbers`;
  let rows: number[][];
  try {
    rows = matrixSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FormatError({ argument, expected, received: path }, { cause });
  }
  if (rows.length !== features || rows.some(({ length }) => length !== features)) {
    const received = `${rows.length} rows of ${[...new Set(rows.map(({ length }) => length))].join(" and ")}`;
    throw new DataError({ argument, expected, received });
  }
  return Float64Array.from(rows.flat());
}

/** The moves of `fit`, or those of `certify` where flags override what the model says. */
export async function movesFor(
  { immutable, ellipsoid }: { immutable?: string | undefined; ellipsoid?: string | undefined },
  table: Columns,
  own: MoveOptions = {},
): Promise<MoveOptions> {
  const fixed = immutable === undefined ? (own.immutable ?? null) : immutableFeatures(immutable, table);
  const shape =
    ellipsoid === undefined ? (own.ellipsoid ?? null) : await readEllipsoid(ellipsoid, table.featureNames.length);
  return { ...(fixed && fixed.length > 0 && { immutable: fixed }), ...(shape && { ellipsoid: shape }) };
}

/** Names of the immutable features, for reports. */
export function namesOfFixed({ immutable }: MoveOptions, names: readonly string[]): string[] {
  return Array.from(immutable ?? [], (k) => names[k] ?? `feature ${k}`);
}

/** Lines of a report about what may change. */
export function formatMoves({
  immutable,
  ellipsoid,
}: {
  immutable: readonly string[];
  ellipsoid: string | null;
}): string[] {
  return [
    ...(immutable.length > 0 ? [`immutable: ${immutable.join(", ")}`] : []),
    ...(ellipsoid === null ? [] : [`perturbations L z, |z| <= radius, with L of ${ellipsoid}`]),
  ];
}
