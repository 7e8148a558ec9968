import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SettingError } from "./errors.js";
import { createRng, restoreRng } from "./random.js";

describe("createRng", () => {
  it("follows the published xoshiro128** recurrence", () => {
    // independent statement of the algorithm in BigInt arithmetic, started from the exported state
    const rng = createRng(3);
    const words = rng.state().words.map(BigInt) as [bigint, bigint, bigint, bigint];
    const mask = 0xffffffffn;
    const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & mask;
    const next = () => {
      const result = (rotate((words[1] * 5n) & mask, 7n) * 9n) & mask;
      const shifted = (words[1] << 9n) & mask;
      words[2] ^= words[0];
      words[3] ^= words[1];
      words[1] ^= words[2];
      words[0] ^= words[3];
      words[2] ^= shifted;
      words[3] = rotate(words[3], 11n);
      return result;
    };
    for (let i = 0; i < 100; i++) {
      const high = next() >> 5n;
      const low = next() >> 6n;
      expect(rng.uniform()).toBe(Number(high * 0x4000000n + low) / 2 ** 53);
    }
  });

  it("continues exactly from a state that went through JSON", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 20 }), (seed, draws) => {
        const rng = createRng(seed);
        for (let i = 0; i < draws; i++) rng.normal();
        const copy = restoreRng(JSON.parse(JSON.stringify(rng.state())));
        for (let i = 0; i < 5; i++) expect(copy.normal()).toBe(rng.normal());
        expect(copy.fork("a").uniform()).toBe(rng.fork("a").uniform());
      }),
    );
  });

  it("forks by name, whatever was drawn before, and differently for different names and seeds", () => {
    const used = createRng(1);
    used.uniform();
    expect(used.fork("attack").uniform()).toBe(createRng(1).fork("attack").uniform());
    const firsts = new Set(
      ["a", "b", "c"].flatMap((name) => [0, 1].map((seed) => createRng(seed).fork(name).uniform())),
    );
    expect(firsts.size).toBe(6);
  });

  it("has the moments of its distributions", () => {
    const rng = createRng(11);
    const count = 100_000;
    let mean = 0;
    let square = 0;
    let fourth = 0;
    const buckets = new Array<number>(7).fill(0);
    for (let i = 0; i < count; i++) {
      const x = rng.normal();
      mean += x / count;
      square += x ** 2 / count;
      fourth += x ** 4 / count;
      buckets[rng.integer(7)]! += 1;
    }
    // five standard errors: 1, sqrt(2), sqrt(96) over sqrt(count)
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(count));
    expect(Math.abs(square - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(Math.abs(fourth - 3)).toBeLessThan(5 * Math.sqrt(96 / count));
    for (const bucket of buckets) expect(Math.abs(bucket - count / 7)).toBeLessThan(5 * Math.sqrt(count / 7));
  });

  it("permutes", () => {
    const order = createRng(5).permutation(1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
  });

  it("refuses misuse", () => {
    for (const seed of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => createRng(seed)).toThrow(SettingError);
    expect(() => createRng(0).integer(0)).toThrow(SettingError);
    expect(() => restoreRng({ name: "x", words: [0, 0, 0, 0], spare: null })).toThrow(SettingError);
    expect(() => restoreRng({} as never)).toThrow(SettingError);
  });
});
