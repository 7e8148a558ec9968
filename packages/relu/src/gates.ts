// Activation patterns from random Gaussian gates (math.md 13.4): pattern bit d_pi = 1[g_p'x_i >= 0].
// features: [n, d]   gates: [P, d] or, with bias, [P, d+1] with the weight of a constant 1 last   bits: [n, P], 0 or 1

import { checkBatch, type NumericBatch, type Rng, SettingError, sampleCount, sampleSize } from "@worstcase/core";

export interface GateSet {
  /** Row-major gate vectors, `[count, featureCount]`, or `[count, featureCount + 1]` with bias. */
  readonly gates: Float64Array;
  readonly count: number;
  readonly featureCount: number;
  /** Whether each gate has a last entry that multiplies the constant 1. */
  readonly bias: boolean;
  /** Root mean square of g_p'x over the sampled features, `[count]`; 1 where that is zero. Scales soft gates. */
  readonly scales: Float64Array;
}

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

/** Pattern bits of every gate on every sample, `[n, P]`. */
export function patternBits(features: NumericBatch, set: Omit<GateSet, "scales">): Uint8Array {
  const samples = sampleCount(features);
  const bits = new Uint8Array(samples * set.count);
  const width = set.featureCount + (set.bias ? 1 : 0);
  for (let p = 0; p < set.count; p++) {
    const gate = set.gates.subarray(p * width, (p + 1) * width);
    for (let i = 0; i < samples; i++) {
      if (preactivation(features.data, i * set.featureCount, set.featureCount, gate, set.bias) >= 0) {
        bits[i * set.count + p] = 1;
      }
    }
  }
  return bits;
}

/** Throws ShapeError, SettingError or DataError unless the set is consistent and fits features of `featureCount` values. */
export function checkGates(set: GateSet, featureCount: number, argument: string): void {
  const width = set.featureCount + (set.bias ? 1 : 0);
  if (
    !Number.isInteger(set.count) ||
    set.count < 1 ||
    set.featureCount !== featureCount ||
    set.gates.length !== set.count * width
  ) {
    const expected = `at least one gate of ${featureCount} features${set.bias ? " and a bias" : ""}`;
    const received = `${set.count} gates of ${set.featureCount} features in ${set.gates.length} values`;
    throw new SettingError({ argument, expected, received, hint: "make them with sampleGates on the same features" });
  }
  if (!set.gates.every(Number.isFinite)) {
    throw new SettingError({ argument, expected: "finite gate vectors", received: "NaN or Infinity" });
  }
}

/** A gate set from given vectors `[count, featureCount (+1)]`, scaled on `features`. */
export function gatesFromVectors(gates: Float64Array, features: NumericBatch, bias: boolean): GateSet {
  checkFeatures(features);
  const featureCount = sampleSize(features);
  const count = gates.length / (featureCount + (bias ? 1 : 0));
  const set = { gates: gates.slice(), count, featureCount, bias };
  checkGates({ ...set, scales: new Float64Array(0) }, featureCount, "gates");
  return { ...set, scales: gateScales(features, set) };
}

function gateScales(features: NumericBatch, set: Omit<GateSet, "scales">): Float64Array {
  const samples = sampleCount(features);
  const width = set.featureCount + (set.bias ? 1 : 0);
  return Float64Array.from({ length: set.count }, (_, p) => {
    const gate = set.gates.subarray(p * width, (p + 1) * width);
    let square = 0;
    for (let i = 0; i < samples; i++) {
      square += preactivation(features.data, i * set.featureCount, set.featureCount, gate, set.bias) ** 2;
    }
    return Math.sqrt(square / samples) || 1;
  });
}

function preactivation(
  data: Float32Array | Float64Array,
  from: number,
  featureCount: number,
  gate: Float64Array,
  bias: boolean,
): number {
  let sum = bias ? gate[featureCount] : 0;
  for (let k = 0; k < featureCount; k++) sum += gate[k] * data[from + k];
  return sum;
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

/** Features must be `[n, d]`, finite and not empty. */
export function checkFeatures(features: NumericBatch, featureCount?: number): void {
  checkBatch(features, "features", featureCount === undefined ? undefined : [featureCount]);
  if (features.shape.length !== 2) checkBatch(features, "features", [sampleSize(features)]);
}

export function checkPositive(value: number, argument: string): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new SettingError({ argument, expected: "an integer >= 1", received: value });
  }
}
