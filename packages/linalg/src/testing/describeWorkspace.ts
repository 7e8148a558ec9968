// Workspace: stack discipline, alignment, limits, and refusal of foreign or short arrays.

import { ResourceError, SettingError, ShapeError } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";

export function describeWorkspace(kernels: Kernels): void {
  describe("workspace", () => {
    test("hands out aligned, zeroed, disjoint arrays up to its capacity", () => {
      const workspace = kernels.workspace(workspaceSize(5, 3, 17));
      expect(workspace.kernels).toBe(kernels.name);
      const arrays = [5, 3, 17].map((length) => workspace.float64(length));
      arrays.forEach((array, i) => {
        expect(array.byteOffset % 64).toBe(0);
        array.fill(i + 1);
      });
      arrays.forEach((array, i) => {
        expect([...new Set(array)]).toEqual([i + 1]);
      });
      expect(() => workspace.float64(1)).toThrow(ResourceError);
      expect(() => workspace.float64(1)).toThrow(/at most 0 numbers.*got 1/);
      expect(workspace.float64(0).length).toBe(0);
    });

    test("gives memory back in reverse order and clears it again", () => {
      const workspace = kernels.workspace(64);
      workspace.float64(8);
      const mark = workspace.mark();
      workspace.float64(56).fill(Number.NaN);
      workspace.release(mark);
      expect(workspace.float64(56).every((value) => value === 0)).toBe(true);
      workspace.release(mark);
      for (const wrong of [mark + 8, -1, 0.5, Number.NaN]) {
        expect(() => workspace.release(wrong)).toThrow(SettingError);
      }
    });

    test("disposed memory serves again, cleared, and the old workspace refuses everything", () => {
      const old = kernels.workspace(4096);
      const stale = old.float64(4096).fill(Number.NaN);
      old.dispose();
      old.dispose();
      const next = [kernels.workspace(4096), kernels.workspace(100_000), kernels.workspace(8)];
      const arrays = next.map((workspace) => workspace.float64(workspace.capacity));
      arrays.forEach((array, i) => {
        expect(array.every((value) => value === 0)).toBe(true);
        array.fill(i + 1);
      });
      arrays.forEach((array, i) => {
        expect(array.every((value) => value === i + 1)).toBe(true);
      });
      const part = stale.subarray(0, 4);
      const refused = [
        () => old.float64(1),
        () => old.mark(),
        () => old.release(0),
        () => old.trsv(false, 2, stale, 2, stale),
        () => old.potrf(2, part, 2),
        () => old.batch.potrf(1, 2, part, 2, 4, part),
      ];
      for (const use of refused) {
        expect(use).toThrow(SettingError);
        expect(use).toThrow(/disposed/);
      }
    });

    test("an eigenproblem of the largest order fits into reused memory", () => {
      kernels.workspace(16).dispose();
      const n = 40;
      const workspace = kernels.workspace(workspaceSize(n * n, n));
      const [matrix, eigenvalues] = [workspace.float64(n * n), workspace.float64(n)];
      for (let i = 0; i < n; i++) matrix[i * n + i] = i + 1;
      expect(workspace.syevd(n, matrix, n, eigenvalues)).toBe(0);
      expect([eigenvalues[0], eigenvalues[n - 1]]).toEqual([1, n]);
    });

    test("refuses bad sizes", () => {
      for (const wrong of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "8" as never]) {
        expect(() => kernels.workspace(wrong)).toThrow(SettingError);
        expect(() => kernels.workspace(8).float64(wrong)).toThrow(SettingError);
        expect(() => workspaceSize(4, wrong)).toThrow(SettingError);
      }
      expect(() => kernels.workspace(2 ** 45)).toThrow(ResourceError);
      expect(kernels.workspace(0).capacity).toBe(0);
    });

    test("predicts its bytes, and refuses with them and the limit what cannot fit", () => {
      const [numbers, scratch] = [1e6, kernels.bytes(0)];
      expect(scratch).toBeGreaterThanOrEqual(0);
      expect(scratch).toBeLessThan(1e6);
      expect(kernels.bytes(numbers)).toBe(8 * numbers + scratch);
      expect(kernels.bytes(numbers, 1000)).toBeGreaterThan(kernels.bytes(numbers));
      expect(() => kernels.workspace(2 ** 42)).toThrow(ResourceError);
      expect(() => kernels.workspace(2 ** 42)).toThrow(/expected a workspace within .*iB.*it would take 32768.0 GiB/);
      for (const wrong of [-1, 1.5, Number.NaN]) {
        expect(() => kernels.bytes(wrong)).toThrow(SettingError);
        expect(() => kernels.bytes(8, wrong)).toThrow(SettingError);
      }
    });

    test("views stay valid through every routine", () => {
      const n = 70;
      const workspace = kernels.workspace(workspaceSize(n * n, n * n, n * n, n));
      const [a, b, c] = [1, 2, 3].map(() => workspace.float64(n * n));
      const eigenvalues = workspace.float64(n);
      for (let i = 0; i < n; i++) a[i * n + i] = i + 1;
      workspace.gemm(false, true, n, n, n, 1, a, n, a, n, 0, b, n);
      workspace.syrk(false, n, n, 1, a, n, 0, c, n);
      workspace.potrf(n, c, n);
      workspace.trsm("left", false, n, n, c, n, b, n);
      workspace.syevd(n, a, n, eigenvalues);
      expect(a.length).toBe(n * n);
      expect(eigenvalues[n - 1]).toBeCloseTo(n, 10);
    });

    test("refuses foreign arrays, short arrays, small leading dimensions, bad dimensions and aliased outputs", () => {
      const workspace = kernels.workspace(256);
      const a = workspace.float64(16);
      const b = workspace.float64(16);
      const c = workspace.float64(16);
      const foreign = kernels.workspace(64).float64(16);
      const gemm = (m: number, x: Float64Array, ldx: number, out = c) =>
        workspace.gemm(false, false, m, 4, 4, 1, x, ldx, b, 4, 0, out, 4);
      expect(() => gemm(4, foreign, 4)).toThrow(SettingError);
      expect(() => gemm(4, foreign, 4)).toThrow(/a: expected an array of this workspace.*workspace.float64/);
      expect(() => gemm(4, new Float64Array(16), 4)).toThrow(SettingError);
      expect(() => gemm(4, new Float32Array(16) as never, 4)).toThrow(SettingError);
      expect(() => gemm(4, a.subarray(1), 4)).toThrow(ShapeError);
      expect(() => gemm(4, a.subarray(1), 4)).toThrow(/at least 16 numbers for \[4, 4\]/);
      expect(() => gemm(4, a, 3)).toThrow(/lda: expected a leading dimension of at least 4/);
      expect(() => gemm(-1, a, 4)).toThrow(ShapeError);
      expect(() => gemm(2.5, a, 4)).toThrow(ShapeError);
      expect(() => gemm(4, a, 4, a)).toThrow(SettingError);
      expect(() => gemm(4, a, 4, b)).toThrow(SettingError);
      expect(() => workspace.syrk(false, 4, 4, 1, a, 4, 0, a, 4)).toThrow(SettingError);
      expect(() => workspace.potrf(5, a, 5)).toThrow(ShapeError);
      expect(() => workspace.trsm("left", false, 4, 4, a, 4, a, 4)).toThrow(SettingError);
      expect(() => workspace.trsm("above" as never, false, 4, 4, a, 4, b, 4)).toThrow(SettingError);
      expect(() => workspace.syevd(4, a, 4, b.subarray(0, 3))).toThrow(ShapeError);
    });
  });
}
