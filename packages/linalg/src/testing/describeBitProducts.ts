// gemmBits against gemm with the same zeros and ones as numbers, over transposes, factors, shapes and leading dimensions.

import { createRng } from "@worstcase/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";
import { EPSILON, largestDifference, randomArray } from "./matrices.js";

interface Case {
  readonly transpose: boolean;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
  readonly beta: number;
  readonly padding: number;
  readonly seed: number;
}

function difference(kernels: Kernels, { transpose, m, n, k, alpha, beta, padding, seed }: Case): number {
  const rng = createRng(seed);
  const [rows, columns] = transpose ? [k, m] : [m, k];
  const words = Math.ceil(columns / 64) + padding;
  const [ldb, ldc] = [n + padding, n + 2 * padding];
  const workspace = kernels.workspace(workspaceSize(rows * words, rows * columns, k * ldb, m * ldc, m * ldc));
  const packed = workspace.float64(rows * words);
  const bytes = new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
  // Bits past the last column are set at random: they must not count.
  for (let p = 0; p < bytes.length; p++) bytes[p] = rng.integer(256);
  const plain = workspace.float64(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) plain[i * columns + j] = (bytes[8 * i * words + (j >> 3)] >> (j & 7)) & 1;
  }
  const b = workspace.float64(k * ldb);
  b.set(randomArray(rng, b.length, 1));
  const [found, expected] = [workspace.float64(m * ldc), workspace.float64(m * ldc)];
  found.set(beta === 0 ? found.map(() => Number.NaN) : randomArray(rng, found.length, 1));
  expected.set(found);
  const before = packed.slice();
  workspace.gemmBits(transpose, m, n, k, alpha, packed, words, b, ldb, beta, found, ldc);
  workspace.gemm(transpose, false, m, n, k, alpha, plain, columns, b, ldb, beta, expected, ldc);
  expect(new Uint32Array(packed.slice().buffer)).toEqual(new Uint32Array(before.buffer));
  const inside = (values: Float64Array) => values.filter((_, p) => p % ldc < n);
  const outside = (values: Float64Array) => values.filter((_, p) => p % ldc >= n);
  expect(outside(found)).toEqual(outside(expected));
  return (
    largestDifference(inside(found), inside(expected)) /
    (4 * EPSILON * (k + 2) * (Math.abs(alpha) + Math.abs(beta)) * 5)
  );
}

export function describeBitProducts(kernels: Kernels): void {
  test("products with packed bits equal products with zeros and ones", () => {
    const dimension = fc.integer({ min: 0, max: 40 });
    const cases = fc.record({
      transpose: fc.boolean(),
      m: dimension,
      n: dimension,
      k: dimension,
      alpha: fc.constantFrom(1, -0.5, 3),
      beta: fc.constantFrom(0, 1, -2),
      padding: fc.constantFrom(0, 1, 3),
      seed: fc.integer({ min: 0, max: 1000 }),
    });
    fc.assert(
      fc.property(cases, (one) => difference(kernels, one) <= 1),
      { numRuns: 100 },
    );
  });

  test.each([
    [1100, 17, 530, false],
    [1100, 17, 530, true],
    [63, 65, 1025, true],
    [65, 16, 512, false],
  ])("packed bits past the sizes of blocks: %i x %i x %i, transposed %s", (m, n, k, transpose) => {
    expect(difference(kernels, { transpose, m, n, k, alpha: 0.5, beta: 1, padding: 1, seed: 3 })).toBeLessThanOrEqual(
      1,
    );
  });

  test("packed bits: shapes and outputs are checked", () => {
    const workspace = kernels.workspace(200);
    const [d, b, c] = [8, 64, 64].map((length) => workspace.float64(length));
    expect(() => workspace.gemmBits(false, 8, 8, 65, 1, d, 1, b, 8, 0, c, 8)).toThrow(/ldd/);
    expect(() => workspace.gemmBits(false, 9, 8, 8, 1, d, 1, b, 8, 0, c, 8)).toThrow(/d/);
    expect(() => workspace.gemmBits(false, 8, 8, 8, 1, d, 1, b, 8, 0, b, 8)).toThrow(/apart/);
  });
}
