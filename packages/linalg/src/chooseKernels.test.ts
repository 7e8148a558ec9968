import { SettingError } from "@worstcase/core";
import { afterEach, expect, test, vi } from "vitest";
import { chooseKernels } from "./chooseKernels.js";
import { findNative } from "./native/findNative.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("honours an explicit request whatever the environment says", () => {
  vi.stubEnv("WORSTCASE_BACKEND", "wasm");
  expect(chooseKernels("js").name).toBe("js");
  vi.stubEnv("WORSTCASE_BACKEND", "js");
  expect(chooseKernels("wasm").name).toMatch(/^wasm-/);
  expect(chooseKernels("wasm-simd").name).toBe("wasm-simd");
});

test("auto follows WORSTCASE_BACKEND and otherwise takes WebAssembly", () => {
  vi.stubEnv("WORSTCASE_BACKEND", "js");
  expect(chooseKernels().name).toBe("js");
  for (const value of ["", "auto", "wasm"]) {
    vi.stubEnv("WORSTCASE_BACKEND", value);
    expect(chooseKernels("auto").name).toMatch(/^wasm-/);
  }
});

test("refuses unknown names, here and in the environment", () => {
  expect(() => chooseKernels("cuda" as never)).toThrow(SettingError);
  expect(() => chooseKernels("cuda" as never)).toThrow(
    "request: expected auto, js, wasm, wasm-simd, wasm-fma or native, got cuda",
  );
  vi.stubEnv("WORSTCASE_BACKEND", "cuda");
  expect(() => chooseKernels()).toThrow(
    "WORSTCASE_BACKEND: expected auto, js, wasm, wasm-simd, wasm-fma or native, got cuda",
  );
});

test("auto with a plan: js for tiny work, native only for large work with a tuned library, wasm otherwise", () => {
  vi.stubEnv("WORSTCASE_BACKEND", "");
  expect(chooseKernels("auto", { largestOrder: 10, flops: 1e4 }).name).toBe("js");
  expect(chooseKernels("auto", { largestOrder: 2000, flops: 1e9 }).name).toMatch(/^wasm-/);
  expect(chooseKernels("auto", { largestOrder: 60, flops: 1e12 }).name).toMatch(/^wasm-/);
  expect(chooseKernels("auto", { largestOrder: 60, flops: 1e12, float64Count: 3e8 }).name).toBe("js");
  const { kernels, tuned } = findNative();
  const large = chooseKernels("auto", { largestOrder: 2000, flops: 1e12 });
  expect(large.name).toMatch(kernels && tuned ? /^native$/ : /^wasm-/);
  vi.stubEnv("WORSTCASE_BACKEND", "js");
  expect(chooseKernels("auto", { largestOrder: 2000, flops: 1e12 }).name).toBe("js");
});

test("refuses plans that are not numbers", () => {
  for (const wrong of [Number.NaN, -1, Number.POSITIVE_INFINITY, "9" as never]) {
    expect(() => chooseKernels("auto", { largestOrder: wrong, flops: 1 })).toThrow(SettingError);
    expect(() => chooseKernels("auto", { largestOrder: 1, flops: wrong })).toThrow(/plan.flops: expected a finite/);
  }
});

test("every implementation describes itself", () => {
  for (const request of ["js", "wasm"] as const) expect(chooseKernels(request).description).toMatch(/\w+/);
});
