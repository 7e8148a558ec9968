import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { checkSolution } from "../check/check.js";
import { checkProblem } from "../problem.js";
import { randomProblem } from "./randomProblem.js";

describe("randomProblem", () => {
  const blocks = [
    { kind: "psd", size: 5 },
    { kind: "nonnegative", size: 3 },
    { kind: "psd", size: 1 },
  ] as const;

  it.each([false, true])("carries its solution: feasible on both sides with no gap (degenerate: %s)", (degenerate) => {
    for (let seed = 0; seed < 10; seed++) {
      const { problem, optimum, solution } = randomProblem(createRng(seed), {
        blocks,
        variables: 7,
        equalities: 2,
        degenerate,
      });
      checkProblem(problem);
      const { dimacs, objective } = checkSolution(problem, solution);
      for (const error of dimacs) expect(Math.abs(error)).toBeLessThan(1e-13);
      expect(Math.abs(objective.primal - optimum)).toBeLessThan(1e-12 * (1 + Math.abs(optimum)));
      const rank = (values: readonly Float64Array[]) => trace(values) > 0;
      expect(rank(solution.slack)).toBe(true);
    }
  });

  it("is strictly feasible: moving x_1 opens the slack", () => {
    const { problem, solution } = randomProblem(createRng(3), { blocks, variables: 7 });
    const x = solution.x.slice();
    x[0] += 1e-3;
    const slack = solution.slack.map((values, b) => {
      const { matrix, row, column, value } = problem.blocks[b].entries;
      const moved = values.slice();
      const n = problem.blocks[b].kind === "psd" ? problem.blocks[b].size : 0;
      matrix.forEach((k, e) => {
        if (k !== 1) return;
        if (n === 0) moved[row[e]] += 1e-3 * value[e];
        else for (const p of new Set([row[e] * n + column[e], column[e] * n + row[e]])) moved[p] += 1e-3 * value[e];
      });
      return moved;
    });
    const { smallestEigenvalues, dimacs } = checkSolution(problem, { ...solution, x, slack });
    expect(dimacs[2]).toBeLessThan(1e-13);
    expect(smallestEigenvalues.slack).toBeGreaterThan(1e-4);
  });

  it("refuses shapes it cannot build", () => {
    const rng = createRng(1);
    expect(() => randomProblem(rng, { blocks, variables: 0 })).toThrow(/variables/);
    expect(() => randomProblem(rng, { blocks, variables: 2, equalities: 2 })).toThrow(/equalities/);
    expect(() => randomProblem(rng, { blocks: [], variables: 2 })).toThrow(/blocks/);
  });
});

function trace(values: readonly Float64Array[]): number {
  return values.reduce((sum, block) => sum + block.reduce((s, value) => s + Math.abs(value), 0), 0);
}
