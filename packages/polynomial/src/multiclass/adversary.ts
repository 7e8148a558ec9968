// What the joint trainer needs of an adversary. The network has one score per block (class); every row is one margin
//   w_r = min over the adversary's set of E[f_plus - f_minus],   f_minus = 0 when minus is -1
// and the k rows of a sample are contiguous: row = sample * k + position. An attack is a feasible moment of each row: a point
// z_r, or a mean with a second moment. `attack` leaves one for every active row; the other methods refer to the last one.

import type { Activation } from "../activation.js";
import type { SphereExtreme } from "../sphere.js";

/** Neurons of all blocks: f_c = sum over block_j = c of s_j (a (v'x)^2 + b ||v|| v'x + c ||v||^2). */
export interface FactoredNetwork {
  /** v_j, `[count, d]` */
  readonly vectors: Float64Array;
  /** +1 / -1 and block of each neuron, `[count]`. */
  readonly signs: Float64Array;
  readonly blocks: Int32Array;
  readonly count: number;
}

/** Signed moments of one block under weights p: A = sum sigma p E[zz'], g = sum sigma p E[z], s = sum sigma p. */
export interface BlockMoment {
  /** `[d, d]` */
  readonly matrix: Float64Array;
  /** `[d]` */
  readonly linear: Float64Array;
  constant: number;
  /** sum p E[z'z] and sum p: for the rounding bound. */
  squares: number;
  mass: number;
  rows: number;
}

/** Rows that share their atoms: those of one pair of blocks. */
export interface RowGroup {
  readonly plus: number;
  readonly minus: number;
  /** Active rows and whether they belong to the plus block's label (+1) or to the other's (-1). */
  readonly rows: Int32Array;
  readonly signs: Float64Array;
}

/** Log-determinant weight and the scale of its argument, see factored/smoothedTrustRegion. */
export interface AttackSmoothing {
  readonly mu: number;
  readonly rho: number;
}

export interface Adversary {
  readonly dimension: number;
  readonly blocks: number;
  readonly samples: number;
  /** Rows per sample, k. */
  readonly rowsPerSample: number;
  readonly activation: Activation;
  /** Restricts the next attacks to the rows with a nonzero entry; null is all. */
  activate(mask: Uint8Array | null): void;
  /**
   * Worst margins of the active rows into `margins` `[rows]`; the others become +Infinity. False: the network is unusable.
   * With a smoothing the margins are those of the smoothed worst case, differentiable also where two attacks tie.
   */
  attack(network: FactoredNetwork, margins: Float64Array, smoothing: AttackSmoothing | null): boolean;
  /** Moments of the last attack under weights p `[rows]`; `safe` shrinks each attack by its rounding. */
  moments(weights: Float64Array, safe: boolean, out: readonly BlockMoment[]): void;
  /**
   * The moments applied to the network's neurons without forming them: A_c v_j `[count, d]` for the block c of neuron j, and
   * linear and constant parts into `out`. Cheaper than `moments` where neurons are few beside features; not every adversary has it.
   */
  applyMoments?(
    weights: Float64Array,
    network: FactoredNetwork,
    products: Float64Array,
    out: readonly BlockMoment[],
  ): void;
  /** Active rows by pair of blocks. */
  groups(): readonly RowGroup[];
  /** E[sigma(u'z)] of the rows of a group, times its row's sign: values[t * stride + column]. */
  respond(group: number, direction: Float64Array, values: Float64Array, stride: number, column: number): void;
}

export function allocateMoment(d: number, matrix: Float64Array = new Float64Array(d * d)): BlockMoment {
  return { matrix, linear: new Float64Array(d), constant: 0, squares: 0, mass: 0, rows: 0 };
}

/** Extremes of h(u) = a u'Au + b g'u + c s of one block over the admissible unit directions. */
export interface BlockExtremes {
  readonly maximum: SphereExtreme;
  readonly minimum: SphereExtreme;
  /** Rigorous upper bounds of max h and max -h. */
  readonly largest: number;
  readonly largestNegative: number;
}

/** The unit directions a neuron may have. */
export interface DirectionSet {
  /** Neurons keep the zeros of their first direction: patches of an image. */
  readonly sparse: boolean;
  /** Extremes of u'Mu + g'u + constant over the set, with rigorous bounds. */
  extremes(
    matrix: Float64Array,
    linear: Float64Array,
    constant: number,
  ): { maximum: SphereExtreme; minimum: SphereExtreme };
}

export function clear(target: BlockMoment): void {
  target.matrix.fill(0);
  target.linear.fill(0);
  target.constant = 0;
  target.squares = 0;
  target.mass = 0;
  target.rows = 0;
}
