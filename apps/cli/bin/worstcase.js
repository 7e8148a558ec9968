#!/usr/bin/env node
// Starts the built command line. In a checkout that was never built, builds it first (messages go to stderr).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

const app = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(app, "..", "..");
if (!existsSync(join(app, "dist", "main.js")) && existsSync(join(root, "turbo.json"))) {
  const turbo = join(root, "node_modules", ".bin", "turbo");
  const built = spawnSync(turbo, ["run", "build", "--filter=worstcase", "--output-logs=errors-only"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
// Node 20 has fused multiply-add in WebAssembly behind a flag: products a fifth faster, kernels named wasm-fma as in Node 22
if (process.versions.node.startsWith("20.")) setFlagsFromString("--experimental-wasm-relaxed-simd");
// the engine's cache of compiled modules, from Node 22 on: a third less time to start
module.enableCompileCache?.();
await import("../dist/main.js");
