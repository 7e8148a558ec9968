// When which kernels pay, measured by the `linalg` suite of apps/bench on one machine (AMD EPYC, Node 20, OpenBLAS 0.3.21):
// WebAssembly starts in about 5 ms; koffi, OpenBLAS and the probe in 50 to 100 ms; plain TypeScript does about
// 1 gigaflop per second without warm-up, WebAssembly 20, OpenBLAS 50.

import type { WorkPlan } from "./kernels.js";

/** Below this order a BLAS is not clearly ahead of WebAssembly. */
const NATIVE_ORDER = 256;
/** Below this many operations the start of native kernels costs more than they save: 0.1 s / (1/20 - 1/50 s per Gflop). */
const NATIVE_FLOPS = 4e9;
/** Below this many operations TypeScript is done before WebAssembly has started. */
const WASM_FLOPS = 2e6;

export function paysForNative({ largestOrder, flops }: WorkPlan): boolean {
  return largestOrder >= NATIVE_ORDER && flops >= NATIVE_FLOPS;
}

export function paysForWasm({ flops }: WorkPlan): boolean {
  return flops >= WASM_FLOPS;
}
