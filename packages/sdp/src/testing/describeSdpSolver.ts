// Conformance suite for SDP solvers: what the driver and the users of every solver rely on. Run it with vitest:
//   describeSdpSolver({ solver: mySolver, tolerance: 1e-8 })
// Every optimum is a closed form or known by construction; every infeasibility must come with a certificate that holds.

import { createRng, UnsupportedError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg/kernels";
import { describe, expect, it } from "vitest";
import { checkCertificate, checkSolution } from "../check/check.js";
import type { Block, SdpProblem } from "../problem.js";
import type { Point, SdpResult } from "../result.js";
import { type SolveOptions, solve, solveAsync } from "../solve.js";
import type { SdpEvent, SdpSolver } from "../solver.js";
import {
  degenerateOptima,
  knownInfeasibilities,
  knownOptima,
  smallestEigenvalue,
  thetaOfOddCycle,
  weaklyInfeasible,
} from "./knownProblems.js";
import { type RandomProblemOptions, randomProblem } from "./randomProblem.js";

export interface SdpSolverConformance<S extends object> {
  readonly solver: SdpSolver<S>;
  /** Asked of every solve: 1e-8 for an interior-point method, 1e-5 for a first-order one. */
  readonly tolerance: number;
  /** Largest |c'x - optimum| / (1 + |optimum|), by default 10 times the tolerance. */
  readonly objectiveTolerance?: number;
  /** The same on degenerate and badly scaled problems, by default 100 times `objectiveTolerance`. */
  readonly hardTolerance?: number;
  readonly settings?: Partial<S>;
  readonly maximumIterations?: number;
  /** Largest order of a random problem, default 60. */
  readonly largestOrder?: number;
}

type Run = (problem: SdpProblem, options?: SolveOptions<object>) => SdpResult;

interface Suite {
  readonly run: Run;
  readonly options: SolveOptions<object>;
  readonly solver: SdpSolver<object>;
  readonly tolerance: number;
  readonly close: number;
  readonly hard: number;
  readonly largestOrder: number;
}

/** Declares the suite; call it at the top level of a vitest file. */
export function describeSdpSolver<S extends object>(conformance: SdpSolverConformance<S>): void {
  const { solver, tolerance, objectiveTolerance = 10 * tolerance, settings, maximumIterations } = conformance;
  const options = { solver, tolerance, settings, maximumIterations } as unknown as SolveOptions<object>;
  const suite: Suite = {
    options,
    run: (problem, more) => solve(problem, { ...options, ...more }),
    solver: solver as unknown as SdpSolver<object>,
    tolerance,
    close: objectiveTolerance,
    hard: conformance.hardTolerance ?? 100 * objectiveTolerance,
    largestOrder: conformance.largestOrder ?? 60,
  };
  describe(`${solver.name} is a conforming SDP solver`, () => {
    describeOptima(suite);
    describeInfeasible(suite);
    describeRandom(suite);
    describeData(suite);
    describeStops(suite);
    describeWarmStart(suite);
    describeBackends(suite);
  });
}

/** Fails unless the result is optimal at full accuracy, its check is the independent one and its objective is right. */
function expectOptimum(result: SdpResult, problem: SdpProblem, optimum: number, close: number): Point {
  expect(result.status).toBe("optimal");
  if (result.status !== "optimal") throw new Error("unreachable");
  expect(result.check).toEqual(checkSolution(problem, result.point));
  const { primal, dual } = result.check.objective;
  expect(Math.abs(primal - optimum) / (1 + Math.abs(optimum))).toBeLessThan(close);
  expect(Math.abs(dual - optimum) / (1 + Math.abs(optimum))).toBeLessThan(close);
  return result.point;
}

function describeOptima({ run, close, hard, tolerance }: Suite): void {
  describe("finds known optima", () => {
    it.each(knownOptima())("$title", ({ problem, optimum }) => {
      const result = run(problem);
      expectOptimum(result, problem, optimum, close);
      expect(result.status === "optimal" && result.accuracy).toBe("full");
      expect(result.status === "optimal" && result.check.worst).toBeLessThanOrEqual(tolerance);
    });

    it.each(degenerateOptima())("degenerate: $title", ({ problem, optimum }) => {
      expectOptimum(run(problem), problem, optimum, hard);
    });

    it.each([1e-6, 1e-3, 1e3, 1e6])("badly scaled: the objective by %d", (factor) => {
      const { problem, optimum } = thetaOfOddCycle(7);
      const scaled = { ...problem, objective: problem.objective.map((c) => factor * c) };
      const { x } = expectOptimum(run(scaled), scaled, factor * optimum, hard);
      expect(Math.abs(x[0] - optimum)).toBeLessThan(Math.max(hard, hard / factor) * (1 + optimum));
    });

    it.each([1e-6, 1e-3, 1e3, 1e6])("badly scaled: the constant by %d", (factor) => {
      const { problem, optimum } = thetaOfOddCycle(7);
      const scaled = {
        ...problem,
        blocks: problem.blocks.map((block) => scaleMatrices(block, (k) => (k ? 1 : factor))),
      };
      expectOptimum(run(scaled), scaled, factor * optimum, hard);
    });

    it("badly scaled: variables and blocks by 1e-6 to 1e6", () => {
      const blocks = [
        { kind: "psd", size: 6 },
        { kind: "psd", size: 4 },
        { kind: "nonnegative", size: 5 },
      ] as const;
      const { problem, optimum } = randomProblem(createRng(5), { blocks, variables: 9 });
      const units = Float64Array.from({ length: 9 }, (_, k) => 10 ** (-6 + 1.5 * k));
      const scaled: SdpProblem = {
        objective: problem.objective.map((c, k) => c * units[k]),
        blocks: problem.blocks.map((block, b) =>
          scaleMatrices(block, (k) => 10 ** (3 * b - 3) * (k ? units[k - 1] : 1)),
        ),
      };
      expectOptimum(run(scaled), scaled, optimum, hard);
    });
  });
}

function scaleMatrices(block: Block, factor: (matrix: number) => number): Block {
  const { matrix, value } = block.entries;
  return { ...block, entries: { ...block.entries, value: value.map((v, e) => v * factor(matrix[e])) } };
}

function describeInfeasible({ run, solver, tolerance }: Suite): void {
  describe("tells what is infeasible", () => {
    it.each(knownInfeasibilities())("$status: $title", ({ problem, status }) => {
      const result = run(problem);
      if (!solver.capabilities.certificates) return expect(result.status).not.toBe("optimal");
      expect(result.status).toBe(status);
      if (result.status !== "primal-infeasible" && result.status !== "dual-infeasible") return;
      expect(result.check).toEqual(checkCertificate(problem, result.certificate));
      expect(result.certificate.kind).toBe(status);
      expect(result.check.improvement).toBeGreaterThan(0);
      expect(result.check.worst).toBeLessThanOrEqual(Math.sqrt(tolerance));
    });

    it("weakly infeasible: claims nothing that the checks do not carry", () => {
      const problem = weaklyInfeasible();
      const result = run(problem);
      expect(result.status).not.toBe("dual-infeasible");
      if (result.status === "primal-infeasible") {
        expect(checkCertificate(problem, result.certificate).worst).toBeLessThanOrEqual(Math.sqrt(tolerance));
      } else if (result.status === "optimal") {
        expect(result.accuracy).toBe("reduced");
        expect(checkSolution(problem, result.point).worst).toBeLessThanOrEqual(Math.sqrt(tolerance));
      }
    });
  });
}

function describeRandom({ run, close, hard, largestOrder }: Suite): void {
  const psd = (...sizes: number[]) => sizes.map((size) => ({ kind: "psd", size }) as const);
  const cases: (RandomProblemOptions & { readonly title: string })[] = [
    { title: "one block of order 2", blocks: psd(2), variables: 2 },
    { title: "one block of order 8", blocks: psd(8), variables: 12 },
    { title: "orders 1 to 5", blocks: psd(1, 2, 3, 4, 5), variables: 14 },
    { title: "nonnegative alone", blocks: [{ kind: "nonnegative", size: 20 }], variables: 9 },
    {
      title: "mixed, with equalities",
      blocks: [...psd(7, 3), { kind: "nonnegative", size: 6 }],
      variables: 16,
      equalities: 5,
    },
    { title: "sparse matrices", blocks: psd(20, 10), variables: 30, density: 0.05 },
    { title: "many variables", blocks: psd(12), variables: 70, equalities: 3 },
    { title: `order ${largestOrder}`, blocks: psd(largestOrder), variables: 40, density: 0.1 },
  ];
  describe("finds optima known by construction", () => {
    it.each(cases)("$title", (options) => {
      for (const seed of [1, 2, 3]) {
        const { problem, optimum } = randomProblem(createRng(seed).fork(options.title), options);
        expectOptimum(run(problem), problem, optimum, close);
      }
    });

    it.each(cases.slice(1, 6))("without strict complementarity: $title", (options) => {
      const rng = createRng(4).fork(options.title);
      const { problem, optimum } = randomProblem(rng, { ...options, degenerate: true });
      expectOptimum(run(problem), problem, optimum, hard);
    });

    it("random shapes", () => {
      const rng = createRng(6);
      for (let trial = 0; trial < 12; trial++) {
        const kind = () => (rng.uniform() < 0.3 ? ("nonnegative" as const) : ("psd" as const));
        const count = 1 + rng.integer(4);
        const blocks = Array.from({ length: count }, () => ({ kind: kind(), size: 2 + rng.integer(9) }));
        const room = blocks.reduce(
          (sum, { kind: k, size }) => sum + (k === "psd" ? (size * (size + 1)) / 2 : size),
          -1,
        );
        const variables = 1 + rng.integer(Math.min(room, 25));
        const equalities = rng.integer(Math.min(variables, 4));
        const { problem, optimum } = randomProblem(rng, { blocks, variables, equalities });
        expectOptimum(run(problem), problem, optimum, hard);
      }
    });
  });
}

function describeData({ run, close }: Suite): void {
  it("takes rank-one terms as their written-out entries", () => {
    const { problem } = thetaOfOddCycle(5);
    const [block] = problem.blocks;
    const { matrix, row, column, value } = block.entries;
    const keep = (array: Float64Array | Int32Array) => array.filter((_, e) => matrix[e] !== 0);
    const rankOne = {
      ...block,
      entries: {
        matrix: keep(matrix) as Int32Array,
        row: keep(row) as Int32Array,
        column: keep(column) as Int32Array,
        value: keep(value) as Float64Array,
      },
      rankOne: [
        { matrix: 0, weight: 0.25, vector: new Float64Array(5).fill(2) },
        { matrix: 1, weight: 0.5, vector: Float64Array.of(1, 0, 1, 0, 0) },
        { matrix: 1, weight: -0.5, vector: Float64Array.of(1, 0, 1, 0, 0) },
      ],
    };
    const written = run(problem);
    const withTerms = { ...problem, blocks: [rankOne] };
    const termed = run(withTerms);
    expectOptimum(termed, withTerms, Math.sqrt(5), close);
    if (written.status !== "optimal" || termed.status !== "optimal") throw new Error("unreachable");
    expect(Math.abs(written.check.objective.primal - termed.check.objective.primal)).toBeLessThan(close);
  });

  it("does not change what it is given", () => {
    const { problem, solution } = mixed();
    const before = structuredClone({ problem, solution });
    run(problem, { warmStart: solution });
    expect({ problem, solution }).toEqual(before);
  });

  it("repeats bit for bit", () => {
    const { problem } = mixed();
    const [first, second] = [run(problem), run(problem)];
    expect(first.status === "optimal" && first.point).toEqual(second.status === "optimal" && second.point);
    expect(first.iterations).toBe(second.iterations);
  });

  it("sums repeated entries", () => {
    const { problem, optimum } = smallestEigenvalue(6);
    const doubled = (array: Int32Array) => Int32Array.from([...array, ...array]);
    const blocks = problem.blocks.map((block): Block => {
      const { matrix, row, column, value } = block.entries;
      const parts = [...value.map((v) => 0.25 * v), ...value.map((v) => 0.75 * v)];
      return {
        ...block,
        entries: {
          matrix: doubled(matrix),
          row: doubled(row),
          column: doubled(column),
          value: Float64Array.from(parts),
        },
      };
    });
    const repeated = { ...problem, blocks };
    expectOptimum(run(repeated), repeated, optimum, close);
  });
}

/** A problem with every kind of part. */
function mixed() {
  const blocks = [
    { kind: "psd", size: 6 },
    { kind: "nonnegative", size: 4 },
    { kind: "psd", size: 3 },
  ] as const;
  return randomProblem(createRng(9), { blocks, variables: 10, equalities: 2 });
}

function describeStops({ run, options, solver }: Suite): void {
  const { problem } = mixed();

  it("reports start, iterations in order, and end", () => {
    const events: SdpEvent[] = [];
    const result = run(problem, { onEvent: (event) => events.push(event) });
    const [start] = events;
    const end = events[events.length - 1];
    expect(start).toMatchObject({ type: "start", solver: solver.name, variables: 10 });
    expect(start.type === "start" && start.bytes).toBeGreaterThan(0);
    expect(start.type === "start" && start.bytes).toBe(result.bytes);
    expect(end).toEqual({
      type: "end",
      status: result.status,
      iterations: result.iterations,
      seconds: result.seconds,
    });
    const steps = events.slice(1, -1).map((event) => (event.type === "iteration" ? event.iteration : Number.NaN));
    expect(steps.length).toBeGreaterThan(1);
    expect(steps).toEqual(steps.map((_, i) => steps[0] + i));
    expect(steps[steps.length - 1]).toBe(result.iterations);
  });

  it("stops at the limits with the best point", () => {
    const timed = run(problem, { timeLimitSeconds: 0 });
    expect(timed.status).toBe("time-limit");
    const short = run(problem, { maximumIterations: 3 });
    expect(short.status).toBe("iteration-limit");
    expect(short.iterations).toBeLessThanOrEqual(3);
    if (short.status !== "iteration-limit" || !short.point) throw new Error("no point after three iterations");
    expect(short.check).toEqual(checkSolution(problem, short.point));
    expect(run(problem, { maximumIterations: 0 }).status).toBe("iteration-limit");
  });

  it("stops midway when the signal fires, also in the asynchronous door", async () => {
    for (const door of [solve, solveAsync]) {
      const controller = new AbortController();
      const onEvent = (event: SdpEvent) => {
        if (event.type === "iteration" && event.iteration === 2) controller.abort();
      };
      const result = await door(problem, { ...options, onEvent, signal: controller.signal });
      expect(result.status).toBe("aborted");
      expect(result.iterations).toBeLessThanOrEqual(3);
      expect(result.status === "aborted" && result.point?.x.length).toBe(10);
    }
  });
}

function describeWarmStart({ run, solver, close }: Suite): void {
  const { problem, optimum, solution } = mixed();

  it("says honestly whether a warm start was used", () => {
    const cold = run(problem);
    expect(cold.warmStart).toBe("none");
    const warm = run(problem, { warmStart: solution });
    expectOptimum(warm, problem, optimum, close);
    if (!solver.capabilities.warmStart) return expect(warm.warmStart).toBe("rejected");
    expect(warm.warmStart).toBe("used");
    expect(warm.iterations).toBeLessThan(cold.iterations);
  });

  it("rejects a warm start that does not fit or is not finite, and solves all the same", () => {
    const short = { ...solution, x: solution.x.subarray(1) };
    const missing = { ...solution, dual: solution.dual.slice(1) };
    const broken = { ...solution, slack: solution.slack.map((values) => values.map(() => Number.NaN)) };
    for (const warmStart of [short, missing, broken]) {
      const result = run(problem, { warmStart });
      expect(result.warmStart).toBe("rejected");
      expectOptimum(result, problem, optimum, close);
    }
  });
}

function describeBackends({ run, close }: Suite): void {
  const { problem, optimum } = mixed();

  it.each(presentBackends())("gives the same optimum on the backend $name", (kernels) => {
    const result = run(problem, { backend: kernels });
    expectOptimum(result, problem, optimum, close);
    expect(result.solver.backend).toBe(kernels.name);
  });
}

/** Every backend that this machine can run. */
function presentBackends(): Kernels[] {
  const requests = ["js", "wasm", "native"] as const;
  return requests.flatMap((request) => {
    try {
      return [chooseKernels(request as Parameters<typeof chooseKernels>[0])];
    } catch (error) {
      // a backend that this version does not know (SettingError) or this machine lacks (UnsupportedError)
      if (request === "native" || error instanceof UnsupportedError) return [];
      throw error;
    }
  });
}
