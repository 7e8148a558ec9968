// One value kept to the bounds. An input may exceed its bounds by a rounding error and may then stay where it is.

import type { Bounds } from "@worstcase/core";

export function clip(value: number, input: number, bounds: Bounds): number {
  if (bounds === "unbounded") return value;
  return Math.max(Math.min(bounds.lower, input), Math.min(Math.max(bounds.upper, input), value));
}
