// Runs inside a worker thread (Node) or a Web Worker: solves one problem after the other for the thread that started it.
// The build bundles this file into a text (workerSource.ts), so that no file has to be found at run time.

import { solveAsync } from "../solve.js";
import { findSolver } from "../solvers.js";
import { type FromWorker, packError, type ToWorker } from "./protocol.js";

interface Port {
  postMessage(message: FromWorker): void;
  addEventListener(type: "message", listener: (event: { data: ToWorker }) => void): void;
}

const inNode = globalThis.process?.getBuiltinModule?.("node:worker_threads").parentPort;
const port = (inNode ?? globalThis) as unknown as Port;
let running: AbortController | undefined;

port.addEventListener("message", ({ data }) => {
  if (data.type === "abort") running?.abort();
  else void answer(data);
});
// a Node port begins to deliver with `on`, not with `addEventListener`
inNode?.start?.();

async function answer({ problem, options, aborted }: ToWorker & { type: "solve" }): Promise<void> {
  const { solver, events, ...others } = options;
  const controller = new AbortController();
  running = controller;
  if (aborted) controller.abort();
  try {
    const result = await solveAsync(problem, {
      ...others,
      solver: findSolver(solver),
      signal: controller.signal,
      ...(events ? { onEvent: (event) => port.postMessage({ type: "event", event }) } : {}),
    });
    port.postMessage({ type: "result", result });
  } catch (error) {
    port.postMessage({ type: "failure", failure: packError(error) });
  }
}
