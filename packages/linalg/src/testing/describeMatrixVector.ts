// gemv, symv and trsv against the definition.

import { createRng, SettingError, ShapeError } from "@worstcase/core";
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
  randomLower,
  same,
} from "./matrices.js";

const factors: [alpha: number, beta: number][] = [
  [1, 0],
  [-0.5, 1],
  [2, -3],
  [0, 2],
  [0, 0],
];

export function describeMatrixVector(kernels: Kernels): void {
  describe("gemv", () => {
    const sizes = [
      [0, 0],
      [0, 3],
      [3, 0],
      [1, 1],
      [4, 9],
      [9, 4],
      [31, 33],
      [1, 4100],
      [4100, 1],
      [9000, 3],
      [3, 9000],
    ];
    test.each(sizes)("A [%i, %i], both transposes", (m, n) => {
      for (const transpose of [false, true]) {
        for (const [alpha, beta] of factors) {
          const rng = createRng(m * 10000 + n);
          const [inputs, outputs] = transpose ? [m, n] : [n, m];
          const a0 = randomArray(rng, m * n);
          const x0 = randomArray(rng, inputs);
          const y0 = randomArray(rng, outputs);
          const workspace = kernels.workspace(
            workspaceSize(paddedLength(m, n, 3), paddedLength(1, inputs, 1), paddedLength(1, outputs, 1)),
          );
          const a = padded(workspace, m, n, 3, a0);
          const x = padded(workspace, 1, inputs, 1, x0);
          const y = padded(workspace, 1, outputs, 1, beta === 0 ? y0.map(() => Number.NaN) : y0);
          workspace.gemv(transpose, m, n, alpha, a.array, a.leading, x.array, beta, y.array);
          const product = plainProduct(transpose, false, outputs, 1, inputs, a0, x0);
          const expected = product.map((value, i) => alpha * value + beta * y0[i]);
          const size = Math.abs(alpha) * largestEntry(a0) * largestEntry(x0) + Math.abs(beta) * largestEntry(y0);
          expect(largestDifference(y.values(), expected)).toBeLessThanOrEqual(4 * EPSILON * (inputs + 2) * size);
          expect(a.intact() && x.intact() && y.intact()).toBe(true);
        }
      }
    });
  });

  test("rowLengths: Pythagorean rows, leading dimensions, empty and non-finite rows", () => {
    const workspace = kernels.workspace(4000);
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 64, 131]) {
      const lda = n + 3;
      const a = workspace.float64(3 * lda).fill(Number.NaN);
      const lengths = workspace.float64(5).fill(-1);
      // lengths 3 sqrt(n) and 7, and a row that is not finite
      for (let k = 0; k < n; k++) {
        a[k] = k % 2 === 0 ? 3 : -3;
        a[lda + k] = k === n - 1 ? -7 : 0;
        a[2 * lda + k] = k === n >> 1 ? Number.NaN : 1;
      }
      workspace.rowLengths(3, n, a, lda, lengths);
      expect(Math.abs(lengths[0] / (3 * Math.sqrt(n)) - 1)).toBeLessThan(4 * EPSILON);
      expect(lengths[1]).toBe(7);
      expect(lengths[2]).toBeNaN();
      expect(lengths[3]).toBe(-1);
      a[2 * lda + (n >> 1)] = Number.NEGATIVE_INFINITY;
      workspace.rowLengths(3, n, a, lda, lengths);
      expect(lengths[2]).toBe(Number.POSITIVE_INFINITY);
    }
    const empty = workspace.float64(2).fill(3);
    workspace.rowLengths(2, 0, workspace.float64(0), 0, empty);
    expect([...empty]).toEqual([0, 0]);
    const short = workspace.float64(3);
    expect(() => workspace.rowLengths(2, 2, short, 2, empty)).toThrow(ShapeError);
    expect(() => workspace.rowLengths(1, 2, short, 2, short.subarray(0, 1))).toThrow(SettingError);
  });

  describe("symv", () => {
    test.each([0, 1, 2, 3, 4, 5, 7, 8, 9, 30, 65, 200])("order %i, garbage above the diagonal", (n) => {
      for (const [alpha, beta] of factors) {
        const rng = createRng(n);
        const a0 = randomArray(rng, n * n);
        const symmetric = a0.map((value, i) => {
          const [row, column] = [Math.floor(i / n), i % n];
          return row >= column ? value : a0[column * n + row];
        });
        const x0 = randomArray(rng, n);
        const y0 = randomArray(rng, n);
        const stored = a0.map((value, i) => (i % n > Math.floor(i / n) ? Number.NaN : value));
        const workspace = kernels.workspace(
          workspaceSize(paddedLength(n, n, 3), paddedLength(1, n, 1), paddedLength(1, n, 1)),
        );
        const a = padded(workspace, n, n, 3, stored);
        const x = padded(workspace, 1, n, 1, x0);
        const y = padded(workspace, 1, n, 1, beta === 0 ? y0.map(() => Number.NaN) : y0);
        workspace.symv(n, alpha, a.array, a.leading, x.array, beta, y.array);
        const product = plainProduct(false, false, n, 1, n, symmetric, x0);
        const expected = product.map((value, i) => alpha * value + beta * y0[i]);
        const size = Math.abs(alpha) * largestEntry(a0) * largestEntry(x0) + Math.abs(beta) * largestEntry(y0);
        expect(largestDifference(y.values(), expected)).toBeLessThanOrEqual(4 * EPSILON * (n + 2) * size);
        expect(a.intact() && x.intact() && y.intact() && same(x.values(), x0)).toBe(true);
      }
    });
  });

  describe("trsv", () => {
    // the largest order exceeds the pieces of the WebAssembly matrix-vector products; its L is the identity plus a column
    const orders = [0, 1, 2, 5, 15, 16, 17, 31, 33, 100, ...(kernels.name.startsWith("wasm") ? [4200] : [])];
    test.each(orders)("order %i, garbage above the diagonal", (n) => {
      const rng = createRng(n);
      const l0 =
        n < 1000
          ? randomLower(rng, n)
          : Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : i % n === 0 ? 0.5 : 0));
      const b0 = randomArray(rng, n);
      const stored = n < 1000 ? l0.map((value, i) => (i % n > Math.floor(i / n) ? Number.NaN : value)) : l0;
      const workspace = kernels.workspace(workspaceSize(paddedLength(n, n, 1), paddedLength(1, n, 1)));
      const l = padded(workspace, n, n, 1, stored);
      for (const transpose of [false, true]) {
        const mark = workspace.mark();
        const x = padded(workspace, 1, n, 1, b0);
        workspace.trsv(transpose, n, l.array, l.leading, x.array);
        const back = plainProduct(transpose, false, n, 1, n, l0, x.values());
        const size = Math.max(1, largestEntry(x.values()));
        expect(largestDifference(back, b0)).toBeLessThanOrEqual(50 * (n + 1) * EPSILON * size);
        expect(x.intact()).toBe(true);
        workspace.release(mark);
      }
    });
  });
}
