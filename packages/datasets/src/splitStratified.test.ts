import { createRng, DataError, SettingError } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitStratified } from "./splitStratified.js";

describe("splitStratified", () => {
  it("uses every sample once, in ascending parts, with each class's rounded share", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 4, max: 40 }), { minLength: 1, maxLength: 4 }),
        fc.nat(1000),
        (counts, seed) => {
          const labels = Int32Array.from(counts.flatMap((count, label) => Array(count).fill(label)));
          const { train, validation, test } = splitStratified(labels, { test: 0.25, validation: 0.2 }, createRng(seed));
          expect([...train, ...validation, ...test].sort((a, b) => a - b)).toEqual([...labels.keys()]);
          for (const part of [train, validation, test]) expect([...part]).toEqual([...part].sort((a, b) => a - b));
          counts.forEach((count, label) => {
            const of = (part: Int32Array) => part.filter((i) => labels[i] === label).length;
            expect([of(test), of(validation)]).toEqual([Math.round(count * 0.25), Math.round(count * 0.2)]);
          });
        },
      ),
    );
  });

  it("depends on the seed alone", () => {
    const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3);
    const split = (seed: number) => splitStratified(labels, { test: 0.3 }, createRng(seed));
    expect(split(1)).toEqual(split(1));
    expect(split(1).test).not.toEqual(split(2).test);
    expect(split(1).validation).toHaveLength(0);
  });

  it("refuses impossible shares and classes that are too small", () => {
    const rng = createRng(1);
    const labels = Int32Array.of(0, 0, 0, 0, 1);
    expect(() => splitStratified(labels, { test: 0.5 }, rng)).toThrow(DataError);
    expect(() => splitStratified(new Int32Array(), { test: 0.5 }, rng)).toThrow(DataError);
    for (const shares of [
      { test: 0 },
      { test: 1 },
      { test: 0.6, validation: 0.4 },
      { test: Number.NaN },
      { test: 0.1, validation: -1 },
    ]) {
      expect(() => splitStratified(labels, shares, rng)).toThrow(SettingError);
    }
  });
});
