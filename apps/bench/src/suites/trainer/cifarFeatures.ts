// CIFAR-10 through a frozen network: features of the first 10,000 training and of all 10,000 test images, centred and divided by the
// mean centred norm of the training ones (pilot.md 2). ResNet-20 has 64 features, Pre-Activation ResNet-18 has 512. Kept in the
// system's temporary folder between runs.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { NumericBatch } from "@worstcase/core";
import { linearQuadratic, type Quadratic } from "@worstcase/polynomial";
import { createExtractor, loadWeights, type Normalisation } from "@worstcase/resnet";
import { dataFile } from "../../harness/data.js";

const pixels = 32 * 32;
const count = 10_000;
const files = ["cifar10/data_batch_1.bin", "cifar10/test_batch.bin"] as const;

interface Network {
  /** As tables call it. */
  readonly title: string;
  readonly features: number;
  readonly normalisation: Normalisation;
}

const networks = {
  resnet20: {
    title: "ResNet-20",
    features: 64,
    normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  },
  preactresnet18: {
    title: "Pre-Activation ResNet-18",
    features: 512,
    normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  },
} as const satisfies Record<string, Network>;

export interface CifarFeatures {
  readonly title: string;
  readonly train: NumericBatch;
  readonly test: NumericBatch;
  readonly trainLabels: Int32Array;
  readonly testLabels: Int32Array;
  /** What the features were divided by. */
  readonly scale: number;
  /** The network's own last layer on these features. */
  readonly linearHead: readonly Quadratic[];
}

/** Null where the images or the weights are in no data folder. */
export async function cifarFeatures(name: keyof typeof networks = "resnet20"): Promise<CifarFeatures | null> {
  const network = networks[name];
  const { title, features } = network;
  const weightsFile = dataFile(`weights/${name}_cifar10.safetensors`);
  const images = files.map((file) => dataFile(file));
  if (!weightsFile || images.some((file) => !file)) return null;
  const records = images.map((file) => readFileSync(file!));
  const [train, test] = await rawFeatures(name, network, weightsFile, records);
  const mean = new Float64Array(features);
  for (let p = 0; p < train.length; p++) mean[p % features] += train[p] / count;
  let scale = 0;
  for (let i = 0; i < count; i++) {
    let square = 0;
    for (let k = 0; k < features; k++) square += (train[i * features + k] - mean[k]) ** 2;
    scale += Math.sqrt(square) / count;
  }
  const scaled = (raw: Float32Array) => Float64Array.from(raw, (value, p) => (value - mean[p % features]) / scale);
  const labels = (record: Buffer) => Int32Array.from({ length: count }, (_, i) => record[i * (3 * pixels + 1)]);
  return {
    title,
    train: { data: scaled(train), shape: [count, features] },
    test: { data: scaled(test), shape: [count, features] },
    trainLabels: labels(records[0]),
    testLabels: labels(records[1]),
    scale,
    linearHead: ownHead(weightsFile, mean, scale),
  };
}

/** Scores W (scale x + mean) + b. */
function ownHead(weightsFile: string, mean: Float64Array, scale: number): Quadratic[] {
  const weights = loadWeights(readFileSync(weightsFile));
  const [matrix, bias] = ["linear.weight", "linear.bias"].map((name) => weights.get(name)!.data);
  const features = mean.length;
  return Array.from(bias, (constant, c) => {
    const row = Float64Array.from(matrix.subarray(c * features, (c + 1) * features));
    return linearQuadratic(
      row.map((value) => value * scale),
      row.reduce((sum, value, k) => sum + value * mean[k], constant),
    );
  });
}

/** `[10,000, features]` for each of the files, from its stored copy where there is one. */
async function rawFeatures(
  name: string,
  { title, features, normalisation }: Network,
  weightsFile: string,
  records: readonly Buffer[],
): Promise<Float32Array[]> {
  const stored = (part: number) => path.join(tmpdir(), `worstcase-bench-${name}-features-${part}.f32`);
  const missing = records.filter((_, part) => !existsSync(stored(part)));
  if (missing.length > 0) {
    console.log(`${title}: making features of ${missing.length * count} images first (kept for later runs)\n`);
    const extractor = await createExtractor({ weights: loadWeights(readFileSync(weightsFile)), normalisation });
    try {
      for (const [part, record] of records.entries()) {
        if (existsSync(stored(part))) continue;
        const found = new Float32Array(count * features);
        const block = 500;
        for (let from = 0; from < count; from += block) {
          const images = { data: pixelsOf(record, from, block), shape: [block, 32, 32, 3] };
          found.set((await extractor.features(images)).data, from * features);
        }
        writeFileSync(`${stored(part)}.part`, new Uint8Array(found.buffer));
        renameSync(`${stored(part)}.part`, stored(part));
      }
    } finally {
      await extractor.close();
    }
  }
  return records.map((_, part) => {
    const bytes = readFileSync(stored(part));
    if (bytes.length !== 4 * count * features) throw new Error(`${stored(part)} is damaged: delete it`);
    return new Float32Array(new Uint8Array(bytes).buffer);
  });
}

/** Records from .. from + block - 1 as `[block, 32, 32, 3]` in [0, 1]. */
function pixelsOf(record: Buffer, from: number, block: number): Float32Array {
  const data = new Float32Array(block * 3 * pixels);
  for (let t = 0; t < block; t++) {
    const start = (from + t) * (3 * pixels + 1) + 1;
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < pixels; p++) data[(t * pixels + p) * 3 + c] = record[start + c * pixels + p] / 255;
    }
  }
  return data;
}
