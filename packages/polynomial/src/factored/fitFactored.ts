// The factored trainer with its start and its checks. Many samples are first replaced by an eighth of them: that network is
// nearly right for all, so that few steps on all samples remain. Both ends of the gap are then computed once more from the data, by
// code that the trainer does not use for its steps.

import { createCertifier } from "../certificate.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { type ObjectiveParts, robustObjective } from "../robustObjective.js";
import type { FactoredHooks, FactoredSettings, FactoredState, FactoredStatus } from "./contracts.js";
import type { ObjectiveProblem } from "./objective.js";
import { trainFactored } from "./trainFactored.js";

/** Fewest samples of a first stage. */
const smallestSample = 2048;
const sampleRatio = 8;
/** Rounds of a first stage: it need not end at its tolerance. */
const sampleRounds = 8;

export interface FactoredFit {
  readonly status: FactoredStatus;
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  readonly objective: ObjectiveParts;
  readonly lowerBound: number;
  readonly iterations: number;
  readonly evaluations: number;
  readonly warmStart: "none" | "used" | "rejected";
  /** To start a fit of nearly the same problem with. */
  readonly state: FactoredState;
}

/** `warm`: of an earlier fit to the same or nearly the same samples, in place of the first stages. */
export function fitFactored(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  hooks: FactoredHooks,
  warm: FactoredState | null = null,
): FactoredFit {
  const started = performance.now();
  const { data, labels, hingeWeights, radius, beta, activation, set = null } = problem;
  const start = warm ?? startFromSample(problem, settings, hooks);
  const left = settings.timeLimitSeconds - (performance.now() - started) / 1000;
  const outcome = trainFactored(
    problem,
    { ...settings, timeLimitSeconds: left },
    hooks,
    start,
    !start || warm !== null,
  );
  const neurons: Neurons = { directions: outcome.directions, weights: outcome.weights, activation };
  const quadratic = quadraticFromNeurons(neurons, data.dimension);
  const objective = robustObjective(quadratic, data.rows, labels, radius, hingeWeights, beta, data.kernels, { set });
  const { lowerBound } = createCertifier(data.dimension, data.kernels).certify({
    points: data.points ?? data.rows,
    labels,
    radius,
    parts: outcome.dual,
    hingeWeights,
    beta,
    activation,
    set,
  });
  const { status, rounds: iterations, evaluations, state } = outcome;
  const warmStart = warm === null ? "none" : outcome.rejected ? "rejected" : "used";
  return { status, neurons, quadratic, objective, lowerBound, iterations, evaluations, warmStart, state };
}

/** Whether a state holds neurons of so many features. */
export function suits({ vectors, signs }: FactoredState, features: number): boolean {
  return signs.length > 0 && vectors.length === signs.length * features;
}

/** The outcome on an eighth of the samples, with class totals as in the whole; null where that would leave too few. */
function startFromSample(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  hooks: FactoredHooks,
): FactoredState | null {
  const { data, labels, hingeWeights } = problem;
  const count = Math.floor(data.samples / sampleRatio);
  if (count < smallestSample) return null;
  const { data: sampled, indices } = data.sample(count);
  const [all, some] = [
    [0, 0],
    [0, 0],
  ];
  const side = (i: number) => (labels[i] > 0 ? 1 : 0);
  for (let i = 0; i < data.samples; i++) all[side(i)] += hingeWeights[i];
  for (const i of indices) some[side(i)] += hingeWeights[i];
  if (!(some[0] > 0 && some[1] > 0)) return null;
  const smaller: ObjectiveProblem = {
    ...problem,
    data: sampled,
    labels: Float64Array.from(indices, (i) => labels[i]),
    hingeWeights: Float64Array.from(indices, (i) => (hingeWeights[i] * all[side(i)]) / some[side(i)]),
  };
  const start = startFromSample(smaller, settings, hooks);
  const limits = { ...settings, maxRounds: Math.min(settings.maxRounds, sampleRounds) };
  const outcome = trainFactored(smaller, limits, { signal: hooks.signal, onRound: () => {} }, start);
  return outcome.weights.length > 0 ? outcome.state : null;
}
