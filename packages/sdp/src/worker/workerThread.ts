// One worker, in Node or in a browser, made from a text: no file has to be served or found.

import { UnsupportedError } from "@worstcase/core";
import type { FromWorker, ToWorker } from "./protocol.js";
import { workerSource } from "./workerSource.js";

export interface WorkerThread {
  post(message: ToWorker): void;
  /** Replaces the listeners: one for messages, one for the worker's own failure to run. */
  listen(onMessage: (message: FromWorker) => void, onFailure: (error: Error) => void): void;
  /** Ends the worker at once. */
  close(): void;
}

/** Throws UnsupportedError where there are no workers. A content security policy must allow `blob:` workers in a page. */
export function startWorker(): WorkerThread {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  return threads ? startThread(threads) : startWebWorker();
}

function startThread(threads: typeof import("node:worker_threads")): WorkerThread {
  const source = `const moduleUrl = ${JSON.stringify(kernelsUrl())};\n${workerSource}`;
  const worker = new threads.Worker(source, { eval: true, execArgv: [] });
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      worker.removeAllListeners();
      worker.on("message", onMessage);
      worker.on("error", onFailure);
      worker.on("messageerror", onFailure);
      worker.on("exit", (code) => onFailure(new Error(`the worker ended with code ${code}`)));
    },
    close() {
      worker.removeAllListeners();
      void worker.terminate();
    },
  };
}

/** Where the kernels look for an optional native library from: their own package, as without a worker, else here. */
function kernelsUrl(): string {
  try {
    const here = process.getBuiltinModule("node:module").createRequire(import.meta.url);
    return process.getBuiltinModule("node:url").pathToFileURL(here.resolve("@worstcase/linalg/kernels")).href;
  } catch {
    return import.meta.url;
  }
}

/** The part of a Web Worker that is used; the shared type settings include no browser library. */
interface WebWorker {
  postMessage(message: ToWorker): void;
  terminate(): void;
  onmessage: ((event: { data: FromWorker }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
}

function startWebWorker(): WorkerThread {
  const Constructor = (globalThis as { Worker?: new (url: string) => WebWorker }).Worker;
  if (!Constructor) {
    const hint = "use solveAsync here";
    throw new UnsupportedError({ argument: "worker", expected: "an engine with workers", received: "none", hint });
  }
  const source = `const moduleUrl = "";\n${workerSource}`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Constructor(url);
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = ({ message }) => onFailure(new Error(message || "the worker could not be started"));
    },
    close() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
