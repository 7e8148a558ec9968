// A checkpoint of a large fit in one file: a header of JSON, the arrays as they lie in memory (little-endian), and a digest of both.
// It is written beside and renamed, so a file of this name is always whole; anything else is refused with FormatError.
//   bytes: "WCLARGE1" | header length (u32) | header | zeros up to a multiple of 8 | arrays, each padded to 8 | SHA-256 (32 bytes)

import { FormatError } from "@worstcase/core";

type Numbers = Float64Array | Float32Array | Int32Array;
const kinds = { f64: Float64Array, f32: Float32Array, i32: Int32Array };

const MAGIC = "WCLARGE1";
const DIGEST = 32;
const LARGEST_HEADER = 2 ** 20;

export interface CheckpointContent {
  /** Plain JSON. */
  readonly header: unknown;
  readonly arrays: readonly Numbers[];
}

const up = (length: number) => 8 * Math.ceil(length / 8);

export function writeCheckpoint(path: string, { header, arrays }: CheckpointContent): void {
  const fs = process.getBuiltinModule("node:fs");
  const { createHash } = process.getBuiltinModule("node:crypto");
  const table = arrays.map((array) => [kindOf(array), array.length]);
  const text = new TextEncoder().encode(JSON.stringify({ header, table }));
  const front = new Uint8Array(up(12 + text.length));
  front.set(new TextEncoder().encode(MAGIC));
  new DataView(front.buffer).setUint32(8, text.length, true);
  front.set(text, 12);
  const hash = createHash("sha256");
  const file = fs.openSync(`${path}.part`, "w");
  try {
    const put = (bytes: Uint8Array) => {
      hash.update(bytes);
      for (let done = 0; done < bytes.length; ) done += fs.writeSync(file, bytes, done);
    };
    put(front);
    for (const array of arrays) {
      put(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      if (array.byteLength % 8 !== 0) put(new Uint8Array(8 - (array.byteLength % 8)));
    }
    fs.writeSync(file, hash.digest());
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
  fs.renameSync(`${path}.part`, path);
}

/** Throws FormatError unless the file is a whole checkpoint. */
export function readCheckpoint(path: string): CheckpointContent {
  const fs = process.getBuiltinModule("node:fs");
  const { createHash } = process.getBuiltinModule("node:crypto");
  let bytes: Uint8Array;
  try {
    bytes = fs.readFileSync(path);
  } catch (error) {
    throw refusal("a checkpoint file", (error as Error).message);
  }
  if (bytes.length < 12 + DIGEST || new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) {
    throw refusal(`a file that begins with ${MAGIC}`, `${bytes.length} other bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(8, true);
  if (length > LARGEST_HEADER || 12 + length > bytes.length) {
    throw refusal("a header inside the file", `a header of ${length} bytes in ${bytes.length}`);
  }
  const body = bytes.subarray(0, bytes.length - DIGEST);
  const digest = createHash("sha256").update(body).digest();
  if (!digest.every((value, k) => value === bytes[body.length + k])) {
    throw refusal("the bytes that were written", "a truncated or changed file");
  }
  const { header, table } = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + length))) as {
    header: unknown;
    table: [keyof typeof kinds, number][];
  };
  let at = up(12 + length);
  const arrays = table.map(([kind, count]) => {
    const array = new kinds[kind](count);
    new Uint8Array(array.buffer).set(bytes.subarray(at, at + array.byteLength));
    at = up(at + array.byteLength);
    return array;
  });
  return { header, arrays };
}

function kindOf(array: Numbers): keyof typeof kinds {
  return array instanceof Float64Array ? "f64" : array instanceof Float32Array ? "f32" : "i32";
}

function refusal(expected: string, received: string): FormatError {
  return new FormatError({
    argument: "options.checkpoint.file",
    expected,
    received,
    hint: "delete it to start afresh",
  });
}
