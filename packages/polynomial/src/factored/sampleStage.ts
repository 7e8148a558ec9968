// A first stage on an eighth of the samples: its network is nearly right for all, so that few steps on all samples remain.

import type { FactoredHooks, FactoredSettings } from "./contracts.js";
import type { ObjectiveProblem } from "./objective.js";
import { everyRow } from "./rowSource.js";
import { type FactoredStart, fromSample } from "./starts.js";
import { trainFactored } from "./trainFactored.js";

/** Fewest samples of a stage. */
const smallestSample = 2048;
const sampleRatio = 8;
/** Rounds of a stage: it need not end at its tolerance. */
const sampleRounds = 8;

/** The outcome on an eighth of the samples, which itself starts so; null where that would leave too few. */
export function startFromSample(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  hooks: FactoredHooks,
): FactoredStart | null {
  const count = Math.floor(problem.data.samples / sampleRatio);
  if (count < smallestSample) return null;
  const smaller = sampled(problem, count);
  if (!smaller) return null;
  const start = startFromSample(smaller, settings, hooks);
  const limits = { ...settings, maxRounds: Math.min(settings.maxRounds, sampleRounds) };
  const { weights, state } = trainFactored(smaller, limits, { signal: hooks.signal, onRound: () => {} }, start);
  return weights.length > 0 ? fromSample(state) : null;
}

/** The problem of some samples, with class totals as in the whole; null where a class would have no weight. */
export function sampled(problem: ObjectiveProblem, count: number): ObjectiveProblem | null {
  const { labels, hingeWeights } = problem;
  const { data, indices } = problem.data.sample(count);
  const all = sideWeights(labels, hingeWeights, everyRow(labels.length));
  const some = sideWeights(labels, hingeWeights, indices);
  if (!(some[0] > 0 && some[1] > 0)) return null;
  const share = [all[0] / some[0], all[1] / some[1]];
  return {
    ...problem,
    data,
    labels: Float64Array.from(indices, (i) => labels[i]),
    hingeWeights: Float64Array.from(indices, (i) => hingeWeights[i] * share[labels[i] > 0 ? 1 : 0]),
  };
}

/** Hinge weight of the samples with label -1, and with +1. */
function sideWeights(labels: Float64Array, hingeWeights: Float64Array, samples: Int32Array): [number, number] {
  const sums: [number, number] = [0, 0];
  for (let t = 0; t < samples.length; t++) sums[labels[samples[t]] > 0 ? 1 : 0] += hingeWeights[samples[t]];
  return sums;
}
