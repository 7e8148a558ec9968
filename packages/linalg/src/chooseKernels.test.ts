import { SettingError } from "@worstcase/core";
import { afterEach, expect, test, vi } from "vitest";
import { chooseKernels } from "./chooseKernels.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("honours an explicit request whatever the environment says", () => {
  vi.stubEnv("WORSTCASE_BACKEND", "wasm");
  expect(chooseKernels("js").name).toBe("js");
  vi.stubEnv("WORSTCASE_BACKEND", "js");
  expect(chooseKernels("wasm").name).toMatch(/^wasm-/);
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
  expect(() => chooseKernels("native" as never)).toThrow(SettingError);
  expect(() => chooseKernels("native" as never)).toThrow("request: expected auto, js or wasm, got native");
  vi.stubEnv("WORSTCASE_BACKEND", "cuda");
  expect(() => chooseKernels()).toThrow("WORSTCASE_BACKEND: expected auto, js or wasm, got cuda");
});

test("every implementation describes itself", () => {
  for (const request of ["js", "wasm"] as const) expect(chooseKernels(request).description).toMatch(/\w+/);
});
