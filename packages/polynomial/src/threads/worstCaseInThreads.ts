// Exact l2 worst cases of many rows in worker threads. Rows are split where the oracle's own blocks end, so every thread computes
// what one thread would, and results do not depend on the number of threads.

import { AbortedError, type NumericBatch, type Radius, ResourceError, throwIfAborted } from "@worstcase/core";
import type { KernelRequest } from "@worstcase/linalg";
import { chooseKernels } from "@worstcase/linalg";
import { checkInteger, checkPoints, checkSignLabels, type SignLabels } from "../inputs.js";
import { type MoveOptions, moveSetOf } from "../moveSet.js";
import { checkQuadratic, type Quadratic } from "../quadratic.js";
import { blockRows } from "../worstCase/rotator.js";
import { radiusValue, type WorstCase, worstCase } from "../worstCase/worstCase.js";
import { shareArray, workerFile } from "./workerFile.js";
import type { WorstCaseTask } from "./worstCaseWorker.js";

export interface ThreadedWorstCaseOptions extends MoveOptions {
  /** Default `auto`. Names only: kernels themselves cannot be handed to a thread. */
  readonly kernels?: KernelRequest;
  /** false leaves the perturbations out. Default true. */
  readonly points?: boolean;
  /** Worker threads; default the processors, at most 8 and at most one per 512 rows. 0 stays in this thread. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
}

export interface ThreadedWorstCase extends WorstCase {
  /** Threads used; 0 for none. */
  readonly workers: number;
}

/**
 * As `worstCase`, in worker threads. points: `[samples, features]`, copied into shared memory unless they lie in a
 * SharedArrayBuffer; labels +1 / -1 `[samples]`; radius in feature space. A thread takes about 50 ms to start and decomposes
 * the quadratic for itself: it pays from about a tenth of a second of work on. Where there are no worker threads (browsers), this
 * thread answers. Throws as `worstCase`; AbortedError when the signal fires, ResourceError when a thread fails. Source: math.md 6.
 */
export async function worstCaseInThreads(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  radius: number | Radius,
  options: ThreadedWorstCaseOptions = {},
): Promise<ThreadedWorstCase> {
  const { kernels = "auto", points: wanted = true, workers: asked, signal, ...set } = options;
  checkQuadratic(quadratic);
  const { dimension } = quadratic;
  const [samples] = checkPoints(points, "points", dimension);
  checkSignLabels(labels, samples);
  const r = radiusValue(radius);
  moveSetOf(set, dimension);
  const here = chooseKernels(kernels);
  if (asked !== undefined) checkInteger(asked, "options.workers", 0);
  throwIfAborted(signal, "worst cases");
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  const processors = globalThis.process?.getBuiltinModule?.("node:os").availableParallelism() ?? 1;
  const blocks = Math.ceil(samples / blockRows);
  const workers = threads ? Math.min(asked ?? Math.min(8, processors), blocks) : 0;
  if (!threads || workers === 0) {
    return { ...worstCase(quadratic, points, labels, r, { ...set, kernels: here, points: wanted }), workers: 0 };
  }
  const shared = (length: number) => new Float64Array(new SharedArrayBuffer(8 * length));
  const common = {
    ...{ quadratic, radius: r, set, kernels, points: shareArray(points.data) },
    labels: Float64Array.from(labels),
    values: shared(samples),
    multipliers: shared(samples),
    perturbations: wanted ? shared(samples * dimension) : null,
  };
  const pool: InstanceType<typeof threads.Worker>[] = [];
  let abort = () => {};
  try {
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        const details = { argument: "signal", expected: "no abort during the worst cases", received: "aborted" };
        reject(new AbortedError(details, { cause: signal?.reason }));
      };
      signal?.addEventListener("abort", abort, { once: true });
    });
    const parts = Array.from({ length: workers }, (_, w) => {
      const from = Math.floor((w * blocks) / workers) * blockRows;
      const to = Math.min(samples, Math.floor(((w + 1) * blocks) / workers) * blockRows);
      const workerData: WorstCaseTask = { ...common, from, to };
      const worker = new threads.Worker(workerFile("worstCaseWorker"), { workerData, execArgv: [] });
      pool.push(worker);
      return new Promise<void>((resolve, reject) => {
        worker.once("message", () => resolve());
        worker.once("error", (error) => reject(threadFailure(error.message)));
        worker.once("exit", (code) => reject(threadFailure(`exit code ${code}`)));
      });
    });
    await Promise.race([Promise.all(parts), aborted]);
  } finally {
    signal?.removeEventListener("abort", abort);
    for (const worker of pool) worker.removeAllListeners();
    await Promise.all(pool.map((worker) => worker.terminate()));
  }
  const own = (array: Float64Array) => array.slice();
  const { values, multipliers, perturbations } = common;
  const found = { values: own(values), multipliers: own(multipliers), workers };
  return perturbations ? { ...found, perturbations: own(perturbations) } : found;
}

function threadFailure(received: string): ResourceError {
  const hint = "workers: 0 stays in this thread";
  return new ResourceError({ argument: "worker thread", expected: "its rows answered", received, hint });
}
