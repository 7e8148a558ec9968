// The radius that the interior point works with: one that no digit can see is 0, and one far beyond all points is shortened, since within
// a ball that large nothing is left to learn already, and attacks that stay in it serve for any larger one.

import type { MoveSet } from "../moveSet.js";

/** Share of the points' size below which a radius is treated as zero inside the solver (the checks use it as given). */
const negligibleRadius = 1e-7;
/** Multiple of the points' size beyond which a larger radius changes no digit of the optimum, but costs the solver its own. */
const hugeRadius = 1e4;
/** The same where immutable features leave something to learn, which then is all of it. */
const hugeBesideFixed = 200;

/** `scale`: a length of the points in feature space. */
export function innerRadius(radius: number, scale: number, set: MoveSet | null): number {
  if (radius < negligibleRadius * scale) return 0;
  const held = set !== null && set.fixed.length > 0;
  const largest = (held ? hugeBesideFixed : hugeRadius) * scale * (set?.inverseSize ?? 1);
  return largest > 0 ? Math.min(radius, largest) : radius;
}
