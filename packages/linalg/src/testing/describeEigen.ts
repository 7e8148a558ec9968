// syevd: residual, orthogonality, order and eigenvalues, on spectra that are hard in different ways.

import { createRng } from "@worstcase/core";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
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
  withSpectrum,
} from "./matrices.js";

function decompose(kernels: Kernels, n: number, values: ArrayLike<number>, padding = 0) {
  const workspace = kernels.workspace(workspaceSize(paddedLength(n, n, padding), n));
  const a = padded(workspace, n, n, padding, values);
  const eigenvalues = workspace.float64(n);
  const status = workspace.syevd(n, a.array, a.leading, eigenvalues);
  expect(a.intact()).toBe(true);
  return { status, values: Float64Array.from(eigenvalues), vectors: a.values() };
}

/** Checks A v_k = w_k v_k, V V' = I and ascending order; bounds are 50 n eps relative to the largest eigenvalue. */
function checkPairs(kernels: Kernels, n: number, a: Float64Array, padding = 0): Float64Array {
  const { status, values, vectors } = decompose(kernels, n, a, padding);
  expect(status).toBe(0);
  const size = largestEntry(values);
  const scale = size > 0 ? size : 1;
  const left = plainProduct(
    false,
    false,
    n,
    n,
    n,
    vectors,
    a.map((value) => value / scale),
  );
  const right = vectors.map((value, i) => value * (values[Math.floor(i / n)] / scale));
  expect(largestDifference(left, right)).toBeLessThanOrEqual(50 * n * EPSILON);
  const gram = plainProduct(false, true, n, n, n, vectors, vectors);
  const identity = gram.map((_, i) => (i % (n + 1) === 0 ? 1 : 0));
  expect(largestDifference(gram, identity)).toBeLessThanOrEqual(50 * n * EPSILON);
  expect(values.every((value, k) => k === 0 || value >= values[k - 1])).toBe(true);
  return values;
}

function randomSymmetric(seed: number, n: number): Float64Array {
  const a = randomArray(createRng(seed), n * n);
  return a.map((value, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return row >= column ? value : a[column * n + row];
  });
}

/** Second-difference matrix: eigenvalues 2 - 2 cos(k pi / (n + 1)). */
function secondDifference(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => {
    const distance = Math.abs(Math.floor(i / n) - (i % n));
    return distance === 0 ? 2 : distance === 1 ? -1 : 0;
  });
}

const orders = [
  1, 2, 3, 4, 5, 7, 8, 16, 17, 25, 31, 32, 33, 34, 47, 48, 49, 50, 64, 65, 79, 80, 81, 97, 127, 128, 150, 200,
];

const spectra: Record<string, (n: number) => number[]> = {
  "graded to 1e-15": (n) => Array.from({ length: n }, (_, i) => 10 ** ((-15 * i) / n)),
  "graded to 1e-200": (n) => Array.from({ length: n }, (_, i) => 10 ** ((-200 * i) / n)),
  "two repeated values": (n) => Array.from({ length: n }, (_, i) => (i < n / 3 ? 5 : -1)),
  "one value and a gap": (n) => Array.from({ length: n }, (_, i) => (i === 0 ? 1 : 1e-8)),
  clustered: (n) => Array.from({ length: n }, (_, i) => 1 + 1e-13 * i),
  "clusters at three values": (n) => Array.from({ length: n }, (_, i) => (i % 3) + 1e-15 * i),
  "rank five": (n) => Array.from({ length: n }, (_, i) => (i < 5 ? i - 2.5 : 0)),
  arithmetic: (n) => Array.from({ length: n }, (_, i) => i + 1),
  "plus and minus pairs": (n) => Array.from({ length: n }, (_, i) => (i % 2 ? 1 : -1) * (1 + (i >> 1))),
};

export function describeEigen(kernels: Kernels): void {
  describe("syevd", () => {
    test.each(orders)("random matrix of order %i", (n) => {
      checkPairs(kernels, n, randomSymmetric(n, n), 3);
    });

    for (const [name, spectrum] of Object.entries(spectra)) {
      test.each([20, 64, 130])(`spectrum ${name}, order %i`, (n) => {
        const expected = Float64Array.from(spectrum(n)).sort();
        const values = checkPairs(kernels, n, withSpectrum(createRng(n), expected));
        expect(largestDifference(values, expected)).toBeLessThanOrEqual(50 * n * EPSILON * largestEntry(expected));
      });
    }

    test.each([1e-300, 1e-150, 1e150, 1e300])("scale %d", (scale) => {
      const n = 70;
      const base = withSpectrum(
        createRng(1),
        Array.from({ length: n }, (_, i) => i / n),
      );
      const values = checkPairs(
        kernels,
        n,
        base.map((value) => value * scale),
      );
      const expected = values.map((_, i) => i / n);
      expect(
        largestDifference(
          values.map((value) => value / scale),
          expected,
        ),
      ).toBeLessThan(50 * n * EPSILON);
    });

    test.each([10, 100, 180])("second difference of order %i (closed form)", (n) => {
      const values = checkPairs(kernels, n, secondDifference(n));
      const expected = values.map((_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
      expect(largestDifference(values, expected)).toBeLessThanOrEqual(50 * n * EPSILON);
    });

    test("Wilkinson's W21+ (largest pair as published, 10.7461941829033)", () => {
      const n = 21;
      const a = Float64Array.from({ length: n * n }, (_, i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        return row === column ? Math.abs(10 - row) : Math.abs(row - column) === 1 ? 1 : 0;
      });
      const values = checkPairs(kernels, n, a);
      expect(values[20]).toBeCloseTo(10.746194182903393, 12);
      expect(values[19]).toBeCloseTo(10.746194182903322, 12);
    });

    test.each([5, 40, 100])("W+ of many glued copies, order %i times 21 / 5", (count) => {
      // glued Wilkinson matrices: pathologically close eigenvalues that still need orthogonal vectors
      const n = Math.floor(count / 5) * 21;
      const a = new Float64Array(n * n);
      for (let i = 0; i < n; i++) {
        a[i * n + i] = Math.abs(10 - (i % 21));
        const coupling = i % 21 === 20 ? 1e-8 : 1;
        if (i + 1 < n) a[i * n + i + 1] = a[(i + 1) * n + i] = coupling;
      }
      checkPairs(kernels, n, a);
    });

    test.each([1, 6, 40, 90])("diagonal, identity and zero of order %i", (n) => {
      const diagonal = new Float64Array(n * n);
      for (let i = 0; i < n; i++) diagonal[i * n + i] = ((i * 7) % n) - n / 2;
      const expected = Float64Array.from({ length: n }, (_, i) => diagonal[i * n + i]).sort();
      expect(same(checkPairs(kernels, n, diagonal), expected)).toBe(true);
      const identity = diagonal.map((_, i) => (i % (n + 1) === 0 ? 1 : 0));
      expect(checkPairs(kernels, n, identity).every((value) => value === 1)).toBe(true);
      expect(checkPairs(kernels, n, new Float64Array(n * n)).every((value) => value === 0)).toBe(true);
    });

    test("block diagonal and tiny rows", () => {
      const n = 90;
      const a = randomSymmetric(3, n).map((value, i) => (Math.floor(i / n) < 40 === i % n < 40 ? value : 0));
      checkPairs(kernels, n, a);
      const tiny = randomSymmetric(4, n).map((value, i) =>
        Math.floor(i / n) > 70 || i % n > 70 ? value * 1e-170 : value,
      );
      checkPairs(kernels, n, tiny);
      checkPairs(
        kernels,
        n,
        tiny.map((_, i) => tiny[n * n - 1 - i]),
      );
    });

    test("agrees with ml-matrix", () => {
      const n = 75;
      const a = randomSymmetric(9, n);
      const oracle = new EigenvalueDecomposition(Matrix.from1DArray(n, n, [...a]), { assumeSymmetric: true });
      const expected = Float64Array.from(oracle.realEigenvalues).sort();
      expect(largestDifference(decompose(kernels, n, a).values, expected)).toBeLessThan(1e-12);
    });

    test("reads the lower triangle only; order 0 works; NaN and infinity give a positive status", () => {
      const n = 50;
      const a = randomSymmetric(6, n);
      const lower = a.map((value, i) => (i % n > Math.floor(i / n) ? Number.NaN : value));
      expect(same(decompose(kernels, n, lower).values, decompose(kernels, n, a).values)).toBe(true);
      expect(decompose(kernels, 0, []).status).toBe(0);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const spoiled = Float64Array.from(a);
        spoiled[30 * n + 7] = bad;
        expect(decompose(kernels, n, spoiled).status).toBeGreaterThan(0);
      }
    });
  });
}
