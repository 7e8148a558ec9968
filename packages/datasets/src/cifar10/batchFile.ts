// One CIFAR-10 batch file, in either official layout. Pixels come out as bytes in height, width, channel order.
//   binary: records of 3073 bytes: 1 label byte, then 1024 red, 1024 green, 1024 blue bytes, row by row
//   python: a pickle of { data: uint8 [records, 3072] in the same plane order, labels: list of integers }

import { open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { FormatError } from "@worstcase/core";
import { type PickleValue, unpickle } from "./unpickle.js";

export const pixelBytes = 3072;
const classCount = 10;
const planeBytes = 1024;
const recordBytes = pixelBytes + 1;

export interface BatchFile {
  readonly file: string;
  /** Records in the file. */
  readonly count: number;
  /** Reads records from .. from + labels.length - 1 into `pixels` and `labels`. */
  read(from: number, pixels: Uint8Array, labels: Int32Array): Promise<void>;
}

/** Opens a batch by its name: `.bin` is the binary layout, no extension the python one. Throws FormatError naming the file. */
export function openBatchFile(file: string): Promise<BatchFile> {
  return path.extname(file) === ".bin" ? openBinary(file) : openPython(file);
}

async function openBinary(file: string): Promise<BatchFile> {
  const { size } = await stat(file);
  if (size === 0 || size % recordBytes !== 0) {
    const expected = `a multiple of ${recordBytes} bytes`;
    throw new FormatError({
      argument: file,
      expected,
      received: `${size} bytes`,
      hint: "the file is truncated; get it again",
    });
  }
  return {
    file,
    count: size / recordBytes,
    async read(from, pixels, labels) {
      const records = await readRange(file, from * recordBytes, labels.length * recordBytes);
      for (let i = 0; i < labels.length; i++) {
        const start = i * recordBytes;
        labels[i] = checkLabel(records[start]!, file, from + i);
        interleave(records, start + 1, pixels, i * pixelBytes);
      }
    },
  };
}

async function readRange(file: string, position: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
      if (bytesRead === 0) {
        const expected = `${position + length} bytes`;
        throw new FormatError({ argument: file, expected, received: `${position + done} bytes` });
      }
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

async function openPython(file: string): Promise<BatchFile> {
  const content = unpickle(await readFile(file), file);
  const field = (name: string): PickleValue | undefined => (content instanceof Map ? content.get(name) : undefined);
  const data = field("data");
  const labels = field("labels");
  const valid =
    data instanceof Object &&
    "shape" in data &&
    Array.isArray(labels) &&
    labels.length > 0 &&
    data.shape.length === 2 &&
    data.shape[0] === labels.length &&
    data.shape[1] === pixelBytes;
  if (!valid) {
    const expected = `a dictionary with data [records, ${pixelBytes}] and as many labels`;
    throw new FormatError({ argument: file, expected, received: content });
  }
  return {
    file,
    count: labels.length,
    async read(from, pixels, target) {
      for (let i = 0; i < target.length; i++) {
        target[i] = checkLabel(labels[from + i], file, from + i);
        interleave(data.bytes, (from + i) * pixelBytes, pixels, i * pixelBytes);
      }
    },
  };
}

function checkLabel(label: unknown, file: string, record: number): number {
  if (typeof label === "number" && Number.isInteger(label) && label >= 0 && label < classCount) return label;
  throw new FormatError({ argument: `${file}, record ${record}`, expected: "a label in 0 .. 9", received: label });
}

/** Three planes [3, 32, 32] to pixels [32, 32, 3]. */
function interleave(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  for (let c = 0; c < 3; c++) {
    const plane = from + c * planeBytes;
    for (let k = 0; k < planeBytes; k++) target[to + 3 * k + c] = source[plane + k]!;
  }
}
