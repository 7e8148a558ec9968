// Worker thread of `fitInThreads` (second entry of the package): trains the classes it is told, one after another.

import { parentPort, workerData } from "node:worker_threads";
import { isWorstcaseError } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { rowsOf } from "../factored/rowSource.js";
import { prepareRows } from "../factored/trainingData.js";
import type { FitEvent } from "../fit.js";
import { fitClass } from "../oneVersusAll.js";
import { mailboxRows } from "./mailboxRows.js";
import type { ClassTask, WorkerMessage, WorkerStart } from "./messages.js";

const port = parentPort;
if (!port) throw new Error("this module runs only as a worker thread of @worstcase/polynomial");

const { samples, dimension, points, labels, options, kernels } = workerData as WorkerStart;
const post = (message: WorkerMessage) => port.postMessage(message);
let data: ReturnType<typeof prepareRows> | null = null;

port.on("message", ({ classIndex, start }: ClassTask) => {
  try {
    const started = process.cpuUsage();
    data ??= prepare();
    const onEvent = (event: FitEvent) => post({ type: "event", event });
    const fit = fitClass(data, labels, classIndex, { ...options, ...start, onEvent });
    const { matrices: _, worstCase: __, ...plain } = fit;
    const { user, system } = process.cpuUsage(started);
    post({ type: "done", fit: plain, cpuSeconds: (user + system) / 1e6 });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    post({ type: "failed", details: { message: isWorstcaseError(error) ? message : `${message}` } });
  }
});

function prepare() {
  const batch = "chunkRows" in points ? null : { data: points, shape: [samples, dimension] };
  const rows = "chunkRows" in points ? mailboxRows(samples, dimension, points, askFor) : rowsOf(batch!);
  return prepareRows(rows, batch, { kernels: chooseKernels(kernels), maxNeurons: options.maxNeurons });
}

function askFor(chunk: number): void {
  post({ type: "chunk", chunk });
}
