// Where a trained two-layer ReLU network stands in the convex landscape (math.md 13.1): its training problem
//   1/n sum_i l_i + beta/2 (sum_j ||u_j||^2 + sum_j ||a_j||^2),   f(x) = sum_j a_j max(0, u_j'x),  a_j in R^outputs
// has the optimum of a convex program when it is wide enough, and with the patterns of its own neurons (and of further gates) it gives a
// subsampled convex program. The network is a stationary point of that program when
//   it is balanced, ||u_j|| = ||a_j||;                    every neuron is pulled by exactly beta along itself: q_j = beta u_j / ||u_j||, where
//   q_j = -1/n sum_i d_ji x_i (v_i'a_j / ||a_j||), up to multipliers of the cone of its pattern (one output);
//   and no other neuron with these patterns is pulled by more than beta.
// The program is convex, so a stationary point is optimal. Whatever the network, its slopes scaled to be feasible bound the optimum from below.
// features: [n, d]   first u: [neurons, D]   second a: [outputs, neurons]

import { type NumericBatch, SettingError, ShapeError, type WorkOptions } from "@worstcase/core";
import { checkKnown, checkModel, checkOptions } from "../checks.js";
import { fitRelu, fitReluRegression } from "../network/fitRelu.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { type GateSet, gatesFromVectors, refuseTrainingPatterns } from "../patterns/gateSet.js";
import { GateEvaluator, isSilent, PatternTable } from "../patterns/packedPatterns.js";
import type { Objective } from "../program/objective.js";
import { type Answers, createProgram, type ProgramLoss, type ReluProgram } from "../program/program.js";
import type { FitProgress } from "../proximal/minimise.js";
import { bestDualValue, type LossTerms, lossTerms, slopesOf } from "./lossTerms.js";
import { largestPull, projectOnCone, pullOf } from "./neuronGroups.js";

export interface InspectLandscapeOptions extends WorkOptions<FitProgress> {
  readonly loss: ProgramLoss;
  /** Weight decay: beta / 2 times the sum of all squared weights, constants included; > 0. */
  readonly beta: number;
  /** Further gates whose patterns the program contains. */
  readonly extraGates?: GateSet;
  /** Relative accuracy with which the conditions of a stationary point must hold (default 1e-3). */
  readonly tolerance?: number;
  /** Neurons with ||u_j|| ||a_j|| below this share of the sum over all are on their way to zero and not asked to be at rest (default 1e-6). */
  readonly negligible?: number;
  /** Solve a program for a better lower bound (default true): the subsampled one for one output, a relaxation of it for more. */
  readonly refine?: boolean;
}

export interface Landscape {
  /** `optimal`: a stationary point of the subsampled convex program. `stationary`: its neurons are at rest, but others would help. */
  readonly status: "optimal" | "stationary" | "not-stationary";
  /** Distinct patterns in the program, not counting the one that fires nowhere. */
  readonly patterns: number;
  /** Objective of the network as given. */
  readonly objective: Objective;
  /** The same with every neuron rescaled to balance: beta sum ||u_j|| ||a_j||. */
  readonly balancedTotal: number;
  /** Largest |  ||u_j|| - ||a_j||  | relative to the larger one; 1 where only one of them is not negligible. */
  readonly imbalance: number;
  /** ||q_j - beta u_j/||u_j|| || / beta for each neuron, `[neurons]`; 0 for those that are negligible. */
  readonly residuals: Float64Array;
  /** Largest pull over all patterns, relative to beta: above 1, a neuron with one of the patterns lowers the objective. */
  readonly pull: number;
  /** Certified lower bound of the optimum of the subsampled program. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total: the network is within this share of the optimum. */
  readonly gap: number;
}

/**
 * Inspects a network with one output for two classes (class 1 positive) or one target, C outputs for C >= 3 classes or C targets; see
 * program.ts for the losses. Throws ShapeError, DataError or SettingError, and AbortedError.
 */
export async function inspectLandscape(
  network: ReluNetwork,
  features: NumericBatch,
  answers: Answers,
  options: InspectLandscapeOptions,
): Promise<Landscape> {
  checkModel(network, ["relu-network"], "network");
  checkOptions(options);
  const { loss, beta, tolerance = 1e-3, negligible = 1e-6, refine = true } = options;
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new SettingError({ argument: "options.tolerance", expected: "a number in (0, 1)", received: tolerance });
  }
  if (!(negligible >= 0 && negligible < 1)) {
    throw new SettingError({ argument: "options.negligible", expected: "a number in [0, 1)", received: negligible });
  }
  checkKnown(options, { radius: 0, regulariser: "group" }, "the landscape is that of weight decay, unperturbed");
  if (options.extraGates) refuseTrainingPatterns(options.extraGates, "options.extraGates");
  checkNetwork(network);
  const scores = networkScores(network, features).data as Float64Array;
  const { program, patternOf } = programOf(network, features, answers, { loss, beta }, options.extraGates);
  if (network.classCount !== program.outputs) {
    const two = program.task === "two-class";
    const expected = `${program.outputs} outputs${two ? " (one for two classes)" : ""}`;
    const hint = "give the difference of the two rows of second, class 1 minus class 0";
    const problem = { argument: "network.classCount", expected, received: network.classCount };
    throw new ShapeError(two ? { ...problem, hint } : problem);
  }
  const terms = lossTerms(program, scores, tolerance * 1e-1);
  const sizes = neuronSizes(network);
  const least = negligible * sizes.reduce((sum, { u, a }) => sum + u * a, 0);
  const directions = neuronDirections(network, sizes, patternOf, least);
  if (terms.kinks.length > 0) settleKinks(program, terms, directions);
  const slopes = slopesOf(program, terms);
  const residuals = Float64Array.from({ length: network.neurons }, (_, j) =>
    directions[j] ? residualOf(program, slopes, directions[j]) : 0,
  );
  const pull = largestPull(program, slopes) / beta;
  let squares = 0;
  let products = 0;
  let imbalance = 0;
  for (const { u, a } of sizes) {
    squares += (u * u + a * a) / 2;
    products += u * a;
    if (u * a > least) imbalance = Math.max(imbalance, Math.abs(u - a) / Math.max(u, a));
    else if (u * u + a * a > 100 * least) imbalance = 1;
  }
  const objective = { total: terms.loss + beta * squares, loss: terms.loss, regulariser: beta * squares };
  let lowerBound = bestDualValue(program, terms, 1 / Math.max(1, pull));
  if (refine) {
    lowerBound = Math.max(lowerBound, await solvedBound(features, answers, program, options));
  }
  const atRest = imbalance <= tolerance && residuals.every((residual) => residual <= tolerance);
  return {
    status: !atRest ? "not-stationary" : pull <= 1 + tolerance ? "optimal" : "stationary",
    patterns: program.gateCount,
    objective,
    balancedTotal: terms.loss + beta * products,
    imbalance,
    residuals,
    pull,
    lowerBound: Math.min(lowerBound, objective.total),
    gap: objective.total > 0 ? Math.max(0, (objective.total - lowerBound) / objective.total) : 0,
  };
}

function checkNetwork({ first, second, neurons, featureCount, classCount, bias }: ReluNetwork): void {
  const width = featureCount + (bias ? 1 : 0);
  if (first.length !== neurons * width || second.length !== neurons * classCount) {
    const expected = `first [${neurons}, ${width}] and second [${classCount}, ${neurons}]`;
    throw new ShapeError({ argument: "network", expected, received: [first.length, second.length] });
  }
  if (!first.every(Number.isFinite) || !second.every(Number.isFinite)) {
    throw new SettingError({ argument: "network", expected: "finite weights", received: "NaN or Infinity" });
  }
}

// The program over the distinct patterns of the neurons and further gates; one gate that is always on where there is none.
function programOf(
  network: ReluNetwork,
  features: NumericBatch,
  answers: Answers,
  loss: { readonly loss: ProgramLoss; readonly beta: number },
  extra: GateSet | undefined,
): { program: ReluProgram; patternOf: Int32Array } {
  const { featureCount, neurons, bias } = network;
  const width = featureCount + (bias ? 1 : 0);
  if (extra && (extra.bias !== bias || extra.featureCount !== featureCount)) {
    const expected = `gates of ${featureCount} features ${bias ? "with" : "without"} bias, as the network`;
    throw new SettingError({ argument: "options.extraGates", expected, received: `${extra.featureCount} features` });
  }
  const all = new Float64Array((neurons + (extra?.count ?? 0)) * width);
  all.set(network.first);
  if (extra) all.set(extra.gates, neurons * width);
  const evaluator = new GateEvaluator(features, bias);
  const packed = evaluator.patterns(all, all.length / width);
  const table = new PatternTable();
  const kept: number[] = [];
  const patternOf = new Int32Array(neurons).fill(-1);
  for (let p = 0; p < all.length / width; p++) {
    const pattern = packed.subarray(p * evaluator.words, (p + 1) * evaluator.words);
    const gate = all.subarray(p * width, (p + 1) * width);
    if (gate.every((value) => value === 0) || isSilent(pattern)) continue;
    const { place, isNew } = table.add(pattern);
    if (isNew) kept.push(...gate);
    if (p < neurons) patternOf[p] = place;
  }
  const vectors = kept.length > 0 ? Float64Array.from(kept) : new Float64Array(width);
  const gates = gatesFromVectors(vectors, features, bias);
  return { program: createProgram(features, answers, { gates, radius: 0, norm: "l2", ...loss }), patternOf };
}

function neuronSizes({ neurons, first, second, classCount }: ReluNetwork): { u: number; a: number }[] {
  const width = first.length / (neurons || 1);
  return Array.from({ length: neurons }, (_, j) => ({
    u: Math.hypot(...first.subarray(j * width, (j + 1) * width)),
    a: Math.hypot(...Array.from({ length: classCount }, (_, c) => second[c * neurons + j])),
  }));
}

interface Direction {
  /** -1 for a neuron that fires on no sample. */
  readonly pattern: number;
  readonly unit: Float64Array;
  readonly outputs: Float64Array;
}

// Pattern and directions of every neuron; null for neurons that count as zero.
function neuronDirections(
  { neurons, classCount, first, second }: ReluNetwork,
  sizes: readonly { u: number; a: number }[],
  patternOf: Int32Array,
  least: number,
): (Direction | null)[] {
  const width = first.length / (neurons || 1);
  return sizes.map(({ u, a }, j) => {
    if (u * a <= least) return null;
    const unit = first.slice(j * width, (j + 1) * width).map((value) => value / u);
    return {
      pattern: patternOf[j],
      unit,
      outputs: Float64Array.from({ length: classCount }, (_, o) => second[o * neurons + j] / a),
    };
  });
}

// A neuron that fires nowhere is only decayed: its residual is 1.
function residualOf(program: ReluProgram, slopes: Float64Array, { pattern, unit, outputs }: Direction): number {
  const { width, beta } = program;
  if (pattern < 0) return 1;
  const q = pullOf(program, slopes, pattern);
  let along = new Float64Array(width);
  for (let o = 0; o < outputs.length; o++) for (let k = 0; k < width; k++) along[k] += outputs[o] * q[o * width + k];
  if (outputs.length === 1) along = projectOnCone(program, pattern, along) as Float64Array<ArrayBuffer>;
  let square = 0;
  for (let k = 0; k < width; k++) square += (along[k] - beta * unit[k]) ** 2;
  // of the output weights: q u = beta a
  let other = 0;
  for (let o = 0; o < outputs.length; o++) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += q[o * width + k] * unit[k];
    other += (sum - beta * outputs[o]) ** 2;
  }
  return Math.sqrt(Math.max(square, other)) / beta;
}

// Multipliers of hinge terms at their kink: those in [0, 1] that bring the neurons nearest to rest (least squares by coordinate descent).
function settleKinks(program: ReluProgram, terms: LossTerms, directions: readonly (Direction | null)[]): void {
  const { width, samples, bits, gateCount, inputs, beta } = program;
  const { kinks, multipliers } = terms;
  const active = directions.filter((direction): direction is Direction => direction !== null && direction.pattern >= 0);
  if (active.length === 0) return;
  const rows = active.length * width;
  const columns = kinks.map((t) => {
    const column = new Float64Array(rows);
    const i = terms.sample[t];
    active.forEach(({ pattern, outputs }, j) => {
      if (bits[i * gateCount + pattern] === 0) return;
      const weight =
        (terms.plus[t] >= 0 ? outputs[terms.plus[t]] : 0) - (terms.minus[t] >= 0 ? outputs[terms.minus[t]] : 0);
      for (let k = 0; k < width; k++) column[j * width + k] = (weight * inputs[i * width + k]) / samples;
    });
    return column;
  });
  const slopes = slopesOf(program, terms);
  const rest = new Float64Array(rows);
  active.forEach(({ pattern, unit, outputs }, j) => {
    const q = pullOf(program, slopes, pattern);
    for (let k = 0; k < width; k++) {
      for (let o = 0; o < outputs.length; o++) rest[j * width + k] += outputs[o] * q[o * width + k];
      rest[j * width + k] -= beta * unit[k];
    }
  });
  const squares = columns.map((column) => column.reduce((sum, value) => sum + value * value, 0));
  for (let sweep = 0; sweep < 2000; sweep++) {
    let change = 0;
    kinks.forEach((t, at) => {
      if (squares[at] === 0) return;
      let slope = 0;
      for (let k = 0; k < rows; k++) slope += columns[at][k] * rest[k];
      const next = Math.max(0, Math.min(1, multipliers[t] - slope / squares[at]));
      const step = next - multipliers[t];
      if (step === 0) return;
      for (let k = 0; k < rows; k++) rest[k] += step * columns[at][k];
      multipliers[t] = next;
      change = Math.max(change, Math.abs(step));
    });
    if (change < 1e-12) return;
  }
}

// A certified lower bound of the subsampled program by the trainer of fitRelu. With one output it is that program. With more, a neuron (u, a) counts
// in fitRelu as one neuron per output of sum_c |a_c| ||u|| <= sqrt(outputs) ||a|| ||u||, hence its optimum with beta / sqrt(outputs) bounds ours.
async function solvedBound(
  features: NumericBatch,
  answers: Answers,
  { gates, bias, beta, loss, outputs }: ReluProgram,
  { signal, onEvent }: InspectLandscapeOptions,
): Promise<number> {
  const options = {
    gates,
    bias,
    beta: beta / Math.sqrt(outputs),
    loss,
    radius: 0,
    norm: "l2",
    tolerance: outputs === 1 ? 1e-6 : 1e-3,
    signal,
    onEvent,
  } as const;
  const { lowerBound } =
    answers.kind === "classes"
      ? await fitRelu(features, answers.labels, answers.classCount, options)
      : await fitReluRegression(features, answers.targets, options);
  return lowerBound;
}
