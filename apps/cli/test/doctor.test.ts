// `worstcase doctor` lists the float64 kernels; what cannot be used is a warning, never a failure.

import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { run } from "./commandLine.js";

interface Kernel {
  readonly name: string;
  readonly available: boolean;
  readonly detail: string;
  readonly warnings: readonly string[];
}

async function kernels(environment: NodeJS.ProcessEnv): Promise<Kernel[]> {
  const { code, stdout, stderr } = await run(["doctor", "--json"], environment);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout).kernels;
}

it("lists native, wasm and js kernels", async () => {
  const found = await kernels({});
  expect(found.map(({ name }) => name)).toEqual(["native", "wasm", "js"]);
  expect(found.filter(({ name }) => name !== "native").every(({ available }) => available)).toBe(true);
});

it("a library that is no library leaves native kernels out", async () => {
  const [native] = await kernels({ WORSTCASE_BLAS: fileURLToPath(import.meta.url) });
  expect(native).toMatchObject({ name: "native", available: false });
  expect(native!.detail).toMatch(/no BLAS found|koffi|native kernels/);
});

it.runIf(process.platform === "linux")("a library without BLAS is a warning line", async () => {
  const environment = { WORSTCASE_BLAS: "libm.so.6" };
  const [native] = await kernels(environment);
  expect(native!.available).toBe(false);
  // no warning where koffi or the processor is missing, or the system has no glibc
  if (native!.warnings.length === 0) return;
  expect(native!.warnings).toEqual(["libm.so.6 has no cblas_dgemm; it is not used"]);
  const { stdout } = await run(["doctor"], environment);
  expect(stdout).toMatch(/warning: libm\.so\.6 has no cblas_dgemm; it is not used/);
});

it("a bad thread count is reported with the setting's name", async () => {
  const [native] = await kernels({ WORSTCASE_BLAS_THREADS: "many" });
  expect(native!.detail).toContain("WORSTCASE_BLAS_THREADS: expected an integer");
});
