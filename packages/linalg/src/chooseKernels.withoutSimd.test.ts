// An engine that refuses SIMD modules: auto falls back to js, an explicit request for wasm is an error.

import { UnsupportedError } from "@worstcase/core";
import { afterEach, expect, test, vi } from "vitest";
import { chooseKernels } from "./chooseKernels.js";
import { multiply } from "./matrices.js";

vi.mock("./wasm/engine.js", () => ({ engine: { validate: () => false } }));

afterEach(() => {
  vi.unstubAllEnvs();
});

test("auto falls back to js", async () => {
  expect(chooseKernels().name).toBe("js");
  const { Matrix } = await import("ml-matrix");
  expect(multiply(Matrix.eye(3), Matrix.eye(3)).to2DArray()).toEqual(Matrix.eye(3).to2DArray());
});

test("a request for wasm that cannot be honoured throws", () => {
  expect(() => chooseKernels("wasm")).toThrow(UnsupportedError);
  vi.stubEnv("WORSTCASE_BACKEND", "wasm");
  expect(() => chooseKernels()).toThrow(UnsupportedError);
  expect(() => chooseKernels("auto")).toThrow(/WORSTCASE_BACKEND: expected an engine with WebAssembly SIMD/);
});
