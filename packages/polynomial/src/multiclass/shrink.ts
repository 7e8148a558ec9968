// Attacks of the joint trainer taken back into their set, so that they prove a lower bound.

import { type MoveSet, metricSquare } from "../moveSet.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";

/**
 * Factor that keeps a move and its spread inside the ball, or a move set's, with room for the rounding of x + D and for a basis
 * that is orthonormal to 1e-12 only. Moves have no part on immutable features. `scratch` `[d]`.
 */
export function shrink(
  moves: Float64Array,
  points: Float64Array,
  at: number,
  d: number,
  radius: number,
  variance: number,
  set: MoveSet | null,
  scratch: Float64Array,
): number {
  if (radius === 0) return 0;
  let square = 0;
  let size = 0;
  for (let l = at; l < at + d; l++) {
    square += moves[l] * moves[l];
    size += points[l] * points[l];
  }
  if (set?.shape) square = metricSquare(set, moves, at, scratch);
  const [condition, inverse] = set ? [set.condition, set.inverseSize] : [1, 1];
  const total = square + variance * (1 + 1e-11 * condition * condition);
  const allowed = radius * (1 - 4 * (d + 8) * unitRoundoff * condition) - 2 * unitRoundoff * inverse * Math.sqrt(size);
  const length = Math.sqrt(total);
  return length <= allowed ? 1 : Math.max(0, allowed) / length;
}
