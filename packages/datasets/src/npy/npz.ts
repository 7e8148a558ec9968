// Numpy's .npz files in memory: a zip of .npy files; and labelled features kept in one.

import { checkBatch, checkLabels, FormatError, type LabelledBatch, ResourceError } from "@worstcase/core";
import { unzipSync, zipSync } from "fflate";
import { readNpy, writeNpy } from "./npy.js";
import type { NpyArray } from "./npyTypes.js";

const defaultBytes = 2 ** 30;

/**
 * Arrays by name. `limits.bytes` (default 1 GiB) bounds the sum of unpacked sizes, which is checked before unpacking. Throws
 * FormatError for a damaged zip or member, ResourceError above the limit.
 */
export function readNpz(bytes: Uint8Array, limits: { readonly bytes?: number } = {}): Map<string, NpyArray> {
  const limit = limits.bytes ?? defaultBytes;
  let total = 0;
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes, {
      filter: ({ originalSize, name }) => {
        total += originalSize;
        if (total > limit) {
          const hint = "raise limits.bytes if the file is trusted";
          throw new ResourceError({
            argument: `npz member ${name}`,
            expected: `at most ${limit} bytes in all`,
            received: total,
            hint,
          });
        }
        return name.endsWith(".npy");
      },
    });
  } catch (cause) {
    if (cause instanceof ResourceError) throw cause;
    throw new FormatError({ argument: "npz file", expected: "a zip of npy files", received: String(cause) }, { cause });
  }
  return new Map(Object.entries(files).map(([name, file]) => [name.slice(0, -4), readNpy(file, `npz member ${name}`)]));
}

/** The bytes of an uncompressed .npz file. Equal input gives equal bytes. Throws as {@link writeNpy}. */
export function writeNpz(arrays: ReadonlyMap<string, NpyArray>): Uint8Array {
  const files = [...arrays].map(([name, array]) => [`${name}.npy`, writeNpy(array)] as const);
  return zipSync(Object.fromEntries(files), { level: 0, mtime: new Date(1980, 0, 1) });
}

/**
 * Features `[samples, features]` and labels `[samples]` of an .npz with the arrays `features` (float) and `labels` (integers >= 0), as
 * {@link writeNpz} writes them. Throws FormatError when one is missing or of another type, ShapeError or DataError when they do not fit.
 */
export function readLabelledFeatures(bytes: Uint8Array, limits: { readonly bytes?: number } = {}): LabelledBatch {
  const arrays = readNpz(bytes, limits);
  const features = arrays.get("features");
  const given = arrays.get("labels");
  const isFloat = features?.data instanceof Float32Array || features?.data instanceof Float64Array;
  if (!features || !isFloat || !given || given.data instanceof Float32Array || given.data instanceof Float64Array) {
    const expected = "the arrays features (float32 or float64) and labels (integers)";
    throw new FormatError({ argument: "npz file", expected, received: [...arrays.keys()] });
  }
  const inputs = { data: features.data as Float32Array | Float64Array, shape: features.shape };
  checkBatch(inputs, "features");
  const labels = Int32Array.from(given.data as ArrayLike<number | bigint>, Number);
  checkLabels(labels, inputs.shape[0]!, 2 ** 31 - 1);
  return { inputs, labels, indices: labels.map((_, i) => i) };
}
