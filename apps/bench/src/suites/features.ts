// Images per second through ResNet-20: features, and the input gradient that PGD needs at every step, for one and two worker threads, against the
// same network written with tf.conv2d and tf.grad on the stock wasm backend (one thread). With tfjs-node, when it is installed.

import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { NumericBatch } from "@worstcase/core";
import { createExtractor, loadWeights, type Normalisation, type ResNetExtractor } from "@worstcase/resnet";
import { type BackendName, inspectBackends } from "@worstcase/tensor";
import { type Case, compare, median } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import type { StockRequest, StockStart } from "../stock/stockWorker.js";

const normalisation: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const batchSize = 16;
const imageSize = 32 * 32 * 3;

export const features: Suite = {
  name: "features",
  summary: "images per second through ResNet-20, forward and input gradient",
  async run(context) {
    const weightsFile = dataFile("weights/resnet20_cifar10.safetensors");
    const imagesFile = dataFile("cifar10/test_batch.bin");
    if (!weightsFile || !imagesFile) {
      context.skip(
        "ResNet-20",
        "weights/resnet20_cifar10.safetensors or cifar10/test_batch.bin is in no data folder (WORSTCASE_DATA)",
      );
      return;
    }
    const weights = loadWeights(readFileSync(weightsFile));
    const images = readImages(imagesFile, context.quick ? 16 : 64);
    const backends: BackendName[] = [];
    for (const { name, available, detail } of await inspectBackends()) {
      if (!name.startsWith("tfjs-node")) continue;
      if (available) backends.push(name);
      else context.skip(name, detail);
    }
    const create = (backend: BackendName, workers: number) =>
      createExtractor({ weights, normalisation, backend, workers, batchSize });
    const extractors = [
      { name: "wasm, 1 worker", extractor: await create("wasm", 1) },
      { name: "wasm, 2 workers", extractor: await create("wasm", 2) },
    ];
    for (const backend of backends) extractors.push({ name: backend, extractor: await create(backend, 0) });
    const stock = await startStock({ weights, normalisation, batchSize });
    try {
      await measure(context, images, stock, extractors);
    } finally {
      await stock.close();
      for (const { extractor } of extractors) await extractor.close();
    }
  },
};

async function measure(
  context: SuiteContext,
  images: NumericBatch,
  stock: Stock,
  extractors: readonly { name: string; extractor: ResNetExtractor }[],
): Promise<void> {
  const data = images.data as Float32Array;
  const count = images.shape[0];
  const ones = { data: new Float32Array(count * 64).fill(1), shape: [count, 64] };
  const works = {
    features: async (extractor: ResNetExtractor) => (await extractor.features(images)).data,
    gradient: async (extractor: ResNetExtractor) => (await (await extractor.linearise(images)).pullback(ones)).data,
  };
  const options = { repeats: context.quick ? 1 : 5, leastSeconds: 0, budgetSeconds: 120 };
  for (const kind of ["features", "gradient"] as const) {
    const cases: Case[] = [
      { name: "stock TensorFlow.js wasm, 1 thread", units: count, run: () => stock.run({ kind, images: data }) },
      ...extractors.map(({ name, extractor }) => ({ name, units: count, run: () => works[kind](extractor) })),
    ];
    const expected = await stock.run({ kind, images: data });
    const differences = relativeDifferences(await works[kind](extractors[0].extractor), expected, count);
    const title = `${kind === "gradient" ? "input gradient (forward and backward)" : "features"}, ${count} images, batches of ${batchSize}`;
    // a gradient jumps where a ReLU is at its kink, so single images may differ by more than rounding
    const notes = {
      "median relative difference to stock": median(differences),
      "images above 1e-5": differences.filter((difference) => difference > 1e-5).length,
    };
    context.report({ title, unit: unit.imagesPerSecond, rows: await compare(cases, options), notes });
  }
}

interface Stock {
  run(request: StockRequest): Promise<Float32Array>;
  close(): Promise<unknown>;
}

async function startStock(start: StockStart): Promise<Stock> {
  const worker = new Worker(new URL("./stockWorker.js", import.meta.url), { workerData: start });
  // one request at a time; an error of the thread fails whatever waits
  let settle: { resolve(value: unknown): void; reject(error: Error): void } | null = null;
  worker.on("message", (message) => settle?.resolve(message));
  worker.on("error", (error) => settle?.reject(error as Error));
  worker.on("exit", (code) => settle?.reject(new Error(`the stock worker ended with code ${code}`)));
  const answer = () =>
    new Promise<unknown>((resolve, reject) => {
      settle = { resolve, reject };
    });
  await answer();
  return {
    run: (request) => {
      const result = answer();
      worker.postMessage(request);
      return result as Promise<Float32Array>;
    },
    close: () => worker.terminate(),
  };
}

/** For each image the largest |a - b| over the largest |b|. */
function relativeDifferences(a: ArrayLike<number>, b: ArrayLike<number>, images: number): number[] {
  const size = b.length / images;
  return Array.from({ length: images }, (_, i) => {
    let [error, scale] = [0, 0];
    for (let k = i * size; k < (i + 1) * size; k++) {
      error = Math.max(error, Math.abs(a[k] - b[k]));
      scale = Math.max(scale, Math.abs(b[k]));
    }
    return error / scale;
  });
}

/** The first `count` records of a CIFAR-10 file as `[count, 32, 32, 3]` in [0, 1]. */
function readImages(file: string, count: number): NumericBatch {
  const bytes = readFileSync(file);
  const data = new Float32Array(count * imageSize);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let p = 0; p < 1024; p++) {
        data[i * imageSize + 3 * p + channel] = bytes[i * 3073 + 1 + channel * 1024 + p] / 255;
      }
    }
  }
  return { data, shape: [count, 32, 32, 3] };
}
