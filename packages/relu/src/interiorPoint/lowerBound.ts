// Objective and certified lower bound at an iterate of the interior-point method (math.md 13.6 for every loss, with cone multipliers).
// Let f_k be what the duals put on m_k and phi_k on a_k, ||phi_k||_q <= radius e_k. For every T
//   loss >= value - <H, T>,  H = sum_k of the transposed map of (f_k x + phi_k),
//   hinge     e = f in [0, kappa]      value = sum f
//   logistic  e = f in [0, kappa]      value = -kappa sum [f/kappa log(f/kappa) + (1 - f/kappa) log(1 - f/kappa)]
//   squared   e >= |f|                 value = sum f target - e^2 / (2 kappa)
// and for v in its robust cone, gamma >= 0, ||psi||_q <= radius sum gamma:  0 >= -(sum_i gamma_i s_pi x_i + psi)'v. Hence the optimum is at least
// value(s) for every admissible multiple s of all duals with s ||H_po + sum gamma s x + psi|| <= beta (and -H for w): the norm dual to that of
// the regulariser. s is chosen best.

import type { Workspace } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import { marginLoss, type Objective, regulariserOf } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import type { GateSums } from "./gateSums.js";
import type { LossTerms } from "./lossTerms.js";
import type { Pieces } from "./pieces.js";
import type { TermIndex } from "./termIndex.js";

/** Dual weights of the loss that some bound was computed from. */
export interface LossDual {
  /** f_k */
  readonly onScore: Float64Array;
  /** e_k */
  readonly weight: Float64Array;
  /** phi_k, `[terms, d]`; empty without a ball. */
  readonly onA: Float64Array;
}

export class BoundEvaluator {
  /** Dual weights of the last `lowerBound`. */
  readonly dual: LossDual;
  private readonly onScore: Float64Array;
  private readonly weight: Float64Array;
  private readonly onA: Float64Array;
  private readonly pull: Float64Array;
  private readonly groupPull: Float64Array;
  private readonly spare: Float64Array;

  static sizes({ gateCount, outputs, width }: ReluProgram): number[] {
    return [gateCount * outputs * width, 2 * gateCount * outputs * width];
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly pieces: Pieces,
    private readonly terms: LossTerms,
    private readonly sums: GateSums,
    workspace: Workspace,
  ) {
    const { gateCount, outputs, width, radius, featureCount } = program;
    this.onScore = new Float64Array(terms.count);
    this.weight = new Float64Array(terms.count);
    this.onA = new Float64Array(radius > 0 ? terms.count * featureCount : 0);
    this.pull = workspace.float64(gateCount * outputs * width);
    this.groupPull = workspace.float64(pieces.groups * width);
    this.spare = new Float64Array(featureCount);
    this.dual = { onScore: this.onScore, weight: this.weight, onA: this.onA };
  }

  /** Objective of the present pieces, from the sums of the terms. */
  objective(): Objective {
    const { program, terms, pieces } = this;
    const { featureCount, width, dualExponent, radius, beta } = program;
    let loss = 0;
    for (let k = 0; k < terms.count; k++) {
      const reach = radius > 0 ? radius * lengthOf(terms.sums, k * width, featureCount, dualExponent) : 0;
      if (program.loss === "squared") loss += (Math.abs(terms.score[k] - terms.target[k]) + reach) ** 2 / 2;
      else loss += marginLoss(program.loss, terms.score[k] - reach);
    }
    loss *= terms.kappa;
    const regulariser = beta * regulariserOf(program, pieces.theta);
    return { total: loss + regulariser, loss, regulariser };
  }

  lowerBound(): number {
    const { program, terms, sums, pull, groupPull } = this;
    const { width, beta, regulariser } = program;
    this.readDuals();
    sums.transpose(this.onScore, program.radius > 0 ? this.onA : null, pull);
    for (let side = 0; side < 2; side++) {
      const sign = side === 0 ? 1 : -1;
      for (let k = 0; k < pull.length; k++) groupPull[side * pull.length + k] = sign * pull[k];
    }
    this.addCones();
    const p = regulariser === "group" ? 2 : Number.POSITIVE_INFINITY;
    let largest = 0;
    for (let at = 0; at < groupPull.length; at += width) largest = Math.max(largest, lengthOf(groupPull, at, width, p));
    if (!(largest < Number.POSITIVE_INFINITY)) return 0; // also NaN: duals beyond the numbers bound nothing
    return boundValue(program, terms, this.dual, largest > 0 ? beta / largest : Number.POSITIVE_INFINITY);
  }

  private readDuals(): void {
    const { program, terms, onScore, weight, onA } = this;
    const { kappa, dual } = terms;
    const { featureCount, exponent, radius, loss } = program;
    for (let k = 0; k < terms.count; k++) {
      if (loss === "hinge") weight[k] = Math.min(kappa, dual[2 * k + 1]);
      else if (loss === "logistic") weight[k] = kappa / (1 + Math.exp(terms.score[k] - terms.tau[k]));
      else if (radius > 0) weight[k] = dual[2 * k] + dual[2 * k + 1];
      onScore[k] = weight[k];
      if (loss === "squared") {
        onScore[k] = radius > 0 ? dual[2 * k + 1] - dual[2 * k] : -kappa * (terms.score[k] - terms.target[k]);
        if (radius === 0) weight[k] = Math.abs(onScore[k]);
      }
      if (terms.cones === null) continue;
      terms.cones.force(k, onA, k * featureCount, terms.sums, k * program.width);
      shorten(onA, k * featureCount, featureCount, exponent, radius * weight[k]);
    }
  }

  private addCones(): void {
    const { program, pieces, groupPull, spare } = this;
    const { featureCount, width, exponent, radius } = program;
    pieces.addRows(pieces.dual, groupPull);
    if (pieces.robust === null) return;
    for (let g = 0; g < pieces.groups; g++) {
      let total = 0;
      for (let i = 0; i < pieces.rows; i++) total += pieces.dual[i * pieces.groups + g];
      pieces.robust.force(g, spare, 0, pieces.theta, g * width);
      shorten(spare, 0, featureCount, exponent, radius * total);
      for (let k = 0; k < featureCount; k++) groupPull[g * width + k] += spare[k];
    }
  }
}

/** The largest value(s) over admissible multiples s <= most of the dual weights. */
export function boundValue(program: ReluProgram, terms: TermIndex, dual: LossDual, most: number): number {
  const { onScore, weight } = dual;
  const { kappa } = terms;
  let linear = 0;
  let square = 0;
  let largest = 0;
  for (let k = 0; k < terms.count; k++) {
    linear += program.loss === "squared" ? onScore[k] * terms.target[k] : weight[k];
    square += weight[k] * weight[k];
    largest = Math.max(largest, weight[k]);
  }
  if (program.loss === "squared") {
    if (!(linear > 0)) return 0;
    const s = Math.min(most, (linear * kappa) / square);
    return s * linear - (s * s * square) / (2 * kappa);
  }
  if (program.loss === "hinge") return largest > 0 ? Math.min(most, kappa / largest) * linear : 0;
  // The entropy is concave in s and the scale of the duals themselves is close to its best.
  const scale = Math.min(most, 1);
  let total = 0;
  for (let k = 0; k < terms.count; k++) {
    const share = (scale * weight[k]) / kappa;
    if (share > 0 && share < 1) total -= share * Math.log(share) + (1 - share) * Math.log1p(-share);
  }
  return kappa * total;
}

/** Scales a[from ..) down so that its l_q length is at most `most`. */
export function shorten(a: Float64Array, from: number, length: number, q: number, most: number): void {
  const size = lengthOf(a, from, length, q);
  if (size <= most) return;
  const factor = size > 0 ? (most / size) * (1 - 1e-15) : 0;
  for (let k = from; k < from + length; k++) a[k] *= factor;
}
