// Compiles wasm/assembly/hinge32.ts to src/large/hinge32.generated.ts (base64). Run by hand after a change: pnpm build:kernels
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

const output = new Map();
const { error, stderr } = await asc.main(
  [
    ...["wasm/assembly/hinge32.ts", "--outFile", "kernel.wasm", "-O3", "--noAssert", "--runtime", "stub"],
    ...["--enable", "simd", "--enable", "bulk-memory"],
  ],
  { writeFile: (name, contents) => output.set(name, contents) },
);
if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
const source = readFileSync(new URL("./assembly/hinge32.ts", import.meta.url));
writeFileSync(
  new URL("../src/large/hinge32.generated.ts", import.meta.url),
  `// Made by wasm/build.mjs from wasm/assembly/hinge32.ts; do not edit.
export const sourceHash = "${createHash("sha256").update(source).digest("hex")}";
export const binary = "${Buffer.from(output.get("kernel.wasm")).toString("base64")}";
`,
);
