// Shared vitest settings. Tests of one package run its sources; the packages it depends on are taken as built.
import { configDefaults, defineConfig, type ViteUserConfig } from "vitest/config";

export function packageTests(overrides: NonNullable<ViteUserConfig["test"]> = {}): ViteUserConfig {
  return defineConfig({
    test: {
      include: ["src/**/*.test.ts", "test/**/*.test.ts"],
      exclude: [...configDefaults.exclude, "dist/**"],
      testTimeout: 120_000,
      hookTimeout: 120_000,
      pool: "forks",
      maxWorkers: 2,
      passWithNoTests: false,
      ...overrides,
    },
  });
}
