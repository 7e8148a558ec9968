// Large-scale trainer (solvers.md 4): L-BFGS on a factored network against exact attacks, a restricted master for the dual
// weights, and the sphere oracle that certifies, or adds neurons. Deterministic. Works for any radius, 0 included.

import { throwIfAborted } from "@worstcase/core";
import { type AttackPart, createCertifier, type DetailedCertificate, wholePart } from "../certificate.js";
import { candidates, type Violations } from "./candidates.js";
import { constantPair, type Verdict } from "./constantPair.js";
import type { FactoredHooks, FactoredOutcome, FactoredSettings, FactoredStatus } from "./contracts.js";
import { DualSearch } from "./dualSearch.js";
import { Lbfgs } from "./lbfgs.js";
import { Master } from "./master.js";
import { unmatched } from "./matchClasses.js";
import { createObjective, type ObjectiveProblem, type Smoothing } from "./objective.js";
import { everyRow } from "./rowSource.js";
import { type FactoredStart, firstWidth } from "./starts.js";
import { toNetwork } from "./toNetwork.js";

/** Extra eigenvectors offered as neurons on each violated side. */
const extraDirections = 2;
/** Steps of the first network on all samples, before those with large margins are left out. */
const firstLook = 12;
/** Samples with a margin above 1 plus this are left out of a round's steps and of its master, and looked at again after it. */
const idleMargin = 0.35;
/** Most times a round adds violated directions to its restricted master, and the mixture of a match does. */
const attempts = 24;
const attemptsToMix = 48;
/** Width of the hinge in that mixture. */
const mixedWidth = 0.02;
/** Share of the objective above which the best lower bound's attacks take part in the next one. */
const worthKeeping = 0.8;
/** Rise of the bound, in the objective, that more directions of a match have to be worth. */
const leastRise = 0.02;
/** Share of the objective that the bound of a match in many directions has to be, for more of them or a mixture to be tried. */
const nearlyMatched = 0.95;
const manyDirections = 40;
/** Relative gain of the bound for which the master's hinge stays narrower. */
const worthwhileGain = 1e-4;
/** Shares of the way to the master's network that are tried. */
const lineSearch = [1, 0.5, 0.25, 0.1, 0.03];
/** Share of the largest neuron below which one is dropped between rounds. */
const negligibleSize = 1e-5;
/** Earlier attacks a sample may keep once the gap stalls. */
const keptAttacks = 5;
/** The hinge and the worst case themselves. */
const exactly: Smoothing = { width: 0, mu: 0, rho: 1 };

export function trainFactored(
  problem: ObjectiveProblem,
  settings: FactoredSettings,
  { signal, onRound }: FactoredHooks,
  start: FactoredStart | null = null,
): FactoredOutcome {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const { data, labels, hingeWeights, radius, beta, activation, set = null } = problem;
  const { samples: n, dimension: d, maxNeurons, rows } = data;
  const certifier = createCertifier(d, data.kernels);
  const certify = (parts: readonly AttackPart[]): DetailedCertificate =>
    certifier.certify({ points: rows, labels, radius, parts, hingeWeights, beta, activation, set });
  // The zero network: every hinge is 1.
  let total = 0;
  for (let i = 0; i < n; i++) total += hingeWeights[i];
  // No loss is negative.
  let lower = 0;
  const still: AttackPart = wholePart({
    weights: hingeWeights,
    attack: { coordinates: new Float64Array(0), basis: new Float64Array(0) },
  });
  let dual: readonly AttackPart[] = [still];
  const offer = (certificate: DetailedCertificate, parts: readonly AttackPart[]) => {
    if (certificate.lowerBound <= lower) return;
    lower = certificate.lowerBound;
    dual = parts;
  };
  let best = total;
  let bestNeurons: Float64Array = new Float64Array(0);
  let bestSigns: Float64Array = new Float64Array(0);
  const descendFirst = start?.descendFirst ?? true;
  let rejected = false;
  let width = start?.state.width ?? firstWidth(settings);
  let dualWidth = start?.state.dualWidth ?? firstWidth(settings);
  const outcome = (status: FactoredStatus, rounds: number, evaluations: number): FactoredOutcome => ({
    ...toNetwork(bestNeurons, bestSigns, d),
    status: best === total && status === "optimal" ? "zero-optimal" : status,
    upper: best,
    lower,
    rounds,
    evaluations,
    dual,
    rejected,
    state: { kind: "factored", vectors: bestNeurons, signs: bestSigns, width, dualWidth },
  });
  const { tolerance } = settings;
  const gapNow = () => (best - lower) / Math.max(best, Number.MIN_VALUE);
  const solved = () => gapNow() <= tolerance;
  const objective = createObjective(problem);
  const master = new Master(problem, () => (stuck ? keptAttacks : 0));
  const dualSearch = new DualSearch(problem, certifier, master, extraDirections, tolerance);
  const lbfgs = new Lbfgs(maxNeurons * d);
  let neurons = new Float64Array(maxNeurons * d);
  let signs = new Float64Array(maxNeurons);
  let count = 0;
  const push = (direction: Float64Array, sign: number, size: number) => {
    if (count === maxNeurons) return;
    const length = Math.sqrt(size);
    for (let l = 0; l < d; l++) neurons[count * d + l] = length * direction[l];
    signs[count++] = sign;
  };
  let stuck = false;
  const constant = start?.dual ? null : constantPair(problem);
  const constantCount = constant ? constant.vectors.length / d : 0;
  if (constant && constantCount > 0) {
    const constantSigns = new Float64Array(constantCount).fill(constant.sign);
    const value = objective.evaluate(constant.vectors, constantSigns, constantCount, exactly, null);
    if (value < best) {
      best = value;
      bestNeurons = constant.vectors;
      bestSigns = constantSigns;
    }
  }
  const alike = best;
  if (start && start.state.signs.length > 0) {
    count = Math.min(maxNeurons, start.state.signs.length);
    neurons.set(start.state.vectors.subarray(0, count * d));
    signs.set(start.state.signs.subarray(0, count));
    keepIfBetter(exactValue());
  }
  const learnt = start !== null && best < start.learntBelow * alike;
  rejected = start !== null && descendFirst && !learnt;
  if (rejected) {
    count = 0;
    width = firstWidth(settings);
    dualWidth = width;
  }
  const matched = learnt || !constant ? null : constant.match((part) => offerRaised(part, constant.sign));
  if (solved()) return outcome("optimal", 0, objective.evaluations);
  let certificate = firstViolations(start?.dual ?? null);
  if (matched && !solved()) mixMatched(matched);
  if (solved()) return outcome("optimal", 0, objective.evaluations);
  const first = 0.1 / Math.max(certificate.largest, certificate.largestNegative);
  if (count === 0) {
    const offers = candidates(certificate, activation, 1 + extraDirections, Number.NEGATIVE_INFINITY);
    for (const { direction, sign } of offers) push(direction, sign, first * (count < 2 ? 1 : 0.3));
  }

  let smooth = settings.smoothing === "always";
  let stalledRounds = 0;
  let round = 0;
  let status: FactoredStatus = "round-limit";
  for (; round < settings.maxRounds; round++) {
    throwIfAborted(signal, "training");
    const gapBefore = gapNow();
    const lowerBefore = lower;
    // From a good start the bounds may meet before any step.
    if (!solved() && (round > 0 || descendFirst)) {
      if (round > 0 || (start && !rejected)) objective.restrict(awake());
      else {
        descend(round, firstLook);
        objective.restrict(awake());
      }
      descend(round, settings.evaluationsPerRound);
      objective.restrict(null);
      throwIfAborted(signal, "training");
    }
    keepIfBetter(exactValue());
    const reached = solved() ? null : dualPhase();
    onRound({
      round: round + 1,
      upper: best,
      lower,
      gap: gapNow(),
      neurons: count,
      evaluations: objective.evaluations,
      seconds: seconds(),
    });
    if (!reached || solved()) {
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
    // More cuts model the samples better but need more directions: take turns while the bound does not rise.
    if (round > 0 && lower - lowerBefore < 0.05 * (best - lowerBefore)) stuck = !stuck;
    if (stalledRounds >= 4 && settings.smoothing === "auto" && !smooth && radius > 0) {
      smooth = true;
      stalledRounds = 0;
    } else if (stalledRounds >= 12) {
      status = "stalled";
      round++;
      break;
    }
    // Sharpen the hinge when its width is what separates the bounds, or when this width has given what it can.
    const blurred = reached.smoothingError > 0.3 * tolerance * best;
    const exhausted = gapBefore - gapNow() < 0.1 * gapBefore;
    if (blurred && (exhausted || reached.smoothingError > reached.infeasible * best)) width *= 0.4;
    nextNeurons();
  }
  return outcome(status, round, objective.evaluations);

  /** What the given attacks certify, or a look at the zero network. */
  function firstViolations(given: readonly AttackPart[] | null): Violations {
    const glance = given ? null : dualSearch.look([still]);
    if (glance && glance.bound < (1 - tolerance) * best) return glance;
    const parts = given ?? [still];
    const found = certify(parts);
    offer(found, parts);
    return glance ?? found;
  }

  function descend(round: number, maxSteps: number): void {
    const smoothing = currentSmoothing();
    lbfgs.minimise((x, g) => objective.evaluate(x, signs, count, smoothing, g), neurons, count * d, {
      maxSteps,
      smallDecrease: decreaseShare(round) * Math.max(Math.min(best, total), 1e-3 * total),
      shouldStop: () => signal?.aborted === true || limitReached() !== null,
    });
  }

  /**
   * A match of the classes leaves room in the certificate, or takes too much: weights of the heavier class follow as long as that
   * raises the bound. More directions are only worth their time while they raise it too.
   */
  function offerRaised({ samples, weights, attack }: AttackPart, heavier: number): Verdict {
    const before = lower;
    let share = 1;
    let bound = 0;
    let missing: Float64Array[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      const raised = [
        { samples, weights: weights.map((p, t) => (labels[samples[t]] === heavier ? share * p : p)), attack },
      ];
      const found = certify(raised);
      offer(found, raised);
      if (attempt === 0) missing = unmatched(found, beta, heavier === 1 ? -1 : 1).map((row) => row.slice());
      if (solved() || found.lowerBound < bound) break;
      bound = found.lowerBound;
      const room = beta - Math.max(found.largest, found.largestNegative);
      if (room >= 0 && room < 0.02 * beta) break;
      // The constant part of h takes up the room.
      const change = room / Math.max(activation.c, 1e-3);
      if (found.weightSum + change <= lower) break;
      share += (2 * change) / found.weightSum;
      if (room > 0 && !(share > 1)) break;
    }
    const promising = lower > nearlyMatched * best || (attack.basis as Float64Array).length < manyDirections * d;
    const worthwhile = promising && lower > before + leastRise * best;
    return { enough: solved(), missing: worthwhile ? missing : [] };
  }

  /** With the weights of single samples free, on the attacks of a match that nearly holds. */
  function mixMatched({ samples, attack }: AttackPart): void {
    if (lower < nearlyMatched * best) return;
    const { moves, basis } = data.buffers;
    const own = attack.basis as Float64Array;
    const rank = own.length / d;
    basis.set(own);
    samples.forEach((i, t) => {
      moves.set(attack.coordinates.subarray(t * rank, (t + 1) * rank), i * rank);
    });
    const none = new Float64Array(0);
    master.load(none, none, 0, { ...objective.state, rank, variances: null }, samples);
    dualSearch.restart(dual);
    const { parts } = dualSearch.run(mixedWidth, best, attemptsToMix, signal);
    offer(certify(parts), parts);
    stuck = true;
  }

  /** Decrease below which a round's steps end: the first network is replaced soon, later ones need no more digits than the gap. */
  function decreaseShare(round: number): number {
    return Math.min(1e-5, 1e-3 * tolerance) * (round === 0 ? 10 : 1);
  }

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
    return objective.evaluate(neurons, signs, count, exactly, null);
  }

  /** Samples that carry weight or may soon, judged by the margins of the last full evaluation. */
  function awake(): Int32Array {
    const { margins } = objective.state;
    return everyRow(n).filter((i) => margins[i] < 1 + idleMargin);
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
    if (smooth) objective.evaluate(neurons, signs, count, currentSmoothing(), null);
    master.load(neurons, signs, count, objective.state, awake());
    dualSearch.restart(lower > worthKeeping * best ? dual : []);
    let found = dualSearch.run(dualWidth, best, attempts, signal);
    if (best - found.bound > tolerance * best && dualWidth > 1.01 * width) {
      const narrower = Math.max(width, 0.4 * dualWidth);
      const wide = found;
      found = dualSearch.run(narrower, best, attempts, signal);
      if (found.bound > wide.bound * (1 + worthwhileGain)) dualWidth = narrower;
    }
    const certified = certify(found.parts);
    offer(certified, found.parts);
    certificate = certified;
    const infeasible = 1 - Math.min(1, beta / Math.max(certificate.largest, certificate.largestNegative));
    return { smoothingError: best - found.weightSum, infeasible };
  }

  /** The network whose sizes lie the share of the way from the present ones to the master's. */
  function mix(share: number): void {
    neurons = new Float64Array(maxNeurons * d);
    signs = new Float64Array(maxNeurons);
    count = 0;
    const { sizes, starts } = master;
    const mixed = Float64Array.from({ length: master.count }, (_, j) => (1 - share) * starts[j] + share * sizes[j]);
    let largest = 0;
    for (const size of mixed) largest = Math.max(largest, size);
    const order = Array.from(mixed.keys()).sort((i, j) => mixed[j] - mixed[i]);
    for (const j of order) {
      if (mixed[j] <= negligibleSize * largest) break;
      push(master.directions.subarray(j * d, (j + 1) * d), master.signs[j], mixed[j]);
    }
  }

  /**
   * Goes from the present network towards the master's, whose model holds the attacks fixed, as far as the objective falls.
   * Then small neurons along violated directions.
   */
  function nextNeurons(): void {
    mix(0);
    let value = exactValue();
    let chosen = 0;
    for (const share of lineSearch) {
      mix(share);
      const trial = exactValue();
      keepIfBetter(trial);
      if (trial < value) {
        value = trial;
        chosen = share;
      } else if (chosen > 0) break;
    }
    mix(chosen);
    let mass = 0;
    for (let i = 0; i < count * d; i++) mass += neurons[i] * neurons[i];
    const size = (0.02 * mass) / Math.max(1, count) || first;
    const threshold = beta * (1 + 0.2 * tolerance);
    for (const { direction, sign } of candidates(certificate, activation, 1 + extraDirections, threshold)) {
      push(direction, sign, size);
    }
    // Margins of this network decide which samples the next steps look at.
    exactValue();
  }
}
