import { createRng, ResourceError, SettingError } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg/kernels";
import { describe, expect, it } from "vitest";
import { solve } from "../solve.js";
import { describeSdpSolver, knownOptima } from "../testing/index.js";
import { entriesFrom, psdBlock } from "../testing/knownProblems.js";
import { createProjection, projectionSize } from "./projection.js";
import { coneParts } from "./scaledProblem.js";
import { splitting } from "./splitting.js";

describeSdpSolver({ solver: splitting, tolerance: 1e-6, objectiveTolerance: 1e-4, hardTolerance: 1e-3 });

describe("the splitting solver", () => {
  const { problem, optimum } = knownOptima()[2];

  it("keeps acceleration harmless and useful: fewer iterations than without, the same optimum", () => {
    const run = (accelerationMemory: number) =>
      solve(problem, { solver: splitting, tolerance: 1e-8, settings: { accelerationMemory } });
    const [plain, fast] = [run(0), run(20)];
    for (const result of [plain, fast]) {
      expect(result.status === "optimal" && Math.abs(result.check.objective.primal - optimum)).toBeLessThan(1e-6);
    }
    expect(fast.iterations).toBeLessThan(plain.iterations);
  });

  it("refuses settings out of range and blocks that cannot fit", () => {
    const wrong = [{ relaxation: 0 }, { relaxation: 2 }, { accelerationMemory: -1 }, { accelerationMemory: 1.5 }];
    for (const settings of wrong) expect(() => solve(problem, { solver: splitting, settings })).toThrow(SettingError);
    const huge = { objective: Float64Array.of(1), blocks: [psdBlock(100_000, [[1, 0, 0, 1]])] };
    expect(() => solve(huge, { solver: splitting })).toThrow(ResourceError);
  });

  it("factors independent variables alone: theta and max-cut need no dense matrix", () => {
    const notes: string[] = [];
    solve(problem, {
      solver: splitting,
      onEvent: (event) => {
        if (event.type === "start") notes.push(...event.notes);
      },
    });
    expect(notes[0]).toMatch(/6 independent parts, the largest of 1 /);
  });
});

describe("projection on the cone", () => {
  // closed form: W = Q diag(l) Q' with Q a reflection, so S = Q diag(max(l, 0)) Q'
  it.each([1, 2, 7, 24])(
    "splits a matrix of order %d into its positive and negative parts, whichever is smaller",
    (n) => {
      const rng = createRng(n);
      const parts = coneParts({
        objective: new Float64Array(0),
        blocks: [psdBlock(n, []), { kind: "nonnegative", size: 3, entries: entriesFrom([]) }],
      });
      const length = n * n + 3;
      for (const share of [0, 0.2, 0.8, 1]) {
        const workspace = chooseKernels().workspace(projectionSize(parts) + workspaceSize(length, length, length));
        const projection = createProjection(parts, workspace);
        const [w, s, t] = [1, 2, 3].map(() => workspace.float64(length));
        for (let round = 0; round < 3; round++) {
          const values = Float64Array.from(
            { length: n },
            () => (rng.uniform() < share ? 1 : -1) * (0.1 + rng.uniform()),
          );
          const v = Float64Array.from({ length: n }, () => rng.normal());
          const square = v.reduce((sum, x) => sum + x * x, 0);
          const q = (i: number, k: number) => (i === k ? 1 : 0) - (2 * v[i] * v[k]) / square;
          const compose = (f: (l: number) => number) =>
            Float64Array.from({ length: n * n }, (_, p) =>
              values.reduce((sum, l, k) => sum + q(Math.floor(p / n), k) * f(l) * q(p % n, k), 0),
            );
          w.set(compose((l) => l));
          w.set([2, -3, 0], n * n);
          expect(projection.split(w, s, t)).toBe(true);
          for (const [p, x] of compose((l) => Math.max(l, 0)).entries()) expect(Math.abs(s[p] - x)).toBeLessThan(1e-12);
          for (const [p, x] of compose((l) => Math.max(-l, 0)).entries())
            expect(Math.abs(t[p] - x)).toBeLessThan(1e-12);
          expect([...s.subarray(n * n), ...t.subarray(n * n)]).toEqual([2, 0, 0, 0, 3, 0]);
          expect(Math.min(0, projection.smallest[0])).toBeCloseTo(Math.min(0, ...values), 12);
        }
      }
    },
  );
});
