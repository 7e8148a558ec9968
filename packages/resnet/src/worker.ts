// Worker thread of the extractor (second entry of the package): answers each request with the result of a LocalEngine.

import { parentPort, workerData } from "node:worker_threads";
import { LocalEngine } from "./engine.js";
import { toPlainError, type WorkerAnswer, type WorkerRequest, type WorkerStart } from "./messages.js";

const port = parentPort;
if (!port) throw new Error("this module runs only as a worker thread of @worstcase/resnet");

const { network, backend } = workerData as WorkerStart;
const engine = LocalEngine.create(network, backend);
engine.then(
  () => answer({ id: 0, result: undefined }),
  (error) => answer({ id: 0, error: toPlainError(error) }),
);

port.on("message", async ({ id, method, parameters }: WorkerRequest) => {
  try {
    const work = (await engine)[method] as (...values: unknown[]) => Promise<Float32Array | undefined>;
    const result = await work.apply(await engine, parameters);
    answer({ id, result });
  } catch (error) {
    answer({ id, error: toPlainError(error) });
  }
});

function answer(message: WorkerAnswer): void {
  // A result that shares its memory with something else (the wasm heap, say) must not be moved away from it.
  const result = "result" in message ? message.result : undefined;
  const whole = result && result.byteLength === result.buffer.byteLength;
  port!.postMessage(message, whole ? [result.buffer as ArrayBuffer] : []);
}
