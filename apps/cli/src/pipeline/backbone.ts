// The backbone of a run: weights found, architecture detected, extractor started, and its own linear head.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DataError, type DifferentiableClassifier } from "@worstcase/core";
import { createLinearClassifier, type LinearWeights } from "@worstcase/head";
import {
  createExtractor,
  loadWeights,
  type NetworkWeights,
  type Normalisation,
  type ResNetExtractor,
} from "@worstcase/resnet";
import { readSafetensors } from "@worstcase/safetensors";
import type { RobustifyConfig } from "../config/robustify.js";

export interface Backbone {
  readonly extractor: ResNetExtractor;
  readonly weights: LinearWeights;
  /** The backbone's own linear head over its features. */
  readonly head: DifferentiableClassifier;
}

/** Published input normalisations of the weights in the data folder's `weights/`, used when a file does not state its own. */
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const cifar = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] } as const;

const known = {
  resnet20: { file: "resnet20_cifar10.safetensors", architecture: "resnet20", normalisation: imagenet },
  resnet56: { file: "resnet56_cifar10.safetensors", architecture: "resnet56", normalisation: imagenet },
  "preact-resnet18": {
    file: "preactresnet18_cifar10.safetensors",
    architecture: "preact-resnet18",
    normalisation: cifar,
  },
} as const;

const embeddedWeights = fileURLToPath(new URL("../assets/embedded-preact-resnet18.safetensors", import.meta.url));

type BackboneRequest = Pick<RobustifyConfig, "backbone" | "weights" | "dataDir" | "backend" | "workers">;

/** Throws DataError when the weights are not found or have no linear head, FormatError when they are damaged. */
export async function openBackbone(request: BackboneRequest): Promise<Backbone> {
  const path = weightsPath(request);
  const bytes = await readWeights(path);
  const weights = loadWeights(bytes);
  const architecture = request.backbone === "embedded" ? "auto" : known[request.backbone].architecture;
  const normalisation =
    statedNormalisation(bytes) ?? (request.backbone === "embedded" ? null : known[request.backbone].normalisation);
  if (!normalisation) {
    throw new DataError({ argument: path, expected: "mean and std in the file's metadata", received: "none" });
  }
  const { backend, workers } = request;
  const extractor = await createExtractor({
    architecture,
    weights,
    normalisation,
    backend,
    ...(workers === undefined ? {} : { workers }),
  });
  if (!extractor.head) {
    await extractor.close();
    const hint = "the table compares heads with the backbone's own";
    throw new DataError({
      argument: path,
      expected: "weights with a linear layer",
      received: headNames(weights),
      hint,
    });
  }
  return { extractor, weights: extractor.head, head: createLinearClassifier(extractor.head, "backbone head") };
}

function weightsPath({ backbone, weights, dataDir }: BackboneRequest): string {
  if (weights) return weights;
  if (backbone === "embedded") return embeddedWeights;
  if (dataDir) return join(dataDir, "weights", known[backbone].file);
  const hint = "pass --weights FILE, or --data-dir (WORSTCASE_DATA) with a folder weights/ in it";
  throw new DataError({ argument: "--weights", expected: `weights for ${backbone}`, received: "none", hint });
}

async function readWeights(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new DataError({
      argument: "--weights",
      expected: "a readable file",
      received: path,
      hint: (error as NodeJS.ErrnoException).code ?? "",
    });
  }
}

/** `normalisation` in the metadata of a safetensors file, as `worstcase pretrain` writes it. */
function statedNormalisation(bytes: Uint8Array): Normalisation | null {
  try {
    const stated = readSafetensors(bytes).metadata.normalisation;
    return stated ? (JSON.parse(stated) as Normalisation) : null;
  } catch {
    return null;
  }
}

function headNames(weights: NetworkWeights): string {
  const last = [...weights.keys()].slice(-2).join(", ");
  return last ? `... ${last}` : "no tensors";
}
