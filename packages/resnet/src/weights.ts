// Named weights of a network, read from safetensors and PyTorch files and written to safetensors.
// Names and layouts are PyTorch's: filters [out, in, height, width], linear [out, in].

import { SettingError } from "@worstcase/core";
import { readSafetensors, toFloat32, writeSafetensors } from "@worstcase/safetensors";
import { isLegacyPytorch, readLegacyPytorchFile } from "./legacyPytorchFile.js";
import { readPytorchFile } from "./pytorchFile.js";
import { isZip } from "./storedZip.js";

export interface WeightTensor {
  readonly shape: readonly number[];
  /** Row-major, length = product of `shape`. */
  readonly data: Float32Array;
}

export type NetworkWeights = ReadonlyMap<string, WeightTensor>;

/**
 * Weights by name from the bytes of a safetensors file or of a PyTorch file (`.pt`, `.pth`, `.th`; the zip form and the one of before 1.6) that holds a
 * state dict, itself or under the key `state_dict`. The prefix `module.` of DataParallel, when every name has it, and the counters `num_batches_tracked`
 * are removed; half precision and float64 become float32. Throws FormatError when the file is truncated, of another format, or holds anything but tensors.
 */
export function loadWeights(bytes: Uint8Array): Map<string, WeightTensor> {
  if (!(bytes instanceof Uint8Array)) {
    throw new SettingError({ argument: "bytes", expected: "a Uint8Array", received: bytes });
  }
  if (isZip(bytes)) return tidyNames(readPytorchFile(bytes));
  if (isLegacyPytorch(bytes)) return tidyNames(readLegacyPytorchFile(bytes));
  const { tensors } = readSafetensors(bytes);
  return tidyNames(
    new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: toFloat32(tensor) }])),
  );
}

/** The bytes of a safetensors file with these weights and text metadata. */
export function saveWeights(weights: NetworkWeights, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const tensors = new Map([...weights].map(([name, { shape, data }]) => [name, { type: "F32" as const, shape, data }]));
  return writeSafetensors(tensors, metadata);
}

function tidyNames(weights: Map<string, WeightTensor>): Map<string, WeightTensor> {
  const prefix = "module.";
  const wrapped = weights.size > 0 && [...weights.keys()].every((name) => name.startsWith(prefix));
  const tidied = new Map<string, WeightTensor>();
  for (const [name, tensor] of weights) {
    if (!name.endsWith("num_batches_tracked")) tidied.set(wrapped ? name.slice(prefix.length) : name, tensor);
  }
  return tidied;
}
