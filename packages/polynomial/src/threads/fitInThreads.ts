// One-versus-all training in worker threads, one class at a time in each, on features in shared memory or streamed from anywhere.
// Every class is trained by the code and in the order of one thread, so results do not depend on the number of threads.

import {
  AbortedError,
  checkBatch,
  checkLabels,
  type NumericBatch,
  ResourceError,
  SettingError,
  ShapeError,
  throwIfAborted,
  UnsupportedError,
} from "@worstcase/core";
import { checkFitOptions, withQuestions } from "../fit.js";
import { checkInteger, checkPoints } from "../inputs.js";
import { moveSetOf } from "../moveSet.js";
import {
  type ClassFit,
  combineClasses,
  fitOneVersusAll,
  type OneVersusAllFit,
  type OneVersusAllOptions,
  startOf,
  statesOf,
} from "../oneVersusAll.js";
import { type Mailbox, mailboxFailed, mailboxFull, mailboxState, type WorkerMessage } from "./messages.js";
import { shareArray, workerFile } from "./workerFile.js";

/** Features that are read in chunks, several times over, always in ascending order within a pass. */
export interface FeatureStream {
  readonly samples: number;
  readonly dimension: number;
  /** Rows `from .. from + count - 1`, `[count, dimension]`, finite; the same values at every call. */
  read(from: number, count: number): Promise<NumericBatch>;
}

export interface ThreadOptions extends OneVersusAllOptions {
  /** Worker threads; default the smallest of 2, the processors and the classes. 0 trains in this thread. */
  readonly workers?: number;
  /** Rows of a streamed chunk; default about 8 MB. */
  readonly chunkRows?: number;
}

export interface ThreadedFit extends OneVersusAllFit {
  /** Threads used; 0 for none. */
  readonly workers: number;
}

/**
 * As `fitOneVersusAll`, in worker threads. features: `[samples, features]`, copied into shared memory unless they lie in a
 * SharedArrayBuffer (float32 stays float32; all work is in float64), or a `FeatureStream`, of which every thread holds one chunk.
 * Where there are no worker threads (browsers), and with `workers: 0`, it trains in this thread, which a stream cannot.
 * Throws as `fitOneVersusAll`; UnsupportedError for a stream without threads, ResourceError when a thread or a chunk fails.
 */
export async function fitInThreads(
  features: NumericBatch | FeatureStream,
  labels: Int32Array,
  classCount: number,
  options: ThreadOptions,
): Promise<ThreadedFit> {
  const { workers: wanted, chunkRows, onlyClasses, warmStart, signal, onEvent, kernels, ...rest } = options;
  checkFitOptions(kernels === undefined ? rest : { ...rest, kernels });
  const states = statesOf(warmStart);
  checkInteger(classCount, "classCount", 2);
  if (wanted !== undefined) checkInteger(wanted, "options.workers", 0);
  if (chunkRows !== undefined) checkInteger(chunkRows, "options.chunkRows", 1);
  throwIfAborted(signal, "training");
  const streamed = "read" in features;
  if (streamed) {
    checkInteger(features.samples, "features.samples", 1);
    checkInteger(features.dimension, "features.dimension", 1);
  }
  const [samples, dimension] = streamed ? [features.samples, features.dimension] : checkPoints(features, "features");
  checkLabels(labels, samples, classCount);
  const classes = onlyClasses ?? Array.from({ length: classCount }, (_, c) => c);
  for (const c of classes) {
    if (Number.isInteger(c) && c >= 0 && c < classCount) continue;
    const expected = `classes in 0 .. ${classCount - 1}`;
    throw new SettingError({ argument: "options.onlyClasses", expected, received: c });
  }
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  const processors = globalThis.process?.getBuiltinModule?.("node:os").availableParallelism() ?? 1;
  const workers = threads ? Math.min(wanted ?? Math.min(2, processors), classes.length) : 0;
  if (!threads || workers === 0) {
    if (streamed) {
      const hint = "leave options.workers out, or pass the features in memory";
      throw new UnsupportedError({ argument: "features", expected: "worker threads to stream to", received: 0, hint });
    }
    const { workers: _, chunkRows: __, ...plain } = options;
    return { ...fitOneVersusAll(features, labels, classCount, { ...plain, onlyClasses: classes }), workers: 0 };
  }
  if (typeof kernels === "object") {
    const hint = "kernels cannot be handed to a thread";
    throw new SettingError({ argument: "options.kernels", expected: "a name", received: kernels.name, hint });
  }

  const started = performance.now();
  const shared = streamed ? null : shareArray(features.data);
  const queue = [...classes];
  const set = moveSetOf(rest, dimension);
  const fits = new Map<number, ClassFit>();
  const pool: InstanceType<typeof threads.Worker>[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const abort = () => {
        const details = { argument: "signal", expected: "no abort during training", received: "aborted" };
        reject(new AbortedError(details, { cause: signal?.reason }));
      };
      signal?.addEventListener("abort", abort, { once: true });
      const failed = (received: string) => reject(threadFailure(received));
      for (let w = 0; w < workers; w++) {
        const mailbox = streamed ? makeMailbox(features, chunkRows) : null;
        const serve = streamed && mailbox ? chunkServer(features, mailbox, reject) : null;
        const workerData = {
          samples,
          dimension,
          points: mailbox ?? shared,
          labels,
          options: { ...rest, classCount },
          kernels: kernels ?? "auto",
        };
        const worker = new threads.Worker(workerFile("classWorker"), { workerData, execArgv: [] });
        pool.push(worker);
        worker.on("error", (error) => failed(error.message));
        worker.on("exit", (code) => failed(`exit code ${code}`));
        worker.on("message", (message: WorkerMessage) => {
          if (message.type === "event") onEvent?.(message.event);
          else if (message.type === "chunk") serve?.(message.chunk);
          else if (message.type === "failed") failed(message.details.message);
          else {
            fits.set(message.fit.class, { ...message.fit, ...withQuestions(message.fit, undefined, set) });
            if (fits.size === classes.length) resolve();
            else next(worker);
          }
        });
        next(worker);
      }
      function next(worker: (typeof pool)[number]): void {
        const c = queue.shift();
        if (c !== undefined) worker.postMessage({ classIndex: c, start: startOf(states, c) });
      }
    });
  } finally {
    for (const worker of pool) worker.removeAllListeners();
    await Promise.all(pool.map((worker) => worker.terminate()));
  }
  const fit = combineClasses(classes.map((c) => fits.get(c) as ClassFit));
  return { ...fit, seconds: (performance.now() - started) / 1000, workers };
}

function makeMailbox({ samples, dimension }: FeatureStream, wanted: number | undefined): Mailbox {
  const chunkRows = Math.min(samples, wanted ?? Math.max(256, Math.floor(1e6 / dimension)));
  const rows = new Float64Array(new SharedArrayBuffer(8 * chunkRows * dimension));
  return { control: new Int32Array(new SharedArrayBuffer(4)), rows, chunkRows };
}

/** Answers requests for chunks; the next one is read ahead. */
function chunkServer(stream: FeatureStream, mailbox: Mailbox, reject: (error: unknown) => void) {
  const { control, rows, chunkRows } = mailbox;
  const chunks = Math.ceil(stream.samples / chunkRows);
  let ahead: { readonly chunk: number; readonly batch: Promise<NumericBatch> } | null = null;
  const read = (chunk: number) => {
    const from = chunk * chunkRows;
    const count = Math.min(chunkRows, stream.samples - from);
    const batch = stream.read(from, count).then((found) => {
      checkBatch(found, `features.read(${from}, ${count})`, [stream.dimension]);
      if (found.shape[0] === count) return found;
      throw new ShapeError({
        argument: `features.read(${from}, ${count})`,
        expected: `${count} rows`,
        received: found.shape,
      });
    });
    // Handled where the chunk is asked for.
    batch.catch(() => {});
    return { chunk, batch };
  };
  return async (chunk: number) => {
    try {
      const { data } = await (ahead?.chunk === chunk ? ahead : read(chunk)).batch;
      rows.set(data);
      Atomics.store(control, mailboxState, mailboxFull);
      Atomics.notify(control, mailboxState);
      ahead = chunks > 1 ? read((chunk + 1) % chunks) : null;
    } catch (error) {
      reject(error);
      Atomics.store(control, mailboxState, mailboxFailed);
      Atomics.notify(control, mailboxState);
    }
  };
}

function threadFailure(received: string): ResourceError {
  const hint = "workers: 0 trains in this thread";
  return new ResourceError({ argument: "worker thread", expected: "a trained class", received, hint });
}
