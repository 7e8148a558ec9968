// potrf: reconstruction, closed forms, ml-matrix, failing pivots.

import { createRng } from "@worstcase/core";
import { CholeskyDecomposition, Matrix } from "ml-matrix";
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
  withSpectrum,
} from "./matrices.js";

function factor(kernels: Kernels, n: number, values: ArrayLike<number>, padding = 0) {
  const workspace = kernels.workspace(workspaceSize(paddedLength(n, n, padding)));
  const a = padded(workspace, n, n, padding, values);
  const pivot = workspace.potrf(n, a.array, a.leading);
  expect(a.intact()).toBe(true);
  return { pivot, l: a.values() };
}

const orders = [0, 1, 2, 5, 15, 16, 17, 31, 33, 48, 64, 65, 100, 129, 200];

export function describeCholesky(kernels: Kernels): void {
  describe("potrf", () => {
    test.each(orders)("order %i: L L' = A, zeros above, upper triangle of A not read", (n) => {
      const a = withSpectrum(
        createRng(n),
        Array.from({ length: n }, (_, i) => 1 + i / 7),
      );
      const stored = a.map((value, i) => (i % n > Math.floor(i / n) ? Number.NaN : value));
      const { pivot, l } = factor(kernels, n, stored, 3);
      expect(pivot).toBe(0);
      expect(largestDifference(plainProduct(false, true, n, n, n, l, l), a)).toBeLessThanOrEqual(
        50 * n * EPSILON * Math.max(1, largestEntry(a)),
      );
      expect(l.every((value, i) => (i % n > Math.floor(i / n) ? value === 0 : i % (n + 1) !== 0 || value > 0))).toBe(
        true,
      );
    });

    test("min(i, j) has the factor of all ones (closed form, exact in integers)", () => {
      const n = 150;
      const a = Float64Array.from({ length: n * n }, (_, i) => 1 + Math.min(Math.floor(i / n), i % n));
      const { pivot, l } = factor(kernels, n, a);
      expect(pivot).toBe(0);
      expect(l.every((value, i) => value === (i % n <= Math.floor(i / n) ? 1 : 0))).toBe(true);
    });

    test("agrees with ml-matrix", () => {
      const n = 90;
      const a = withSpectrum(
        createRng(2),
        Array.from({ length: n }, (_, i) => 10 ** (-i / 30)),
      );
      const oracle = new CholeskyDecomposition(Matrix.from1DArray(n, n, [...a])).lowerTriangularMatrix;
      expect(largestDifference(factor(kernels, n, a).l, oracle.to1DArray())).toBeLessThan(1e-12);
    });

    test.each([1e-150, 1e150])("graded spectrum at scale %d", (scale) => {
      const n = 60;
      const a = withSpectrum(
        createRng(3),
        Array.from({ length: n }, (_, i) => scale * 10 ** (-i / 6)),
      );
      const { pivot, l } = factor(kernels, n, a);
      expect(pivot).toBe(0);
      const difference = largestDifference(plainProduct(false, true, n, n, n, l, l), a);
      expect(difference / scale).toBeLessThanOrEqual(50 * n * EPSILON);
    });

    test.each([1, 2, 16, 17, 40, 64, 100])("names pivot %i of an indefinite matrix", (pivot) => {
      const n = 100;
      // L D L' with unit L and D = 1 but -1 at the pivot: the first non-positive pivot is known
      const rng = createRng(pivot);
      const l = new Float64Array(n * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < i; j++) l[i * n + j] = rng.normal() / n;
        l[i * n + i] = 1;
      }
      const d = l.map((value, i) => (i % n === pivot - 1 ? -value : value));
      expect(factor(kernels, n, plainProduct(false, true, n, n, n, d, l)).pivot).toBe(pivot);
    });

    test("zero, NaN and infinite pivots fail", () => {
      expect(factor(kernels, 1, [0]).pivot).toBe(1);
      expect(factor(kernels, 1, [Number.NaN]).pivot).toBe(1);
      expect(factor(kernels, 1, [Number.POSITIVE_INFINITY]).pivot).toBe(1);
      expect(factor(kernels, 2, [1, 0, 0, -1]).pivot).toBe(2);
      expect(factor(kernels, 3, new Float64Array(9)).pivot).toBe(1);
      const n = 40;
      const a = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
      a[30 * n + 20] = Number.NaN;
      expect(factor(kernels, n, a).pivot).toBe(31);
    });
  });
}
