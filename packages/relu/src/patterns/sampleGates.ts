// Distinct activation patterns from random gates of one kind (math.md 13.4), packed 32 samples to a word, with a coverage report.
// features: [n, d]   gates: [P, d (+1)]   patterns: [P, ceil(n / 32)]

import { type NumericBatch, type Rng, sampleCount, sampleSize } from "@worstcase/core";
import { checkFeatures, checkOptions, checkPositive, checkRng } from "../checks.js";
import { type PatternCoverage, patternCoverage } from "./coverage.js";
import { type GateKind, gateDraw } from "./gateDraws.js";
import type { GateSet } from "./gateSet.js";
import { GATE_BLOCK, GateEvaluator, isSilent, PatternTable } from "./packedPatterns.js";

export interface SampledGates extends GateSet {
  readonly kind: NonNullable<GateKind["kind"]>;
  /** Pattern bits of each gate over the samples, packed 32 to a word, `[count, ceil(n / 32)]`; equal to `trainingPatterns` if there. */
  readonly patterns: Uint32Array;
  /** Patterns drawn, including those not kept. */
  readonly draws: number;
  /** Draws whose pattern was already there. */
  readonly duplicates: number;
  /** Draws that fire on no sample (all-zero pattern): such a gate contributes nothing and is not kept. */
  readonly silent: number;
  readonly coverage: PatternCoverage;
}

export type SampleGatesOptions = GateKind & {
  /** Number of distinct patterns wanted; fewer come back when the draws run out. */
  readonly count: number;
  readonly rng: Rng;
  /** Adds a gate bias (default true). */
  readonly bias?: boolean;
  /** Most draws before giving up (default 20 count + 100). */
  readonly maximumDraws?: number;
};

/**
 * Draws gates of a kind (default `gaussian`) until `count` distinct activation patterns on `features` `[n, d]` are found. Patterns are
 * compared bit by bit. Kind `perturbed-data` (Bai et al., arXiv 2105.12237) keeps, for each Gaussian vector, its pattern on the clean
 * samples and those on samples moved by epsilon times random signs; the set then has `trainingPatterns`.
 * Throws ShapeError or DataError on unusable features and SettingError on options out of range.
 */
export function sampleGates(features: NumericBatch, options: SampleGatesOptions): SampledGates {
  checkFeatures(features);
  checkOptions(options);
  checkRng(options.rng);
  const { count, rng, bias = true } = options;
  const maximumDraws = options.maximumDraws ?? 20 * count + 100;
  checkPositive(count, "options.count");
  checkPositive(maximumDraws, "options.maximumDraws");
  const draw = gateDraw(features, options, bias, rng);
  const evaluator = new GateEvaluator(features, bias);
  const { width, words } = evaluator;
  const copies = options.kind === "perturbed-data" ? (options.perturbations ?? 4) : 0;
  const table = new PatternTable();
  const firstDraws: number[] = [];
  const kept: { gate: Float64Array; place: number }[] = [];
  let draws = 0;
  let silent = 0;
  const take = (gate: Float64Array, pattern: Uint32Array) => {
    const { place, isNew } = table.add(pattern);
    if (isNew) firstDraws.push(draws);
    draws++;
    if (isSilent(pattern)) silent++;
    else if (isNew) kept.push({ gate: gate.slice(), place });
  };
  const block = new Float64Array(GATE_BLOCK * width);
  const moved = new Uint32Array(words);
  while (kept.length < count && draws < maximumDraws) {
    const size = Math.min(GATE_BLOCK, Math.ceil((count - kept.length) / (1 + copies)), maximumDraws - draws);
    for (let g = 0; g < size; g++) draw(block.subarray(g * width, (g + 1) * width));
    const patterns = evaluator.patterns(block, size);
    for (let g = 0; g < size && kept.length < count && draws < maximumDraws; g++) {
      const gate = block.subarray(g * width, (g + 1) * width);
      take(gate, patterns.subarray(g * words, (g + 1) * words));
      for (let copy = 0; copy < copies && kept.length < count && draws < maximumDraws; copy++) {
        perturbedPattern(features, gate, bias, (options as { epsilon: number }).epsilon, rng, moved);
        take(gate, moved);
      }
    }
  }
  const gates = new Float64Array(kept.length * width);
  const packed = new Uint32Array(kept.length * words);
  kept.forEach(({ gate, place }, p) => {
    gates.set(gate, p * width);
    packed.set(table.patterns[place], p * words);
  });
  return {
    kind: options.kind ?? "gaussian",
    gates,
    count: kept.length,
    featureCount: sampleSize(features),
    bias,
    scales: evaluator.scales(gates, kept.length),
    ...(options.kind === "perturbed-data" ? { trainingPatterns: packed } : {}),
    patterns: packed,
    draws,
    duplicates: draws - kept.length - silent,
    silent,
    coverage: patternCoverage(table.seen, firstDraws, draws),
  };
}

// Pattern of one gate on x_i + epsilon s_i, s_i in {-1, 1}^d at random, 32 signs to a random word.
function perturbedPattern(
  features: NumericBatch,
  gate: Float64Array,
  bias: boolean,
  epsilon: number,
  rng: Rng,
  pattern: Uint32Array,
): void {
  const { data } = features;
  const featureCount = sampleSize(features);
  pattern.fill(0);
  for (let i = 0; i < sampleCount(features); i++) {
    let opening = bias ? gate[featureCount] : 0;
    let signs = 0;
    for (let k = 0; k < featureCount; k++) {
      if ((k & 31) === 0) signs = rng.integer(0x100000000) | 0;
      opening += gate[k] * (data[i * featureCount + k] + (signs < 0 ? epsilon : -epsilon));
      signs <<= 1;
    }
    if (opening >= 0) pattern[i >>> 5] |= 1 << (i & 31);
  }
}
