// SHA-256 over the names and texts of the kernel sources, so that a test can tell a stale generated file.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const assembly = fileURLToPath(new URL("assembly/", import.meta.url));

export function sourceHash() {
  const hash = createHash("sha256");
  for (const name of readdirSync(assembly).sort()) {
    if (!name.endsWith(".ts")) continue;
    hash.update(`${name}\n${readFileSync(assembly + name, "utf8").replaceAll("\r\n", "\n")}\n`);
  }
  return hash.digest("hex");
}
