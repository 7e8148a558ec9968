// A problem as JSON text, for bug reports and fixtures: everything a problem holds, numbers in the shortest digits that read
// back to the same double (-0 becomes 0), with a version. Unknown fields are refused, so nothing is lost silently.

import { FormatError } from "@worstcase/core";
import { type Block, checkProblem, type Equalities, type RankOneTerm, type SdpProblem } from "../problem.js";

const format = "worstcase-sdp";
const version = 1;

/** One line of JSON text. Throws what `checkProblem` throws. */
export function problemToJson(problem: SdpProblem): string {
  checkProblem(problem);
  const { objective, blocks, equalities, names } = problem;
  return JSON.stringify({
    format,
    version,
    objective: plain(objective),
    blocks: blocks.map(({ kind, size, entries, rankOne }) => ({
      kind,
      size,
      entries: {
        matrix: plain(entries.matrix),
        row: plain(entries.row),
        column: plain(entries.column),
        value: plain(entries.value),
      },
      rankOne: rankOne?.map(({ matrix, weight, vector }) => ({ matrix, weight, vector: plain(vector) })),
    })),
    equalities: equalities && {
      row: plain(equalities.row),
      variable: plain(equalities.variable),
      value: plain(equalities.value),
      right: plain(equalities.right),
    },
    names,
  });
}

/**
 * The problem in a text written by `problemToJson`. Throws FormatError, naming the field, on text that is no JSON, another
 * format or version, missing or unknown fields and values of the wrong type, and what `checkProblem` throws.
 */
export function problemFromJson(text: string): SdpProblem {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError({ argument: "problem", expected: "JSON text", received }, { cause });
  }
  const root = readObject(value, "problem", ["format", "version", "objective", "blocks", "equalities?", "names?"]);
  if (root.format !== format) fail("problem.format", `"${format}"`, root.format);
  if (root.version !== version) fail("problem.version", String(version), root.version, "written by another release");
  const { equalities, names } = root;
  const problem: SdpProblem = {
    objective: readNumbers(root.objective, "problem.objective"),
    blocks: readArray(root.blocks, "problem.blocks").map((block, b) => readBlock(block, `problem.blocks[${b}]`)),
    ...(equalities === undefined ? {} : { equalities: readEqualities(equalities, "problem.equalities") }),
    ...(names === undefined ? {} : { names: readNames(names, "problem.names") }),
  };
  checkProblem(problem);
  return problem;
}

const plain = (values: Float64Array | Int32Array): number[] => Array.from(values);

function readBlock(value: unknown, at: string): Block {
  const { kind, size, entries, rankOne } = readObject(value, at, ["kind", "size", "entries", "rankOne?"]);
  if (kind !== "psd" && kind !== "nonnegative") fail(`${at}.kind`, "psd or nonnegative", kind);
  const lists = readObject(entries, `${at}.entries`, ["matrix", "row", "column", "value"]);
  return {
    kind: kind as Block["kind"],
    size: readNumber(size, `${at}.size`),
    entries: {
      matrix: readIntegers(lists.matrix, `${at}.entries.matrix`),
      row: readIntegers(lists.row, `${at}.entries.row`),
      column: readIntegers(lists.column, `${at}.entries.column`),
      value: readNumbers(lists.value, `${at}.entries.value`),
    },
    ...(rankOne === undefined
      ? {}
      : { rankOne: readArray(rankOne, `${at}.rankOne`).map((term, t) => readTerm(term, `${at}.rankOne[${t}]`)) }),
  };
}

function readTerm(value: unknown, at: string): RankOneTerm {
  const { matrix, weight, vector } = readObject(value, at, ["matrix", "weight", "vector"]);
  return {
    matrix: readNumber(matrix, `${at}.matrix`),
    weight: readNumber(weight, `${at}.weight`),
    vector: readNumbers(vector, `${at}.vector`),
  };
}

function readEqualities(value: unknown, at: string): Equalities {
  const lists = readObject(value, at, ["row", "variable", "value", "right"]);
  return {
    row: readIntegers(lists.row, `${at}.row`),
    variable: readIntegers(lists.variable, `${at}.variable`),
    value: readNumbers(lists.value, `${at}.value`),
    right: readNumbers(lists.right, `${at}.right`),
  };
}

function readNames(value: unknown, at: string): NonNullable<SdpProblem["names"]> {
  const { variables, blocks } = readObject(value, at, ["variables?", "blocks?"]);
  return {
    ...(variables === undefined ? {} : { variables: readStrings(variables, `${at}.variables`) }),
    ...(blocks === undefined ? {} : { blocks: readStrings(blocks, `${at}.blocks`) }),
  };
}

/** An object with exactly these fields; a `?` marks those that may be absent. */
function readObject(value: unknown, at: string, fields: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(at, "an object", value);
  const record = value as Record<string, unknown>;
  const known = fields.map((field) => field.replace("?", ""));
  for (const name of Object.keys(record)) {
    if (!known.includes(name)) fail(at, `no fields but ${known.join(", ")}`, name);
  }
  for (const field of fields) {
    if (!field.endsWith("?") && !Object.hasOwn(record, field)) fail(`${at}.${field}`, "a value", undefined);
  }
  return record;
}

function readArray(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) fail(at, "an array", value);
  return value as unknown[];
}

function readNumber(value: unknown, at: string): number {
  if (typeof value !== "number") fail(at, "a number", value);
  return value as number;
}

function readNumbers(value: unknown, at: string): Float64Array {
  return Float64Array.from(readArray(value, at), (entry, i) => readNumber(entry, `${at}[${i}]`));
}

function readIntegers(value: unknown, at: string): Int32Array {
  return Int32Array.from(readArray(value, at), (entry, i) => {
    const number = readNumber(entry, `${at}[${i}]`);
    // conversion to 32 bits would change other numbers silently
    if ((number | 0) !== number) fail(`${at}[${i}]`, "an integer of 32 bits", number);
    return number;
  });
}

function readStrings(value: unknown, at: string): string[] {
  return readArray(value, at).map((entry, i) => {
    if (typeof entry !== "string") fail(`${at}[${i}]`, "a text", entry);
    return entry as string;
  });
}

function fail(argument: string, expected: string, received: unknown, hint?: string): never {
  throw new FormatError({ argument, expected, received, ...(hint ? { hint } : {}) });
}
