// The SDPLIB files for tests: in $WORSTCASE_DATA/sdplib, or in shared/data/sdplib beside the repository.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.env.WORSTCASE_DATA
  ? join(process.env.WORSTCASE_DATA, "sdplib")
  : fileURLToPath(new URL("../../../../shared/data/sdplib", import.meta.url));

/** Why tests skip, or undefined when the files are there. */
export const sdplibMissing = existsSync(join(folder, "optima.csv"))
  ? undefined
  : `no SDPLIB files in ${folder}; set WORSTCASE_DATA`;

/** Names without `.dat-s.gz`. */
export function sdplibNames(): string[] {
  const ending = ".dat-s.gz";
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length));
}

export const sdplibFile = (name: string): Uint8Array => readFileSync(join(folder, `${name}.dat-s.gz`));

/** Published sizes: m variables, total order n. */
export function sdplibSizes(): Map<string, { m: number; n: number; optimum: string }> {
  const lines = readFileSync(join(folder, "optima.csv"), "utf8").trim().split(/\r?\n/).slice(1);
  return new Map(
    lines.map((line) => {
      const [name, m, n, optimum] = line.split(",");
      return [name!, { m: Number(m), n: Number(n), optimum: optimum! }];
    }),
  );
}
