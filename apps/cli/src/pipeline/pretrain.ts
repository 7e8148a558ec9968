// Trains a backbone from scratch and writes it with a card that says how it was made. A checkpoint after every epoch makes resuming exact.

import { join } from "node:path";
import { createRng, type LabelledBatch, type WorkEvent } from "@worstcase/core";
import { readIfPresent } from "@worstcase/head";
import {
  loadTrainingState,
  type Normalisation,
  type Schedule,
  saveTrainingState,
  saveWeights,
  type TrainingResult,
  trainResNet,
} from "@worstcase/resnet";
import type { PretrainConfig } from "../config/pretrain.js";
import type { RunFolder } from "../run/runFolder.js";
import { loadImages } from "./images.js";

export interface PretrainReport {
  readonly status: TrainingResult["status"];
  readonly weights: string;
  readonly architecture: string;
  readonly parameters: number;
  readonly epochs: TrainingResult["epochs"];
  readonly validationAccuracy: number | null;
}

export interface PretrainTools {
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkEvent) => void;
}

const checkpoint = "checkpoint/state.safetensors";

export async function pretrain(
  config: PretrainConfig,
  folder: RunFolder,
  tools: PretrainTools,
): Promise<PretrainReport> {
  const images = await loadImages({ ...config, test: 1 }, tools);
  const { train: trainFingerprint, validation: validationFingerprint } = images.fingerprints;
  await folder.tie({ train: trainFingerprint, validation: validationFingerprint });
  const normalisation = measureNormalisation(images.train);
  const kept = await readIfPresent(join(folder.path, checkpoint));
  const { learningRate: rate, flip, shift } = config;
  const schedule: Schedule =
    config.schedule === "one-cycle" ? { kind: "one-cycle", peak: rate } : { kind: "step", rate };
  const result = await trainResNet(
    {
      architecture: config.architecture,
      ...(config.architecture === "preact-resnet18" ? { width: config.width, finalNorm: config.finalNorm } : {}),
      classCount: images.classNames.length,
      train: images.train,
      validation: images.validation,
      normalisation,
      epochs: config.epochs,
      batchSize: config.batchSize,
      schedule,
      momentum: config.momentum,
      weightDecay: config.weightDecay,
      labelSmoothing: config.labelSmoothing,
      augmentation: flip || shift > 0 ? { flip, shift } : null,
      rho: config.rho,
      rng: createRng(config.seed).fork("pretrain"),
      backend: config.backend,
      onCheckpoint: (state) => folder.writeBytes(checkpoint, saveTrainingState(state)),
      resumeFrom: kept ? loadTrainingState(kept) : undefined,
      signal: tools.signal,
    },
    (event) => {
      if (event.type === "progress") tools.onEvent(event);
      else void folder.log(event);
    },
  );
  const name = `${config.data}-${config.architecture}`;
  const report = reportOf(result, join(folder.path, `${name}.safetensors`));
  const metadata = { normalisation: JSON.stringify(normalisation), settings: JSON.stringify(reproducible(config)) };
  await folder.writeBytes(`${name}.safetensors`, saveWeights(result.weights, metadata));
  await folder.writeBytes(`${name}.md`, card(name, config, report, images.fingerprints));
  await folder.write("metrics.json", report);
  return report;
}

/** Mean and standard deviation of each colour over the training images, rounded to four decimals. */
function measureNormalisation({ inputs }: LabelledBatch): Normalisation {
  const { data } = inputs;
  const round = (value: number) => Math.round(value * 1e4) / 1e4;
  const channels = [0, 1, 2].map((channel) => {
    let [sum, squares] = [0, 0];
    for (let i = channel; i < data.length; i += 3) {
      sum += data[i]!;
      squares += data[i]! ** 2;
    }
    const mean = sum / (data.length / 3);
    return { mean: round(mean), std: Math.max(1e-4, round(Math.sqrt(squares / (data.length / 3) - mean ** 2))) };
  });
  const triple = (pick: (channel: { mean: number; std: number }) => number) =>
    channels.map(pick) as [number, number, number];
  return { mean: triple((channel) => channel.mean), std: triple((channel) => channel.std) };
}

/** Settings without those that name places on this machine. */
function reproducible({
  dataDir: _dataDir,
  download: _download,
  ...settings
}: PretrainConfig): Record<string, unknown> {
  return settings;
}

function reportOf({ status, architecture, weights, epochs }: TrainingResult, path: string): PretrainReport {
  const trainable = [...weights].filter(([name]) => !name.includes("running_"));
  return {
    status,
    weights: path,
    architecture: architecture.name,
    parameters: trainable.reduce((sum, [, tensor]) => sum + tensor.data.length, 0),
    epochs,
    validationAccuracy: epochs.at(-1)?.validationAccuracy ?? null,
  };
}

function card(
  name: string,
  config: PretrainConfig,
  report: PretrainReport,
  fingerprints: Readonly<Record<string, string>>,
): string {
  const flags = Object.entries(reproducible(config)).map(([field, value]) => {
    const flag = `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? flag : value === false ? "" : `${flag} ${value}`;
  });
  const last = report.epochs.at(-1);
  return [
    `# ${name}.safetensors`,
    "",
    `${report.architecture}, ${report.parameters} parameters, trained from scratch on ${config.train} images of \`${config.data}\`; status: ${report.status}.`,
    "Tensor names and layouts are PyTorch's; input normalisation and settings are in the file's metadata.",
    "",
    `| | |`,
    `| --- | --- |`,
    `| accuracy on ${config.validation} validation images | ${((report.validationAccuracy ?? Number.NaN) * 100).toFixed(1)} % |`,
    `| training loss and accuracy of the last epoch | ${last?.loss.toFixed(4)}, ${((last?.accuracy ?? Number.NaN) * 100).toFixed(1)} % |`,
    `| training data | sha256 ${fingerprints.train} |`,
    `| validation data | sha256 ${fingerprints.validation} |`,
    "",
    "Made by",
    "",
    `    worstcase pretrain ${flags.filter(Boolean).join(" ")}`,
    "",
    "The same command on the same backend gives the same weights. No outside weights or data were used.",
    "",
  ].join("\n");
}
