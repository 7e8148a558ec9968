// The memory there is, and the refusal of what cannot fit before anything is allocated.

import { ResourceError } from "@worstcase/core";

/** Bytes of this machine or its container; Infinity where that cannot be asked. */
export function machineBytes(): number {
  const running = globalThis.process;
  const machine = running?.getBuiltinModule?.("node:os").totalmem() ?? Number.POSITIVE_INFINITY;
  const container = running?.constrainedMemory?.() ?? 0;
  return container > 0 ? Math.min(machine, container) : machine;
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** Throws ResourceError, naming both numbers, when `bytes` exceed `limit`. */
export function checkBytes(
  bytes: number,
  limit: number,
  problem: { readonly argument: string; readonly what: string; readonly received: string; readonly hint: string },
): void {
  if (bytes <= limit) return;
  const { argument, what, received, hint } = problem;
  const expected = `${what} within ${gibibytes(limit)}, the memory there is`;
  throw new ResourceError({ argument, expected, received, hint: `it would take ${gibibytes(bytes)}; ${hint}` });
}
