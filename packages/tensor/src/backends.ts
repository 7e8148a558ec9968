// How each backend is loaded, and what to say when it is not there. Every optional package is imported at run time and
// every error is caught, because an unbuilt tfjs-node throws a plain Error without a code.

import * as tf from "@tensorflow/tfjs-core";
import { registerWasmKernels } from "./wasmKernels.js";

export type BackendName = "tfjs-node-gpu" | "tfjs-node" | "webgpu" | "wasm" | "cpu";

/** Best first. */
export const backendNames: readonly BackendName[] = ["tfjs-node-gpu", "tfjs-node", "webgpu", "wasm", "cpu"];

export interface Loaded {
  /** Name of the backend in the registry of TensorFlow.js. */
  readonly registered: string;
  /** Versions, instruction set, device; known once the backend is active. */
  describe(): Promise<string>;
  /** Why "auto" should not choose it although it works, for example a software GPU. */
  readonly discouraged?: string;
}

interface Backend {
  readonly hint: string;
  /** Loads and registers; throws with a reason that a user can read. */
  load(): Promise<Loaded>;
}

export const backends: Readonly<Record<BackendName, Backend>> = {
  "tfjs-node-gpu": { hint: nativeHint("tfjs-node-gpu"), load: () => loadNative("@tensorflow/tfjs-node-gpu") },
  "tfjs-node": { hint: nativeHint("tfjs-node"), load: () => loadNative("@tensorflow/tfjs-node") },
  webgpu: { hint: "npm install webgpu @tensorflow/tfjs-backend-webgpu@4.22.0", load: loadWebgpu },
  wasm: { hint: "it ships with this package: reinstall it", load: loadWasm },
  cpu: { hint: "it ships with this package: reinstall it", load: loadCpu },
};

function nativeHint(name: string): string {
  const full = `@tensorflow/${name}`;
  return `npm install ${full}@4.22.0, with pnpm: pnpm add ${full}@4.22.0 --allow-build=${full}`;
}

let nativePackage: string | undefined;

async function loadNative(name: string): Promise<Loaded> {
  if (nativePackage && nativePackage !== name)
    throw new Error(`one native TensorFlow per process, and ${nativePackage} is already loaded`);
  // Node 24 removed two helpers that tfjs-node 4.22 still calls
  const util = (await import("node:util")).default as unknown as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  const native = await importOptional<{ version?: Record<string, string> }>(name);
  nativePackage = name;
  return {
    registered: "tensorflow",
    describe: async () => {
      const backend = tf.backend() as unknown as { binding?: { TF_Version?: string }; isUsingGpuDevice?: boolean };
      const device = backend.isUsingGpuDevice ? "GPU" : "CPU";
      return `${name} ${native.version?.["tfjs-node"] ?? ""}, TensorFlow ${backend.binding?.TF_Version ?? "?"}, ${device}`;
    },
  };
}

interface Adapter {
  readonly info?: { vendor?: string; architecture?: string; device?: string; description?: string };
  readonly isFallbackAdapter?: boolean;
}
interface Gpu {
  requestAdapter(): Promise<Adapter | null>;
}

async function loadWebgpu(): Promise<Loaded> {
  const world = globalThis as unknown as { navigator?: { gpu?: Gpu } };
  let gpu = world.navigator?.gpu;
  let globals: Record<string, unknown> | undefined;
  if (!gpu) {
    const dawn = await importOptional<{ create(flags: string[]): Gpu; globals: Record<string, unknown> }>("webgpu");
    gpu = dawn.create([]);
    globals = dawn.globals;
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("no GPU adapter: a Vulkan, Metal or Direct3D driver is missing");
  if (globals) exposeGpu(gpu, globals);
  await importOptional("@tensorflow/tfjs-backend-webgpu");
  const { vendor, architecture, device, description } = adapter.info ?? {};
  const text = [vendor, architecture, device, description].filter(Boolean).join(" ") || "unnamed adapter";
  const software =
    adapter.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(text);
  return {
    registered: "webgpu",
    describe: async () => `tfjs-backend-webgpu, ${text}`,
    ...(software && { discouraged: `a software GPU (${text}) is slower than wasm` }),
  };
}

/** tfjs-backend-webgpu expects the globals of a browser. */
function exposeGpu(gpu: Gpu, globals: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const world = globalThis as unknown as { navigator?: object };
  if (world.navigator) Object.defineProperty(world.navigator, "gpu", { value: gpu, configurable: true });
  else Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node" }, configurable: true });
}

async function loadWasm(): Promise<Loaded> {
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  const folder = await wasmFolder();
  if (folder && !tf.engine().registry.wasm) wasm.setWasmPaths(folder);
  const { fused } = await registerWasmKernels();
  return {
    registered: "wasm",
    describe: async () => {
      const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
      const kernels = `SIMD ${simd ? "on" : "off"}, filter gradient ${fused ? "with" : "without"} fused multiply-add`;
      return `tfjs-backend-wasm ${wasm.version_wasm}, ${kernels}, ${plural(wasm.getThreadsCount(), "thread")}`;
    },
  };
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Folder of the wasm binaries with a trailing slash; undefined in a browser, where the page's own paths hold. */
async function wasmFolder(): Promise<string | undefined> {
  if (typeof process === "undefined" || !process.versions?.node) return undefined;
  const { createRequire } = await import("node:module");
  const path = await import("node:path");
  const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  return path.join(path.dirname(manifest), "wasm-out") + path.sep;
}

async function loadCpu(): Promise<Loaded> {
  const cpu = await import("@tensorflow/tfjs-backend-cpu");
  return { registered: "cpu", describe: async () => `tfjs-backend-cpu ${cpu.version_cpu}, plain JavaScript (slow)` };
}

/** Imports by a name that bundlers do not follow; reports in one sentence. */
async function importOptional<T = unknown>(name: string): Promise<T> {
  try {
    const loaded = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T & { default?: T };
    return loaded.default ?? loaded;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const absent = /cannot find (package|module)|failed to (load|resolve)/i.test(message) && message.includes(name);
    throw new Error(absent ? `${name} is not installed` : `${name} does not load: ${firstSentence(message)}`, {
      cause,
    });
  }
}

/** First line of a message, shortened, for one-sentence reports. */
export function firstSentence(message: string): string {
  const line = message.trim().split("\n")[0] ?? "";
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}
