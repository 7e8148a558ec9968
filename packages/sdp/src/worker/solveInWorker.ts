// The door to another thread: same options, events, abort and result as `solveAsync`, and this thread stays free.

import { checkProblem, type SdpProblem } from "../problem.js";
import type { SdpResult } from "../result.js";
import type { SolveOptions } from "../solve.js";
import { SolverWorker, sendable } from "./solverWorker.js";

/**
 * Solves in a worker thread (Node) or a Web Worker, which is started for this call and ended after it. The problem is
 * copied, not moved. Rejects as `solve` throws, and with UnsupportedError on a solver or kernels of one's own and where
 * there are no workers. An exception in `onEvent` ends the solve and is the rejection.
 */
export async function solveInWorker<S extends object>(
  problem: SdpProblem,
  options: SolveOptions<S> = {},
): Promise<SdpResult> {
  checkProblem(problem);
  sendable(options);
  const worker = new SolverWorker();
  try {
    return await worker.solve(problem, options);
  } finally {
    worker.close();
  }
}
