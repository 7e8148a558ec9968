// The images of a run, in parts that never mix: training, validation (for every choice), test (for the final numbers only).

import { DataError, type LabelledBatch, type WorkOptions } from "@worstcase/core";
import { type DescribedDataset, downloadCifar10, generateShapes, loadCifar10 } from "@worstcase/datasets";
import type { RobustifyConfig } from "../config/robustify.js";

export interface Images {
  readonly train: LabelledBatch;
  readonly validation: LabelledBatch;
  readonly test: LabelledBatch;
  readonly classNames: readonly string[];
  /** Hash of data and split rule for each part. */
  readonly fingerprints: Readonly<Record<"train" | "validation" | "test", string>>;
}

type ImageRequest = Pick<RobustifyConfig, "data" | "dataDir" | "download" | "train" | "validation" | "test">;

/** Throws DataError or FormatError naming the file at fault. */
export async function loadImages(request: ImageRequest, tools: WorkOptions): Promise<Images> {
  const sets = request.data === "embedded" ? await embedded(request, tools) : await cifar10(request, tools);
  const [train, validation, test] = await Promise.all([sets.train.all(), sets.validation.all(), sets.test.all()]);
  const first = train.labels[0]!;
  if (train.labels.every((label) => label === first)) {
    const received = `${train.labels.length} of class ${sets.train.classNames[first]}`;
    throw new DataError({
      argument: "training images",
      expected: "at least two classes",
      received,
      hint: "take more images",
    });
  }
  const fingerprints = {
    train: sets.train.fingerprint,
    validation: sets.validation.fingerprint,
    test: sets.test.fingerprint,
  };
  return { train, validation, test, classNames: sets.train.classNames, fingerprints };
}

export interface TestImages {
  readonly test: LabelledBatch;
  readonly classNames: readonly string[];
  /** Hash of data and split rule. */
  readonly fingerprint: string;
}

/** The test images alone. Throws as {@link loadImages}. */
export async function loadTestImages(
  request: Pick<ImageRequest, "data" | "dataDir" | "download" | "test">,
  tools: WorkOptions,
): Promise<TestImages> {
  const set =
    request.data === "embedded"
      ? await generateShapes({ split: "test", count: request.test, ...tools })
      : (await cifar10({ ...request, train: 1, validation: 1 }, tools)).test;
  return { test: await set.all(), classNames: set.classNames, fingerprint: set.fingerprint };
}

type Sets = Readonly<Record<"train" | "validation" | "test", DescribedDataset>>;

async function embedded({ train, validation, test }: ImageRequest, tools: WorkOptions): Promise<Sets> {
  return {
    train: await generateShapes({ split: "train", count: train, ...tools }),
    validation: await generateShapes({ split: "validation", count: validation, ...tools }),
    test: await generateShapes({ split: "test", count: test, ...tools }),
  };
}

async function cifar10(
  { train, validation, test, dataDir, download }: ImageRequest,
  tools: WorkOptions,
): Promise<Sets> {
  if (!dataDir) {
    const hint = "pass --data-dir or set WORSTCASE_DATA; with --download the files are fetched into it";
    throw new DataError({ argument: "--data-dir", expected: "a folder with CIFAR-10", received: "none", hint });
  }
  if (download) await downloadCifar10(dataDir, tools);
  const counts = { trainCount: train, validationCount: validation, testCount: test };
  const sets = await loadCifar10({ folder: dataDir, ...counts, ...tools });
  return { train: sets.train, validation: sets.validation!, test: sets.test };
}
