// The JSON header of a safetensors file: names, types, shapes and byte ranges, and optional text metadata.
//   { "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, "__metadata__": { "key": "text" } }
// Offsets count from the end of the header. Ranges must cover the data exactly, without gaps or overlap.

import { FormatError, UnsupportedError } from "@worstcase/core";
import { arrayTypes, countValues, type TensorType } from "./tensor.js";

export interface HeaderEntry {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly from: number;
  readonly to: number;
}

export interface Header {
  /** In the order of the header. */
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Record<string, string>;
}

/** Key of the text metadata; no tensor may have this name. */
export const metadataKey = "__metadata__";

/** Parses and checks a header against the number of data bytes after it. Throws FormatError or UnsupportedError. */
export function parseHeader(text: string, dataBytes: number): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new FormatError({ argument: "safetensors header", expected: "valid JSON", received: text }, { cause });
  }
  if (!text.startsWith("{") || !isRecord(parsed)) {
    throw new FormatError({ argument: "safetensors header", expected: "a JSON object", received: text });
  }
  refuseDuplicateKeys(text);
  const { [metadataKey]: metadata, ...tensors } = parsed;
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(name, value));
  checkRanges(entries, dataBytes);
  return { entries, metadata: parseMetadata(metadata) };
}

function parseEntry(name: string, value: unknown): HeaderEntry {
  const argument = `tensor "${name}"`;
  if (!isRecord(value)) {
    throw new FormatError({ argument, expected: "an object with dtype, shape and data_offsets", received: value });
  }
  const { dtype, shape, data_offsets: range } = value;
  if (typeof dtype === "string" && /^([FUI]\d+|F[468]_\w+|C\d+)$/.test(dtype) && !Object.hasOwn(arrayTypes, dtype)) {
    throw new UnsupportedError({ argument: `${argument} dtype`, expected: typeNames(), received: dtype });
  }
  if (typeof dtype !== "string" || !Object.hasOwn(arrayTypes, dtype)) {
    throw new FormatError({ argument: `${argument} dtype`, expected: typeNames(), received: dtype });
  }
  if (!isCounts(shape)) {
    throw new FormatError({ argument: `${argument} shape`, expected: "an array of integers >= 0", received: shape });
  }
  if (!isCounts(range) || range.length !== 2 || range[0]! > range[1]!) {
    const expected = "two integers 0 <= from <= to";
    throw new FormatError({ argument: `${argument} data_offsets`, expected, received: range });
  }
  const type = dtype as TensorType;
  const [from, to] = range as [number, number];
  const bytes = countBytes(shape, type, argument);
  if (to - from !== bytes) {
    const expected = `${bytes} bytes for ${dtype} [${shape.join(", ")}]`;
    throw new FormatError({ argument: `${argument} data_offsets`, expected, received: to - from });
  }
  return { name, type, shape, from, to };
}

function countBytes(shape: readonly number[], type: TensorType, argument: string): number {
  try {
    return countValues(shape, argument) * arrayTypes[type].BYTES_PER_ELEMENT;
  } catch (cause) {
    throw new FormatError(
      { argument: `${argument} shape`, expected: "a product below 2^53", received: shape },
      { cause },
    );
  }
}

/** Byte ranges, in order, must start at 0, follow one another, and end with the file. */
function checkRanges(entries: readonly HeaderEntry[], dataBytes: number): void {
  let end = 0;
  for (const { name, from, to } of [...entries].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (to > dataBytes) {
      const hint = "the file is truncated or corrupted";
      const expected = `a range within the ${dataBytes} data bytes of the file`;
      throw new FormatError({ argument: `tensor "${name}" data_offsets`, expected, received: [from, to], hint });
    }
    if (from !== end) {
      const hint = from < end ? "it overlaps the tensor before it" : "bytes before it belong to no tensor";
      const expected = `a range that starts at byte ${end}`;
      throw new FormatError({ argument: `tensor "${name}" data_offsets`, expected, received: [from, to], hint });
    }
    end = to;
  }
  if (end !== dataBytes) {
    const expected = `${end} data bytes, as the header says`;
    throw new FormatError({
      argument: "safetensors file",
      expected,
      received: dataBytes,
      hint: "bytes follow the last tensor",
    });
  }
}

function parseMetadata(metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new FormatError({ argument: metadataKey, expected: "an object of strings", received: metadata });
  }
  return metadata as Record<string, string>;
}

/** JSON.parse keeps the last of two equal keys, so keys are compared here. `text` is known to be valid JSON. */
function refuseDuplicateKeys(text: string): void {
  const open: (Set<string> | null)[] = [];
  // One token: a string with the colon that makes it a key, or a bracket.
  for (const [token, string, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : null);
    else if (token === "}" || token === "]") open.pop();
    else if (colon && string) {
      const key = JSON.parse(string) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) {
        throw new FormatError({
          argument: "safetensors header",
          expected: "every name once",
          received: `"${key}" twice`,
        });
      }
      keys?.add(key);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}

function typeNames(): string {
  return `one of ${Object.keys(arrayTypes).join(", ")}`;
}
