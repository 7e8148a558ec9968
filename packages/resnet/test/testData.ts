// Shared by the tests: fixtures from PyTorch and, when present, the public data of the development machine.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { NumericBatch } from "@worstcase/core";
import { readSafetensors, toFloat32 } from "@worstcase/safetensors";
import type { Normalisation } from "../src/fold.js";
import { loadWeights, type WeightTensor } from "../src/weights.js";

/** The normalisation of `make_fixtures.py`. */
export const fixtureNormalisation: Normalisation = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] };

export interface Fixture {
  readonly bytes: Uint8Array;
  readonly weights: Map<string, WeightTensor>;
  readonly images: NumericBatch & { readonly data: Float32Array };
  /** A reference value by its name without `fixture.`. */
  value(name: string): WeightTensor;
}

export function readFixture(name: string): Fixture {
  const bytes = readFileSync(new URL(`../fixtures/${name}.safetensors`, import.meta.url));
  const { tensors } = readSafetensors(bytes);
  const value = (key: string) => {
    const tensor = tensors.get(`fixture.${key}`);
    if (!tensor) throw new Error(`no ${key} in fixture ${name}`);
    return { shape: tensor.shape, data: toFloat32(tensor) };
  };
  const pixels = value("images");
  const weights = loadWeights(bytes);
  for (const key of [...weights.keys()]) if (key.startsWith("fixture.")) weights.delete(key);
  return { bytes, weights, images: { shape: pixels.shape, data: pixels.data.map((byte) => byte / 255) }, value };
}

/** Largest |a - b| over the largest |b|. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths ${a.length} and ${b.length}`);
  let error = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    error = Math.max(error, Math.abs(a[i]! - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
    if (Number.isNaN(a[i]!)) return Number.NaN;
  }
  return error / scale;
}

/** Path of a file of the public data, or null when it is not on this machine. */
export function dataFile(path: string): string | null {
  const root = process.env.WORSTCASE_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
  const file = `${root}/${path}`;
  return existsSync(file) ? file : null;
}
