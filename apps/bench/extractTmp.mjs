// src/extractTmp.ts
import { readFileSync, writeFileSync } from "node:fs";
import { createExtractor, loadWeights } from "@worstcase/resnet";
var images = 1e4;
var size = 3072;
var file = readFileSync("/work/shared/data/cifar10/data_batch_1.bin");
var data = new Float32Array(images * size);
var labels = new Uint8Array(images);
for (let i = 0; i < images; i++) {
  labels[i] = file[i * 3073];
  for (let c = 0; c < 3; c++) for (let p = 0; p < 1024; p++) data[i * size + p * 3 + c] = file[i * 3073 + 1 + c * 1024 + p] / 255;
}
var main = async () => {
  const ex = await createExtractor({ weights: loadWeights(readFileSync("/work/shared/data/weights/resnet20_cifar10.safetensors")), normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }, backend: "wasm", workers: 2, batchSize: 16 });
  const f = await ex.features({ data, shape: [images, 32, 32, 3] });
  writeFileSync("/tmp/h/r1/cifar64.f32", new Uint8Array(f.data.buffer, f.data.byteOffset, f.data.byteLength));
  writeFileSync("/tmp/h/r1/cifar.labels", labels);
  console.log(f.shape);
  await ex.close();
};
main();
