import { createRng, type Rng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Block, SdpProblem } from "../problem.js";
import type { Point } from "../result.js";
import { checkCertificate, checkSolution } from "./check.js";
import { eigenvalueFinder } from "./smallestEigenvalue.js";

type Entry = readonly [matrix: number, row: number, column: number, value: number];

function block(kind: Block["kind"], size: number, list: readonly Entry[], rankOne?: Block["rankOne"]): Block {
  const column = (c: 0 | 1 | 2) => Int32Array.from(list, (entry) => entry[c]);
  const entries = { matrix: column(0), row: column(1), column: column(2), value: Float64Array.from(list, (e) => e[3]) };
  return { kind, size, entries, ...(rankOne ? { rankOne } : {}) };
}

/** Minimise x with [x 1; 1 x] >= 0: x = 1, S = [1 1; 1 1], Y = [1 -1; -1 1] / 2, both objectives 1. */
const shifted: SdpProblem = {
  objective: Float64Array.of(1),
  blocks: [
    block("psd", 2, [
      [0, 0, 1, -1],
      [1, 0, 0, 1],
      [1, 1, 1, 1],
    ]),
  ],
};
const solution: Point = {
  x: Float64Array.of(1),
  slack: [Float64Array.of(1, 1, 1, 1)],
  dual: [Float64Array.of(0.5, -0.5, -0.5, 0.5)],
  multipliers: new Float64Array(),
};

describe("checkSolution", () => {
  it("finds nothing wrong with an exact solution", () => {
    const check = checkSolution(shifted, solution);
    expect(check.objective).toEqual({ primal: 1, dual: 1 });
    expect(check.worst).toBeLessThan(1e-15);
    expect(check.smallestEigenvalues.slack).toBeCloseTo(0, 14);
  });

  it("measures each of the six errors by its formula", () => {
    // x = 3, S off by 0.5 in one pair of entries, Y = [1 -0.5; -0.5 2] with eigenvalues (3 +- sqrt 2) / 2
    const point: Point = {
      x: Float64Array.of(3),
      slack: [Float64Array.of(3, -4, -4, 3)],
      dual: [Float64Array.of(1, 1.5, 1.5, -2)],
      multipliers: new Float64Array(),
    };
    const { dimacs, objective, smallestEigenvalues, worst } = checkSolution(shifted, point);
    // <F_1, Y> = -1, <F_0, Y> = -3, S should be [3 1; 1 3], <S, Y> = 3 - 12 - 6
    expect(objective).toEqual({ primal: 3, dual: -3 });
    expect(dimacs[0]).toBeCloseTo(2 / 2, 14);
    expect(smallestEigenvalues.dual).toBeCloseTo(-0.5 - Math.sqrt(4.5), 13);
    expect(dimacs[1]).toBeCloseTo((0.5 + Math.sqrt(4.5)) / 2, 13);
    expect(dimacs[2]).toBeCloseTo(Math.sqrt(50) / 2, 14);
    expect(smallestEigenvalues.slack).toBeCloseTo(-1, 13);
    expect(dimacs[3]).toBeCloseTo(1 / 2, 13);
    expect(dimacs[4]).toBeCloseTo(6 / 7, 14);
    expect(dimacs[5]).toBeCloseTo(-15 / 7, 14);
    expect(worst).toBe(Math.sqrt(50) / 2);
  });

  it("counts nonnegative blocks, equalities, repeated entries and rank-one terms", () => {
    // minimise x1 + 2 x2 with x1 - 0.5 >= 0 (entry 1 in two halves), (x2 - 4) vv' >= 0 with v = (1, 2), x1 + 3 x2 = 14
    const vector = Float64Array.of(1, 2);
    const problem: SdpProblem = {
      objective: Float64Array.of(1, 2),
      blocks: [
        block("nonnegative", 1, [
          [0, 0, 0, 0.5],
          [1, 0, 0, 0.25],
          [1, 0, 0, 0.75],
        ]),
        block(
          "psd",
          2,
          [],
          [
            { matrix: 0, weight: 4, vector },
            { matrix: 2, weight: 1, vector },
          ],
        ),
      ],
      equalities: {
        row: Int32Array.of(0, 0),
        variable: Int32Array.of(0, 1),
        value: Float64Array.of(1, 3),
        right: Float64Array.of(14),
      },
    };
    // x = (2, 4): slack 1.5 and 0. Dual: y + u = 1, v'Yv + 3 u = 2; u = 1, y = 0, v'Yv = -1
    const point: Point = {
      x: Float64Array.of(2, 4),
      slack: [Float64Array.of(1.5), new Float64Array(4)],
      dual: [Float64Array.of(0), Float64Array.of(-1, 0, 0, 0)],
      multipliers: Float64Array.of(1),
    };
    const { dimacs, objective } = checkSolution(problem, point);
    // |F_0| = 16 in the rank-one term 4 vv'
    expect(objective).toEqual({ primal: 10, dual: 10 });
    expect(dimacs.map((value) => Math.abs(value))).toEqual([0, expect.closeTo(1 / 3, 14), 0, 0, 0, 0]);
    const moved = checkSolution(problem, { ...point, x: Float64Array.of(2, 5), multipliers: Float64Array.of(2) });
    // slack misses vv' (|.|_F = 5) and the equality is off by 3; dual equations are off by 1 and 3
    expect(moved.dimacs[0]).toBeCloseTo(Math.sqrt(10) / 3, 14);
    expect(moved.dimacs[2]).toBeCloseTo(Math.sqrt(34) / 17, 14);
  });

  it("reads both triangles of slack and dual", () => {
    const skew = { ...solution, slack: [Float64Array.of(1, 2, 0, 1)] };
    expect(checkSolution(shifted, skew).dimacs[2]).toBeCloseTo(Math.SQRT2 / 2, 14);
  });

  it("calls a point with NaN or overflow infinitely bad", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e308]) {
      const check = checkSolution(shifted, { ...solution, slack: [Float64Array.of(value, 0, 0, value)] });
      expect(check.worst).toBe(Number.POSITIVE_INFINITY);
    }
  });

  it("handles no blocks, empty blocks and no variables", () => {
    const empty: SdpProblem = {
      objective: new Float64Array(),
      blocks: [block("psd", 0, []), block("nonnegative", 0, [])],
    };
    const none = [new Float64Array(), new Float64Array()];
    const point = { x: new Float64Array(), slack: none, dual: none, multipliers: new Float64Array() };
    expect(checkSolution(empty, point).worst).toBe(0);
    expect(checkSolution({ ...empty, blocks: [] }, { ...point, slack: [], dual: [] }).worst).toBe(0);
  });

  it("takes 130,000 blocks", () => {
    const blocks = Array.from({ length: 130_000 }, () => block("nonnegative", 1, [[1, 0, 0, 1]]));
    const ones = blocks.map(() => Float64Array.of(1));
    const problem = { objective: Float64Array.of(blocks.length), blocks };
    const point = { x: Float64Array.of(1), slack: ones, dual: ones, multipliers: new Float64Array() };
    const { dimacs, smallestEigenvalues } = checkSolution(problem, point);
    expect(dimacs.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(smallestEigenvalues).toEqual({ slack: 1, dual: 1 });
    const ray = { kind: "primal-infeasible" as const, dual: ones, multipliers: new Float64Array() };
    expect(checkCertificate(problem, ray)).toMatchObject({ improvement: 0, worst: Number.POSITIVE_INFINITY });
  });

  it("refuses points of another shape", () => {
    const wrong: [Partial<Point>, RegExp][] = [
      [{ x: new Float64Array(2) }, /point\.x: expected 1 numbers, got 2/],
      [{ slack: [] }, /point\.slack: expected 1 arrays/],
      [{ dual: [new Float64Array(3)] }, /point\.dual\[0\]: expected 4 numbers, got 3/],
      [{ multipliers: new Float64Array(1) }, /point\.multipliers: expected 0 numbers/],
    ];
    for (const [part, message] of wrong)
      expect(() => checkSolution(shifted, { ...solution, ...part })).toThrow(message);
  });
});

describe("smallest eigenvalue", () => {
  /** Q diag(values) Q' with Q a product of Householder reflections. */
  function withSpectrum(values: Float64Array, rng: Rng): Float64Array {
    const n = values.length;
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++) a[i * n + i] = values[i];
    for (let round = 0; round < 3; round++) {
      const v = Float64Array.from({ length: n }, () => rng.normal());
      const square = v.reduce((sum, value) => sum + value * value, 0);
      const image = Float64Array.from({ length: n }, (_, i) => v.reduce((sum, x, j) => sum + a[i * n + j] * x, 0));
      const middle = image.reduce((sum, value, i) => sum + value * v[i], 0);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          a[i * n + j] -= (2 / square) * (v[i] * image[j] + image[i] * v[j] - (2 * middle * v[i] * v[j]) / square);
        }
      }
    }
    return a;
  }

  const spectra: [string, number, number][] = [
    ["positive definite", 0.25, 1e-7],
    ["clearly indefinite", -2, 1e-6],
    ["slightly indefinite", -1e-7, 1e-2],
    ["positive, nearly singular", 1e-7, 1e-2],
  ];
  it.each(spectra)("%s", (_, wanted, relative) => {
    for (const n of [1, 2, 60, 150, 260]) {
      const values = Float64Array.from({ length: n }, (_, i) => (i === 0 ? wanted : 10 ** ((8 * i) / n - 6)));
      values[0] = wanted;
      const expected = Math.min(...values);
      const found = eigenvalueFinder([block("psd", n, [])]).smallest(n, withSpectrum(values, createRng(n)));
      expect(Math.abs(found - expected), `order ${n}`).toBeLessThan(relative * Math.abs(expected) + 2e-13);
    }
  });

  it("zero and rank-deficient matrices of large order", () => {
    const n = 130;
    const finder = eigenvalueFinder([block("psd", n, [])]);
    expect(finder.smallest(n, new Float64Array(n * n))).toBe(0);
    expect(Math.abs(finder.smallest(n, new Float64Array(n * n).fill(1)))).toBeLessThan(1e-11);
    const minus = new Float64Array(n * n).fill(-1e6);
    expect(finder.smallest(n, minus)).toBeCloseTo(-1e6 * n, 0);
  });
});

describe("checkCertificate", () => {
  // x >= 1 (block "above"), -x >= 0 (block "below"), and a third block nothing hinges on: Y = (1, 1, 0) proves infeasibility
  const contradiction: SdpProblem = {
    objective: Float64Array.of(1),
    names: { variables: ["x"], blocks: ["idle", "above", "below"] },
    blocks: [
      block("nonnegative", 1, [[1, 0, 0, 1]]),
      block("psd", 1, [
        [0, 0, 0, 1],
        [1, 0, 0, 1],
      ]),
      block("nonnegative", 1, [[1, 0, 0, -1]]),
    ],
  };
  const scaled = (problem: SdpProblem, constants: number, others: number, objective = 1): SdpProblem => ({
    ...problem,
    objective: problem.objective.map((value) => value * objective),
    blocks: problem.blocks.map((one) => ({
      ...one,
      entries: {
        ...one.entries,
        value: one.entries.value.map((value, e) => value * (one.entries.matrix[e] === 0 ? constants : others)),
      },
    })),
  });

  it("accepts an exact proof and names its blocks", () => {
    const dual = [Float64Array.of(0), Float64Array.of(1), Float64Array.of(1)];
    const check = checkCertificate(contradiction, { kind: "primal-infeasible", dual, multipliers: new Float64Array() });
    expect(check).toEqual({
      kind: "primal-infeasible",
      improvement: 1,
      residual: 0,
      coneViolation: 0,
      worst: 0,
      explains: ["above", "below"],
    });
  });

  it("measures residual and cone violation, unchanged by scaling ray or data", () => {
    const ray = (factor: number) => ({
      kind: "primal-infeasible" as const,
      dual: [-0.002, 1, 0.9].map((value) => Float64Array.of(value * factor)),
      multipliers: new Float64Array(),
    });
    for (const [constants, others, factor] of [
      [1, 1, 1],
      [1e6, 1, 1],
      [1, 1e-5, 1],
      [3, 7, 1e-9],
      [1, 1, 1e9],
    ] as const) {
      const check = checkCertificate(scaled(contradiction, constants, others), ray(factor));
      expect(check.improvement).toBeCloseTo(constants * factor, 12);
      expect(check.residual).toBeCloseTo(0.098, 13);
      expect(check.coneViolation).toBeCloseTo(0.002, 14);
      expect(check.worst).toBe(check.residual);
    }
  });

  it("proofs that use equalities", () => {
    // x = 2 and 1 - x >= 0 (F_0 = -1, F_1 = -1): Y = 1, u = 1 gives 0 x and improvement -1 + 2
    const problem: SdpProblem = {
      objective: Float64Array.of(0),
      blocks: [
        block("psd", 1, [
          [0, 0, 0, -1],
          [1, 0, 0, -1],
        ]),
      ],
      equalities: {
        row: Int32Array.of(0),
        variable: Int32Array.of(0),
        value: Float64Array.of(1),
        right: Float64Array.of(2),
      },
    };
    const dual = [Float64Array.of(1)];
    const check = checkCertificate(problem, { kind: "primal-infeasible", dual, multipliers: Float64Array.of(1) });
    expect(check).toMatchObject({ improvement: 1, worst: 0, explains: ["equality 1", "block 1"] });
  });

  it("accepts rays of the x-problem and names their variables", () => {
    // minimise x1 - x2 with [x1 + x2, 0; 0, x2 - x1] >= 0: x = (0, 1) goes down forever
    const problem: SdpProblem = {
      objective: Float64Array.of(1, -1),
      blocks: [
        block("psd", 2, [
          [0, 0, 0, 5],
          [1, 0, 0, 1],
          [2, 0, 0, 1],
          [2, 1, 1, 1],
          [1, 1, 1, -1],
        ]),
      ],
    };
    const exact = checkCertificate(problem, { kind: "dual-infeasible", x: Float64Array.of(0, 2) });
    expect(exact).toMatchObject({ improvement: 2, residual: 0, coneViolation: 0, worst: 0, explains: ["variable 2"] });
    for (const factor of [1, 1e-7]) {
      const x = Float64Array.of(-2 * factor, factor);
      const check = checkCertificate(scaled(problem, 1, 100, factor), { kind: "dual-infeasible", x });
      // improvement 3, sum x_k F_k = diag(-1, 3)
      expect(check.coneViolation).toBeCloseTo(1 / 3, 14);
      expect(check.explains).toEqual(["variable 1", "variable 2"]);
    }
    const equalities = {
      row: Int32Array.of(0),
      variable: Int32Array.of(1),
      value: Float64Array.of(1),
      right: Float64Array.of(7),
    };
    const fixed = checkCertificate({ ...problem, equalities }, { kind: "dual-infeasible", x: Float64Array.of(0, 2) });
    expect(fixed).toMatchObject({ improvement: 2, residual: 1, coneViolation: 0 });
  });

  it("calls a ray that improves nothing no certificate", () => {
    const multipliers = new Float64Array();
    for (const value of [0, -1, Number.NaN]) {
      const dual = [0, value, 0].map((v) => Float64Array.of(v));
      const check = checkCertificate(contradiction, { kind: "primal-infeasible", dual, multipliers });
      expect(check.worst).toBe(Number.POSITIVE_INFINITY);
      const x = Float64Array.of(1 + value);
      expect(checkCertificate(contradiction, { kind: "dual-infeasible", x }).worst).toBe(Number.POSITIVE_INFINITY);
    }
  });

  it("refuses rays of another shape", () => {
    const ray = { kind: "primal-infeasible" as const, dual: [], multipliers: new Float64Array() };
    expect(() => checkCertificate(contradiction, ray)).toThrow(/ray\.dual: expected 3 arrays/);
    expect(() => checkCertificate(contradiction, { kind: "dual-infeasible", x: new Float64Array(3) })).toThrow(
      /ray\.x/,
    );
  });
});
