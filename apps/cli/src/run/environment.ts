// What the run ran on: versions, machine, backend. Written into every run folder and shown by `worstcase doctor`.

import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";

const manifest = createRequire(import.meta.url)("../package.json") as { version: string };
export const version = manifest.version;

export interface Environment {
  readonly worstcase: string;
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
}

export function describeEnvironment(): Environment {
  return {
    worstcase: version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}
