// Workers against the same thread: same results, events, abort, errors.

import { readFileSync } from "node:fs";
import { AbortedError, isWorstcaseError, SettingError, ShapeError, UnsupportedError } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg/kernels";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { SdpProblem } from "../problem.js";
import { readSdpa } from "../sdpa/readSdpa.js";
import { solve } from "../solve.js";
import type { SdpEvent } from "../solver.js";
import { solvers } from "../solvers.js";
import { packError, unpackError } from "./protocol.js";
import { solveInWorker } from "./solveInWorker.js";
import { solveMany } from "./solveMany.js";

const tiny = readSdpa(readFileSync(new URL("../../fixtures/tiny.dat-s", import.meta.url)));

/** Minimise x with [x a; a x] >= 0: the optimum is |a|. */
function shifted(a: number): SdpProblem {
  const entries = {
    matrix: Int32Array.of(0, 1, 1),
    row: Int32Array.of(0, 0, 1),
    column: Int32Array.of(1, 0, 1),
    value: Float64Array.of(a, 1, 1),
  };
  return { objective: Float64Array.of(1), blocks: [{ kind: "psd", size: 2, entries }] };
}

/** The Lovasz number of the 5-cycle, sqrt 5, many times beside each other: enough work to be interrupted. */
function slow(copies: number): SdpProblem {
  const n = 5 * copies;
  const [matrix, row, column, value]: number[][] = [[], [], [], []];
  const add = (k: number, i: number, j: number, v: number) => {
    matrix!.push(k);
    row!.push(Math.min(i, j));
    column!.push(Math.max(i, j));
    value!.push(v);
  };
  let k = 1;
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) add(0, i, j, 1);
  for (let i = 0; i < n; i++) add(1, i, i, 1);
  for (let c = 0; c < copies; c++) for (let i = 0; i < 5; i++) add(++k, 5 * c + i, 5 * c + ((i + 1) % 5), 1);
  const entries = {
    matrix: Int32Array.from(matrix!),
    row: Int32Array.from(row!),
    column: Int32Array.from(column!),
    value: Float64Array.from(value!),
  };
  const objective = new Float64Array(k);
  objective[0] = 1;
  return { objective, blocks: [{ kind: "psd", size: n, entries }] };
}

const timeless = <T extends { seconds: number }>({ seconds: _, ...rest }: T) => rest;

describe("solveInWorker", () => {
  it.each(solvers)("$name: the result and the events of the same thread", async (solver) => {
    const [here, there]: [SdpEvent[], SdpEvent[]] = [[], []];
    const direct = solve(tiny, { solver, onEvent: (event) => here.push(event) });
    const distant = await solveInWorker(tiny, { solver, onEvent: (event) => there.push(event) });
    expect(distant.status).toBe("optimal");
    expect(timeless(distant)).toEqual(timeless(direct));
    expect(there.map(({ type }) => type)).toEqual(here.map(({ type }) => type));
    expect(there.slice(0, -1)).toEqual(here.slice(0, -1));
  });

  it("passes settings and a warm start on", async () => {
    const solver = solvers[1]!;
    const { status, iterations } = await solveInWorker(tiny, {
      solver,
      settings: { relaxation: 1 },
      maximumIterations: 3,
    });
    expect([status, iterations]).toEqual(["iteration-limit", 3]);
    const first = solve(tiny, { solver });
    if (first.status !== "optimal") throw new Error(first.status);
    expect((await solveInWorker(tiny, { solver, warmStart: first.point })).warmStart).toBe("used");
  });

  it("leaves this thread free and stops on abort with the best point", async () => {
    const controller = new AbortController();
    let ticks = 0;
    const clock = setInterval(() => ticks++, 1);
    const problem = slow(40);
    const onEvent = (event: SdpEvent) => {
      if (event.type === "iteration" && event.iteration === 2) controller.abort();
    };
    const result = await solveInWorker(problem, { tolerance: 1e-12, signal: controller.signal, onEvent });
    clearInterval(clock);
    expect(result.status).toBe("aborted");
    expect(ticks).toBeGreaterThan(3);
    if (result.status !== "aborted") throw new Error(result.status);
    expect(result.point!.x.length).toBe(problem.objective.length);
    const early = await solveInWorker(tiny, { signal: AbortSignal.abort() });
    expect(early.status).toBe("aborted");
  });

  it("keeps the time limit", async () => {
    const result = await solveInWorker(slow(40), { timeLimitSeconds: 0, tolerance: 1e-12 });
    expect(result.status).toBe("time-limit");
  });

  it("does not touch the problem, also when its arrays share memory", async () => {
    const copy = structuredClone(tiny);
    await solveInWorker(tiny);
    expect(tiny).toEqual(copy);
    expect(tiny.objective.byteLength).toBe(16);
  });

  it("rejects misuse with the errors of the same thread", async () => {
    await expect(solveInWorker(tiny, { tolerance: 2 })).rejects.toThrow(SettingError);
    await expect(solveInWorker(tiny, { settings: { speed: 1 } as never })).rejects.toThrow(/options\.settings.*speed/);
    await expect(solveInWorker({ ...tiny, names: { variables: [] } })).rejects.toThrow(ShapeError);
    const own = { ...solvers[0]!, name: "my-own" };
    await expect(solveInWorker(tiny, { solver: own })).rejects.toThrow(UnsupportedError);
    await expect(solveInWorker(tiny, { solver: { ...solvers[0]! } })).rejects.toThrow(UnsupportedError);
    await expect(solveInWorker(tiny, { backend: chooseKernels("js") })).rejects.toThrow(/options\.backend/);
    await expect(solveInWorker(tiny, { backend: "abacus" as never })).rejects.toThrow(SettingError);
  });

  it("rejects with what a listener throws", async () => {
    const onEvent = () => {
      throw new Error("enough");
    };
    await expect(solveInWorker(tiny, { onEvent })).rejects.toThrow("enough");
  });

  it("uses the backend asked for", async () => {
    expect((await solveInWorker(tiny, { backend: "js" })).solver.backend).toBe("js");
  });

  it("carries errors over with their class, whatever they received", () => {
    for (const received of [
      1,
      "x",
      [1, [2]],
      { deep: true },
      () => 1,
      Symbol("s"),
      null,
      undefined,
      new Float64Array(3),
    ]) {
      const sent = structuredClone(packError(new AbortedError({ argument: "a", expected: "b", received, hint: "c" })));
      const error = unpackError(sent);
      expect(error).toBeInstanceOf(AbortedError);
      expect(isWorstcaseError(error) && error.details.hint).toBe("c");
    }
    expect(unpackError(packError(new TypeError("inner"))).message).toMatch(/the worker failed: inner/);
  });
});

describe("solveMany", () => {
  afterEach(() => vi.restoreAllMocks());

  const collect = async <T>(results: AsyncIterable<T>) => {
    const list: T[] = [];
    for await (const result of results) list.push(result);
    return list;
  };

  it.each([0, 1, 2])("%s workers: results in the order of the problems", async (workers) => {
    // the first problem is much the slowest
    const problems = [slow(8), ...[1, -2, 3, 4, 5].map(shifted)];
    const finished: number[] = [];
    const onEvent = (event: SdpEvent, position: number) => {
      if (event.type === "end") finished.push(position);
    };
    const results = await collect(solveMany(problems, { workers, onEvent }));
    const values = results.map((result) => (result.status === "optimal" ? result.check.objective.primal : Number.NaN));
    const expected = [8 * Math.sqrt(5), 1, 2, 3, 4, 5];
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
    expect(finished.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("takes problems from endless and asynchronous sources and closes them when the loop is left", async () => {
    for (const asynchronous of [false, true]) {
      let [taken, closed] = [0, false];
      function* endless() {
        try {
          for (;;) yield shifted(++taken);
        } finally {
          closed = true;
        }
      }
      async function* slowly() {
        yield* endless();
      }
      let seen = 0;
      for await (const result of solveMany(asynchronous ? slowly() : endless(), { workers: 1 })) {
        expect(result.status).toBe("optimal");
        if (++seen === 3) break;
      }
      expect(closed).toBe(true);
      expect(taken).toBeLessThanOrEqual(6);
    }
    expect(await collect(solveMany([], { workers: 1 }))).toEqual([]);
  });

  it("throws at the turn of a malformed problem, or of a source that throws", async () => {
    const bad = { ...tiny, objective: Float64Array.of(Number.NaN, 1) };
    const statuses: string[] = [];
    const loop = async (problems: Iterable<SdpProblem>, workers: number) => {
      for await (const { status } of solveMany(problems, { workers })) statuses.push(status);
    };
    await expect(loop([tiny, bad, tiny], 0)).rejects.toThrow(/problem\.objective\[0\]/);
    await expect(loop([tiny, bad, tiny], 2)).rejects.toThrow(/problem\.objective\[0\]/);
    expect(statuses).toEqual(["optimal", "optimal"]);
    function* failing() {
      yield tiny;
      throw new Error("no more");
    }
    await expect(loop(failing(), 1)).rejects.toThrow("no more");
  });

  it("stops taking problems on abort", async () => {
    const controller = new AbortController();
    function* endless() {
      for (;;) yield shifted(1);
    }
    let count = 0;
    for await (const { status } of solveMany(endless(), { workers: 1, signal: controller.signal })) {
      if (count++ === 1) controller.abort();
      expect(["optimal", "aborted"]).toContain(status);
    }
    expect(count).toBeLessThan(8);
  });

  it("refuses a bad number of workers and solvers that cannot be sent", () => {
    for (const workers of [-1, 0.5, Number.NaN]) expect(() => solveMany([], { workers })).toThrow(SettingError);
    const own = { ...solvers[0]!, name: "my-own" };
    expect(() => solveMany([], { workers: 1, solver: own })).toThrow(UnsupportedError);
  });
});
