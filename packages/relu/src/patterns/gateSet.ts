// A set of gates and its activation patterns: bit d_pi = 1[g_p'x_i >= 0] (math.md 13.1).
// features: [n, d]   gates: [P, d] or, with bias, [P, d+1] with the weight of a constant 1 last   bits: [n, P], 0 or 1

import { type NumericBatch, SettingError, sampleCount, sampleSize } from "@worstcase/core";
import { checkFeatures } from "../checks.js";

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

export function gateScales(features: NumericBatch, set: Omit<GateSet, "scales">): Float64Array {
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

export function preactivation(
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
