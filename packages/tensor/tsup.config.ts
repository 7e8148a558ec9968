// The gradients of tfjs-core are written with extensionless imports, which Node cannot load, so they are bundled. What
// they import and tfjs-core exports is taken from the installed tfjs-core instead of being bundled a second time.

import path from "node:path";
import * as core from "@tensorflow/tfjs-core";
import type { Options } from "tsup";
import { packageBuild } from "../../.config/tsup";

const coreName = "@tensorflow/tfjs-core";
const fromCore = path.join("tfjs-core", "dist");

/** Whether tfjs-core exports what a file holds: a registry, or an operation (ops/mat_mul: matMul). */
function isExported(file: string): boolean {
  if (["base", "environment", "kernel_names", "kernel_registry"].includes(path.basename(file))) return true;
  const operation = path.basename(file).replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const exported = (core as unknown as Record<string, unknown>)[operation];
  return path.basename(path.dirname(file)) === "ops" && typeof exported === "function";
}

const useInstalledCore: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "use-installed-core",
  setup(build) {
    const external = { path: coreName, external: true };
    build.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => external);
    build.onResolve({ filter: /^\.\.?\// }, ({ path: target, importer }) =>
      importer.includes(fromCore) && isExported(path.resolve(path.dirname(importer), target)) ? external : undefined,
    );
    build.onLoad({ filter: /tfjs-core[\\/]dist[\\/]engine\.js$/ }, () => ({
      contents: `import { engine } from "${coreName}"; export const ENGINE = engine();`,
    }));
    build.onLoad({ filter: /tfjs-core[\\/]dist[\\/]util\.js$/ }, () => ({
      contents: `import { util } from "${coreName}"; export const { ${Object.keys(core.util).join(", ")} } = util;`,
    }));
  },
};

export default packageBuild({
  noExternal: [/^@tensorflow\/tfjs-core\/dist\//],
  esbuildPlugins: [useInstalledCore],
});
