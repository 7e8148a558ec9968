// The factored trainer with its first stages and its checks. Many features are first replaced by a few directions, many samples by an
// eighth of them: such a network is nearly right, so that few steps remain. Both ends of the gap are then computed once more from the
// data, by code that the trainer does not use for its steps.

import { type AttackPart, createCertifier, type DetailedCertificate } from "../certificate.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { type ObjectiveParts, robustObjective } from "../robustObjective.js";
import type { FactoredHooks, FactoredOutcome, FactoredSettings, FactoredState, FactoredStatus } from "./contracts.js";
import { trainInLeadingDirections } from "./leadingDirections.js";
import type { ObjectiveProblem } from "./objective.js";
import { startFromSample } from "./sampleStage.js";
import { type FactoredStart, fromAttacks, fromEarlierFit } from "./starts.js";
import { trainFactored } from "./trainFactored.js";

/** Gap, in the tolerance, below which attacks are worth going on from. */
const nearlySolved = 3;

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
  const { data, labels, hingeWeights, radius, beta, activation, set = null } = problem;
  const certifier = createCertifier(data.dimension, data.kernels);
  let [seen, certificate]: [readonly AttackPart[], DetailedCertificate | null] = [[], null];
  const certify = ({ dual: parts }: FactoredOutcome): DetailedCertificate => {
    const points = data.points ?? data.rows;
    if (parts !== seen || !certificate) {
      certificate = certifier.certify({ points, labels, radius, parts, hingeWeights, beta, activation, set });
    }
    seen = parts;
    return certificate;
  };
  const outcome = train(problem, settings, hooks, warm, certify);
  const neurons: Neurons = { directions: outcome.directions, weights: outcome.weights, activation };
  const quadratic = quadraticFromNeurons(neurons, data.dimension);
  const objective = robustObjective(quadratic, data.rows, labels, radius, hingeWeights, beta, data.kernels, { set });
  const { lowerBound } = certify(outcome);
  const { rounds: iterations, evaluations, state } = outcome;
  // A network that rounding spoils, at huge radii, does not keep what the trainer thought of it.
  const reached = objective.total - lowerBound <= 1.01 * settings.tolerance * objective.total;
  const status = outcome.status === "optimal" && !reached ? "stalled" : outcome.status;
  const warmStart = warm === null ? "none" : outcome.rejected ? "rejected" : "used";
  return { status, neurons, quadratic, objective, lowerBound, iterations, evaluations, warmStart, state };
}

/** Whether a state holds neurons of so many features. */
export function suits({ vectors, signs }: FactoredState, features: number): boolean {
  return signs.length > 0 && vectors.length === signs.length * features;
}

function train(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  hooks: FactoredHooks,
  warm: FactoredState | null,
  certify: (outcome: FactoredOutcome) => DetailedCertificate,
): FactoredOutcome {
  const started = performance.now();
  const leading = trainInLeadingDirections(problem, settings, hooks, certify, warm);
  if (leading?.status === "optimal") return leading;
  const start = leading
    ? goOn(leading, settings)
    : warm
      ? fromEarlierFit(warm)
      : startFromSample(problem, settings, hooks);
  const left = settings.timeLimitSeconds - (performance.now() - started) / 1000;
  return trainFactored(problem, { ...settings, timeLimitSeconds: left }, hooks, start);
}

/** With all features from what the leading directions gave. */
function goOn({ state, dual, upper, lower }: FactoredOutcome, { tolerance }: FactoredSettings): FactoredStart {
  return upper - lower < nearlySolved * tolerance * upper ? fromAttacks(state, dual) : fromEarlierFit(state);
}
