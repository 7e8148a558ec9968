// Large-scale trainer (solvers.md 4): L-BFGS on a factored network against exact attacks, a restricted master for the dual
// weights, and the sphere oracle that certifies, or adds neurons. Deterministic. Works for any radius, 0 included.

import { throwIfAborted } from "@worstcase/core";
import { type Attack, createCertifier, type DetailedCertificate } from "../certificate.js";
import { createLbfgs } from "./lbfgs.js";
import { createMaster } from "./master.js";
import { createObjective, type ObjectiveProblem, type Smoothing } from "./objective.js";

export interface FactoredSettings {
  readonly tolerance: number;
  readonly maxRounds: number;
  readonly maxEvaluations: number;
  readonly evaluationsPerRound: number;
  readonly timeLimitSeconds: number;
  readonly smoothing: "auto" | "never" | "always";
}

export type FactoredStatus = "optimal" | "zero-optimal" | "stalled" | "round-limit" | "evaluation-limit" | "time-limit";

export interface RoundReport {
  readonly round: number;
  /** Objective of the best network so far, and the certified lower bound so far. */
  readonly upper: number;
  readonly lower: number;
  readonly gap: number;
  readonly neurons: number;
  readonly evaluations: number;
  readonly seconds: number;
}

export interface FactoredOutcome {
  readonly status: FactoredStatus;
  /** Unit directions `[K, d]` and weights alpha `[K]`. */
  readonly directions: Float64Array;
  readonly weights: Float64Array;
  readonly upper: number;
  readonly lower: number;
  readonly rounds: number;
  readonly evaluations: number;
  readonly dual: DualPoint;
}

/** Weights and attacks of the best lower bound: enough to check it again from the data. */
interface DualPoint {
  readonly weights: Float64Array;
  readonly attack: Attack;
}

export interface FactoredHooks {
  readonly signal: AbortSignal | undefined;
  readonly onRound: (report: RoundReport) => void;
}

/** Extra eigenvectors offered as neurons on each violated side. */
const extraDirections = 2;
/** Most times a round adds violated directions to its restricted master. */
const masterAttempts = 24;

export function trainFactored(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  { signal, onRound }: FactoredHooks,
): FactoredOutcome {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const { data, labels, hingeWeights, radius, beta, activation } = problem;
  const { dimension: d, maxNeurons, points } = data;
  const certifier = createCertifier(d, data.kernels);
  const certify = (weights: Float64Array, attack: Attack): DetailedCertificate =>
    certifier.certify({ points, labels, radius, attack, weights, hingeWeights, beta, activation });
  const total = hingeWeights.reduce((sum, weight) => sum + weight, 0);

  // Zero network first: its objective is `total`, and the untouched points with full weights may prove it optimal.
  let lower = Number.NEGATIVE_INFINITY;
  let dual: DualPoint = {
    weights: hingeWeights,
    attack: { coordinates: new Float64Array(0), basis: new Float64Array(0) },
  };
  const offer = (certificate: DetailedCertificate, weights: Float64Array, attack: () => Attack) => {
    if (certificate.lowerBound <= lower) return;
    lower = certificate.lowerBound;
    dual = { weights: Float64Array.from(weights), attack: attack() };
  };
  const collapse = collapsingAttack(problem);
  offer(certify(collapse.weights, collapse.attack), collapse.weights, () => collapse.attack);
  const still: Attack = { coordinates: new Float64Array(0), basis: new Float64Array(0) };
  let certificate = certify(hingeWeights, still);
  offer(certificate, hingeWeights, () => still);
  let best = total;
  let bestNeurons = new Float64Array(0);
  let bestSigns = new Float64Array(0);
  const outcome = (status: FactoredStatus, rounds: number, evaluations: number): FactoredOutcome => ({
    ...toNetwork(bestNeurons, bestSigns, d),
    status: best === total && status === "optimal" ? "zero-optimal" : status,
    upper: best,
    lower,
    rounds,
    evaluations,
    dual,
  });
  const gapNow = () => (best - lower) / Math.max(best, Number.MIN_VALUE);
  if (gapNow() <= settings.tolerance) return outcome("optimal", 0, 0);

  const objective = createObjective(problem);
  const master = createMaster(problem);
  const lbfgs = createLbfgs(maxNeurons * d);
  let neurons = new Float64Array(maxNeurons * d);
  let signs = new Float64Array(maxNeurons);
  let count = 0;
  const push = (direction: Float64Array, sign: number, size: number) => {
    if (count === maxNeurons) return;
    const length = Math.sqrt(size);
    for (let l = 0; l < d; l++) neurons[count * d + l] = length * direction[l];
    signs[count++] = sign;
  };
  const first = 0.1 / Math.max(certificate.largest, certificate.largestNegative);
  for (const { direction, sign } of candidates(
    certificate,
    activation,
    1 + extraDirections,
    Number.NEGATIVE_INFINITY,
  )) {
    push(direction, sign, first * (count < 2 ? 1 : 0.3));
  }

  let width = 0.5;
  let dualWidth = 0.5;
  let smooth = settings.smoothing === "always";
  let stalledRounds = 0;
  let round = 0;
  let status: FactoredStatus = "round-limit";
  for (; round < settings.maxRounds; round++) {
    throwIfAborted(signal, "training");
    const gapBefore = gapNow();
    const smoothing = currentSmoothing();
    const length = count * d;
    const fixed = signs;
    const held = count;
    lbfgs.minimise((x, g) => objective.evaluate(x, fixed, held, smoothing, g), neurons, length, {
      maxSteps: settings.evaluationsPerRound,
      smallDecrease: 1e-7 * Math.max(Math.min(best, total), 1e-3 * total),
      shouldStop: () => signal?.aborted === true || limitReached() !== null,
    });
    throwIfAborted(signal, "training");
    keepIfBetter(exactValue());
    objective.evaluate(neurons, signs, count, smoothing, null);
    const reached = dualPhase();
    onRound({
      round: round + 1,
      upper: best,
      lower,
      gap: gapNow(),
      neurons: count,
      evaluations: objective.evaluations,
      seconds: seconds(),
    });
    if (gapNow() <= settings.tolerance) {
      status = "optimal";
      round++;
      break;
    }
    const limit = limitReached();
    if (limit) {
      status = limit;
      round++;
      break;
    }
    stalledRounds = gapBefore - gapNow() < 0.02 * gapBefore ? stalledRounds + 1 : 0;
    if (stalledRounds >= 4 && settings.smoothing === "auto" && !smooth && radius > 0) {
      smooth = true;
      stalledRounds = 0;
    } else if (stalledRounds >= 12) {
      status = "stalled";
      round++;
      break;
    }
    // Sharpen the hinge when its width is what separates the bounds, or when this width has given what it can.
    const blurred = reached.smoothingError > 0.3 * settings.tolerance * best;
    const exhausted = gapBefore - gapNow() < 0.1 * gapBefore;
    if (blurred && (exhausted || reached.smoothingError > reached.infeasible * best)) width *= 0.4;
    nextNeurons();
  }
  return outcome(status, round, objective.evaluations);

  function currentSmoothing(): Smoothing {
    let size = 0;
    for (let i = 0; i < count * d; i++) size += neurons[i] * neurons[i];
    const mu = smooth ? width / (4 * Math.max(1, Math.min(count, d))) : 0;
    return { width, mu, rho: activation.a * size + 1e-300 };
  }

  function limitReached(): FactoredStatus | null {
    if (objective.evaluations >= settings.maxEvaluations) return "evaluation-limit";
    return seconds() > settings.timeLimitSeconds ? "time-limit" : null;
  }

  function exactValue(): number {
    return objective.evaluate(neurons, signs, count, { width: 0, mu: 0, rho: 1 }, null);
  }

  function keepIfBetter(value: number): void {
    if (!(value < best)) return;
    best = value;
    bestNeurons = neurons.slice(0, count * d);
    bestSigns = signs.slice(0, count);
  }

  /**
   * Certifies with the weights of the restricted master, adding violated directions to it until it holds. The master has
   * a hinge width of its own: narrow widths sharpen the network, but need many directions before they certify anything.
   */
  function dualPhase(): { smoothingError: number; infeasible: number } {
    const frozen = snapshot(problem, objective.state);
    master.load(neurons, signs, count, objective.state);
    const wide = restrictedBound(frozen, dualWidth);
    let chosen = wide;
    if (gapNow() > settings.tolerance && dualWidth > 1.01 * width) {
      const narrow = restrictedBound(frozen, Math.max(width, 0.4 * dualWidth));
      if (narrow.bound > wide.bound) {
        dualWidth = Math.max(width, 0.4 * dualWidth);
        chosen = narrow;
      }
    }
    certificate = chosen.certificate;
    return { smoothingError: best - chosen.weightSum, infeasible: chosen.infeasible };
  }

  function restrictedBound(attack: Attack, masterWidth: number) {
    let result = { bound: Number.NEGATIVE_INFINITY, infeasible: 1, weightSum: 0, certificate };
    for (let attempt = 0; attempt < masterAttempts; attempt++) {
      master.solve(masterWidth);
      const found = certify(master.weights, attack);
      offer(found, master.weights, () => attack);
      const dualNorm = Math.max(found.largest, found.largestNegative);
      if (found.lowerBound > result.bound) {
        const infeasible = 1 - Math.min(1, beta / dualNorm);
        result = { bound: found.lowerBound, infeasible, weightSum: found.weightSum, certificate: found };
      }
      result = { ...result, certificate: found };
      if (dualNorm <= beta * (1 + 0.1 * settings.tolerance)) break;
      // More than a few directions only when they, and not the width of the hinge, separate the bounds.
      const worthwhile = best - found.weightSum < found.weightSum - found.lowerBound;
      if (attempt >= 3 && !worthwhile) break;
      let added = false;
      for (const { direction, sign } of candidates(found, activation, worthwhile ? 1 + extraDirections : 1, beta)) {
        added = master.add(direction, sign) || added;
      }
      if (!added) break;
    }
    return result;
  }

  /** Prunes, then takes the master's network when it is better, else adds small neurons along violated directions. */
  function nextNeurons(): void {
    const current = exactValue();
    const keptNeurons = neurons;
    const keptSigns = signs;
    const keptCount = count;
    neurons = new Float64Array(maxNeurons * d);
    signs = new Float64Array(maxNeurons);
    count = 0;
    const order = Array.from({ length: master.count }, (_, j) => j)
      .filter((j) => master.sizes[j] > 0)
      .sort((i, j) => master.sizes[j] - master.sizes[i]);
    for (const j of order) push(master.directions.subarray(j * d, (j + 1) * d), master.signs[j], master.sizes[j]);
    const proposed = count > 0 ? exactValue() : Number.POSITIVE_INFINITY;
    keepIfBetter(proposed);
    if (!(proposed < current)) {
      count = 0;
      let largest = 0;
      const squares = Array.from({ length: keptCount }, (_, j) => {
        let square = 0;
        for (let l = 0; l < d; l++) square += keptNeurons[j * d + l] ** 2;
        largest = Math.max(largest, square);
        return square;
      });
      for (let j = 0; j < keptCount; j++) {
        if (squares[j] <= 1e-7 * largest) continue;
        neurons.set(keptNeurons.subarray(j * d, (j + 1) * d), count * d);
        signs[count++] = keptSigns[j];
      }
    }
    let mass = 0;
    for (let i = 0; i < count * d; i++) mass += neurons[i] * neurons[i];
    const size = (0.02 * mass) / Math.max(1, count) || first;
    const threshold = beta * (1 + 0.2 * settings.tolerance);
    for (const { direction, sign } of candidates(certificate, activation, 1 + extraDirections, threshold)) {
      push(direction, sign, size);
    }
  }
}

/** Directions with s h(u) above the threshold: the extreme of each side, then extreme eigenvectors. */
function candidates(
  certificate: DetailedCertificate,
  { b, c }: ObjectiveProblem["activation"],
  perSide: number,
  threshold: number,
): { direction: Float64Array; sign: number }[] {
  const { extremes, linear, constant, largest, largestNegative } = certificate;
  const d = linear.length;
  const found: { direction: Float64Array; sign: number }[] = [];
  if (largest > threshold) found.push({ direction: extremes.maximum.point, sign: 1 });
  if (largestNegative > threshold) found.push({ direction: extremes.minimum.point, sign: -1 });
  for (const sign of [1, -1]) {
    if ((sign > 0 ? largest : largestNegative) <= threshold) continue;
    for (let t = 0; t < Math.min(perSide - 1, d); t++) {
      const k = sign > 0 ? d - 1 - t : t;
      const direction = extremes.eigenvectors.slice(k * d, (k + 1) * d);
      let product = 0;
      for (let l = 0; l < d; l++) product += linear[l] * direction[l];
      const along = sign * b * product;
      if (along < 0) for (let l = 0; l < d; l++) direction[l] = -direction[l];
      const value = sign * extremes.eigenvalues[k] + Math.abs(along) + sign * c * constant;
      if (value > threshold) found.push({ direction, sign });
    }
  }
  return found;
}

/** Moves every point as far as the ball allows to one common centre, with equal total weight on both classes. */
function collapsingAttack({ data, labels, hingeWeights, radius }: ObjectiveProblem): DualPoint {
  const { samples: n, dimension: d, points } = data;
  const sums = [0, 0];
  const centre = new Float64Array(d);
  for (let i = 0; i < n; i++) sums[labels[i] > 0 ? 1 : 0] += hingeWeights[i];
  const lightest = Math.min(sums[0], sums[1]);
  const weights = Float64Array.from(hingeWeights, (w, i) => (w * lightest) / (sums[labels[i] > 0 ? 1 : 0] || 1));
  for (let i = 0; i < n; i++) for (let l = 0; l < d; l++) centre[l] += weights[i] * points.data[i * d + l];
  if (lightest > 0) for (let l = 0; l < d; l++) centre[l] /= 2 * lightest;
  const coordinates = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let l = 0; l < d; l++) square += (centre[l] - points.data[i * d + l]) ** 2;
    const length = Math.sqrt(square);
    const scale = length > radius ? radius / length : 1;
    for (let l = 0; l < d; l++) coordinates[i * d + l] = scale * (centre[l] - points.data[i * d + l]);
  }
  return { weights, attack: { coordinates } };
}

function snapshot({ data }: ObjectiveProblem, state: { rank: number; variances: Float64Array | null }): Attack {
  const { moves, basis } = data.buffers;
  const size = data.samples * state.rank;
  return {
    coordinates: moves.slice(0, size),
    basis: basis.slice(0, state.rank * data.dimension),
    variances: state.variances ? state.variances.slice(0, size) : null,
  };
}

function toNetwork(neurons: Float64Array, signs: Float64Array, d: number) {
  const count = signs.length;
  const directions = new Float64Array(count * d);
  const weights = new Float64Array(count);
  let kept = 0;
  for (let j = 0; j < count; j++) {
    let square = 0;
    for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
    if (!(square > 0)) continue;
    const length = Math.sqrt(square);
    for (let l = 0; l < d; l++) directions[kept * d + l] = neurons[j * d + l] / length;
    weights[kept++] = signs[j] * square;
  }
  return { directions: directions.slice(0, kept * d), weights: weights.slice(0, kept) };
}
