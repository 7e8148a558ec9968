// Runs the stock network in a worker thread: kernel registries belong to a thread, so the improved gradients of @worstcase/tensor
// are not in force here. Only its loading of the plain backend registers the gradients that TensorFlow.js has for all operations.

import { createRequire } from "node:module";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { Normalisation, WeightTensor } from "@worstcase/resnet";
import { tf, useBackend } from "@worstcase/tensor";
import { createStockNetwork } from "./stockNetwork.js";

export interface StockStart {
  readonly weights: ReadonlyMap<string, WeightTensor>;
  readonly normalisation: Normalisation;
  readonly batchSize: number;
}

export interface StockRequest {
  readonly kind: "features" | "gradient";
  readonly images: Float32Array;
}

const { weights, normalisation, batchSize } = workerData as StockStart;
await useBackend("cpu");
const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
setWasmPaths(path.join(path.dirname(manifest), "wasm-out") + path.sep);
if (!(await tf.setBackend("wasm"))) throw new Error("the wasm backend did not start");
const network = createStockNetwork(weights, normalisation);

parentPort!.on("message", ({ kind, images }: StockRequest) => {
  const size = 32 * 32 * 3;
  const parts: Float32Array[] = [];
  for (let from = 0; from < images.length; from += batchSize * size) {
    const part = images.slice(from, from + batchSize * size);
    parts.push(network[kind](part, part.length / size));
  }
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  parentPort!.postMessage(result);
});
parentPort!.postMessage("ready");
