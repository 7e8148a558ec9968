// Reader of SDPA sparse files (.dat-s), tolerant of how they are written in the wild and strict about what they say.
//   comments            lines that begin with * or "
//   m                   number of variables; the rest of the line is ignored
//   blocks              number of blocks; the rest of the line is ignored
//   size size ...       one per block, negative for a diagonal (here: nonnegative) block
//   c_1 ... c_m         objective
//   k b i j value       entry (i, j) of block b of F_k, the rest of the file; all indices from 1, k = 0 for F_0
// The file means: minimise c'x subject to sum x_k F_k - F_0 in K, which is the form of SdpProblem; nothing changes sign.

import type { Block, SdpProblem } from "../problem.js";
import { EntryList } from "./entryList.js";
import { gunzip, gunzipSync, isGzip } from "./gunzip.js";
import { Scanner } from "./scanner.js";

/** Largest order of a psd block that is read: a dense matrix of this order fills 80 GB. */
const largestOrder = 100_000;
/** Most entries of a nonnegative block that are read. */
const largestLength = 50_000_000;

export interface ReadSdpaOptions {
  /** What errors call the file, for example its path. */
  readonly name?: string | undefined;
  /** Most bytes a gzip file may unpack to; default 1 GiB. */
  readonly largestUnpacked?: number | undefined;
}

/**
 * The problem in a file's text or bytes. Bytes that begin like gzip are unpacked: in Node here, in browsers by
 * `readSdpaAsync`. Entries keep their order; zeros are left out; entries below the diagonal are mirrored, and an entry
 * written in both triangles with one value counts once. Throws FormatError with line and column on anything malformed,
 * also on a position written twice or asymmetrically, and UnsupportedError on gzip where there is no Node.
 */
export function readSdpa(file: string | Uint8Array, options: ReadSdpaOptions = {}): SdpProblem {
  const { name = "SDPA file" } = options;
  const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file;
  return parse(new Scanner(isGzip(bytes) ? gunzipSync(bytes, name, options.largestUnpacked) : bytes, name));
}

/** As `readSdpa`; unpacks gzip in browsers too. */
export async function readSdpaAsync(file: string | Uint8Array, options: ReadSdpaOptions = {}): Promise<SdpProblem> {
  const { name = "SDPA file" } = options;
  if (typeof file === "string" || !isGzip(file)) return readSdpa(file, options);
  return parse(new Scanner(await gunzip(file, name, options.largestUnpacked), name));
}

function parse(scanner: Scanner): SdpProblem {
  skipByteOrderMark(scanner);
  const variables = headerNumber(scanner, "mDIM, the number of variables");
  const blockCount = headerNumber(scanner, "nBLOCK, the number of blocks");
  const sizes = numbers(scanner, blockCount, "the block sizes", () => blockSize(scanner));
  const objective = numbers(scanner, variables, "the objective", () => value(scanner));
  const entries = readEntries(scanner, variables, sizes).byBlock(blockCount, scanner);
  const blocks: Block[] = entries.map((part, b) => ({
    kind: sizes[b] < 0 ? "nonnegative" : "psd",
    size: Math.abs(sizes[b]),
    entries: part,
  }));
  return { objective, blocks };
}

function skipByteOrderMark(scanner: Scanner): void {
  const [a, b, c] = scanner.bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) scanner.position = 3;
}

/** The first number of the next line with content; the rest of that line may say anything. */
function headerNumber(scanner: Scanner, what: string): number {
  if (!scanner.skipEmptyLines()) scanner.fail(scanner.position, what);
  const start = scanner.position;
  const value = scanner.integer(0, Number.MAX_SAFE_INTEGER, what);
  // what is announced must follow, in at least a byte each, before memory is taken for it
  if (value > scanner.bytesLeft) scanner.fail(start, `${what}: no more than the rest of the file has room for`);
  scanner.skipLine();
  return value;
}

/** `count` numbers over one line or more. Behind the last one, its line may hold text but no further number. */
function numbers(scanner: Scanner, count: number, what: string, read: () => number): Float64Array {
  const values = new Float64Array(count);
  if (count === 0) return values;
  let atLineStart = true;
  for (let i = 0; i < count; i++) {
    if (atLineStart || !scanner.skipSeparators()) {
      if (!atLineStart) scanner.skipLine();
      if (!scanner.skipEmptyLines()) scanner.fail(scanner.position, `${count} numbers for ${what}, not only ${i}`);
      atLineStart = false;
    }
    values[i] = read();
  }
  if (scanner.skipSeparators() && scanner.atNumber) {
    scanner.fail(scanner.position, `${count} numbers for ${what} and then the end of the line`);
  }
  scanner.skipLine();
  return values;
}

function blockSize(scanner: Scanner): number {
  const start = scanner.position;
  const size = scanner.integer(-largestLength, largestOrder, "the size of a block");
  if (size === 0) scanner.fail(start, "the size of a block: not 0");
  return size;
}

function value(scanner: Scanner): number {
  const start = scanner.position;
  const number = scanner.number("a finite number");
  scanner.endOfNumber(start, "a number and then a blank");
  return number;
}

function index(scanner: Scanner, least: number, most: number, what: string): number {
  scanner.skipSeparators();
  const start = scanner.position;
  const number = scanner.integer(least, most, what);
  scanner.endOfNumber(start, "an integer and then a blank");
  return number;
}

/** Five numbers per entry; several entries may share a line, none may cross its end. */
function readEntries(scanner: Scanner, variables: number, sizes: Float64Array): EntryList {
  const list = new EntryList();
  while (scanner.skipEmptyLines()) {
    do {
      const offset = scanner.position;
      const matrix = index(scanner, 0, variables, "a matrix number");
      const block = index(scanner, 1, sizes.length, "a block number") - 1;
      const size = Math.abs(sizes[block]);
      const row = index(scanner, 1, size, "a row of this block") - 1;
      const column = index(scanner, 1, size, "a column of this block") - 1;
      scanner.skipSeparators();
      const entry = value(scanner);
      if (sizes[block] > 0 || row === column) list.add(matrix, block, row, column, entry, offset);
      else if (entry !== 0) scanner.fail(offset, "row = column in a diagonal block");
    } while (scanner.skipSeparators());
  }
  return list;
}
