// The start of the interior-point method in thin cones: directions may lie close to their sides, and from there every step is short.
// Without the loss, regulariser and barriers of a piece balance in the analytic centre of its cone; Newton steps of the primal barrier lead there.
// Equal v and w stay equal, so T stays 0 and the loss is not touched.

import type { Pieces } from "./pieces.js";

const STEPS = 30;
/** Share of the way to the boundary that a step may go. */
const CLOSENESS = 0.9;

/** Moves the pieces to where their barriers balance for products of slack and dual equal to `complementarity`. */
export function centrePieces(pieces: Pieces, complementarity: number): void {
  for (let step = 0; step < STEPS; step++) {
    if (pieces.centringStep(complementarity, CLOSENESS) === 1) return;
  }
}
