// Batches against single calls on the same blocks, with gaps between blocks that must survive.

import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import type { Kernels, Workspace } from "../kernels.js";
import { workspaceSize } from "../workspace.js";
import { EPSILON, largestDifference, largestEntry, plainProduct, randomArray, randomLower, same } from "./matrices.js";

const GUARD = 4321.5;
const COUNT = 5;
const orders = [1, 2, 3, 4, 7, 8, 13, 16, 20, 31, 33, 48, 64, 65];

/** Blocks of `block` numbers with `gap` guarded ones after each. */
function blocks(workspace: Workspace, block: number, gap: number, values: (i: number) => ArrayLike<number>) {
  const stride = block + gap;
  const array = workspace.float64(COUNT * stride).fill(GUARD);
  for (let i = 0; i < COUNT; i++) array.set(Array.from(values(i)), i * stride);
  return {
    array,
    stride,
    block: (i: number) => array.slice(i * stride, i * stride + block),
    intact: () => array.every((value, p) => p % stride < block || value === GUARD),
  };
}

export function describeBatch(kernels: Kernels): void {
  describe("batch", () => {
    test.each(orders)("gemm of order %i equals the definition, with own and with shared factors", (n) => {
      const [m, k] = [n + 1, n + 2];
      for (const [transposeA, transposeB] of [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ]) {
        for (const shared of [false, true]) {
          for (const gap of [0, 3]) {
            const rng = createRng(n);
            const [left, right, start] = [m * k, k * n, m * n].map((length) =>
              Array.from({ length: COUNT }, () => randomArray(rng, length)),
            );
            const workspace = kernels.workspace(COUNT * (m * k + k * n + m * n + 3 * gap) + 64);
            const a = blocks(workspace, m * k, gap, (i) => left[i]);
            const b = blocks(workspace, k * n, gap, (i) => right[shared ? 0 : i]);
            const c = blocks(workspace, m * n, gap, (i) => start[i]);
            const [lda, ldb] = [transposeA ? m : k, transposeB ? k : n];
            const strideB = shared ? 0 : b.stride;
            workspace.batch.gemm(
              ...([COUNT, transposeA, transposeB, m, n, k, 2] as const),
              ...([a.array, lda, a.stride, b.array, ldb, strideB] as const),
              ...([-1, c.array, n, c.stride] as const),
            );
            for (let i = 0; i < COUNT; i++) {
              const product = plainProduct(transposeA, transposeB, m, n, k, left[i], right[shared ? 0 : i]);
              const expected = product.map((value, p) => 2 * value - start[i][p]);
              expect(largestDifference(c.block(i), expected)).toBeLessThanOrEqual(50 * (k + 2) * EPSILON * 20);
            }
            expect(a.intact() && b.intact() && c.intact()).toBe(true);
          }
        }
      }
    });

    test.each(orders)("potrf and potri of order %i, one block not positive definite", (n) => {
      const rng = createRng(n);
      const factors = Array.from({ length: COUNT }, () => randomLower(rng, n));
      const given = factors.map((l) => plainProduct(false, true, n, n, n, l, l));
      given[2][n * n - 1] = -1;
      const workspace = kernels.workspace(COUNT * (n * n + 3) + 64);
      const a = blocks(workspace, n * n, 3, (i) => given[i]);
      const status = workspace.float64(COUNT);
      expect(workspace.batch.potrf(COUNT, n, a.array, n, a.stride, status)).toBe(1);
      expect([...status]).toEqual([0, 0, n, 0, 0]);
      a.array.set(factors[2], 2 * a.stride);
      for (let i = 0; i < COUNT; i++) {
        const size = largestEntry(factors[i]);
        expect(largestDifference(a.block(i), factors[i])).toBeLessThanOrEqual(50 * n * n * EPSILON * size);
      }
      workspace.batch.potri(COUNT, n, a.array, n, a.stride);
      given[2] = plainProduct(false, true, n, n, n, factors[2], factors[2]);
      for (let i = 0; i < COUNT; i++) {
        const back = plainProduct(false, false, n, n, n, given[i], a.block(i));
        for (let p = 0; p < n; p++) back[p * n + p] -= 1;
        expect(largestEntry(back)).toBeLessThanOrEqual(50 * (n + 1) * EPSILON * largestEntry(given[i]));
      }
      expect(a.intact()).toBe(true);
    });

    test.each(orders)("trsm of order %i, both sides and transposes, own and shared factors", (n) => {
      const other = n + 3;
      for (const side of ["left", "right"] as const) {
        for (const transpose of [false, true]) {
          for (const shared of [false, true]) {
            for (const gap of [0, 2]) {
              const rng = createRng(n);
              const [m, columns] = side === "left" ? [n, other] : [other, n];
              const factors = Array.from({ length: COUNT }, () => randomLower(rng, n));
              const right = Array.from({ length: COUNT }, () => randomArray(rng, m * columns));
              const workspace = kernels.workspace(COUNT * (n * n + m * columns + 2 * gap) + 64);
              const l = blocks(workspace, n * n, gap, (i) => factors[shared ? 0 : i]);
              const b = blocks(workspace, m * columns, gap, (i) => right[i]);
              const strideL = shared ? 0 : l.stride;
              workspace.batch.trsm(
                ...([COUNT, side, transpose, m, columns] as const),
                ...([l.array, n, strideL, b.array, columns, b.stride] as const),
              );
              for (let i = 0; i < COUNT; i++) {
                const factor = factors[shared ? 0 : i];
                const back =
                  side === "left"
                    ? plainProduct(transpose, false, m, columns, m, factor, b.block(i))
                    : plainProduct(false, transpose, m, columns, columns, b.block(i), factor);
                expect(largestDifference(back, right[i])).toBeLessThanOrEqual(100 * (n + 1) * EPSILON);
              }
              expect(l.intact() && b.intact()).toBe(true);
            }
          }
        }
      }
    });

    test.each(orders)("congruence with Q of order %i equals T' Q T and is exactly symmetric", (m) => {
      const n = Math.max(1, m - 2);
      const rng = createRng(m);
      const half = randomArray(rng, m * m);
      const q0 = half.map((value, i) => value + half[(i % m) * m + Math.floor(i / m)]);
      const given = Array.from({ length: COUNT }, () => randomArray(rng, m * n));
      const workspace = kernels.workspace(workspaceSize(m * m, m * n, COUNT * (m * n + 1), COUNT * (n * n + 2)) + 64);
      const q = workspace.float64(m * m);
      q.set(q0);
      const work = workspace.float64(m * n);
      const t = blocks(workspace, m * n, 1, (i) => given[i]);
      const out = blocks(workspace, n * n, 2, () => new Float64Array(n * n).fill(Number.NaN));
      workspace.batch.congruence(COUNT, m, n, t.array, n, t.stride, q, m, work, out.array, n, out.stride);
      for (let i = 0; i < COUNT; i++) {
        const product = plainProduct(false, false, m, n, m, q0, given[i]);
        const expected = plainProduct(true, false, n, n, m, given[i], product);
        const size = largestEntry(q0) * largestEntry(given[i]) ** 2;
        const result = out.block(i);
        expect(largestDifference(result, expected)).toBeLessThanOrEqual(10 * EPSILON * m * m * size);
        expect(result.every((value, p) => value === result[(p % n) * n + Math.floor(p / n)])).toBe(true);
      }
      expect(t.intact() && out.intact() && same(q, q0)).toBe(true);
    });

    test("no blocks and empty blocks work; blocks that would overlap, short arrays and bad counts are refused", () => {
      const workspace = kernels.workspace(512);
      const [a, b, c] = [1, 2, 3].map(() => workspace.float64(64));
      const status = workspace.float64(4).fill(9);
      const { batch } = workspace;
      batch.gemm(0, false, false, 4, 4, 4, 1, a, 4, 16, b, 4, 16, 0, c, 4, 16);
      expect(batch.potrf(4, 0, a, 0, 0, status)).toBe(0);
      expect([...status]).toEqual([0, 0, 0, 0]);
      batch.congruence(4, 0, 4, a, 4, 16, b, 0, a, c, 4, 16);
      expect(c.every((value) => value === 0)).toBe(true);
      expect(() => batch.potrf(4, 4, a, 4, 15, status)).toThrow(/stride of a: expected at least 16 numbers/);
      expect(() => batch.potrf(5, 4, a, 4, 16, status)).toThrow(/at least 80 numbers for 5 times \[4, 4\]/);
      expect(() => batch.potrf(4, 4, a, 4, 16, status.subarray(1))).toThrow(/status: expected at least 4/);
      expect(() => batch.potrf(-1, 4, a, 4, 16, status)).toThrow(/count: expected a dimension/);
      expect(() => batch.gemm(4, false, false, 4, 4, 4, 1, a, 4, 0.5, b, 4, 16, 0, c, 4, 16)).toThrow(/stride of a/);
      expect(() => batch.gemm(4, false, false, 4, 4, 4, 1, a, 4, 16, b, 4, 16, 0, a, 4, 16)).toThrow(/an output apart/);
      expect(() => batch.trsm(4, "up" as never, false, 4, 4, a, 4, 16, b, 4, 16)).toThrow(/left or right/);
    });
  });
}
