// The one build recipe of every package: ESM, a CommonJS twin, declarations and source maps from src/.
import { defineConfig, type Options } from "tsup";

export function packageBuild(overrides: Options = {}): ReturnType<typeof defineConfig> {
  return defineConfig({
    entry: ["src/index.ts"],
    format: ["esm", "cjs"],
    target: "node20",
    dts: true,
    sourcemap: true,
    clean: true,
    splitting: false,
    shims: true,
    treeshake: true,
    silent: true,
    ...overrides,
  });
}
