// Loss and accuracy of weights on labelled images in inference mode: frozen norms, folded as the extractor folds them.

import { type LabelledBatch, sampleCount, sliceBatch } from "@worstcase/core";
import type { BackendName } from "@worstcase/tensor";
import type { Architecture } from "../architecture.js";
import { activate, nextTurn } from "../backend.js";
import { foldNetwork, type Normalisation } from "../fold.js";
import { FrozenNetwork } from "../frozenNetwork.js";
import type { NetworkWeights } from "../weights.js";
import { crossEntropy } from "./loss.js";

/** Mean cross entropy (no smoothing) and accuracy in [0, 1]. */
export async function evaluateNetwork(
  architecture: Architecture,
  weights: NetworkWeights,
  normalisation: Normalisation,
  batch: LabelledBatch,
  backend: BackendName,
  batchSize = 64,
): Promise<{ loss: number; accuracy: number }> {
  const weight = weights.get("linear.weight")!;
  const bias = weights.get("linear.bias")!.data;
  const [classes, features] = weight.shape as [number, number];
  const count = sampleCount(batch.inputs);
  await activate(backend);
  const network = new FrozenNetwork(foldNetwork(architecture, weights, normalisation));
  let loss = 0;
  let correct = 0;
  try {
    for (let from = 0; from < count; from += batchSize) {
      const to = Math.min(count, from + batchSize);
      const images = new Float32Array(sliceBatch(batch.inputs, from, to).data);
      await activate(backend);
      const { data } = await network.forward(images, to - from, false);
      const logits = new Float64Array((to - from) * classes);
      for (let i = 0; i < to - from; i++) {
        for (let k = 0; k < classes; k++) {
          let sum = bias[k]!;
          for (let j = 0; j < features; j++) sum += weight.data[k * features + j]! * data[i * features + j]!;
          logits[i * classes + k] = sum;
        }
      }
      const part = crossEntropy(logits, batch.labels.subarray(from, to), 0);
      loss += part.loss * (to - from);
      correct += part.correct;
      await nextTurn();
    }
  } finally {
    network.dispose();
  }
  return { loss: loss / count, accuracy: correct / count };
}
