import { createRng, type NumericBatch, ResourceError } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enumerateGates } from "./enumerateGates.js";
import { patternBits } from "./gateSet.js";

const batch = (rows: number[][]): NumericBatch => ({
  data: Float64Array.from(rows.flat()),
  shape: [rows.length, rows[0].length],
});

const binomial = (n: number, k: number): number => (k === 0 ? 1 : (binomial(n - 1, k - 1) * n) / k);
const cover = (n: number, k: number) => {
  let total = 0;
  for (let j = 0; j < k; j++) total += n - 1 >= j ? binomial(n - 1, j) : 0;
  return 2 * total;
};

function textPatterns(features: NumericBatch, set: ReturnType<typeof enumerateGates>): string[] {
  const words = Math.ceil(features.shape[0] / 32);
  return Array.from({ length: set.count }, (_, p) =>
    Array.from({ length: features.shape[0] }, (_, i) => (set.patterns[p * words + (i >>> 5)] >>> (i & 31)) & 1).join(
      "",
    ),
  );
}

describe("samples in general position have as many cells as Cover counts", () => {
  it.each([
    [5, 2],
    [12, 2],
    [40, 2],
    [6, 3],
    [30, 3],
    [9, 4],
    [8, 5],
    [3, 6],
    [1, 3],
  ])("%i samples of %i features", (n, d) => {
    const rng = createRng(n * 10 + d);
    const features: NumericBatch = { data: Float64Array.from({ length: n * d }, () => rng.normal()), shape: [n, d] };
    const plain = enumerateGates(features, { bias: false });
    expect(plain.rank).toBe(Math.min(n, d));
    expect(plain.cells).toBe(cover(n, Math.min(n, d)));
    expect(plain.cells - plain.count).toBe(textPatterns(features, plain).includes("1".repeat(n)) ? 1 : 0); // -g is silent then
    expect(new Set(textPatterns(features, plain)).size).toBe(plain.count);
    if (n > d + 1 && n < 15 && d < 4) {
      const biased = enumerateGates(features);
      expect(biased.cells).toBe(cover(n, d + 1));
      expect(biased.count).toBe(biased.cells - 1);
    }
  });
});

// Every pattern that random gates find must be listed, and every listed pattern must be strictly attained by its own gate.
it("degenerate samples: the list is that of brute force over a fine sphere of gates", () => {
  const rows = fc.array(fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -2, max: 2 })), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(rows, (list) => {
      const features = batch(list);
      const set = enumerateGates(features, { bias: false });
      // in the plane, gates at 4,000 angles off the integer directions meet every open cell
      const found = new Set<string>();
      for (let step = 0; step < 4_000; step++) {
        const angle = (2 * Math.PI * (step + 0.4637)) / 4_000;
        const text = list.map(([a, b]) => (a * Math.cos(angle) + b * Math.sin(angle) >= 0 ? 1 : 0)).join("");
        if (text.includes("1")) found.add(text);
      }
      expect(new Set(textPatterns(features, set))).toEqual(found);
    }),
    { numRuns: 60 },
  );
});

it("with a bias, integer grids in the plane: 100,000 random gates find nothing that is not listed, and all of it", () => {
  const grid = batch([
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
    [2, 1],
    [1, 1],
  ]);
  const set = enumerateGates(grid);
  expect(set.rank).toBe(3);
  const listed = new Set(textPatterns(grid, set));
  expect(listed.size).toBe(set.count);
  const rng = createRng(1);
  const found = new Set<string>();
  for (let trial = 0; trial < 100_000; trial++) {
    const [a, b, c] = [rng.normal(), rng.normal(), 2 * rng.normal()];
    let text = "";
    for (let i = 0; i < 6; i++) text += a * grid.data[2 * i] + b * grid.data[2 * i + 1] + c >= 0 ? 1 : 0;
    if (text.includes("1")) found.add(text);
  }
  expect(found).toEqual(listed);
  const bits = patternBits(grid, set);
  for (let p = 0; p < set.count; p++) expect(bits[3 * set.count + p]).toBe(bits[5 * set.count + p]);
});

it("edges: zero samples, one sample, rank 1, too many subsets", () => {
  const zero = enumerateGates({ data: new Float64Array(6), shape: [3, 2] }, { bias: false });
  expect([zero.count, zero.rank, zero.patterns[0]]).toEqual([1, 0, 0b111]);
  const zeroWithBias = enumerateGates({ data: new Float64Array(6), shape: [3, 2] });
  expect([zeroWithBias.count, zeroWithBias.cells, zeroWithBias.rank]).toEqual([1, 2, 1]);
  const line = enumerateGates(
    batch([
      [1, 2],
      [-2, -4],
      [0, 0],
    ]),
    { bias: false },
  );
  expect([...line.patterns].sort()).toEqual([0b101, 0b110]);
  const rng = createRng(0);
  const many: NumericBatch = { data: Float64Array.from({ length: 3000 }, () => rng.normal()), shape: [300, 10] };
  expect(() => enumerateGates(many)).toThrow(ResourceError);
  expect(() => enumerateGates({ data: Float64Array.of(Number.NaN), shape: [1, 1] })).toThrow(/features\[0, 0\]/);
});
