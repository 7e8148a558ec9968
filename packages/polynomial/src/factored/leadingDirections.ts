// A first stage for many features (docs/decisions/0003): last-layer features hold nearly all of their variance in a few directions, and an
// optimal network and its attacks hardly leave them. Training happens in a subspace (subspace.ts): leading principal directions, and
// those in which a first network's moments leave these. Network and attacks are then looked at with all features. Objective and bound
// are of the whole problem; only the certificate may fail outside of the subspace, and where it does, its directions join.

import { throwIfAborted } from "@worstcase/core";
import type { DetailedCertificate } from "../certificate.js";
import { candidates } from "./candidates.js";
import { extendBasis } from "./classDifferences.js";
import type { FactoredHooks, FactoredOutcome, FactoredSettings, FactoredState } from "./contracts.js";
import { directionsOutside, firstNetwork } from "./firstNetwork.js";
import { shiftMeans } from "./meanShift.js";
import type { ObjectiveProblem } from "./objective.js";
import { sampled, startFromSample } from "./sampleStage.js";
import { type FactoredStart, firstWidth, fromAttacks, fromEarlierFit, fromSteps } from "./starts.js";
import { coordinates, lifted, padded, projected, withDirections } from "./subspace.js";
import { toNetwork } from "./toNetwork.js";
import { trainFactored } from "./trainFactored.js";

/** Principal directions, the least share of the variance they have to hold, and how many times as many features there have to be. */
const leading = 64;
const leastShare = 0.9;
const featureRatio = 4;
/** Samples of the first network. */
const sampleSize = 4096;
/** Directions a first network may add, and their least coupling to the others, in beta. */
const coupled = { most: 16, least: 0.02 };
/** Times the subspace grows by what a certificate finds, by so many directions a side. */
const growths = 3;
const perSide = 6;
/** Rounds in a subspace that has grown. */
const laterRounds = 3;
/** Tolerance below which the rest is left to all features: it needs more of the directions that hold little. */
const finest = 1e-2;
/** Share of the tolerance to reach in the subspace, and where no shift of the attacks (meanShift.ts) can help outside of it. */
const withinSubspace = 0.95;
const withoutShift = 0.6;

const rowsOf = (rows: Float64Array, d: number): Float64Array[] =>
  Array.from({ length: rows.length / d }, (_, j) => rows.subarray(j * d, (j + 1) * d));

/**
 * The outcome in the subspace with a certificate of the whole problem; null where the features are few, or spread over many directions,
 * or the adversary is not a ball. `warm`: of an earlier fit, in place of first steps.
 */
export function trainInLeadingDirections(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  hooks: FactoredHooks,
  certify: (outcome: FactoredOutcome) => DetailedCertificate,
  warm: FactoredState | null = null,
): FactoredOutcome | null {
  const { data, activation, beta, radius, set = null } = problem;
  const { dimension: d } = data;
  const tolerance = Math.max(settings.tolerance, finest);
  if (set || d < featureRatio * leading || data.samples < d) return null;
  const { directions, share } = data.principal(leading);
  if (share < leastShare) return null;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const width = firstWidth({ tolerance });
  const own = warm ? extendBasis(directions, d, rowsOf(warm.vectors, d), leading + warm.signs.length) : directions;
  const inner = projected(problem, own);
  const few = data.samples > sampleSize ? sampled(inner, sampleSize) : inner;
  if (!few) return null;
  const first = warm
    ? { vectors: coordinates(warm.vectors, own, d), signs: warm.signs, evaluations: 0 }
    : firstNetwork(few, width, hooks.signal);
  const outside = directionsOutside(first, inner, data, own, { width, ...coupled });
  let basis = extendBasis(own, d, outside, own.length / d + outside.length);
  const vectors = padded(first.vectors, own.length / d, basis.length / d);
  const state: FactoredState = { kind: "factored", width, dualWidth: width, ...warm, vectors, signs: first.signs };
  let start: FactoredStart | null = warm ? fromEarlierFit(state) : fromSteps(state, tolerance);
  let rounds = 0;
  let rejected = false;
  let evaluations = first.evaluations;
  for (let growth = 0; ; growth++) {
    throwIfAborted(hooks.signal, "training");
    const k = basis.length / d;
    const reduced = projected(problem, basis);
    const inside: FactoredOutcome = trainFactored(
      reduced,
      {
        ...settings,
        tolerance: (radius > 0 ? withinSubspace : withoutShift) * tolerance,
        maxRounds: growth === 0 ? settings.maxRounds : laterRounds,
        timeLimitSeconds: settings.timeLimitSeconds - seconds(),
        maxEvaluations: settings.maxEvaluations - evaluations,
      },
      { signal: hooks.signal, onRound: () => {} },
      growth > 0 || warm ? start : (startFromSample(reduced, settings, hooks) ?? start),
    );
    rounds++;
    evaluations += inside.evaluations;
    if (growth === 0) rejected = inside.rejected;
    if (inside.state.signs.length === 0) return null;
    const vectors = lifted(inside.state.vectors, basis, d);
    const whole: FactoredOutcome = {
      ...inside,
      ...toNetwork(vectors, inside.state.signs, d),
      rounds,
      evaluations,
      rejected,
      dual: shiftMeans(
        problem,
        withDirections(inside.dual, (rows) => lifted(rows, basis, d)),
        basis,
      ),
      state: { ...inside.state, vectors },
    };
    const certificate = certify(whole);
    const { upper } = inside;
    const lower = certificate.lowerBound;
    const gap = (upper - lower) / upper;
    const neurons = inside.state.signs.length;
    hooks.onRound({ round: rounds, upper, lower, gap, neurons, evaluations, seconds: seconds() });
    if (gap <= settings.tolerance) return { ...whole, lower, status: "optimal" };
    if (gap <= tolerance) return { ...whole, lower, status: "stalled" };
    const missing = candidates(certificate, activation, perSide, beta).map(({ direction }) => direction);
    const wider = extendBasis(basis, d, missing, Math.min(k + missing.length, d));
    const limited = inside.status === "time-limit" || inside.status === "evaluation-limit";
    if (growth === growths || limited || wider === basis) return { ...whole, lower, status: "stalled" };
    const grown = wider.length / d;
    // What a match of the classes decided is matched again.
    const next = { ...inside.state, vectors: padded(inside.state.vectors, k, grown) };
    const attacks = withDirections(inside.dual, (rows) => padded(rows, k, grown));
    start = inside.rounds === 0 ? null : fromAttacks(next, attacks);
    basis = wider;
  }
}
