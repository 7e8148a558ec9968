import { createRng, type NumericBatch } from "@worstcase/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { clouds } from "../testing/problems.js";
import { gatesFromVectors, patternBits } from "./gateSet.js";
import { sampleGates } from "./sampleGates.js";

it("patterns are distinct, equal the signs of the gates, and repeat by seed", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 1, max: 70 }), fc.boolean(), (seed, n, bias) => {
      const { features } = clouds(seed, n, 3, 1);
      const first = sampleGates(features, { count: 12, rng: createRng(seed), bias });
      const again = sampleGates(features, { count: 12, rng: createRng(seed), bias });
      expect(again).toEqual(first);
      expect(first.draws).toBe(first.count + first.duplicates + first.silent);
      const bits = patternBits(features, first);
      const words = Math.ceil(n / 32);
      const seen = new Set<string>();
      for (let p = 0; p < first.count; p++) {
        let text = "";
        for (let i = 0; i < n; i++) {
          let opening = bias ? first.gates[p * 4 + 3] : 0;
          for (let k = 0; k < 3; k++) opening += first.gates[p * (bias ? 4 : 3) + k] * features.data[i * 3 + k];
          const bit = opening >= 0 ? 1 : 0;
          expect(bits[i * first.count + p]).toBe(bit);
          expect((first.patterns[p * words + (i >>> 5)] >>> (i & 31)) & 1).toBe(bit);
          text += bit;
        }
        expect(text).toContain("1");
        expect(seen.has(text)).toBe(false);
        seen.add(text);
      }
    }),
    { numRuns: 30 },
  );
});

it("one feature without bias has exactly the two sign patterns; the rest are duplicates", () => {
  const features: NumericBatch = { data: Float64Array.from([-2, -1, 1, 3]), shape: [4, 1] };
  const gates = sampleGates(features, { count: 5, rng: createRng(0), bias: false, maximumDraws: 60 });
  expect(gates.count).toBe(2);
  expect(gates.draws).toBe(60);
  expect(gates.duplicates).toBe(58);
  expect([...gates.patterns].sort((a, b) => a - b)).toEqual([0b0011, 0b1100]);
});

it("zero features: one pattern without bias, one silent kind with bias", () => {
  const features: NumericBatch = { data: new Float64Array(6), shape: [3, 2] };
  const plain = sampleGates(features, { count: 4, rng: createRng(1), bias: false });
  expect([plain.count, plain.patterns[0], plain.scales[0]]).toEqual([1, 0b111, 1]);
  const biased = sampleGates(features, { count: 4, rng: createRng(1), bias: true });
  expect(biased.count).toBe(1);
  expect(biased.silent).toBeGreaterThan(0);
});

it("bad input is a typed error that names the argument", () => {
  const rng = createRng(0);
  const bad: NumericBatch = { data: Float64Array.from([1, Number.NaN]), shape: [1, 2] };
  expect(() => sampleGates(bad, { count: 3, rng })).toThrow(/features\[0, 1\]/);
  expect(() => sampleGates({ data: new Float64Array(0), shape: [0, 2] }, { count: 3, rng })).toThrow(/features/);
  const image: NumericBatch = { data: new Float64Array(8), shape: [2, 2, 2] };
  expect(() => sampleGates(image, { count: 3, rng })).toThrow(/features/);
  const good: NumericBatch = { data: Float64Array.from([1, 2]), shape: [1, 2] };
  expect(() => sampleGates(good, { count: 0, rng })).toThrow(/options.count/);
  expect(() => gatesFromVectors(new Float64Array(3), good, false)).toThrow(/gates/);
});
