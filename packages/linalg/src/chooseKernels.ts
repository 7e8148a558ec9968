// Choice of the implementation. An explicit request that cannot be honoured is an error, never a silent fallback.

import { SettingError, UnsupportedError } from "@worstcase/core";
import { jsKernels } from "./js/jsKernels.js";
import type { KernelRequest, Kernels, WorkPlan } from "./kernels.js";
import { findNative } from "./native/findNative.js";
import { paysForNative, paysForWasm } from "./thresholds.js";
import { MOST_NUMBERS, wasmBuild, wasmKernels } from "./wasm/wasmKernels.js";

/**
 * The kernels to use. `auto` honours the environment variable WORSTCASE_BACKEND (any other request) and otherwise takes
 * WebAssembly when the engine has SIMD, else js; told the planned work it takes native kernels for large matrices where
 * a tuned BLAS passes its probe, and js for work too small to start WebAssembly. Throws SettingError on an unknown
 * request or a bad plan, and UnsupportedError when a request, here or in WORSTCASE_BACKEND, cannot be honoured.
 */
export function chooseKernels(request: KernelRequest = "auto", plan?: WorkPlan): Kernels {
  if (plan) checkPlan(plan);
  if (request !== "auto") return honour(request, "request");
  const wanted = globalThis.process?.env?.WORSTCASE_BACKEND;
  if (wanted && wanted !== "auto") return honour(wanted, "WORSTCASE_BACKEND");
  if (plan && paysForNative(plan)) {
    const { kernels, tuned } = findNative();
    if (kernels && tuned) return kernels;
  }
  return (plan && !worthWasm(plan) ? undefined : wasmKernels()) ?? jsKernels;
}

function worthWasm(plan: WorkPlan): boolean {
  return paysForWasm(plan) && (plan.float64Count ?? 0) <= MOST_NUMBERS;
}

function checkPlan({ largestOrder, flops, float64Count = 0 }: WorkPlan): void {
  for (const [name, value] of Object.entries({ largestOrder, flops, float64Count })) {
    if (Number.isFinite(value) && value >= 0) continue;
    throw new SettingError({ argument: `plan.${name}`, expected: "a finite number >= 0", received: value });
  }
}

function honour(request: string, argument: string): Kernels {
  switch (request) {
    case "js":
      return jsKernels;
    case "wasm":
      return orRefuse(wasmKernels(), request, argument, "WebAssembly SIMD");
    case "wasm-simd":
      return orRefuse(wasmBuild(request), request, argument, "WebAssembly SIMD");
    case "wasm-fma":
      return orRefuse(wasmBuild(request), request, argument, "relaxed WebAssembly SIMD (Node >= 22)");
    case "native":
      return nativeOrRefuse(request, argument);
  }
  const expected = "auto, js, wasm, wasm-simd, wasm-fma or native";
  throw new SettingError({ argument, expected, received: request });
}

function orRefuse(kernels: Kernels | undefined, received: string, argument: string, feature: string): Kernels {
  if (kernels) return kernels;
  throw new UnsupportedError({ argument, expected: `an engine with ${feature}`, received, hint: "ask for auto or js" });
}

function nativeOrRefuse(received: string, argument: string): Kernels {
  const { kernels, detail } = findNative();
  if (kernels) return kernels;
  const hint = `${detail}; install OpenBLAS and koffi, or name a library in WORSTCASE_BLAS`;
  throw new UnsupportedError({ argument, expected: "a BLAS and LAPACK that answer right", received, hint });
}
