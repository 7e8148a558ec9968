// What the built package costs in an application's bundle: minified by esbuild, gzip, dependencies included. A ceiling is
// raised with its reason in a comment. Kernels (plain ones and WebAssembly in two builds) are 39 kB of every bundle that solves; balls and lengths of rows,
// which other packages need, made them grow by 6.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const packages = ["@worstcase/sdp", "@worstcase/linalg", "@worstcase/core", "@noble/hashes", "ml-matrix"];

async function bundle(names: string): Promise<{ kilobytes: number; inside: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `export { ${names} } from "@worstcase/sdp";`,
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
    },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    alias: { "@worstcase/sdp": fileURLToPath(new URL("../dist/index.js", import.meta.url)) },
  });
  const inputs = Object.entries(Object.values(metafile.outputs)[0]!.inputs).filter(
    ([, { bytesInOutput }]) => bytesInOutput > 0,
  );
  const inside = packages.filter((name) => {
    const folder = name.replace("@worstcase/", "");
    return inputs.some(([path]) => path.includes(`/${name}/`) || path.includes(`../${folder}/dist/`));
  });
  return { kilobytes: gzipSync(outputFiles[0]!.contents).length / 1000, inside };
}

const everything = ["@worstcase/linalg", "@worstcase/core", "@noble/hashes"];

describe("bundle sizes", () => {
  it.each([
    // the reader needs no kernels at all
    ["readSdpa", 4.5, ["@worstcase/core"]],
    ["readSdpa, readSdpaAsync, writeSdpa, problemToJson, problemFromJson", 8, ["@worstcase/core"]],
    ["solve, readSdpa", 80, everything],
    ["solve, readSdpa, splitting", 86, everything],
    // the worker's text holds solvers and kernels a second time
    ["solveInWorker, readSdpaAsync", 170, everything],
  ])("%s: at most %s kB", async (names, most, inside) => {
    const found = await bundle(names);
    expect(found.inside).toEqual(inside);
    expect(found.kilobytes).toBeLessThan(most);
    // a ceiling far above the size guards nothing
    expect(found.kilobytes).toBeGreaterThan(most / 2);
  });
});
