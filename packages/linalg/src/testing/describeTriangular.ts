// trsm: the solution multiplied back gives the right-hand side.

import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";
import {
  EPSILON,
  largestDifference,
  padded,
  paddedLength,
  plainProduct,
  randomArray,
  randomLower,
} from "./matrices.js";

export function describeTriangular(kernels: Kernels): void {
  describe("trsm", () => {
    const sizes = [
      [0, 0],
      [0, 4],
      [1, 1],
      [1, 9],
      [9, 1],
      [5, 3],
      [16, 17],
      [17, 16],
      [33, 8],
      [40, 7],
      [65, 31],
      [130, 70],
      [70, 130],
      [300, 1],
      [1, 300],
    ];
    test.each(sizes)("B [%i, %i], both sides, both transposes, garbage above the diagonal of L", (m, n) => {
      for (const side of ["left", "right"] as const) {
        for (const transpose of [false, true]) {
          const order = side === "left" ? m : n;
          const rng = createRng(m * 1000 + n);
          const l0 = randomLower(rng, order);
          const stored = l0.map((value, i) => (i % order > Math.floor(i / order) ? Number.NaN : value));
          const x0 = randomArray(rng, m * n);
          const b0 =
            side === "left"
              ? plainProduct(transpose, false, m, n, m, l0, x0)
              : plainProduct(false, transpose, m, n, n, x0, l0);
          const workspace = kernels.workspace(workspaceSize(paddedLength(order, order, 3), paddedLength(m, n, 2)));
          const l = padded(workspace, order, order, 3, stored);
          const b = padded(workspace, m, n, 2, b0);
          workspace.trsm(side, transpose, m, n, l.array, l.leading, b.array, b.leading);
          const x = b.values();
          const back =
            side === "left"
              ? plainProduct(transpose, false, m, n, m, l0, x)
              : plainProduct(false, transpose, m, n, n, x, l0);
          expect(largestDifference(back, b0)).toBeLessThanOrEqual(50 * (order + 1) * EPSILON);
          expect(largestDifference(x, x0)).toBeLessThanOrEqual(1e-11);
          expect(b.intact() && l.intact()).toBe(true);
        }
      }
    });

    test.each([1e-150, 1e150])("right-hand sides and factors at scale %d", (scale) => {
      const n = 37;
      const rng = createRng(4);
      const l0 = randomLower(rng, n).map((value) => value * scale);
      const b0 = randomArray(rng, n * n, scale);
      const workspace = kernels.workspace(workspaceSize(n * n, n * n));
      const l = workspace.float64(n * n);
      const b = workspace.float64(n * n);
      l.set(l0);
      b.set(b0);
      workspace.trsm("left", false, n, n, l, n, b, n);
      const back = plainProduct(false, false, n, n, n, l0, b);
      expect(largestDifference(back, b0) / scale).toBeLessThanOrEqual(50 * n * EPSILON * 4);
    });
  });
}
