// Activation patterns from random Gaussian gates (math.md 13.4), distinct and packed 32 samples to a word.
// features: [n, d]   gates: [P, d (+1)]   patterns: [P, ceil(n / 32)]

import { type NumericBatch, type Rng, sampleCount, sampleSize } from "@worstcase/core";
import { checkFeatures, checkPositive } from "../checks.js";
import { type GateSet, gateScales, preactivation } from "./gateSet.js";

export interface SampledGates extends GateSet {
  /** Pattern bits of each gate over the samples, packed 32 to a word, `[count, ceil(n / 32)]`. */
  readonly patterns: Uint32Array;
  /** Gaussian vectors drawn, including those not kept. */
  readonly draws: number;
  /** Draws whose pattern was already there. */
  readonly duplicates: number;
  /** Draws that fire on no sample (all-zero pattern): such a gate contributes nothing and is not kept. */
  readonly silent: number;
}

export interface SampleGatesOptions {
  /** Number of distinct patterns wanted; fewer come back when the draws run out. */
  readonly count: number;
  readonly rng: Rng;
  /** Adds a gate bias, drawn with the standard deviation of the mean feature norm (default true). */
  readonly bias?: boolean;
  /** Most draws before giving up (default 20 count + 100). */
  readonly maximumDraws?: number;
}

/**
 * Draws Gaussian gates until `count` distinct activation patterns on `features` `[n, d]` are found. Patterns are compared bit by bit.
 * Throws ShapeError or DataError on unusable features and SettingError on options out of range.
 */
export function sampleGates(features: NumericBatch, options: SampleGatesOptions): SampledGates {
  checkFeatures(features);
  const { count, rng, bias = true } = options;
  const maximumDraws = options.maximumDraws ?? 20 * count + 100;
  checkPositive(count, "options.count");
  checkPositive(maximumDraws, "options.maximumDraws");
  const samples = sampleCount(features);
  const featureCount = sampleSize(features);
  const width = featureCount + (bias ? 1 : 0);
  const biasScale = meanNorm(features) || 1;
  const words = Math.ceil(samples / 32);
  const kept: Float64Array[] = [];
  const patterns: Uint32Array[] = [];
  const byHash = new Map<number, number[]>();
  let draws = 0;
  let duplicates = 0;
  let silent = 0;
  while (kept.length < count && draws < maximumDraws) {
    draws++;
    const gate = Float64Array.from({ length: width }, (_, k) => rng.normal() * (k === featureCount ? biasScale : 1));
    const pattern = packedPattern(features, gate, bias, words);
    const hash = hashOf(pattern);
    const same = byHash.get(hash) ?? [];
    if (pattern.every((word) => word === 0)) silent++;
    else if (same.some((p) => patterns[p].every((word, k) => word === pattern[k]))) duplicates++;
    else {
      byHash.set(hash, [...same, kept.length]);
      kept.push(gate);
      patterns.push(pattern);
    }
  }
  const gates = new Float64Array(kept.length * width);
  const packed = new Uint32Array(kept.length * words);
  kept.forEach((gate, p) => {
    gates.set(gate, p * width);
    packed.set(patterns[p], p * words);
  });
  const set = { gates, count: kept.length, featureCount, bias };
  return { ...set, scales: gateScales(features, set), patterns: packed, draws, duplicates, silent };
}

function packedPattern(features: NumericBatch, gate: Float64Array, bias: boolean, words: number): Uint32Array {
  const samples = sampleCount(features);
  const featureCount = sampleSize(features);
  const pattern = new Uint32Array(words);
  for (let i = 0; i < samples; i++) {
    if (preactivation(features.data, i * featureCount, featureCount, gate, bias) >= 0)
      pattern[i >>> 5] |= 1 << (i & 31);
  }
  return pattern;
}

function hashOf(pattern: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of pattern) hash = Math.imul(hash ^ word ^ (word >>> 15), 0x01000193);
  return hash;
}

function meanNorm(features: NumericBatch): number {
  const samples = sampleCount(features);
  const size = sampleSize(features);
  let total = 0;
  for (let i = 0; i < samples; i++) {
    let square = 0;
    for (let k = 0; k < size; k++) square += features.data[i * size + k] ** 2;
    total += Math.sqrt(square);
  }
  return total / samples;
}
