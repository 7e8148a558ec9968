// PGD images per second through ResNet-20 and PreAct-ResNet-18 on CIFAR-10, our attack on every tensor backend that is here, against PyTorch
// on the CPU with the same number of threads, all interleaved in one run. An image counts when its whole attack is done:
// steps + 1 gradients and a forward pass. Constant steps in linf at 8/255, no early stop, so that all do the same work.

import { readFileSync } from "node:fs";
import { pgd } from "@worstcase/attacks";
import { createRng, type DifferentiableClassifier, type LabelledBatch, predictedClasses } from "@worstcase/core";
import { attach, createLinearClassifier } from "@worstcase/head";
import { createExtractor, loadWeights, type Normalisation, type ResNetExtractor } from "@worstcase/resnet";
import { type BackendName, inspectBackends } from "@worstcase/tensor";
import { type Case, compare } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { startTorch, type TorchPeer } from "./throughput/torchPeer.js";

const threads = 2;
const epsilon = 8 / 255;

interface Network {
  readonly title: string;
  readonly architecture: "resnet20" | "preact-resnet18";
  readonly file: string;
  readonly normalisation: Normalisation;
  readonly images: number;
  readonly steps: number;
  /** Seconds after which no new round begins. */
  readonly budgetSeconds: number;
}

const networks: readonly Network[] = [
  {
    title: "ResNet-20",
    architecture: "resnet20",
    file: "weights/resnet20_cifar10.safetensors",
    normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    images: 64,
    steps: 10,
    budgetSeconds: 100,
  },
  {
    title: "PreAct-ResNet-18",
    architecture: "preact-resnet18",
    file: "weights/preactresnet18_cifar10.safetensors",
    normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
    images: 32,
    steps: 3,
    budgetSeconds: 150,
  },
];

export const throughput: Suite = {
  name: "throughput",
  summary: "PGD images per second through ResNet-20 and PreAct-ResNet-18 per backend, against PyTorch with 2 threads",
  async run(context) {
    const images = dataFile("cifar10/test_batch.bin");
    if (!images) {
      context.skip("throughput", "cifar10/test_batch.bin is in no data folder (WORSTCASE_DATA)");
      return;
    }
    const native: BackendName[] = [];
    for (const { name, available, detail } of await inspectBackends()) {
      if (name !== "tfjs-node") continue;
      if (available) native.push(name);
      else context.skip(name, detail);
    }
    for (const network of networks) {
      const weights = dataFile(network.file);
      if (weights) await measure(context, network, weights, images, native);
      else context.skip(network.title, `${network.file} is in no data folder (WORSTCASE_DATA)`);
    }
  },
};

async function measure(
  context: SuiteContext,
  network: Network,
  weightsFile: string,
  imagesFile: string,
  native: readonly BackendName[],
): Promise<void> {
  const { title, architecture, normalisation } = network;
  const { mean, std } = normalisation;
  const count = context.quick ? 4 : network.images;
  const steps = context.quick ? 1 : network.steps;
  const batch = readImages(imagesFile, count);
  const weights = loadWeights(readFileSync(weightsFile));
  // native TensorFlow and PyTorch take all images at once, the workers their own default
  const create = (backend: BackendName, workers: number) =>
    createExtractor({
      ...{ weights, normalisation, backend, workers, architecture },
      ...(workers === 0 ? { batchSize: count } : {}),
    });
  const started: { name: string; extractor: ResNetExtractor }[] = [];
  const job = { weights: weightsFile, architecture, mean, std, images: imagesFile, count, epsilon, steps, threads };
  const torch = await startTorch({ ...job, batch: count });
  try {
    for (const backend of native) started.push({ name: backend, extractor: await create(backend, 0) });
    started.push({ name: `wasm, ${threads} workers`, extractor: await create("wasm", threads) });
    started.push({ name: "wasm, 1 worker", extractor: await create("wasm", 1) });
    const attacked = started.map(({ name, extractor }) => ({ name, ...ours(extractor, batch, steps) }));
    const cases: Case[] = attacked.map(({ name, run }) => ({ name, units: count, run }));
    const notes: Record<string, number | string> = {};
    if ("absent" in torch) context.skip("PyTorch", torch.absent);
    else {
      cases.unshift({ name: `PyTorch ${torch.version}, ${threads} threads`, units: count, run: torch.run });
      notes["correct under the attack, PyTorch"] = await torch.run();
    }
    for (const { name, correct } of attacked) notes[`correct under the attack, ${name}`] = await correct();
    const options = { repeats: context.quick ? 1 : 7, leastSeconds: 0, budgetSeconds: network.budgetSeconds };
    const rows = await compare(cases, options);
    context.report({
      title: `${title}, PGD of ${steps} steps at 8/255 on ${count} images; ratio: PyTorch's time by each`,
      unit: unit.imagesPerSecond,
      rows,
      notes,
    });
  } finally {
    (torch as Partial<TorchPeer>).close?.();
    for (const { extractor } of started) await extractor.close();
  }
}

function ours(extractor: ResNetExtractor, batch: LabelledBatch, steps: number) {
  if (!extractor.head) throw new Error("the weights have no linear layer");
  const model: DifferentiableClassifier = attach(extractor, createLinearClassifier(extractor.head, "linear"));
  const attack = pgd({ loss: "cross-entropy", schedule: "constant", restarts: 0, stopWhenFooled: false, steps });
  const run = () => attack.run(model, batch, { budget: { norm: "linf", epsilon }, rng: createRng(1) });
  const correct = async () => {
    const predicted = predictedClasses(await model.logits(await run()));
    return predicted.filter((c, i) => c === batch.labels[i]).length;
  };
  return { run, correct };
}

/** The first `count` records of a CIFAR-10 file, images `[count, 32, 32, 3]` in [0, 1]. */
function readImages(file: string, count: number): LabelledBatch {
  const bytes = readFileSync(file);
  const data = new Float32Array(count * 3072);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = bytes[i * 3073];
    for (let channel = 0; channel < 3; channel++) {
      for (let p = 0; p < 1024; p++) data[i * 3072 + 3 * p + channel] = bytes[i * 3073 + 1 + channel * 1024 + p] / 255;
    }
  }
  return {
    inputs: { data, shape: [count, 32, 32, 3] },
    labels,
    indices: Int32Array.from({ length: count }, (_, i) => i),
  };
}
