// A set of gates and its activation patterns: bit d_pi = 1[g_p'x_i >= 0] (math.md 13.1).
// features: [n, d]   gates: [P, d] or, with bias, [P, d+1] with the weight of a constant 1 last   bits: [n, P], 0 or 1

import { checkObject, type NumericBatch, SettingError, ShapeError, sampleCount, sampleSize } from "@worstcase/core";
import { checkFeatures } from "../checks.js";
import { GateEvaluator, unpackPatterns } from "./packedPatterns.js";

export interface GateSet {
  /** Row-major gate vectors, `[count, featureCount]`, or `[count, featureCount + 1]` with bias. */
  readonly gates: Float64Array;
  readonly count: number;
  readonly featureCount: number;
  /** Whether each gate has a last entry that multiplies the constant 1. */
  readonly bias: boolean;
  /** Root mean square of g_p'x over the sampled features, `[count]`; 1 where that is zero. Scales soft gates. */
  readonly scales: Float64Array;
  /**
   * Packed patterns `[count, ceil(n / 32)]` that hold on the training samples INSTEAD of the signs of g_p'x. Only sets drawn on
   * perturbed data have them: such a pattern is a column of bits that no gate vector need give on the clean samples. Programs
   * with cones use them (their neurons carry their own gates); a gated model, which opens by g_p'x, cannot.
   */
  readonly trainingPatterns?: Uint32Array;
}

type GatesWithoutScales = Omit<GateSet, "scales">;

/** Signs of every gate on every sample as bits `[n, P]`; `trainingPatterns` are not looked at. */
export function patternBits(features: NumericBatch, set: GatesWithoutScales): Uint8Array {
  checkFeatures(features);
  checkGates(set, sampleSize(features), "gates");
  const bits = new Uint8Array(sampleCount(features) * set.count);
  new GateEvaluator(features, set.bias).forEach(set.gates, set.count, (p, i, opening) => {
    if (opening >= 0) bits[i * set.count + p] = 1;
  });
  return bits;
}

/** Bits `[n, P]` a program with cones trains with: `trainingPatterns` where the set has them, else the signs of its gates. */
export function trainingBits(features: NumericBatch, set: GatesWithoutScales): Uint8Array {
  checkFeatures(features);
  checkGates(set, sampleSize(features), "gates");
  const samples = sampleCount(features);
  if (!set.trainingPatterns) return patternBits(features, set);
  const expected = set.count * Math.ceil(samples / 32);
  if (set.trainingPatterns.length !== expected) {
    throw new ShapeError({
      argument: "gates.trainingPatterns",
      expected: `${expected} words, ${set.count} patterns of ${samples} samples`,
      received: set.trainingPatterns.length,
      hint: "patterns of perturbed data belong to the samples they were drawn for",
    });
  }
  return unpackPatterns(set.trainingPatterns, samples, set.count);
}

/** Throws SettingError unless the set is consistent and fits features of `featureCount` values. */
export function checkGates(set: GatesWithoutScales, featureCount: number, argument: string): void {
  if (typeof set !== "object" || set === null) {
    throw new SettingError({ argument, expected: "a gate set", received: set, hint: "make one with sampleGates" });
  }
  const width = set.featureCount + (set.bias ? 1 : 0);
  if (
    !Number.isInteger(set.count) ||
    set.count < 1 ||
    set.featureCount !== featureCount ||
    set.gates?.length !== set.count * width
  ) {
    const expected = `at least one gate of ${featureCount} features${set.bias ? " and a bias" : ""}`;
    const received = `${set.count} gates of ${set.featureCount} features in ${set.gates?.length} values`;
    throw new SettingError({ argument, expected, received, hint: "make them with sampleGates on the same features" });
  }
  if (!set.gates.every(Number.isFinite)) {
    throw new SettingError({ argument, expected: "finite gate vectors", received: "NaN or Infinity" });
  }
}

/** Throws SettingError when the set has patterns of its own: gated models open their pieces by g_p'x, in training as later. */
export function refuseTrainingPatterns(set: GateSet, argument: string): void {
  if (!set?.trainingPatterns) return;
  const expected = "gates whose patterns are the signs of g'x";
  const hint = "patterns of perturbed data are for programs with cones, fitRelu";
  throw new SettingError({ argument, expected, received: "a set with trainingPatterns", hint });
}

/** The gates of a trained model: a copy, without patterns. */
export function copyGates({ gates, count, featureCount, bias, scales }: GateSet): GateSet {
  return { gates: gates.slice(), count, featureCount, bias, scales: scales.slice() };
}

/** A gate set from given vectors `[count, featureCount (+1)]`, scaled on `features`. */
export function gatesFromVectors(gates: Float64Array, features: NumericBatch, bias: boolean): GateSet {
  checkFeatures(features);
  checkObject(gates, "gates", "a Float64Array [gates, features (+ 1)]");
  const featureCount = sampleSize(features);
  const count = gates.length / (featureCount + (bias ? 1 : 0));
  const set = { gates: Float64Array.from(gates), count, featureCount, bias };
  checkGates(set, featureCount, "gates");
  return { ...set, scales: new GateEvaluator(features, bias).scales(set.gates, count) };
}
