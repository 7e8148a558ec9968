// Many cones of one kind, tau_c >= factor ||a_c||_p with a_c in R^d, inside a primal-dual interior-point method.
// Rows of one cone (slack s and dual z live in a self-dual cone of that many rows):
//   p = 2    (tau; factor a) in the second-order cone                             d + 1 rows   secondOrderCones.ts
//   p = inf  tau +- factor a_k >= 0                                               2d rows      polyhedralCones.ts
//   p = 1    u_k +- factor a_k >= 0, tau - sum_k u_k >= 0, u eliminated there     2d + 1 rows  polyhedralCones.ts
//   other p  tau - N(a) >= 0 with a rounded norm N, linearised anew each time     1 row        generalCones.ts
// The Newton matrix of a cone is the quadratic form
//   corner tau^2 + 2 lean tau v'a + sum_k diagonal_k a_k^2 + outer (v'a)^2
// and its right-hand side (sideTau, sideA). After `aimAt` and the solution of the whole system, `step` gives the steps of s and z.

export abstract class NormCones {
  readonly slack: Float64Array;
  readonly dual: Float64Array;
  readonly corner: Float64Array;
  readonly lean: Float64Array;
  readonly outer: Float64Array;
  /** outer - lean^2 / corner, without cancellation. */
  readonly outerWithoutTau: Float64Array;
  /** v, `[count, d]` */
  readonly vector: Float64Array;
  readonly diagonal: Float64Array;
  readonly sideTau: Float64Array;
  readonly sideA: Float64Array;
  /** z - W^-1 q: what the Newton step aims at for the dual. */
  protected readonly aim: Float64Array;
  protected readonly slackStep: Float64Array;
  protected readonly dualStep: Float64Array;

  constructor(
    readonly count: number,
    /** d */
    readonly length: number,
    readonly factor: number,
    readonly rows: number,
    /** Barrier degree of all cones together. */
    readonly degree: number,
  ) {
    const all = count * rows;
    this.slack = new Float64Array(all);
    this.dual = new Float64Array(all);
    this.aim = new Float64Array(all);
    this.slackStep = new Float64Array(all);
    this.dualStep = new Float64Array(all);
    this.corner = new Float64Array(count);
    this.lean = new Float64Array(count);
    this.outer = new Float64Array(count);
    this.outerWithoutTau = new Float64Array(count);
    this.sideTau = new Float64Array(count);
    this.vector = new Float64Array(count * length);
    this.diagonal = new Float64Array(count * length);
    this.sideA = new Float64Array(count * length);
  }

  /** Places cone c at (tau, a), strictly inside, with a dual of slack o dual = complementarity. */
  abstract start(c: number, tau: number, a: Float64Array, from: number, complementarity: number): void;

  /** What the dual puts on (tau, a), a[at ..) the present one: on tau the returned number, on a the vector written to out[from ..). */
  abstract force(c: number, out: Float64Array, from: number, a: Float64Array, at: number): number;

  /** The quadratic form of cone c at the present s, z (and a). */
  abstract scale(c: number, a: Float64Array, from: number): void;

  /** Right-hand side of cone c for a step to complementarity `target`; `share` of the products of the last steps is corrected for (Mehrotra; 0: none). */
  abstract aimAt(c: number, target: number, share: number, tau: number, a: Float64Array, from: number): void;

  /** Steps of slack and dual of cone c that belong to steps of (tau, a). */
  abstract step(c: number, tau: number, a: Float64Array, from: number): void;

  /** Largest step in [0, limit] that keeps the slacks in their cones. */
  abstract longestSlackStep(limit: number): number;

  /** Largest step in [0, limit] that keeps the duals in their cones. */
  abstract longestDualStep(limit: number): number;

  /** s'z over all cones. */
  complementarity(): number {
    return dot(this.slack, this.dual);
  }

  /** (s + primal ds)'(z + dual dz) over all cones. */
  complementarityAfter(primal: number, dualLength: number): number {
    const { slack, dual, slackStep, dualStep } = this;
    let total = 0;
    for (let row = 0; row < slack.length; row++) {
      total += (slack[row] + primal * slackStep[row]) * (dual[row] + dualLength * dualStep[row]);
    }
    return total;
  }

  advance(primal: number, dualLength: number): void {
    const { slack, dual, slackStep, dualStep } = this;
    for (let row = 0; row < slack.length; row++) {
      slack[row] += primal * slackStep[row];
      dual[row] += dualLength * dualStep[row];
    }
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let k = 0; k < a.length; k++) total += a[k] * b[k];
  return total;
}

/** Largest step in [0, limit] that keeps every value + step * change >= 0. */
export function longestLinearStep(value: Float64Array, change: Float64Array, limit: number): number {
  let best = limit;
  for (let row = 0; row < value.length; row++) {
    if (change[row] < 0 && -value[row] > best * change[row]) best = -value[row] / change[row];
  }
  return best;
}
