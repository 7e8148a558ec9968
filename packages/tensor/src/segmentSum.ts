// Sum of rows by segment, which the wasm backend lacks and the gradient of tf.gather needs.
//   sum[s, ...] = sum over rows r with ids[r] = s of x[r, ...]; ids outside 0 .. segments - 1 are left out
// x: [...ids, ...rest]   ids: int32   sum: [segments, ...rest]

import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { HeapBackend } from "./inputGradient.js";

export function segmentSum(x: TensorInfo, ids: TensorInfo, segments: number, backend: HeapBackend): TensorInfo {
  const rest = x.shape.slice(ids.shape.length);
  const width = rest.reduce((product, length) => product * length, 1);
  const output = backend.makeOutput([segments, ...rest], x.dtype as "float32");
  const segmentOf = backend.typedArrayFromHeap(ids);
  const values = backend.typedArrayFromHeap(x);
  const sums = backend.typedArrayFromHeap(output).fill(0);
  for (let row = 0; row < segmentOf.length; row++) {
    const segment = segmentOf[row]!;
    if (segment < 0 || segment >= segments) continue;
    for (let i = 0; i < width; i++) sums[segment * width + i]! += values[row * width + i]!;
  }
  return output;
}
