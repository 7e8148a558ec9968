// Safe screening of (sample, class) pairs whose hinge is certainly zero, so that evaluations touch only the others.
//   u_ic(T) <= u_ic(T_ref) + (||x_i||_2 + kappa radius) sum_p d_pi (||t_py - ref_py||_2 + ||t_pc - ref_pc||_2),
//   kappa radius = the largest Euclidean length of a perturbation (squaredReach).
// If abar_ic w + bound <= 0 the multiplier clip(abar + u/w, 0, 1) is 0 and so is the hinge: exact, no approximation.
// reference: [P, C, D]   excess u: [n, C]   bits: [n, P]

import { squaredReach } from "../ballSupport.js";
import { withConstant } from "../program/program.js";
import type { HingeData } from "./robustHinge.js";

/** Gradient evaluations after which the reference is renewed at the latest, and at the earliest. */
const OLDEST = 25;
const YOUNGEST = 4;

export interface ScreenState {
  readonly excess: Float64Array;
  readonly needed: Uint8Array;
  readonly rows: Int32Array;
  readonly reference: Float64Array;
  readonly count: number;
  readonly age: number;
  readonly pairs: number;
  readonly fewestPairs: number;
}

export class PairScreen {
  /** Reference excess, written by the evaluator during a refreshing evaluation. */
  readonly excess: Float64Array;
  /** 1 for pairs to evaluate, `[n, C]`. */
  readonly needed: Uint8Array;
  /** Samples with a needed pair; the first `count` entries count. */
  readonly rows: Int32Array;
  count = 0;
  private readonly reference: Float64Array;
  private readonly lengths: Float64Array;
  private readonly shifts: Float64Array;
  private readonly totals: Float64Array;
  private age = Number.POSITIVE_INFINITY;
  private pairs = 0;
  private fewestPairs = 0;

  constructor(
    private readonly data: HingeData,
    private readonly width: number,
    /** Writes sum_p d_pi shift_pc for `count` samples of `rows`, `[count, C]`, and returns where; `chunk` at a time. */
    private readonly overGates: {
      readonly chunk: number;
      sums(rows: Int32Array, from: number, count: number, shifts: Float64Array): Float64Array;
    },
  ) {
    const { features, classCount, gateCount, norm, radius, bias } = data;
    const samples = features.shape[0];
    const moved = features.shape[1];
    this.excess = new Float64Array(samples * classCount);
    this.needed = new Uint8Array(samples * classCount).fill(1);
    this.rows = Int32Array.from({ length: samples }, (_, i) => i);
    this.reference = new Float64Array(gateCount * classCount * width);
    this.shifts = new Float64Array(gateCount * classCount);
    this.totals = new Float64Array(classCount);
    const inputs = withConstant(features, bias);
    const stretch = Math.sqrt(squaredReach(norm, radius, moved));
    this.lengths = Float64Array.from({ length: samples }, (_, i) => {
      let square = 0;
      for (let k = i * width; k < (i + 1) * width; k++) square += inputs[k] * inputs[k];
      return (Math.sqrt(square) + stretch) * (1 + 1e-12);
    });
  }

  /** Chooses the pairs for an evaluation at `weights`. Returns whether the evaluation should renew the reference (then all pairs). */
  select(weights: Float64Array, centres: Float64Array, smoothing: number, gradientWanted: boolean): boolean {
    const worn = this.age >= YOUNGEST && this.pairs > 1.5 * this.fewestPairs;
    if (this.age === Number.POSITIVE_INFINITY || (gradientWanted && (this.age >= OLDEST || worn))) {
      this.needed.fill(1);
      this.count = this.rows.length;
      for (let i = 0; i < this.count; i++) this.rows[i] = i;
      this.reference.set(weights);
      this.age = 0;
      this.fewestPairs = Number.POSITIVE_INFINITY;
      return true;
    }
    if (gradientWanted) this.age++;
    this.measureShifts(weights);
    const { classCount, labels } = this.data;
    const { shifts, needed, excess, lengths, rows, overGates } = this;
    this.pairs = 0;
    this.totals.fill(0);
    for (let g = 0; g < shifts.length; g++) this.totals[g % classCount] += shifts[g];
    let candidates = 0;
    for (let i = 0; i < lengths.length; i++) if (!this.clearlyIdle(i, centres, smoothing)) rows[candidates++] = i;
    this.count = 0;
    for (let from = 0; from < candidates; from += overGates.chunk) {
      const count = Math.min(overGates.chunk, candidates - from);
      const sums = overGates.sums(rows, from, count, shifts);
      for (let row = 0; row < count; row++) {
        const i = rows[from + row];
        const at = row * classCount;
        let any = false;
        for (let c = 0; c < classCount; c++) {
          const pair = i * classCount + c;
          const bound = excess[pair] + lengths[i] * (sums[at + labels[i]] + sums[at + c]) + 1e-9;
          const keep = c !== labels[i] && centres[pair] * smoothing + bound > 0;
          needed[pair] = keep ? 1 : 0;
          if (keep) {
            any = true;
            this.pairs++;
          }
        }
        if (any) rows[this.count++] = i;
      }
    }
    this.fewestPairs = Math.min(this.fewestPairs, this.pairs);
    return false;
  }

  /** Everything that the next choice depends on. */
  state(): ScreenState {
    const { excess, needed, rows, count, reference, age, pairs, fewestPairs } = this;
    const copies = { excess: excess.slice(), needed: needed.slice(), rows: rows.slice(), reference: reference.slice() };
    return { ...copies, count, age, pairs, fewestPairs };
  }

  restore(state: ScreenState): void {
    this.excess.set(state.excess);
    this.needed.set(state.needed);
    this.rows.set(state.rows);
    this.reference.set(state.reference);
    this.count = state.count;
    this.age = state.age;
    this.pairs = state.pairs;
    this.fewestPairs = state.fewestPairs;
  }

  // The same test with the sums over all gates, which need no pattern; marks the sample's pairs as not needed.
  private clearlyIdle(i: number, centres: Float64Array, smoothing: number): boolean {
    const { labels, classCount } = this.data;
    const { totals, excess, lengths } = this;
    const own = totals[labels[i]];
    for (let c = 0; c < classCount; c++) {
      const pair = i * classCount + c;
      if (c === labels[i]) continue;
      if (centres[pair] * smoothing + excess[pair] + lengths[i] * (own + totals[c]) + 1e-9 > 0) return false;
    }
    this.needed.fill(0, i * classCount, (i + 1) * classCount);
    return true;
  }

  private measureShifts(weights: Float64Array): void {
    const { reference, shifts, width } = this;
    for (let g = 0; g < shifts.length; g++) {
      let square = 0;
      for (let k = g * width; k < (g + 1) * width; k++) square += (weights[k] - reference[k]) ** 2;
      shifts[g] = Math.sqrt(square);
    }
  }
}
