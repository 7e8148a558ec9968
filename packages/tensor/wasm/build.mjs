// Compiles wasm/assembly to src/filterGradientKernel.generated.ts: two binaries, base64. Run by hand after a change:
//   pnpm build:kernels
import { writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

async function compile(features) {
  const output = new Map();
  const { error, stderr } = await asc.main(
    ["wasm/assembly/filterGradient.ts", "--outFile", "kernel.wasm", "-O3", "--noAssert", "--runtime", "stub"].concat(
      features.flatMap((feature) => ["--enable", feature]),
    ),
    { writeFile: (name, contents) => output.set(name, contents) },
  );
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  return Buffer.from(output.get("kernel.wasm")).toString("base64");
}

const simd = await compile(["simd"]);
const fused = await compile(["simd", "relaxed-simd"]);
writeFileSync(
  new URL("../src/filterGradientKernel.generated.ts", import.meta.url),
  `// Made by wasm/build.mjs from wasm/assembly/filterGradient.ts; do not edit.
export const simdBinary = "${simd}";
export const fusedBinary = "${fused}";
`,
);
