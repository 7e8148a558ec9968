// trtri and potri: the inverse multiplied back gives the identity; closed forms.

import { createRng } from "@worstcase/core";
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
  randomLower,
  same,
  transposed,
} from "./matrices.js";

const orders = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100, 129, 200];

function invert(kernels: Kernels, routine: "trtri" | "potri", n: number, lower: ArrayLike<number>, padding = 0) {
  const workspace = kernels.workspace(workspaceSize(paddedLength(n, n, padding)));
  const stored = Float64Array.from(lower, (value, i) => (i % n > Math.floor(i / n) ? Number.NaN : value));
  const l = padded(workspace, n, n, padding, stored);
  workspace[routine](n, l.array, l.leading);
  expect(l.intact()).toBe(true);
  return l.values();
}

function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
}

export function describeInverse(kernels: Kernels): void {
  describe("trtri", () => {
    test.each(orders)("order %i: L inverse(L) = I, zeros above, garbage above the diagonal of L", (n) => {
      const l = randomLower(createRng(n), n);
      const inverse = invert(kernels, "trtri", n, l, 3);
      const back = plainProduct(false, false, n, n, n, l, inverse);
      expect(largestDifference(back, identity(n))).toBeLessThanOrEqual(50 * (n + 1) * EPSILON);
      expect(inverse.every((value, i) => i % n <= Math.floor(i / n) || value === 0)).toBe(true);
    });

    test("all ones below: the inverse is the first difference (closed form, exact in integers)", () => {
      const n = 150;
      const ones = Float64Array.from({ length: n * n }, (_, i) => (i % n <= Math.floor(i / n) ? 1 : 0));
      const inverse = invert(kernels, "trtri", n, ones);
      const expected = ones.map((_, i) => (i % (n + 1) === 0 ? 1 : i % n === Math.floor(i / n) - 1 ? -1 : 0));
      expect(same(inverse, expected)).toBe(true);
    });
  });

  describe("potri", () => {
    test.each(orders)("order %i: (L L') inverse = I, exactly symmetric", (n) => {
      const l = randomLower(createRng(n), n);
      const a = plainProduct(false, true, n, n, n, l, l);
      const inverse = invert(kernels, "potri", n, l, 3);
      const back = plainProduct(false, false, n, n, n, a, inverse);
      const allowed = 50 * (n + 1) * EPSILON * Math.max(1, largestEntry(a));
      expect(largestDifference(back, identity(n))).toBeLessThanOrEqual(allowed);
      expect(same(inverse, transposed(n, n, inverse))).toBe(true);
    });

    test("min(i, j) has the second difference as inverse (closed form, exact in integers)", () => {
      const n = 150;
      const ones = Float64Array.from({ length: n * n }, (_, i) => (i % n <= Math.floor(i / n) ? 1 : 0));
      const expected = ones.map((_, i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        if (row === column) return row === n - 1 ? 1 : 2;
        return Math.abs(row - column) === 1 ? -1 : 0;
      });
      expect(same(invert(kernels, "potri", n, ones), expected)).toBe(true);
    });

    test.each([1e-100, 1e100])("factor at scale %d", (scale) => {
      const n = 45;
      const l = randomLower(createRng(5), n);
      const expected = invert(kernels, "potri", n, l);
      const inverse = invert(
        kernels,
        "potri",
        n,
        l.map((value) => value * scale),
      );
      const rescaled = inverse.map((value) => value * scale * scale);
      expect(largestDifference(rescaled, expected)).toBeLessThanOrEqual(50 * n * EPSILON);
    });
  });
}
