// Accuracy of published weights on CIFAR-10, when the public data is on this machine (WORSTCASE_DATA or ../shared/data beside the repository).

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { expect, it } from "vitest";
import { dataFile } from "../test/testData.js";
import { createExtractor } from "./extractor.js";
import { loadWeights } from "./weights.js";

const weightsFile = dataFile("weights/resnet20_cifar10.safetensors");
const imagesFile = dataFile("cifar10/test_batch.bin");
const present = weightsFile !== null && imagesFile !== null;
if (!present) process.stderr.write("skipped: no CIFAR-10 or ResNet-20 weights (set WORSTCASE_DATA)\n");

function firstImages(file: string, count: number) {
  const bytes = new Uint8Array(count * 3073);
  const handle = openSync(file, "r");
  readSync(handle, bytes, 0, bytes.length, 0);
  closeSync(handle);
  const data = new Float32Array(count * 3072);
  for (let i = 0; i < count; i++) {
    for (let p = 0; p < 1024; p++) {
      for (let c = 0; c < 3; c++) data[i * 3072 + p * 3 + c] = bytes[i * 3073 + 1 + c * 1024 + p]! / 255;
    }
  }
  const labels = Array.from({ length: count }, (_, i) => bytes[i * 3073]!);
  return { inputs: { data, shape: [count, 32, 32, 3] }, labels };
}

// 91.5 % on the first 1000 test images, measured with PyTorch on the same weights (91.73 % of all stated by their author).
it.skipIf(!present)("ResNet-20 classifies the first 1000 test images as in PyTorch", async () => {
  const { inputs, labels } = firstImages(imagesFile!, 1000);
  const extractor = await createExtractor({
    architecture: "resnet20",
    weights: loadWeights(new Uint8Array(readFileSync(weightsFile!))),
    normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    backend: "wasm",
    workers: 2,
  });
  const { data } = await extractor.features(inputs);
  const { weight, bias, classCount } = extractor.head!;
  const correct = labels.filter((label, i) => {
    const logits = Array.from({ length: classCount }, (_, k) => {
      let sum = bias[k]!;
      for (let j = 0; j < 64; j++) sum += weight[k * 64 + j]! * data[i * 64 + j]!;
      return sum;
    });
    return logits.indexOf(Math.max(...logits)) === label;
  });
  await extractor.close();
  expect(Math.abs(correct.length / 1000 - 0.915)).toBeLessThanOrEqual(0.01);
});
