// The README's first example runs as it is written, against the built package.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("the first example of the README runs and prints what it says", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const folder = fileURLToPath(new URL("..", import.meta.url));
  const parameters = ["--input-type=module", "-e", example];
  const { stdout } = await promisify(execFile)(process.execPath, parameters, { cwd: folder, timeout: 60_000 });
  const expected = [...example.matchAll(/console\.log.*\/\/ (.*)/g)].map(([, text]) => text);
  expect(stdout.trim().split("\n")).toEqual(expected);
});
