import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { sourceHash as hashSources } from "../../wasm/sourceHash.mjs";
import { describeKernels } from "../testing/describeKernels.js";
import { sourceHash } from "./kernels.generated.js";
import { wasmBuild } from "./wasmKernels.js";

// Node 20 knows relaxed SIMD but asks for a flag; the library leaves engine flags alone, this test does not.
if (process.versions.node.startsWith("20.")) setFlagsFromString("--experimental-wasm-relaxed-simd");

describeKernels("wasm-simd", wasmBuild("wasm-simd"), "this engine has no WebAssembly SIMD");
describeKernels("wasm-fma", wasmBuild("wasm-fma"), "this engine has no relaxed SIMD");

test("kernels.generated.ts was built from the committed sources", () => {
  expect(sourceHash).toBe(hashSources());
});
