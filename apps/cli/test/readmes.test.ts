// The first TypeScript block of every package's README runs as written against the built package.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const packages = fileURLToPath(new URL("../../../packages", import.meta.url));
const names = readdirSync(packages).filter((name) => existsSync(join(packages, name, "package.json")));

describe("README examples", () => {
  it.each(names)("packages/%s", (name) => {
    const readme = readFileSync(join(packages, name, "README.md"), "utf8");
    const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
    expect(example, `packages/${name}/README.md has a ts block`).toBeDefined();
    const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(example!, { compilerOptions: options });
    // inside the package, so that it can import itself by name
    const file = join(packages, name, "dist", "readme-example.mjs");
    writeFileSync(file, outputText);
    try {
      const run = spawnSync(process.execPath, [file], { encoding: "utf8", timeout: 60_000 });
      expect(run.status, `${run.stdout}\n${run.stderr}`).toBe(0);
    } finally {
      rmSync(file);
    }
  });
});
