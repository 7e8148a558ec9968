// Chooses a TensorFlow.js backend, makes it active and proves that it computes: a tiny convolution with a known result.

import * as tf from "@tensorflow/tfjs-core";
import { SettingError, UnsupportedError } from "@worstcase/core";
import { type BackendName, backendNames, backends, firstSentence, type Loaded } from "./backends.js";
import { registerGradients } from "./registerGradients.js";

export interface BackendInfo {
  readonly name: BackendName;
  /** Versions, SIMD, device. */
  readonly description: string;
  /** No TensorFlow.js backend computes in float64. */
  readonly float32: true;
  /** Better backends that were tried and not used, best first. */
  readonly rejected: readonly { readonly name: BackendName; readonly reason: string }[];
}

export interface BackendReport {
  readonly name: BackendName;
  readonly available: boolean;
  readonly detail: string;
  readonly hint?: string;
}

let queue: Promise<unknown> = Promise.resolve();
const chosen = new Map<BackendName | "auto", BackendInfo>();
const loaded = new Map<BackendName, Promise<Loaded>>();

/**
 * Makes a backend active and registers all gradients. "auto" takes the best one present: tfjs-node-gpu, tfjs-node,
 * webgpu (unless its adapter is software), wasm, cpu. Idempotent; concurrent calls run one after another, and the last
 * one decides. Throws UnsupportedError when a named backend is not available, SettingError for an unknown name.
 */
export function useBackend(request: "auto" | BackendName = "auto"): Promise<BackendInfo> {
  if (request !== "auto" && !backendNames.includes(request)) {
    const expected = `auto, ${backendNames.join(", ")}`;
    return Promise.reject(new SettingError({ argument: "backend", expected, received: request }));
  }
  return inTurn(() => choose(request));
}

/** Tries every backend and leaves the active one as it was. Never throws; `detail` says in one sentence what was found. */
export function inspectBackends(): Promise<readonly BackendReport[]> {
  return inTurn(async () => {
    const restore = rememberActive();
    const reports: BackendReport[] = [];
    for (const name of backendNames) {
      try {
        const { description, discouraged } = await activate(name);
        const detail = discouraged ? `${description}; not chosen by auto: ${discouraged}` : description;
        reports.push({ name, available: true, detail });
      } catch (error) {
        reports.push({ name, available: false, detail: reason(error), hint: backends[name].hint });
      }
    }
    await restore();
    return reports;
  });
}

async function choose(request: "auto" | BackendName): Promise<BackendInfo> {
  await registerGradients();
  const known = chosen.get(request);
  if (known) {
    await activate(known.name);
    return known;
  }
  const rejected: { name: BackendName; reason: string }[] = [];
  for (const name of request === "auto" ? backendNames : [request]) {
    const restore = rememberActive();
    try {
      const { description, discouraged } = await activate(name);
      if (request === "auto" && discouraged) throw new Error(discouraged);
      const info: BackendInfo = { name, description, float32: true, rejected };
      chosen.set(request, info);
      return info;
    } catch (error) {
      await restore();
      rejected.push({ name, reason: reason(error) });
    }
  }
  const received = rejected.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  const hint = backends[request === "auto" ? "wasm" : request].hint;
  throw new UnsupportedError({ argument: "backend", expected: `${request} to be available`, received, hint });
}

/** Loads, switches and checks a backend. */
async function activate(name: BackendName): Promise<{ description: string; discouraged?: string }> {
  const loading = loaded.get(name) ?? backends[name].load();
  loaded.set(name, loading);
  loading.catch(() => loaded.delete(name));
  const backend = await loading;
  if (tf.getBackend() !== backend.registered && !(await tf.setBackend(backend.registered))) {
    throw new Error(`TensorFlow.js could not initialise ${backend.registered}`);
  }
  await silently(checkComputes);
  return {
    description: await backend.describe(),
    ...(backend.discouraged !== undefined && { discouraged: backend.discouraged }),
  };
}

/** 1 * 3 + 2 * 4 = 11 through the convolution kernel of the active backend. */
async function checkComputes(): Promise<void> {
  const result = tf.tidy(() =>
    tf.conv2d(tf.tensor4d([1, 2], [1, 1, 1, 2]), tf.tensor4d([3, 4], [1, 1, 2, 1]), 1, "valid"),
  );
  const [value] = await result.data();
  result.dispose();
  if (value !== 11) throw new Error(`a test convolution gave ${value} instead of 11`);
}

/** The cpu backend prints an advertisement at its first operation unless TensorFlow.js is in production mode. */
async function silently(work: () => Promise<void>): Promise<void> {
  const before = tf.env().getBool("PROD");
  tf.env().set("PROD", true);
  try {
    await work();
  } finally {
    tf.env().set("PROD", before);
  }
}

/** A function that makes the backend active again that is active now (or none). */
function rememberActive(): () => Promise<void> {
  const engine = tf.engine() as unknown as { backendName?: string; backendInstance: unknown };
  const before = engine.backendName;
  return async () => {
    if (before) await tf.setBackend(before);
    else {
      delete engine.backendName;
      engine.backendInstance = null;
    }
  };
}

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = queue.then(work, work);
  queue = result.catch(() => undefined);
  return result;
}

function reason(error: unknown): string {
  return firstSentence(
    error instanceof Error ? error.message : String((error as { message?: string })?.message ?? error),
  );
}
