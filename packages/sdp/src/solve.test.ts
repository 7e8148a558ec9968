// The driver in front of the solvers: misuse, memory, limits, and who decides about accuracy.

import { DataError, ResourceError, SettingError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { SdpProblem } from "./problem.js";
import { readSdpa } from "./sdpa/readSdpa.js";
import { solve, solveAsync } from "./solve.js";
import type { Outcome, SdpEvent, SdpSolver } from "./solver.js";

/** Minimise x with x >= 1. */
const problem: SdpProblem = readSdpa("1\n1\n-1\n1\n0 1 1 1 1\n1 1 1 1 1\n");

/** A solver that says what it is told to say, after as many iterations. */
function pretender(outcome: Outcome, iterations = 1): SdpSolver {
  return {
    name: "pretender",
    summary: "for tests",
    capabilities: { warmStart: false, certificates: false },
    defaults: { tolerance: 1e-8, maximumIterations: 10 },
    *method(_, __, { kernels }) {
      let command = yield {
        type: "start",
        solver: "pretender",
        backend: kernels.name,
        variables: 1,
        blocks: [],
        bytes: 123,
        notes: [],
      };
      const numbers = { primalObjective: 0, dualObjective: 0, primalResidual: 0, dualResidual: 0, gap: 0 };
      for (let iteration = 0; iteration < iterations; iteration++) {
        if (command !== "continue")
          return { status: command, point: undefined, iterations: iteration, warmStart: "none" };
        command = yield { type: "iteration", iteration, ...numbers, primalStep: 1, dualStep: 1 };
      }
      return outcome;
    },
  };
}

const point = (x: number, dual: number) => ({
  x: Float64Array.of(x),
  slack: [Float64Array.of(x - 1)],
  dual: [Float64Array.of(dual)],
  multipliers: new Float64Array(),
});
const optimal = (x: number, dual = 1): Outcome => ({
  status: "optimal",
  point: point(x, dual),
  iterations: 1,
  warmStart: "none",
});

describe("the driver", () => {
  it("takes the status from the solver and the accuracy from the check", () => {
    expect(solve(problem, { solver: pretender(optimal(1)) })).toMatchObject({
      status: "optimal",
      accuracy: "full",
      bytes: 123,
    });
    // x = 1 + e is off by e / (1 + 1 + 1) in the gap
    expect(solve(problem, { solver: pretender(optimal(1 + 1e-6)) })).toMatchObject({
      status: "optimal",
      accuracy: "reduced",
    });
    expect(solve(problem, { solver: pretender(optimal(1.1)) }).status).toBe("stalled");
    expect(solve(problem, { solver: pretender(optimal(Number.NaN)) }).status).toBe("stalled");
    const loose = solve(problem, { solver: pretender(optimal(1 + 1e-6)), tolerance: 1e-5 });
    expect(loose).toMatchObject({ status: "optimal", accuracy: "full" });
  });

  it("does not believe a certificate that proves nothing", () => {
    const claim = (value: number): Outcome => ({
      status: "primal-infeasible",
      certificate: { kind: "primal-infeasible", dual: [Float64Array.of(value)], multipliers: new Float64Array() },
      iterations: 1,
      warmStart: "none",
    });
    // <F_1, Y> = Y is not 0
    expect(solve(problem, { solver: pretender(claim(1)) }).status).toBe("stalled");
    const impossible = readSdpa("1\n1\n-2\n1\n0 1 1 1 1\n1 1 1 1 1\n1 1 2 2 -1\n");
    const dual = [Float64Array.of(1, 1)];
    const certificate = { kind: "primal-infeasible" as const, dual, multipliers: new Float64Array() };
    const outcome: Outcome = { status: "primal-infeasible", certificate, iterations: 1, warmStart: "none" };
    expect(solve(impossible, { solver: pretender(outcome) })).toMatchObject({
      status: "primal-infeasible",
      accuracy: "full",
    });
  });

  it("reports start, iterations and end, and stops on limits and aborts", async () => {
    const events: SdpEvent[] = [];
    const solver = pretender(optimal(1), 1e9);
    const limited = solve(problem, { solver, timeLimitSeconds: 0.02, onEvent: (event) => events.push(event) });
    expect(limited).toMatchObject({ status: "time-limit", point: undefined, check: undefined });
    expect(limited.seconds).toBeGreaterThan(0.02);
    expect(events[0]!.type).toBe("start");
    expect(events.at(-1)).toMatchObject({ type: "end", status: "time-limit", iterations: limited.iterations });
    expect(events.slice(1, -1).every(({ type }) => type === "iteration")).toBe(true);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 5);
    expect((await solveAsync(problem, { solver, signal: controller.signal })).status).toBe("aborted");
  });

  it("refuses misuse before work starts", () => {
    const solver = { ...pretender(optimal(1)), method: () => expect.fail("work started") };
    for (const [options, message] of [
      [{ tolerance: 0 }, /options\.tolerance/],
      [{ tolerance: Number.NaN }, /options\.tolerance/],
      [{ maximumIterations: 1.5 }, /options\.maximumIterations/],
      [{ timeLimitSeconds: -1 }, /options\.timeLimitSeconds/],
      [{ settings: { colour: 1 } as never }, /options\.settings.*colour/],
      [{ backend: "abacus" as never }, /abacus/],
    ] as const) {
      expect(() => solve(problem, { solver, ...options })).toThrow(SettingError);
      expect(() => solve(problem, { solver, ...options })).toThrow(message);
    }
    expect(() => solve({ ...problem, objective: Float64Array.of(Number.NaN) }, { solver })).toThrow(DataError);
  });

  it("refuses a block that no array can hold, in a sentence", () => {
    const huge = readSdpa("1\n1\n100000\n1\n1 1 1 1 1\n");
    expect(() => solve(huge)).toThrow(ResourceError);
    expect(() => solve(huge)).toThrow(
      /problem\.blocks: expected blocks that fit in memory densely, got one of 80\.0 GB/,
    );
  });
});
