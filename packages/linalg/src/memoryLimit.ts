// How much memory there is, and refusal before allocating what cannot fit.

import { ResourceError } from "@worstcase/core";

let known: number | undefined;

/** Bytes of memory this process may use: that of the machine or of its container; Infinity where that cannot be asked. */
function memoryLimit(): number {
  known ??= askLimit();
  return known;
}

function askLimit(): number {
  const running = globalThis.process;
  if (!running?.getBuiltinModule) return Number.POSITIVE_INFINITY;
  try {
    const machine = running.getBuiltinModule("node:os").totalmem();
    const container = running.constrainedMemory?.() ?? 0; // 0 or beyond the machine: no limit
    return container > 0 ? Math.min(machine, container) : machine;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Throws ResourceError with the predicted bytes and the limit when `bytes` exceed the memory there is. */
export function checkFits(bytes: number, float64Count: number): void {
  const limit = memoryLimit();
  if (bytes <= limit) return;
  const expected = `a workspace within ${formatBytes(limit)}, the memory of this machine`;
  throw new ResourceError({ argument: "float64Count", expected, received: float64Count, hint: needs(bytes) });
}

export function needs(bytes: number): string {
  return `it would take ${formatBytes(bytes)}`;
}

export function formatBytes(bytes: number): string {
  const [size, name] = bytes >= 2 ** 30 ? [2 ** 30, "GiB"] : [2 ** 20, "MiB"];
  return `${(bytes / size).toFixed(1)} ${name}`;
}
