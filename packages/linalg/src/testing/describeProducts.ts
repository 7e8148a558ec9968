// gemm and syrk against the definition and ml-matrix, over transposes, factors, shapes and leading dimensions.

import { createRng } from "@worstcase/core";
import fc from "fast-check";
import { Matrix } from "ml-matrix";
import { describe, expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";
import {
  EPSILON,
  largestDifference,
  largestEntry,
  padded,
  paddedLength,
  plainProduct,
  randomArray,
  same,
  transposed,
} from "./matrices.js";

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly alpha: number;
  readonly beta: number;
  readonly padding: number;
  readonly seed: number;
}

/** Runs gemm and returns result, expectation and the error allowed: a few eps times k times the factors' sizes. */
function runProduct(
  kernels: Kernels,
  { m, n, k, transposeA, transposeB, alpha, beta, padding, seed }: Case,
  scale = 1,
) {
  const rng = createRng(seed);
  const [aRows, aColumns] = transposeA ? [k, m] : [m, k];
  const [bRows, bColumns] = transposeB ? [n, k] : [k, n];
  const a0 = randomArray(rng, m * k, scale);
  const b0 = randomArray(rng, k * n, scale);
  const c0 = randomArray(rng, m * n, scale * scale);
  const size = workspaceSize(
    paddedLength(aRows, aColumns, padding),
    paddedLength(bRows, bColumns, padding),
    paddedLength(m, n, padding),
  );
  const workspace = kernels.workspace(size);
  const a = padded(workspace, aRows, aColumns, padding, a0);
  const b = padded(workspace, bRows, bColumns, padding, b0);
  const c = padded(workspace, m, n, padding, c0);
  const { gemm } = workspace;
  gemm.call(
    workspace,
    transposeA,
    transposeB,
    m,
    n,
    k,
    alpha,
    a.array,
    a.leading,
    b.array,
    b.leading,
    beta,
    c.array,
    c.leading,
  );
  const expected = plainProduct(transposeA, transposeB, m, n, k, a0, b0).map(
    (value, i) => alpha * value + beta * c0[i],
  );
  const allowed =
    4 * EPSILON * (k + 2) * (Math.abs(alpha) * largestEntry(a0) * largestEntry(b0) + Math.abs(beta) * largestEntry(c0));
  expect(a.intact() && b.intact() && c.intact()).toBe(true);
  expect(same(a.values(), a0) && same(b.values(), b0)).toBe(true);
  return { error: largestDifference(c.values(), expected), allowed, result: c.values(), a0, b0 };
}

const factor = fc.constantFrom(0, 1, -1, 0.5, -3);
const productCase = fc.record({
  m: fc.integer({ min: 0, max: 40 }),
  n: fc.integer({ min: 0, max: 40 }),
  k: fc.integer({ min: 0, max: 40 }),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  alpha: factor,
  beta: factor,
  padding: fc.integer({ min: 0, max: 5 }),
  seed: fc.nat(),
});

export function describeProducts(kernels: Kernels): void {
  describe("gemm", () => {
    test("equals the definition for random shapes, transposes, factors and leading dimensions", () => {
      fc.assert(
        fc.property(productCase, (given) => {
          const { error, allowed } = runProduct(kernels, given);
          expect(error).toBeLessThanOrEqual(allowed);
        }),
        { numRuns: 400 },
      );
    });

    const large = [
      [300, 270, 260],
      [5, 300, 515],
      [8, 33, 600],
      [259, 9, 530],
      [259, 8, 530],
      [520, 1, 300],
      [1, 520, 300],
      [3, 1, 9000],
      [1, 3, 9000],
      [9001, 1, 3],
      [1, 9001, 3],
      [1, 1, 9001],
      [17, 514, 3],
    ];
    test.each(large)("crosses block limits at %i x %i x %i", (m, n, k) => {
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          const given = { m, n, k, transposeA, transposeB, alpha: -0.5, beta: 2, padding: 3, seed: 11 };
          const { error, allowed } = runProduct(kernels, given);
          expect(error).toBeLessThanOrEqual(allowed);
        }
      }
    });

    test("agrees with ml-matrix", () => {
      const given = {
        m: 45,
        n: 23,
        k: 67,
        transposeA: false,
        transposeB: false,
        alpha: 1,
        beta: 0,
        padding: 0,
        seed: 5,
      };
      const { result, a0, b0 } = runProduct(kernels, given);
      const oracle = Matrix.from1DArray(45, 67, [...a0]).mmul(Matrix.from1DArray(67, 23, [...b0]));
      expect(largestDifference(result, oracle.to1DArray())).toBeLessThan(1e-12);
    });

    test.each([1e-150, 1e150])("keeps relative accuracy at scale %d", (scale) => {
      const given = {
        m: 37,
        n: 29,
        k: 41,
        transposeA: true,
        transposeB: false,
        alpha: 1,
        beta: 1,
        padding: 1,
        seed: 3,
      };
      const { error, allowed } = runProduct(kernels, given, scale);
      expect(allowed).toBeGreaterThan(0);
      expect(error).toBeLessThanOrEqual(allowed);
    });

    test.each([
      [6, 7, 5],
      [6, 1, 5],
      [1, 6, 5],
      [40, 41, 42],
      [40, 41, 0],
    ])("beta 0 overwrites NaN, %i x %i x %i", (m, n, k) => {
      const workspace = kernels.workspace(workspaceSize(m * k, k * n, m * n));
      const a = workspace.float64(m * k).fill(2);
      const b = workspace.float64(k * n).fill(3);
      const c = workspace.float64(m * n).fill(Number.NaN);
      workspace.gemm(false, false, m, n, k, 1, a, k, b, n, 0, c, n);
      expect([...new Set(c)]).toEqual([6 * k]);
      c.fill(Number.NaN);
      workspace.gemm(false, false, m, n, k, 0, a, k, b, n, 0, c, n);
      expect([...new Set(c)]).toEqual([0]);
    });

    test("NaN and infinity in a factor reach exactly the entries that depend on them", () => {
      const n = 21;
      const workspace = kernels.workspace(workspaceSize(n * n, n * n, n * n));
      const [a, b, c] = [1, 2, 3].map(() => workspace.float64(n * n).fill(1));
      a[3 * n + 4] = Number.NaN;
      a[20 * n + 20] = Number.POSITIVE_INFINITY;
      workspace.gemm(false, false, n, n, n, 1, a, n, b, n, 0, c, n);
      const rows = Array.from({ length: n }, (_, i) =>
        i === 3 ? Number.NaN : i === 20 ? Number.POSITIVE_INFINITY : n,
      );
      expect(
        same(
          c,
          Float64Array.from({ length: n * n }, (_, i) => rows[Math.floor(i / n)]),
        ),
      ).toBe(true);
    });

    test("repeats bit for bit", () => {
      const given = {
        m: 67,
        n: 45,
        k: 300,
        transposeA: true,
        transposeB: true,
        alpha: 1,
        beta: 1,
        padding: 0,
        seed: 2,
      };
      expect(same(runProduct(kernels, given).result, runProduct(kernels, given).result)).toBe(true);
    });

    test("works on subarrays at odd offsets", () => {
      const workspace = kernels.workspace(1000);
      const memory = workspace.float64(1000);
      const [a, b, c] = [memory.subarray(1, 101), memory.subarray(103, 203), memory.subarray(205, 305)];
      const rng = createRng(8);
      const [a0, b0] = [randomArray(rng, 100), randomArray(rng, 100)];
      a.set(a0);
      b.set(b0);
      workspace.gemm(false, true, 10, 10, 10, 1, a, 10, b, 10, 0, c, 10);
      expect(largestDifference(c, plainProduct(false, true, 10, 10, 10, a0, b0))).toBeLessThan(1e-13);
    });
  });

  describe("syrk", () => {
    const sizes = [
      [0, 3],
      [1, 5],
      [3, 0],
      [7, 300],
      [33, 20],
      [70, 64],
      [130, 300],
      [300, 17],
    ];
    test.each(sizes)("n %i, k %i: both triangles, reading the lower one of C", (n, k) => {
      for (const transpose of [false, true]) {
        for (const [alpha, beta] of [
          [1, 0],
          [-0.5, 1],
          [2, -3],
          [0, 2],
        ]) {
          const rng = createRng(n * 1000 + k);
          const [rows, columns] = transpose ? [k, n] : [n, k];
          const a0 = randomArray(rng, n * k);
          const c0 = randomArray(rng, n * n);
          const symmetric = c0.map((value, i) => {
            const [row, column] = [Math.floor(i / n), i % n];
            return row >= column ? value : c0[column * n + row];
          });
          const start = beta === 0 ? c0.map(() => Number.NaN) : c0;
          const workspace = kernels.workspace(workspaceSize(paddedLength(rows, columns, 2), paddedLength(n, n, 3)));
          const a = padded(workspace, rows, columns, 2, a0);
          const c = padded(workspace, n, n, 3, start);
          workspace.syrk(transpose, n, k, alpha, a.array, a.leading, beta, c.array, c.leading);
          const oracle = transpose
            ? plainProduct(true, false, n, n, k, a0, a0)
            : plainProduct(false, true, n, n, k, a0, a0);
          const expected = oracle.map((value, i) => alpha * value + beta * symmetric[i]);
          const result = c.values();
          expect(largestDifference(result, expected)).toBeLessThanOrEqual(1e-14 * (k + 20) * 10);
          expect(same(result, transposed(n, n, result))).toBe(true);
          expect(a.intact() && c.intact()).toBe(true);
        }
      }
    });
  });
}
