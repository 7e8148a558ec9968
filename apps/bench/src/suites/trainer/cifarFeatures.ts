// CIFAR-10 through ResNet-20: 64 features of the first 10,000 training and of all 10,000 test images, centred and divided by the mean
// centred norm of the training ones (pilot.md 2). Kept in the system's temporary folder between runs.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { NumericBatch } from "@worstcase/core";
import { linearQuadratic, type Quadratic } from "@worstcase/polynomial";
import { createExtractor, loadWeights } from "@worstcase/resnet";
import { dataFile } from "../../harness/data.js";

const pixels = 32 * 32;
const features = 64;
const count = 10_000;
const files = ["cifar10/data_batch_1.bin", "cifar10/test_batch.bin"] as const;

export interface CifarFeatures {
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
export async function cifarFeatures(): Promise<CifarFeatures | null> {
  const weightsFile = dataFile("weights/resnet20_cifar10.safetensors");
  const images = files.map((file) => dataFile(file));
  if (!weightsFile || images.some((file) => !file)) return null;
  const records = images.map((file) => readFileSync(file!));
  const [train, test] = await rawFeatures(weightsFile, records);
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
  return Array.from(bias, (constant, c) => {
    const row = Float64Array.from(matrix.subarray(c * features, (c + 1) * features));
    return linearQuadratic(
      row.map((value) => value * scale),
      row.reduce((sum, value, k) => sum + value * mean[k], constant),
    );
  });
}

async function rawFeatures(weightsFile: string, records: readonly Buffer[]): Promise<Float32Array[]> {
  const stored = path.join(tmpdir(), "worstcase-bench-resnet20-features.f32");
  const size = 2 * count * features;
  if (existsSync(stored)) {
    const bytes = readFileSync(stored);
    if (bytes.length === 4 * size) {
      const all = new Float32Array(new Uint8Array(bytes).buffer);
      return [all.subarray(0, size / 2), all.subarray(size / 2)];
    }
  }
  const normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
  const extractor = await createExtractor({ weights: loadWeights(readFileSync(weightsFile)), normalisation });
  const all = new Float32Array(size);
  const block = 500;
  try {
    for (const [part, record] of records.entries()) {
      for (let from = 0; from < count; from += block) {
        const data = new Float32Array(block * 3 * pixels);
        for (let t = 0; t < block; t++) {
          const start = (from + t) * (3 * pixels + 1) + 1;
          for (let c = 0; c < 3; c++) {
            for (let p = 0; p < pixels; p++) data[(t * pixels + p) * 3 + c] = record[start + c * pixels + p] / 255;
          }
        }
        const found = await extractor.features({ data, shape: [block, 32, 32, 3] });
        all.set(found.data, (part * count + from) * features);
      }
    }
  } finally {
    await extractor.close();
  }
  writeFileSync(`${stored}.part`, new Uint8Array(all.buffer));
  renameSync(`${stored}.part`, stored);
  return [all.subarray(0, size / 2), all.subarray(size / 2)];
}
