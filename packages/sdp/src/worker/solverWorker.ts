// One worker that solves one problem at a time, with the events, the abort and the errors of the doors in this thread.

import { UnsupportedError } from "@worstcase/core";
import type { SdpProblem } from "../problem.js";
import type { SdpResult } from "../result.js";
import type { SolveOptions } from "../solve.js";
import { findSolver } from "../solvers.js";
import { type SentOptions, unpackError } from "./protocol.js";
import { startWorker, type WorkerThread } from "./workerThread.js";

/** Throws UnsupportedError on what cannot be sent to a worker: solvers of one's own, and kernels (name a backend instead). */
export function sendable<S extends object>(options: SolveOptions<S>): SentOptions {
  const { solver, backend, onEvent, signal: _, ...others } = options;
  const name = solver?.name ?? "interior-point";
  if (solver && (findSolver(name) as unknown) !== solver) {
    const hint = "solve it with solve or solveAsync, also inside a worker of your own";
    throw new UnsupportedError({
      argument: "options.solver",
      expected: "a solver of this package",
      received: name,
      hint,
    });
  }
  if (typeof backend === "object") {
    const hint = "pass a backend's name";
    throw new UnsupportedError({ argument: "options.backend", expected: "a name", received: backend.name, hint });
  }
  return { ...others, solver: name, backend, events: onEvent !== undefined };
}

export class SolverWorker {
  private readonly thread: WorkerThread = startWorker();

  /** One call at a time. Rejects with what `solveAsync` would reject with. */
  solve<S extends object>(problem: SdpProblem, options: SolveOptions<S>): Promise<SdpResult> {
    const { onEvent, signal } = options;
    const sent = sendable(options);
    const abort = () => this.thread.post({ type: "abort" });
    return new Promise<SdpResult>((resolve, reject) => {
      this.thread.listen((message) => {
        if (message.type === "result") resolve(message.result);
        else if (message.type === "failure") reject(unpackError(message.failure));
        else {
          try {
            onEvent?.(message.event);
          } catch (error) {
            reject(error);
          }
        }
      }, reject);
      this.thread.post({ type: "solve", problem, options: sent, aborted: signal?.aborted ?? false });
      signal?.addEventListener("abort", abort);
    }).finally(() => signal?.removeEventListener("abort", abort));
  }

  close(): void {
    this.thread.close();
  }
}
