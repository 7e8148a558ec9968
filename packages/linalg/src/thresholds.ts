// When which kernels pay, measured on one machine (AMD EPYC, Node 20, OpenBLAS 0.3.21), speeds by the `linalg` suite of
// apps/bench: in processor time plain TypeScript starts in 3 ms, WebAssembly in 15, koffi with OpenBLAS and the probe in
// 55. At first TypeScript does about 1 gigaflop per second, WebAssembly 20, OpenBLAS 45.

import type { WorkPlan } from "./kernels.js";

/** Up to this order native kernels leave most routines to WebAssembly anyway. */
const NATIVE_ORDER = 64;
/** Below this many operations the start of native kernels costs more than they save: 40 ms / (1/20 - 1/45 s per Gflop). */
const NATIVE_FLOPS = 1.5e9;
/** Below this many operations TypeScript is done before WebAssembly has started: 12 ms at 1 gigaflop per second. */
const WASM_FLOPS = 1e7;

export function paysForNative({ largestOrder, flops }: WorkPlan): boolean {
  return largestOrder > NATIVE_ORDER && flops >= NATIVE_FLOPS;
}

export function paysForWasm({ flops }: WorkPlan): boolean {
  return flops >= WASM_FLOPS;
}
