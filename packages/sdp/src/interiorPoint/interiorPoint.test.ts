// The conformance suite on the interior point, and the problems of SDPLIB with their published optima.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg/kernels";
import { describe, expect, it } from "vitest";
import { solve } from "../solve.js";
import { describeSdpSolver } from "../testing/describeSdpSolver.js";
import { psdBlock } from "../testing/knownProblems.js";
import { interiorPoint } from "./interiorPoint.js";
import { reduce } from "./reduce.js";
import { smallestOfTridiagonal, smallestRatio, stepScratch } from "./stepLength.js";

describeSdpSolver({ solver: interiorPoint, tolerance: 1e-8, objectiveTolerance: 1e-7 });

const kernels = chooseKernels();

describe("reduction", () => {
  it("splits a block into components and turns orders of one into rows", () => {
    // entries couple 0-2 and nothing else of four positions
    const block = psdBlock(4, [
      [1, 0, 2, 1],
      [1, 1, 1, 1],
      [0, 0, 0, -1],
      [0, 2, 2, -1],
      [0, 1, 1, 1],
    ]);
    const reduced = reduce({ objective: Float64Array.of(1), blocks: [block] }, kernels);
    if ("kind" in reduced) throw new Error("unexpected verdict");
    expect(reduced.psd.map(({ order }) => order)).toEqual([2]);
    expect(reduced.rows.right).toEqual(Float64Array.of(1));
    expect(Array.from(reduced.psd[0].index)).toEqual([0, 2]);
  });

  it("makes an equality of two opposite rows, whatever their scale", () => {
    const entries = {
      matrix: Int32Array.of(1, 2, 0, 1, 2, 0),
      row: Int32Array.of(0, 0, 0, 1, 1, 1),
      column: Int32Array.of(0, 0, 0, 1, 1, 1),
      value: Float64Array.of(1, 1, 3, -2, -2, -6),
    };
    const bounds = {
      matrix: Int32Array.of(1, 2),
      row: Int32Array.of(0, 1),
      column: Int32Array.of(0, 1),
      value: Float64Array.of(1, 1),
    };
    const blocks = [
      { kind: "nonnegative" as const, size: 2, entries },
      { kind: "nonnegative" as const, size: 2, entries: bounds },
    ];
    const problem = { objective: Float64Array.of(1, 2), blocks };
    const reduced = reduce(problem, kernels);
    if ("kind" in reduced) throw new Error("unexpected verdict");
    expect(reduced.pairs).toHaveLength(1);
    expect(reduced.rows.right).toHaveLength(2);
    // x1 + x2 = 3, x >= 0, least x1 + 2 x2 is 3 at (3, 0)
    const result = solve(problem);
    if (result.status !== "optimal") throw new Error(result.status);
    expect(result.check.objective.primal).toBeCloseTo(3, 6);
    expect(result.check.worst).toBeLessThan(1e-7);
  });
});

describe("equalities", () => {
  it("may repeat variables and come in any order: 2 x2 + x1 + x2 = 6 is x1 + 3 x2 = 6", () => {
    const equalities = {
      row: Int32Array.of(0, 0, 0, 0),
      variable: Int32Array.of(1, 0, 1, 0),
      value: Float64Array.of(2, 2, 1, -1),
      right: Float64Array.of(6),
    };
    const block = psdBlock(2, [
      [1, 0, 0, 1],
      [2, 1, 1, 1],
      [0, 0, 1, -1],
    ]);
    const problem = { objective: Float64Array.of(1, 1), blocks: [block], equalities };
    const reduced = reduce(problem, kernels);
    if ("kind" in reduced) throw new Error("unexpected verdict");
    expect(Array.from(reduced.equalities.variable)).toEqual([0, 1]);
    expect(Array.from(reduced.equalities.value)).toEqual([1, 3]);
    // x1 x2 >= 1 with x1 = 6 - 3 x2: least x1 + x2 = 6 - 2 x2 at the largest x2 = 1 + sqrt(2/3)
    const result = solve(problem);
    if (result.status !== "optimal") throw new Error(result.status);
    expect(result.check.objective.primal).toBeCloseTo(4 - 2 * Math.sqrt(2 / 3), 6);
    expect(result.check.worst).toBeLessThan(1e-8);
  });
});

describe("theta numbers", () => {
  it("of the Hamming graph on 7 bits with distances 5 and 6 is 128/3 (SDPLIB: hamming_7_5_6)", () => {
    const n = 128;
    const bits = (x: number): number => (x === 0 ? 0 : (x & 1) + bits(x >> 1));
    const entries: [number, number, number, number][] = [];
    let edges = 0;
    for (let i = 0; i < n; i++) {
      entries.push([1, i, i, 1]);
      for (let j = i; j < n; j++) {
        entries.push([0, i, j, 1]);
        if ([5, 6].includes(bits(i ^ j))) entries.push([++edges + 1, i, j, 1]);
      }
    }
    expect(edges).toBe(1792);
    const objective = new Float64Array(edges + 1);
    objective[0] = 1;
    const result = solve({ objective, blocks: [psdBlock(n, entries)] });
    if (result.status !== "optimal") throw new Error(result.status);
    expect(result.check.worst).toBeLessThan(1e-8);
    expect(result.check.objective.primal).toBeCloseTo(128 / 3, 6);
  });
});

describe("step length", () => {
  it("finds the smallest eigenvalue of a tridiagonal matrix: 2 - 2 cos(pi / (n + 1)) for -1, 2, -1", () => {
    const n = 30;
    const { value } = smallestOfTridiagonal(new Array(n).fill(2), new Array(n - 1).fill(-1));
    expect(value).toBeCloseTo(2 - 2 * Math.cos(Math.PI / (n + 1)), 11);
  });

  it("never promises more than the exact ratio, and little less", () => {
    const rng = createRng(5);
    for (const n of [3, 16, 17, 40, 90]) {
      const workspace = kernels.workspace(3 * n * n + 8 * n + 200);
      const [l, d, b] = [workspace.float64(n * n), workspace.float64(n * n), workspace.float64(n * n)];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < i; j++) {
          l[i * n + j] = rng.normal() / n;
          d[i * n + j] = d[j * n + i] = rng.normal();
        }
        l[i * n + i] = 0.5 + rng.uniform();
        d[i * n + i] = rng.normal();
      }
      b.set(d);
      workspace.trsm("left", false, n, n, l, n, b, n);
      workspace.trsm("right", true, n, n, l, n, b, n);
      const eigenvalues = workspace.float64(n);
      workspace.syevd(n, b, n, eigenvalues);
      const scratch = stepScratch(n).map((length) => new Float64Array(length));
      const inside = kernels.workspace(2 * n * n + scratch.reduce((sum, { length }) => sum + length + 8, 16));
      const [l2, d2] = [inside.float64(n * n), inside.float64(n * n)];
      l2.set(l);
      d2.set(d);
      const found = smallestRatio(
        inside,
        n,
        l2,
        d2,
        scratch.map(({ length }) => inside.float64(length)),
      );
      expect(found).toBeLessThanOrEqual(eigenvalues[0] + 1e-9 * Math.abs(eigenvalues[0]));
      expect(found).toBeGreaterThan(eigenvalues[0] - 0.12 * Math.abs(eigenvalues[0]));
    }
  });
});
