// What the numbers were measured on. No names of hosts, users or folders.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import path from "node:path";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
}

export function describeMachine(packages: readonly string[]): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    packages: Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
  };
}

/** Mean number of running processes in the last minute: above the number of cores, times are those of a busy machine. */
export function load(): number {
  return Math.round(loadavg()[0] * 100) / 100;
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  try {
    let folder = path.dirname(require.resolve(name));
    while (path.dirname(folder) !== folder) {
      const manifest = readManifest(path.join(folder, "package.json"));
      if (manifest?.name === name) return manifest.version;
      folder = path.dirname(folder);
    }
  } catch {
    // not installed: said in the result
  }
  return "absent";
}

function readManifest(file: string): { name: string; version: string } | null {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}
