// Keeps the chosen TensorFlow.js backend active, and lets the event loop turn between long synchronous stretches.

import { type BackendName, tf, useBackend } from "@worstcase/tensor";

/** Makes sure that `backend` is active: another user of TensorFlow.js in this thread may have switched it. */
export async function activate(backend: BackendName): Promise<void> {
  const registered = backend.startsWith("tfjs-node") ? "tensorflow" : backend;
  if (tf.getBackend() !== registered) await useBackend(backend);
}

/** Lets timers, signals and messages be served; awaiting a result of a synchronous backend does not. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
