// The search for a BLAS, on hosts made up for the purpose: wrong answers, missing functions, nothing there at all.

import { SettingError, UnsupportedError } from "@worstcase/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ForeignHost } from "./foreign.js";

const replaced = vi.hoisted(() => ({ host: null as ForeignHost | string | null }));

vi.mock("./foreign.js", async (original) => {
  const real = await original<typeof import("./foreign.js")>();
  return { ...real, foreignHost: () => replaced.host ?? real.foreignHost() };
});

/** A fresh copy of the modules, because the outcome of the search is kept. */
async function load() {
  vi.resetModules();
  return { ...(await import("./findNative.js")), ...(await import("../chooseKernels.js")) };
}

function host(open: ForeignHost["open"]): ForeignHost {
  return { name: "made up", open, address: () => 0 };
}

beforeEach(() => {
  vi.stubEnv("WORSTCASE_BLAS", "");
  vi.stubEnv("WORSTCASE_BLAS_THREADS", "");
});
afterEach(() => {
  vi.unstubAllEnvs();
  replaced.host = null;
});

test("without koffi: the reason is reported, an explicit request throws, auto falls back", async () => {
  replaced.host = "koffi is not installed (npm install koffi)";
  const { findNative, chooseKernels } = await load();
  expect(findNative()).toMatchObject({ kernels: null, detail: "koffi is not installed (npm install koffi)" });
  const request = () => chooseKernels("native");
  expect(request).toThrow(/request: expected a BLAS and LAPACK.*got native \(koffi is not installed/);
  try {
    request();
  } catch (error) {
    expect((error as Error).name).toBe(UnsupportedError.name);
  }
  vi.stubEnv("WORSTCASE_BACKEND", "native");
  expect(() => chooseKernels()).toThrow(/WORSTCASE_BACKEND: expected a BLAS/);
  vi.stubEnv("WORSTCASE_BACKEND", "");
  expect(chooseKernels("auto", { largestOrder: 5000, flops: 1e12 }).name).toMatch(/^wasm-/);
});

test("libraries that cannot be loaded are absent", async () => {
  replaced.host = host(() => {
    throw new Error("no such file\nsecond line");
  });
  const { findNative } = await load();
  const { kernels, detail, attempts } = findNative();
  expect(kernels).toBeNull();
  expect(detail).toMatch(/^no BLAS found/);
  expect(new Set(attempts.map(({ outcome }) => outcome))).toEqual(new Set(attempts.length > 0 ? ["absent"] : []));
  expect(attempts.every((attempt) => attempt.detail === "no such file")).toBe(true);
});

test("a library without LAPACK is refused with the name of what is missing", async () => {
  vi.stubEnv("WORSTCASE_BLAS", "some.so");
  replaced.host = host(() => ({ find: (name) => (name.startsWith("cblas_") ? () => {} : undefined) }));
  const { findNative } = await load();
  expect(findNative().attempts).toEqual([{ library: "some.so", outcome: "refused", detail: "has no dpotrf_" }]);
});

test("a library that answers wrongly is refused with the name of the routine", async () => {
  vi.stubEnv("WORSTCASE_BLAS", "blas.so,lapack.so");
  replaced.host = host(() => ({ find: () => () => {} }));
  const { findNative } = await load();
  const { kernels, attempts } = findNative();
  expect(kernels).toBeNull();
  expect(attempts).toEqual([
    { library: "blas.so and lapack.so", outcome: "refused", detail: "gave a wrong answer in gemm of order 3" },
  ]);
});

test.each(["0", "two", "1.5", "-1", "9999"])("WORSTCASE_BLAS_THREADS=%s is refused", async (value) => {
  vi.stubEnv("WORSTCASE_BLAS_THREADS", value);
  const { findNative } = await load();
  expect(findNative).toThrow(/WORSTCASE_BLAS_THREADS: expected an integer from 1 to 1024/);
  try {
    findNative();
  } catch (error) {
    expect((error as Error).name).toBe(SettingError.name);
  }
});

test("the real machine: kernels or a reason, threads as asked", async () => {
  vi.stubEnv("WORSTCASE_BLAS_THREADS", "2");
  const { findNative } = await load();
  const { kernels, detail } = findNative();
  if (!kernels) console.log(`no native kernels here: ${detail}`);
  expect(detail.length).toBeGreaterThan(0);
  if (kernels && !detail.includes("not controllable")) expect(detail).toContain("2 threads");
  expect(findNative().kernels).toBe(kernels);
});
