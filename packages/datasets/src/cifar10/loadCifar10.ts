// CIFAR-10 from the official files: 32 x 32 x 3 images of ten classes. Only the records asked for are read (binary layout).
//   train:      the first records of the training batches that are present, in order
//   validation: the last records of those batches, so of another batch than train wherever more than one is present
//   test:       records of test_batch only

import { existsSync } from "node:fs";
import path from "node:path";
import { DataError, type Dataset, SettingError, throwIfAborted, type WorkOptions } from "@worstcase/core";
import { findFile, resolveDataFolder } from "../dataFolder.js";
import { type DatasetCard, type DescribedDataset, describeImages } from "../describedDataset.js";
import { type BatchFile, openBatchFile, pixelBytes } from "./batchFile.js";

export interface Cifar10Options extends WorkOptions {
  /** Folder of the files, or one above it; default WORSTCASE_DATA. Looked for in it, in cifar10/ and in the folders the archives unpack to. */
  readonly folder?: string;
  /** Training images, default all that validation leaves. */
  readonly trainCount?: number;
  /** First training record, default 0. */
  readonly trainFrom?: number;
  /** Validation images, default 0: no validation set. */
  readonly validationCount?: number;
  /** Test images, default all. */
  readonly testCount?: number;
  /** First test record, default 0. */
  readonly testFrom?: number;
}

export interface Cifar10 {
  readonly train: DescribedDataset;
  readonly validation?: DescribedDataset;
  readonly test: DescribedDataset;
}

const card: DatasetCard = {
  id: "cifar10",
  sampleShape: [32, 32, 3],
  classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  bounds: { lower: 0, upper: 1 },
  licence: "none stated by the authors; they ask for a citation",
  source: "https://www.cs.toronto.edu/~kriz/cifar.html",
  citation: "Alex Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
};

const archiveFolders = ["cifar-10-batches-bin", "cifar-10-batches-py"];
const subfolders = [...archiveFolders, "cifar10", ...archiveFolders.map((folder) => path.join("cifar10", folder))];
const batchRecords = 10_000;

/**
 * CIFAR-10 as `[n, 32, 32, 3]` in [0, 1]. `indices` are positions in the official order: 10,000 (k - 1) + record for data_batch_k, and the
 * record for test_batch. Throws DataError when a file is missing or holds fewer records than asked for, FormatError naming the file when
 * it is truncated or has a wrong label, SettingError for counts that are not integers, AbortedError.
 */
export async function loadCifar10(options: Cifar10Options = {}): Promise<Cifar10> {
  const { trainFrom = 0, validationCount = 0, testFrom = 0 } = options;
  checkInteger(trainFrom, "options.trainFrom", 0);
  checkInteger(validationCount, "options.validationCount", 0);
  checkInteger(testFrom, "options.testFrom", 0);
  if (options.trainCount !== undefined) checkInteger(options.trainCount, "options.trainCount", 1);
  if (options.testCount !== undefined) checkInteger(options.testCount, "options.testCount", 1);

  const hint = "get the files with downloadCifar10, or set WORSTCASE_DATA";
  const names = ["test_batch.bin", "test_batch"];
  const testFile = findFile(resolveDataFolder(options.folder), subfolders, names, hint);
  const trainFiles = [1, 2, 3, 4, 5]
    .map((number) => ({
      number,
      file: path.join(path.dirname(testFile), `data_batch_${number}${path.extname(testFile)}`),
    }))
    .filter(({ file }) => existsSync(file));
  if (trainFiles.length === 0) {
    const argument = path.join(path.dirname(testFile), `data_batch_1${path.extname(testFile)}`);
    throw new DataError({ argument, expected: "at least one data_batch file", received: "no such file", hint });
  }
  const train = await joinBatches(trainFiles);
  const test = await joinBatches([{ number: 1, file: testFile }]);

  const trainCount = options.trainCount ?? train.count - trainFrom - validationCount;
  const testCount = options.testCount ?? test.count - testFrom;
  const trained = { argument: "options.trainCount", from: trainFrom, count: trainCount };
  checkAvailable(
    trained,
    train.count - validationCount,
    `${train.count} training records in ${trainFiles.length} batches, ${validationCount} kept for validation`,
  );
  checkAvailable(
    { argument: "options.testCount", from: testFrom, count: testCount },
    test.count,
    `${test.count} test records`,
  );

  const read = (split: Dataset["split"], source: Joined, from: number, count: number) =>
    readRecords(split, source, from, count, options);
  return {
    train: await read("train", train, trainFrom, trainCount),
    ...(validationCount > 0 && {
      validation: await read("validation", train, train.count - validationCount, validationCount),
    }),
    test: await read("test", test, testFrom, testCount),
  };
}

/** Batches in order, as one sequence of records. */
interface Joined {
  readonly count: number;
  readonly parts: readonly { readonly batch: BatchFile; readonly start: number; readonly firstIndex: number }[];
}

async function joinBatches(files: readonly { number: number; file: string }[]): Promise<Joined> {
  const parts = [];
  let count = 0;
  for (const { number, file } of files) {
    const batch = await openBatchFile(file);
    parts.push({ batch, start: count, firstIndex: (number - 1) * batchRecords });
    count += batch.count;
  }
  return { count, parts };
}

async function readRecords(
  split: Dataset["split"],
  source: Joined,
  from: number,
  count: number,
  { signal, onEvent }: WorkOptions,
): Promise<DescribedDataset> {
  const pixels = new Uint8Array(count * pixelBytes);
  const labels = new Int32Array(count);
  const indices = new Int32Array(count);
  let done = 0;
  for (const { batch, start, firstIndex } of source.parts) {
    throwIfAborted(signal, `reading ${batch.file}`);
    const first = Math.max(from, start) - start;
    const length = Math.min(from + count, start + batch.count) - start - first;
    if (length <= 0) continue;
    await batch.read(
      first,
      pixels.subarray(done * pixelBytes, (done + length) * pixelBytes),
      labels.subarray(done, done + length),
    );
    for (let i = 0; i < length; i++) indices[done + i] = firstIndex + first + i;
    done += length;
    onEvent?.({ type: "progress", task: `read cifar10 ${split}`, done, total: count });
  }
  return describeImages(card, split, "official order", { pixels, labels, indices });
}

function checkAvailable(
  wanted: { argument: string; from: number; count: number },
  available: number,
  there: string,
): void {
  const { argument, from, count } = wanted;
  if (count >= 1 && from + count <= available) return;
  const expected = `at least one record, and no more than there are from record ${from} (${there})`;
  throw new DataError({ argument, expected, received: count, hint: "ask for fewer records or add more batch files" });
}

function checkInteger(value: number, argument: string, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SettingError({ argument, expected: `an integer >= ${least}`, received: value });
  }
}
