// Blocks of attacked points for the certificate: rows read from their source, moved, and pulled back into the ball, or into the
// set of moves that a sample has (moveSet.ts): nothing on immutable features, and lengths in its metric.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Attack } from "./certificate.js";
import { type MoveSet, metricMatrix, metricSquare } from "./moveSet.js";
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
  /** `[d]` */
  readonly scratch: Float64Array;
}

export function allocate(kernels: Kernels, d: number, rank: number): AttackMemory {
  const spreading = rank > 0 ? d * d : 0;
  const sizes = [d * d, block * d, block * d, rank * d, rank * d, block * rank, spreading];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [moment, rows, moves, basis, scaledBasis, coordinates, product] = sizes.map((size) => workspace.float64(size));
  const squares = new Float64Array(rank);
  const gathered = new Float64Array(block * d);
  const lists = { active: new Int32Array(block), samples: new Int32Array(block), scratch: new Float64Array(d) };
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

export function loadBasis(
  memory: AttackMemory,
  source: Float64Array,
  rank: number,
  d: number,
  set: MoveSet | null,
): void {
  memory.basis.set(source);
  if (set) clearFixed(set, memory.basis, rank);
  for (let k = 0; k < rank; k++) {
    if (set) {
      memory.squares[k] = metricSquare(set, memory.basis, k * d, memory.scratch);
      continue;
    }
    memory.squares[k] = 0;
    for (let l = 0; l < d; l++) memory.squares[k] += source[k * d + l] ** 2;
  }
}

/** rows <- 0 on the immutable features, `[count, d]`. */
function clearFixed({ dimension: d, fixed }: MoveSet, rows: Float64Array, count: number): void {
  for (let t = 0; t < count; t++) for (const k of fixed) rows[t * d + k] = 0;
}

/** moves <- displacements of the active rows, `[count, d]`, none on immutable features. */
export function displace(
  memory: AttackMemory,
  attack: Attack,
  count: number,
  d: number,
  rank: number,
  set: MoveSet | null,
): void {
  displaceAnywhere(memory, attack, count, d, rank);
  if (set) clearFixed(set, memory.moves, count);
}

function displaceAnywhere(memory: AttackMemory, attack: Attack, count: number, d: number, rank: number): void {
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

/** How long a move is: in the plain ball when `set` is null. */
export interface AttackLength {
  readonly set: MoveSet | null;
  /** Whether spreads are full covariances `[samples, d, d]`; `matrix` is then that of their trace in the set's metric. */
  readonly full: boolean;
  readonly matrix: Float64Array | null;
}

export function attackLength(set: MoveSet | null, full: boolean): AttackLength {
  return { set, full, matrix: set && full ? metricMatrix(set) : null };
}

/** Trace of the covariance at `at` in the metric, of the features that move. */
function traceOf(covariances: Float64Array, at: number, d: number, { set, matrix }: AttackLength): number {
  let trace = 0;
  if (!set || !matrix) {
    for (let l = 0; l < d; l++) trace += Math.max(0, covariances[at + l * (d + 1)]);
    return trace;
  }
  for (const k of set.moving) {
    for (const l of set.moving) trace += matrix[k * d + l] * covariances[at + k * d + l];
  }
  return Math.max(0, trace);
}

/** A copy of covariances `[samples, d, d]` without what concerns immutable features. */
export function movingCovariances(covariances: Float64Array, { dimension: d, fixed }: MoveSet): Float64Array {
  if (fixed.length === 0) return covariances;
  const kept = covariances.slice();
  for (let at = 0; at < kept.length; at += d * d) {
    for (const k of fixed) {
      kept.fill(0, at + k * d, at + (k + 1) * d);
      for (let l = 0; l < d; l++) kept[at + l * d + k] = 0;
    }
  }
  return kept;
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
  length: AttackLength,
): number {
  if (radius === 0) return 0;
  const { moves, squares, gathered, scratch } = memory;
  const { set } = length;
  let square = 0;
  let size = 0;
  for (let l = 0; l < d; l++) {
    square += moves[at + l] * moves[at + l];
    size += gathered[at + l] * gathered[at + l];
  }
  if (set?.shape) square = metricSquare(set, moves, at, scratch);
  if (spread && length.full) {
    square += traceOf(spread, sample * d * d, d, length);
  } else if (spread) {
    for (let k = 0; k < rank; k++) square += Math.max(0, spread[sample * rank + k]) * squares[k];
  }
  const [condition, inverse] = set ? [set.condition, set.inverseSize] : [1, 1];
  const allowed = radius * (1 - 4 * (d + 8) * unitRoundoff * condition) - 2 * unitRoundoff * inverse * Math.sqrt(size);
  const total = Math.sqrt(square);
  // No move at all is inside however small the ball.
  return total === 0 || total <= allowed ? 1 : Math.max(0, allowed) / total;
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
