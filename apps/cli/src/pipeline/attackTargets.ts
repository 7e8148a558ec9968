// Everything `worstcase attack` attacks, opened: heads on their backbone, or a whole model from a file, with the test images.

import { basename } from "node:path";
import { type Classifier, DataError, type DifferentiableClassifier, FormatError } from "@worstcase/core";
import { attach } from "@worstcase/head";
import type { AttackConfig } from "../config/attack.js";
import type { ProgressTools } from "../terminal/runWithProgress.js";
import { findSubjects, type HeadToAttack, settingOf } from "./attackSubjects.js";
import { openBackbone } from "./backbone.js";
import { loadTestImages, type TestImages } from "./images.js";
import { openModelFile } from "./modelFromFile.js";

export interface Target {
  readonly name: string;
  readonly kind: HeadToAttack["kind"] | "tfjs" | "onnx";
  /** File of the head or model; null for the backbone's own head. */
  readonly file: string | null;
  readonly fingerprint: string;
  /** Over images; without gradients a black box. */
  readonly model: Classifier | DifferentiableClassifier;
  /** The same model with gradients that see through its gates. */
  readonly surrogate: DifferentiableClassifier | undefined;
}

export interface Targets {
  readonly targets: readonly Target[];
  readonly images: TestImages;
  readonly dataset: string;
  /** The backbone of the heads, or the model itself. */
  readonly network: { readonly id: string; readonly fingerprint: string };
  readonly backend: string;
  readonly workers: number;
  close(): Promise<void>;
}

/** Throws DataError, FormatError, SettingError or UnsupportedError naming the flag or file at fault; nothing is left open then. */
export async function openTargets(config: AttackConfig, tools: ProgressTools): Promise<Targets> {
  return config.model === undefined ? openHeads(config, tools) : openWhole(config, config.model, tools);
}

async function openHeads(config: AttackConfig, tools: ProgressTools): Promise<Targets> {
  const { heads, setting, backboneFingerprint } = await findSubjects(config);
  const images = await loadTestImages(setting, tools);
  const { extractor, head: own } = await openBackbone(setting);
  try {
    if (backboneFingerprint !== null && backboneFingerprint !== extractor.fingerprint) {
      throw new DataError({
        argument: "--run",
        expected: `the backbone ${backboneFingerprint.slice(0, 12)} that its heads were trained on`,
        received: `${extractor.fingerprint.slice(0, 12)} from ${setting.weights ?? setting.backbone}`,
      });
    }
    const targets = heads.map(({ classifier, surrogate, ...head }) => ({
      ...head,
      model: attach(extractor, classifier ?? own),
      surrogate: surrogate ? attach(extractor, surrogate) : undefined,
    }));
    const { id, fingerprint, backend, workers } = extractor;
    const network = { id, fingerprint };
    return { targets, images, dataset: setting.data, network, backend, workers, close: () => extractor.close() };
  } catch (error) {
    await extractor.close();
    throw error;
  }
}

async function openWhole(config: AttackConfig, name: string, tools: ProgressTools): Promise<Targets> {
  const setting = settingOf(config);
  const images = await loadTestImages(setting, tools);
  const { path, kind, model, fingerprint, backend, close } = await openModelFile(
    name,
    images.test.inputs.shape.slice(1),
    config,
  );
  const classes = images.classNames.length;
  if (model.classCount < classes) {
    close();
    const expected = `logits of ${classes} classes, as ${setting.data} has`;
    throw new FormatError({ argument: "--model", expected, received: model.classCount, hint: path });
  }
  return {
    targets: [{ name: basename(path), kind, file: path, fingerprint, model, surrogate: undefined }],
    images,
    dataset: setting.data,
    network: { id: path, fingerprint },
    backend,
    workers: 0,
    close: async () => close(),
  };
}
