// WebAssembly kernels: not built yet, so never present.
import type { Kernels } from "../kernels.js";

export function wasmKernels(): Kernels | undefined {
  return undefined;
}
