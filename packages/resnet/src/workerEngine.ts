// A LocalEngine in a worker thread. The thread keeps the process alive only while a request is under way.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { ResourceError } from "@worstcase/core";
import type { Engine } from "./engine.js";
import { fromPlainError, type WorkerAnswer, type WorkerRequest, type WorkerStart } from "./messages.js";

interface Pending {
  resolve(result: Float32Array | undefined): void;
  reject(error: Error): void;
}

export class WorkerEngine implements Engine {
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private failure: Error | undefined;

  private constructor(private readonly worker: Worker) {
    worker.on("message", (message: WorkerAnswer) => this.settle(message));
    worker.on("error", (error) => this.fail(error.message));
    worker.on("exit", (code) => this.fail(`exit code ${code}`));
  }

  /** Starts the thread and waits until its backend is ready. Throws ResourceError or UnsupportedError when it cannot start. */
  static async start(start: WorkerStart): Promise<WorkerEngine> {
    // flags of the parent such as --input-type would stop the worker's own module
    const worker = new Worker(workerFile(), { workerData: start, execArgv: [] });
    const engine = new WorkerEngine(worker);
    try {
      await engine.expect(0);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    return engine;
  }

  features(images: Float32Array, count: number): Promise<Float32Array> {
    return this.call("features", [images, count], [images]);
  }

  linearise(id: number, images: Float32Array, count: number): Promise<Float32Array> {
    return this.call("linearise", [id, images, count], [images]);
  }

  pullbackKept(id: number, featureGradient: Float32Array): Promise<Float32Array> {
    return this.call("pullbackKept", [id, featureGradient], []);
  }

  forget(id: number): Promise<void> {
    return this.call("forget", [id], []);
  }

  pullback(images: Float32Array, count: number, featureGradient: Float32Array): Promise<Float32Array> {
    return this.call("pullback", [images, count, featureGradient], [images]);
  }

  async close(): Promise<void> {
    this.fail("closed");
    await this.worker.terminate();
  }

  /** Sends a request; the memory of `moved` is handed over, so it must be the caller's own copy. */
  private call<M extends keyof Engine>(
    method: M,
    parameters: Parameters<Engine[M]>,
    moved: readonly Float32Array[],
  ): ReturnType<Engine[M]> {
    if (this.failure) return Promise.reject(this.failure) as ReturnType<Engine[M]>;
    const id = ++this.lastId;
    const request: WorkerRequest<M> = { id, method, parameters };
    this.worker.postMessage(
      request,
      moved.map((array) => array.buffer as ArrayBuffer),
    );
    return this.expect(id) as ReturnType<Engine[M]>;
  }

  private expect(id: number): Promise<Float32Array | undefined> {
    if (this.pending.size === 0) this.worker.ref();
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }

  private settle(message: WorkerAnswer): void {
    const pending = this.pending.get(message.id);
    this.pending.delete(message.id);
    if (this.pending.size === 0) this.worker.unref();
    if ("error" in message) pending?.reject(fromPlainError(message.error));
    else pending?.resolve(message.result);
  }

  /** The thread is gone: every request under way and every later one fails. */
  private fail(received: string): void {
    const hint = "create the extractor with workers: 0 to run in this thread";
    this.failure ??= new ResourceError({ argument: "worker thread", expected: "running", received, hint });
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}

/** The built worker beside this module, also when this module runs from its source. Throws ResourceError when it is not there. */
function workerFile(): URL {
  const candidates = ["./worker.js", "../dist/worker.js"].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(fileURLToPath(url)));
  if (found) return found;
  throw new ResourceError({
    argument: "worker.js",
    expected: "the worker module beside the package's index",
    received: fileURLToPath(candidates[0]!),
    hint: "a bundler may have left it out; create the extractor with workers: 0",
  });
}
