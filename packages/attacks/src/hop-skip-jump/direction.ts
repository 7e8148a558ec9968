// Monte-Carlo estimate of the boundary's normal in HopSkipJump (arXiv 1904.02144, section 3.2), unit length in l2, signs in linf.
// directions: [samples, size]

import type { Classifier, Norm, Rng } from "@worstcase/core";
import { predictedClasses } from "@worstcase/core";
import { clip } from "../clip.js";
import type { ModelCalls } from "../modelCalls.js";
import type { Values } from "../perturbationSet.js";

export interface DirectionOptions {
  readonly norm: Norm;
  readonly queries: number;
  /** Distance of the probes from the point of a sample. */
  readonly delta: (sample: number) => number;
  readonly rngs: readonly Rng[];
}

export async function estimateDirections(
  calls: ModelCalls<Classifier>,
  points: Values,
  active: Int32Array,
  { norm, queries, delta, rngs }: DirectionOptions,
): Promise<Float64Array> {
  const { size, batch, model } = calls;
  const probes = batch.inputs.data.slice();
  // sum of u and of phi u; with the mean of phi they give sum (phi - mean) u
  const plain = new Float64Array(probes.length);
  const signed = new Float64Array(probes.length);
  const agreement = new Float64Array(batch.labels.length);
  for (let query = 0; query < queries; query++) {
    for (const i of active) {
      const rng = rngs[i];
      const base = i * size;
      let length = 0;
      for (let k = base; k < base + size; k++) {
        probes[k] = norm === "l2" ? rng.normal() : 2 * rng.uniform() - 1;
        length += probes[k] * probes[k];
      }
      const scale = delta(i) / Math.sqrt(length);
      for (let k = base; k < base + size; k++) {
        probes[k] = clip(points[k] + scale * probes[k], batch.inputs.data[k], model.bounds);
      }
    }
    const predicted = predictedClasses(await calls.logits(probes, active));
    for (let j = 0; j < active.length; j++) {
      const i = active[j];
      const phi = predicted[j] !== batch.labels[i] ? 1 : -1;
      agreement[i] += phi;
      const step = delta(i);
      for (let k = i * size; k < (i + 1) * size; k++) {
        const u = (probes[k] - points[k]) / step;
        plain[k] += u;
        signed[k] += phi * u;
      }
    }
  }
  for (const i of active) {
    const mean = agreement[i] / queries;
    let length = 0;
    for (let k = i * size; k < (i + 1) * size; k++) {
      // when all probes agree there is no contrast; their mean direction is all that is known
      const value = Math.abs(mean) === 1 ? mean * plain[k] : signed[k] - mean * plain[k];
      signed[k] = norm === "linf" ? Math.sign(value) : value;
      length += value * value;
    }
    if (norm === "l2") for (let k = i * size; k < (i + 1) * size; k++) signed[k] /= Math.sqrt(length) || 1;
  }
  return signed;
}
