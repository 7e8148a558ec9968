// The state of a training run after a whole epoch: everything that the rest of the run depends on, so that resuming gives the same bits.

import { FormatError, type RngState, SettingError } from "@worstcase/core";
import { readSafetensors, toFloat32, writeSafetensors } from "@worstcase/safetensors";
import type { Architecture } from "../architecture.js";
import type { NetworkWeights, WeightTensor } from "../weights.js";

export interface EpochRecord {
  /** From 1. */
  readonly epoch: number;
  /** Means over the epoch's training batches, augmented and in training mode; the loss with label smoothing. */
  readonly loss: number;
  readonly accuracy: number;
  /** In inference mode, without smoothing; null without validation data. */
  readonly validationLoss: number | null;
  readonly validationAccuracy: number | null;
  readonly learningRate: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface TrainingState {
  readonly format: 1;
  readonly architecture: Architecture;
  /** JSON of the settings and the fingerprint of the data; resuming with others is refused. */
  readonly settings: string;
  /** Epochs done. */
  readonly epoch: number;
  readonly rng: RngState;
  /** Weights and running statistics in PyTorch's names and layouts, ready for `saveWeights`. */
  readonly weights: NetworkWeights;
  /** Momentum buffers by parameter. */
  readonly velocities: NetworkWeights;
  readonly history: readonly EpochRecord[];
}

const velocityPrefix = "velocity.";
const stateKey = "training_state";

/** The state as the bytes of a safetensors file. */
export function saveTrainingState(state: TrainingState): Uint8Array {
  const { weights, velocities, ...rest } = state;
  const all = [...weights, ...[...velocities].map(([name, tensor]) => [velocityPrefix + name, tensor] as const)];
  const tensors = new Map(all.map(([name, { shape, data }]) => [name, { type: "F32" as const, shape, data }]));
  return writeSafetensors(tensors, { [stateKey]: JSON.stringify(rest) });
}

/** The state from the bytes of `saveTrainingState`. Throws FormatError when they are not such a file. */
export function loadTrainingState(bytes: Uint8Array): TrainingState {
  const { tensors, metadata } = readSafetensors(bytes);
  const weights = new Map<string, WeightTensor>();
  const velocities = new Map<string, WeightTensor>();
  for (const [name, tensor] of tensors) {
    const value = { shape: tensor.shape, data: toFloat32(tensor) };
    if (name.startsWith(velocityPrefix)) velocities.set(name.slice(velocityPrefix.length), value);
    else weights.set(name, value);
  }
  let rest: Omit<TrainingState, "weights" | "velocities"> | undefined;
  try {
    rest = JSON.parse(metadata[stateKey] ?? "");
  } catch {
    rest = undefined;
  }
  if (rest?.format !== 1 || !Number.isInteger(rest.epoch)) {
    const received = metadata[stateKey] ?? "no such metadata";
    throw new FormatError({ argument: stateKey, expected: "a training state of format 1", received });
  }
  return { ...rest, weights, velocities };
}

/** Throws SettingError naming the first setting in which a run and the state to resume differ. */
export function checkSameSettings(current: string, state: TrainingState): void {
  const [ours, theirs] = [JSON.parse(current), JSON.parse(state.settings)] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(ours!), ...Object.keys(theirs!)])) {
    const [expected, received] = [theirs![key], ours![key]].map((value) => JSON.stringify(value) ?? "nothing");
    if (expected === received) continue;
    const hint = "the run that is resumed had this setting; start a new run from its weights instead";
    throw new SettingError({ argument: `options.${key}`, expected: expected!, received, hint });
  }
}
