// Blocks of attacked points for the certificate: rows read from their source, moved, and pulled back into the ball.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Attack } from "./certificate.js";
import { unitRoundoff } from "./worstCase/rotatedForm.js";

/** Rows handled at a time. */
export const block = 256;

export interface AttackMemory {
  readonly rank: number;
  readonly workspace: Workspace;
  readonly moment: Float64Array;
  /** Points of the active rows, `[count, d]`, then attacked and weighted in `rows`. */
  readonly gathered: Float64Array;
  readonly rows: Float64Array;
  readonly moves: Float64Array;
  readonly basis: Float64Array;
  readonly scaledBasis: Float64Array;
  readonly coordinates: Float64Array;
  readonly product: Float64Array;
  /** Squared lengths of the basis rows. */
  readonly squares: Float64Array;
  /** Of the rows in the present block: their place in the attack, and their samples. */
  readonly active: Int32Array;
  readonly samples: Int32Array;
}

export function allocate(kernels: Kernels, d: number, rank: number): AttackMemory {
  const spreading = rank > 0 ? d * d : 0;
  const sizes = [d * d, block * d, block * d, rank * d, rank * d, block * rank, spreading];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [moment, rows, moves, basis, scaledBasis, coordinates, product] = sizes.map((size) => workspace.float64(size));
  const squares = new Float64Array(rank);
  const gathered = new Float64Array(block * d);
  const lists = { active: new Int32Array(block), samples: new Int32Array(block) };
  return {
    rank,
    workspace,
    moment,
    gathered,
    rows,
    moves,
    basis,
    scaledBasis,
    coordinates,
    product,
    squares,
    ...lists,
  };
}

export function loadBasis(memory: AttackMemory, source: Float64Array, rank: number, d: number): void {
  memory.basis.set(source);
  for (let k = 0; k < rank; k++) {
    memory.squares[k] = 0;
    for (let l = 0; l < d; l++) memory.squares[k] += source[k * d + l] ** 2;
  }
}

/** moves <- displacements of the active rows, `[count, d]`. */
export function displace(memory: AttackMemory, attack: Attack, count: number, d: number, rank: number): void {
  const { workspace, active, moves, coordinates, basis, gathered } = memory;
  const { centre } = attack;
  if (centre) {
    // `pullBack` shortens what leaves the ball.
    for (let t = 0; t < count; t++) for (let l = 0; l < d; l++) moves[t * d + l] = centre[l] - gathered[t * d + l];
    return;
  }
  const width = attack.basis ? rank : d;
  const target = attack.basis ? coordinates : moves;
  for (let t = 0; t < count; t++) {
    const from = active[t] * width;
    for (let k = 0; k < width; k++) target[t * width + k] = attack.coordinates[from + k];
  }
  if (!attack.basis) return;
  if (rank === 0) moves.fill(0);
  else workspace.gemm(false, false, count, d, rank, 1, coordinates, rank, basis, d, 0, moves, d);
}

/** Factor that keeps a move and its spread in the ball, with room for the rounding of x + D. */
export function pullBack(
  memory: AttackMemory,
  at: number,
  sample: number,
  d: number,
  radius: number,
  spread: Float64Array | null,
  rank: number,
  full: boolean,
): number {
  if (radius === 0) return 0;
  const { moves, squares, gathered } = memory;
  let square = 0;
  let size = 0;
  for (let l = 0; l < d; l++) {
    square += moves[at + l] * moves[at + l];
    size += gathered[at + l] * gathered[at + l];
  }
  if (spread && full) {
    for (let l = 0; l < d; l++) square += Math.max(0, spread[sample * d * d + l * (d + 1)]);
  } else if (spread) {
    for (let k = 0; k < rank; k++) square += Math.max(0, spread[sample * rank + k]) * squares[k];
  }
  const allowed = radius * (1 - 4 * (d + 8) * unitRoundoff) - 2 * unitRoundoff * Math.sqrt(size);
  const length = Math.sqrt(square);
  // No move at all is inside however small the ball.
  return length === 0 || length <= allowed ? 1 : Math.max(0, allowed) / length;
}

/** moment += basis' diag(spread) basis. */
export function addSpread(memory: AttackMemory, spread: Float64Array, d: number, rank: number): void {
  const { workspace, basis, scaledBasis, product, moment } = memory;
  if (rank === 0) return;
  for (let k = 0; k < rank; k++) {
    for (let l = 0; l < d; l++) scaledBasis[k * d + l] = spread[k] * basis[k * d + l];
  }
  workspace.gemm(true, false, d, d, rank, 1, scaledBasis, d, basis, d, 0, product, d);
  for (let i = 0; i < d * d; i++) moment[i] += product[i];
}
