// Where the large trainer reads features: blocks of consecutive rows, from memory or from a file larger than memory. Sources are
// plain descriptions, so that every thread opens its own.
// features: [samples, featureCount]

import { checkObject, DataError, FormatError, type NumericBatch, SettingError, ShapeError } from "@worstcase/core";
import { checkFeatures, checkOptions, checkPositive } from "../checks.js";

/** Rows in memory, shared between threads, or a file of little-endian float32 numbers, row after row. */
export type FeatureRows =
  | {
      readonly kind: "memory";
      readonly samples: number;
      readonly featureCount: number;
      /** On a SharedArrayBuffer where the engine has it. */
      readonly data: Float32Array;
    }
  | {
      readonly kind: "file";
      readonly samples: number;
      readonly featureCount: number;
      readonly path: string;
      /** Byte at which the first row begins. */
      readonly offset: number;
    };

/** Features `[n, d]` as rows; they are copied to float32, which is what the program is then defined on. */
export function rowsInMemory(features: NumericBatch): FeatureRows {
  checkFeatures(features);
  const [samples, featureCount] = features.shape as [number, number];
  const length = samples * featureCount;
  const shared = typeof SharedArrayBuffer === "undefined" ? null : new SharedArrayBuffer(4 * length);
  const data = shared ? new Float32Array(shared) : new Float32Array(length);
  data.set(features.data);
  return { kind: "memory", samples, featureCount, data };
}

/** Throws SettingError unless the rows come from `rowsInMemory` or `rowsInFile`. */
export function checkRows(rows: FeatureRows): void {
  if (rows?.kind === "memory" || rows?.kind === "file") return;
  throw new SettingError({ argument: "rows", expected: "rowsInMemory(...) or rowsInFile(...)", received: rows });
}

/**
 * Rows in a file of float32 numbers (little-endian, row after row, from byte `offset` on). Throws FormatError when the file is shorter
 * than samples x featureCount numbers; numbers that are not finite are reported when they are read (DataError).
 */
export function rowsInFile(
  path: string,
  options: { samples: number; featureCount: number; offset?: number },
): FeatureRows {
  checkOptions(options);
  const { samples, featureCount, offset = 0 } = options;
  checkPositive(samples, "samples");
  checkPositive(featureCount, "featureCount");
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new ShapeError({ argument: "offset", expected: "an integer >= 0", received: offset });
  }
  const fs = process.getBuiltinModule("node:fs");
  let size = -1;
  try {
    size = fs.statSync(path).size;
  } catch (error) {
    throw new FormatError({ argument: "path", expected: "a file of float32 rows", received: (error as Error).message });
  }
  const expected = offset + 4 * samples * featureCount;
  if (size < expected) {
    throw new FormatError({
      argument: "path",
      expected: `at least ${expected} bytes for ${samples} x ${featureCount} float32 numbers`,
      received: `${size} bytes`,
      hint: "the file is truncated, or the shape is not its own",
    });
  }
  return { kind: "file", samples, featureCount, path, offset };
}

/** Reads blocks of rows; checks that numbers are finite as they pass. */
export class RowReader {
  private readonly file: number;
  private readonly bytes: Uint8Array;

  constructor(
    readonly rows: FeatureRows,
    blockRows: number,
  ) {
    this.file = rows.kind === "file" ? process.getBuiltinModule("node:fs").openSync(rows.path, "r") : -1;
    this.bytes = new Uint8Array(rows.kind === "file" ? 4 * blockRows * rows.featureCount : 0);
  }

  /** Copies rows from .. from + count - 1 to `target`, `stride` numbers from row to row; at most `blockRows`. */
  read(from: number, count: number, target: Float32Array | Float64Array, stride: number): void {
    const { rows } = this;
    const d = rows.featureCount;
    const data = rows.kind === "memory" ? rows.data : this.block(from, count);
    const start = rows.kind === "memory" ? from * d : 0;
    for (let i = 0; i < count; i++) target.set(data.subarray(start + i * d, start + (i + 1) * d), i * stride);
  }

  close(): void {
    if (this.file >= 0) process.getBuiltinModule("node:fs").closeSync(this.file);
  }

  private block(from: number, count: number): Float32Array {
    const rows = this.rows as Extract<FeatureRows, { kind: "file" }>;
    const d = rows.featureCount;
    const { readSync } = process.getBuiltinModule("node:fs");
    const length = 4 * count * d;
    for (let done = 0; done < length; ) {
      const got = readSync(this.file, this.bytes, done, length - done, rows.offset + 4 * from * d + done);
      if (got === 0) {
        const received = `its end after row ${from}`;
        throw new FormatError({
          argument: "path",
          expected: `${rows.samples} rows`,
          received,
          hint: "the file shrank",
        });
      }
      done += got;
    }
    return new Float32Array(this.bytes.buffer, 0, count * d);
  }
}

/** The rows `[count, d]` at `indices`, for example to draw gates from. Throws ShapeError on an index that is no row. */
export function takeRows(rows: FeatureRows, indices: ArrayLike<number>): NumericBatch {
  checkRows(rows);
  checkObject(indices, "indices", "row indices");
  const d = rows.featureCount;
  const data = new Float32Array(indices.length * d);
  const reader = new RowReader(rows, 1);
  try {
    for (let t = 0; t < indices.length; t++) {
      const row = indices[t];
      if (!Number.isSafeInteger(row) || row < 0 || row >= rows.samples) {
        throw new ShapeError({ argument: `indices[${t}]`, expected: `a row below ${rows.samples}`, received: row });
      }
      reader.read(row, 1, data.subarray(t * d, (t + 1) * d), d);
    }
  } finally {
    reader.close();
  }
  return { data, shape: [indices.length, d] };
}

/** Throws DataError on a number that is not finite or too large to be squared in float32. */
export function checkBlock(data: ArrayLike<number>, from: number, count: number, featureCount: number): void {
  for (let k = 0; k < count * featureCount; k++) {
    const size = Math.abs(data[k]);
    if (size <= LARGEST) continue;
    const argument = `features[${from + Math.floor(k / featureCount)}, ${k % featureCount}]`;
    const expected = `a finite number of at most ${LARGEST} in size, so that float32 squares stay finite`;
    throw new DataError({ argument, expected, received: data[k], hint: "scale the features first" });
  }
}

const LARGEST = 1e15;
