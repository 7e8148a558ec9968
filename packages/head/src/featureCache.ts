// Backbone features of a data set, kept on disk by fingerprint: extracted once, read afterwards.
// File: <folder>/features-<hash>.safetensors with tensor `features` [samples, features] in float32.

import { join } from "node:path";
import {
  checkFinite,
  concatBatches,
  type FeatureExtractor,
  fingerprint,
  inChunks,
  type NumericBatch,
  sampleCount,
  throwIfAborted,
  type WorkOptions,
} from "@worstcase/core";
import { readSafetensors, toFloat32, writeSafetensors } from "@worstcase/safetensors";
import { readIfPresent, writeWhole } from "./files.js";

export interface FeatureCacheOptions extends WorkOptions {
  /** Folder of the cache; null extracts without keeping. */
  readonly folder: string | null;
  /** Images per call of the extractor (also the step of progress events). */
  readonly chunk?: number;
  /** Shown in progress events, for example `train`. */
  readonly label?: string;
}

/**
 * Features `[samples, features]` (float32) of `images`, from the cache when extractor and images are the same to the byte.
 * A damaged cache file is ignored and replaced. Throws DataError when the backbone returns a value that is not finite.
 */
export async function cachedFeatures(
  extractor: FeatureExtractor,
  images: NumericBatch,
  options: FeatureCacheOptions,
): Promise<NumericBatch & { data: Float32Array; fromCache: boolean }> {
  const count = sampleCount(images);
  const key = fingerprint("features 1", extractor.fingerprint, images.shape.join(","), images.data);
  const path = options.folder === null ? null : join(options.folder, `features-${key.slice(0, 24)}.safetensors`);
  const shape = [count, extractor.featureCount];
  const kept = path && (await readIfPresent(path));
  if (kept) {
    const data = decode(kept, key, shape);
    if (data) return { data, shape, fromCache: true };
  }
  const parts: NumericBatch[] = [];
  const task = `features${options.label ? ` ${options.label}` : ""}`;
  for (const { to, inputs } of inChunks(images, options.chunk ?? 512)) {
    throwIfAborted(options.signal, task);
    parts.push(await extractor.features(inputs));
    options.onEvent?.({ type: "progress", task, done: to, total: count });
  }
  const data = Float32Array.from(concatBatches(parts).data);
  checkFinite(data, "features", extractor.featureCount);
  if (path) {
    const bytes = writeSafetensors(new Map([["features", { type: "F32" as const, shape, data }]]), {
      key,
      extractor: extractor.id,
    });
    await writeWhole(path, bytes);
  }
  return { data, shape, fromCache: false };
}

function decode(bytes: Uint8Array, key: string, shape: readonly number[]): Float32Array | null {
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const tensor = tensors.get("features");
    if (!tensor || metadata.key !== key || tensor.shape.join() !== shape.join()) return null;
    return toFloat32(tensor);
  } catch {
    return null;
  }
}
