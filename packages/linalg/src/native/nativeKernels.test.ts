import { expect, test } from "vitest";
import { describeKernels } from "../testing/describeKernels.js";
import { findNative } from "./findNative.js";
import { foreignHost } from "./foreign.js";
import { bindFunctions } from "./functions.js";
import { nativeKernels } from "./nativeKernels.js";

const { kernels, detail, attempts } = findNative();
console.log(kernels ? `native kernels: ${detail}` : `native kernels skipped: ${detail}`);
describeKernels("native", kernels ?? undefined, detail);

// every size in BLAS, as in workspaces beyond what WebAssembly can address
describeKernels("native without WebAssembly", withoutWebAssembly(), detail);

function withoutWebAssembly() {
  const host = foreignHost();
  const used = attempts.find(({ outcome }) => outcome === "used");
  if (typeof host === "string" || !used) return undefined;
  const functions = bindFunctions(host, used.library.split(" and "));
  return typeof functions === "string" ? undefined : nativeKernels(host, functions, detail, true);
}

test("sources import nothing from Node statically, so that browser bundles stay free of it", async () => {
  const { readdirSync, readFileSync } = await import("node:fs");
  const folder = new URL("../", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const sources = files.filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.includes("testing"),
  );
  expect(sources.length).toBeGreaterThan(15);
  for (const file of sources) {
    const text = readFileSync(new URL(file.replaceAll("\\", "/"), folder), "utf8");
    expect(text, file).not.toMatch(/(from|import\()\s*["'](node:|koffi)/);
  }
});
