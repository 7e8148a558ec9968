// Where the worker modules of this package lie, and what every door to threads shares.

import { ResourceError } from "@worstcase/core";

/** The built worker beside this module, also when this module runs from its source. Throws ResourceError when it is not there. */
export function workerFile(name: string): URL {
  const { existsSync } = process.getBuiltinModule("node:fs");
  const { fileURLToPath } = process.getBuiltinModule("node:url");
  const candidates = [`./${name}.js`, `../../dist/${name}.js`].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(fileURLToPath(url)));
  if (found) return found;
  throw new ResourceError({
    argument: `${name}.js`,
    expected: "the worker beside the package's index",
    received: fileURLToPath(candidates[0]),
    hint: "a bundler may have left it out; workers: 0 stays in this thread",
  });
}

/** The array itself when it is shared already, else a copy in shared memory of the same precision. */
export function shareArray<T extends Float32Array | Float64Array>(data: T): T {
  if (data.buffer instanceof SharedArrayBuffer) return data;
  const buffer = new SharedArrayBuffer(data.byteLength);
  const copy = data instanceof Float32Array ? new Float32Array(buffer) : new Float64Array(buffer);
  copy.set(data);
  return copy as T;
}
