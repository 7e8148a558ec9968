// Choice of the implementation. An explicit request that cannot be honoured is an error, never a silent fallback.

import { SettingError, UnsupportedError } from "@worstcase/core";
import { jsKernels } from "./js/jsKernels.js";
import type { KernelRequest, Kernels } from "./kernels.js";
import { wasmKernels } from "./wasm/wasmKernels.js";

/**
 * The kernels to use. `auto` honours the environment variable WORSTCASE_BACKEND (js or wasm) and otherwise takes
 * WebAssembly when the engine has SIMD, else js. Throws SettingError on an unknown request and UnsupportedError when
 * `wasm` is asked for, here or in WORSTCASE_BACKEND, and the engine lacks it.
 */
export function chooseKernels(request: KernelRequest = "auto"): Kernels {
  if (request !== "auto") return honour(request, "request");
  const wanted = globalThis.process?.env?.WORSTCASE_BACKEND;
  if (wanted && wanted !== "auto") return honour(wanted, "WORSTCASE_BACKEND");
  return wasmKernels() ?? jsKernels;
}

function honour(request: string, argument: string): Kernels {
  if (request === "js") return jsKernels;
  if (request !== "wasm") throw new SettingError({ argument, expected: "auto, js or wasm", received: request });
  const kernels = wasmKernels();
  if (kernels) return kernels;
  const hint = "ask for auto or js";
  throw new UnsupportedError({ argument, expected: "an engine with WebAssembly SIMD", received: request, hint });
}
