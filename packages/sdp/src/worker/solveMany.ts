// Many problems over a few workers. Results come in the order of the problems, whichever worker finishes first.

import { SettingError } from "@worstcase/core";
import type { SdpProblem } from "../problem.js";
import type { SdpResult } from "../result.js";
import { type SolveOptions, solveAsync } from "../solve.js";
import type { SdpEvent } from "../solver.js";
import { SolverWorker, sendable } from "./solverWorker.js";

export interface SolveManyOptions<S extends object = object> extends Omit<SolveOptions<S>, "warmStart" | "onEvent"> {
  /** Threads besides this one; 0 solves in this thread. Default: one less than the processors, at least 1, at most 8. */
  readonly workers?: number | undefined;
  /** Events of all problems, with the position of the problem. */
  readonly onEvent?: ((event: SdpEvent, problem: number) => void) | undefined;
}

/**
 * Results in the order of `problems`. At most twice as many problems as there are workers are taken ahead of the results
 * consumed, so an endless iterable is fine. The iteration throws what `solve` throws,
 * at the problem's turn. When `signal` fires, the problems taken end with status `aborted` and no further ones are taken.
 * Leaving the loop ends the workers. Throws SettingError on a bad number of workers, before anything is taken.
 */
export function solveMany<S extends object>(
  problems: Iterable<SdpProblem> | AsyncIterable<SdpProblem>,
  options: SolveManyOptions<S> = {},
): AsyncIterableIterator<SdpResult> {
  const { workers = defaultWorkers() } = options;
  if (!Number.isSafeInteger(workers) || workers < 0) {
    throw new SettingError({ argument: "options.workers", expected: "an integer >= 0", received: workers });
  }
  if (workers > 0) sendable({ ...options, onEvent: undefined });
  return run(problems, options, new Lanes(workers));
}

async function* run<S extends object>(
  problems: Iterable<SdpProblem> | AsyncIterable<SdpProblem>,
  { workers, onEvent, signal, ...options }: SolveManyOptions<S>,
  lanes: Lanes,
): AsyncGenerator<SdpResult, void, undefined> {
  const source = Symbol.asyncIterator in problems ? problems[Symbol.asyncIterator]() : problems[Symbol.iterator]();
  const left = new AbortController();
  const signals = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  const waiting: Promise<SdpResult>[] = [];
  let taking: Promise<{ next: IteratorResult<SdpProblem> }> | undefined;
  let [taken, ended] = [0, false];

  const begin = (problem: SdpProblem): Promise<SdpResult> => {
    const position = taken++;
    const listener = onEvent && { onEvent: (event: SdpEvent) => onEvent(event, position) };
    const result = lanes.solve(problem, { ...options, ...listener, signal: signals });
    // a rejection is reported at the problem's turn, not as unhandled before
    result.catch(() => {});
    return result;
  };

  try {
    for (;;) {
      ended ||= signal?.aborted === true;
      if (!ended && waiting.length < lanes.ahead) {
        taking ??= Promise.resolve(source.next()).then((next) => ({ next }));
      }
      const first = waiting[0]?.then((result) => ({ result }));
      if (!taking && !first) return;
      const turn = await Promise.race([...(taking ? [taking] : []), ...(first ? [first] : [])]);
      if ("result" in turn) {
        waiting.shift();
        yield turn.result;
      } else {
        taking = undefined;
        if (turn.next.done) ended = true;
        else waiting.push(begin(turn.next.value));
      }
    }
  } finally {
    left.abort();
    lanes.close();
    if (!ended) await source.return?.();
  }
}

/** Ways to solve that work at the same time: workers, begun when first needed, or this thread. */
class Lanes {
  /** How many problems are taken before their results are consumed. */
  readonly ahead: number;
  private readonly workers: SolverWorker[] = [];
  private readonly idle: (SolverWorker | undefined)[];
  private readonly queue: (() => void)[] = [];

  constructor(private readonly count: number) {
    this.ahead = 2 * Math.max(count, 1);
    this.idle = new Array<undefined>(Math.max(count, 1)).fill(undefined);
  }

  async solve<S extends object>(problem: SdpProblem, options: SolveOptions<S>): Promise<SdpResult> {
    while (this.idle.length === 0) await new Promise<void>((resolve) => this.queue.push(resolve));
    let worker = this.idle.pop();
    try {
      if (this.count === 0) return await solveAsync(problem, options);
      if (!worker) {
        worker = new SolverWorker();
        this.workers.push(worker);
      }
      return await worker.solve(problem, options);
    } finally {
      this.idle.push(worker);
      this.queue.shift()?.();
    }
  }

  close(): void {
    for (const worker of this.workers) worker.close();
  }
}

function defaultWorkers(): number {
  const processors =
    globalThis.process?.getBuiltinModule?.("node:os").availableParallelism() ??
    (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ??
    2;
  return Math.min(8, Math.max(1, processors - 1));
}
