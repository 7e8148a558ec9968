// Bundles the worker into a text and puts it in the place of src/worker/workerSource.ts, for the build and for the tests.

import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const stand = /[\\/]worker[\\/]workerSource\.ts$/;

/** A module that exports the text of the bundled worker. In it, `import.meta.url` is what the starting thread says. */
async function workerModule(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("src/worker/workerMain.ts", import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    define: { "import.meta.url": "moduleUrl" },
  });
  return `export const workerSource = ${JSON.stringify(outputFiles[0].text)};\n`;
}

/** For tsup. */
export const embedWorker: Plugin = {
  name: "embed-worker",
  setup(esbuild) {
    esbuild.onLoad({ filter: stand }, async () => ({ contents: await workerModule(), loader: "js" }));
  },
};

/** For vitest. */
export const embedWorkerInTests = {
  name: "embed-worker",
  enforce: "pre" as const,
  load: (id: string) => (stand.test(id) ? workerModule() : undefined),
};
