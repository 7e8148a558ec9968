// Certified lower bound for the gated robust program: math.md 13.6 carried over to the Weston-Watkins loss.
//   primal  p* = min_T  kappa sum_i sum_{c != y_i} max(0, 1 - min_{||z||_q <= r} (x_i - z)'A_ic) + beta sum_{p,c} ||t_pc||_2,
//           A_ic = sum_p d_pi (t_{p y_i} - t_pc)
// For 0 <= alpha_ic <= kappa and z_ic in the ball, kappa max(0, u) >= alpha_ic u and the minimum over z is at most its value at z_ic, so
//   p* >= sum alpha + min_T sum_{p,c} (beta ||t_pc|| - h_pc't_pc),
//   h_pc = sum_i d_pi [ 1(y_i = c) sum_{c' != c} alpha_ic' (x_i - z_ic') - 1(y_i != c) alpha_ic (x_i - z_ic) ].
// The minimum is 0 when every ||h_pc|| <= beta. Otherwise s alpha with s = beta / max ||h_pc|| is admissible (it only shrinks alpha), hence
//   p* >= s sum alpha,  s = min(1, beta / max_{p,c} ||h_pc||_2).
// The pair (h, sum alpha) is linear in (alpha, alpha z), and (alpha, alpha z) ranges over a convex set: every convex combination of pairs is
// again a valid pair. So bounds are improved by averaging, and by choosing the best weights over a bundle of pairs, without touching samples.
// The smoothed hinge of robustHinge.ts delivers h = -gradient and sum alpha = dualSum.
// h: [P, C, D], groups of D.

import { groupNorm, largestGroupNorm } from "../proximal/acceleratedProximal.js";

/** Most numbers for the Gram matrices of a bundle. */
const MOST_PRODUCTS = 1e7;

/** s sum alpha for one pair. */
export function dualBound(h: Float64Array, dualSum: number, groupLength: number, beta: number): number {
  return dualSum * Math.min(1, beta / largestGroupNorm(h, groupLength));
}

export interface BundleState {
  readonly best: number;
  readonly average: Float64Array;
  readonly averageSum: number;
  readonly averageWeight: number;
  readonly pairs: readonly Float64Array[];
  readonly sums: readonly number[];
}

/** Keeps recent pairs and bounds from their running average and from the best convex combination of a bundle. */
export class DualBundle {
  /** Best lower bound so far. */
  best = Number.NEGATIVE_INFINITY;
  private readonly average: Float64Array;
  private averageSum = 0;
  private averageWeight = 0;
  private readonly pairs: Float64Array[] = [];
  private readonly sums: number[] = [];
  private readonly trial: Float64Array;

  constructor(
    length: number,
    private readonly groupLength: number,
    private readonly beta: number,
    private readonly capacity = 12,
  ) {
    this.average = new Float64Array(length);
    this.trial = new Float64Array(length);
  }

  /** Takes the pair (-gradient, dualSum); `weight` counts in the running average. Returns its largest ||h_pc|| / beta. */
  add(gradient: Float64Array, dualSum: number, weight: number): number {
    const violation = largestGroupNorm(gradient, this.groupLength) / this.beta;
    this.averageWeight += weight;
    const share = weight / this.averageWeight;
    for (let k = 0; k < gradient.length; k++) this.average[k] -= share * (gradient[k] + this.average[k]);
    this.averageSum += share * (dualSum - this.averageSum);
    this.best = Math.max(this.best, dualSum / Math.max(1, violation));
    return violation;
  }

  /** Bound of the running average. */
  averageBound(): number {
    if (this.averageWeight === 0) return Number.NEGATIVE_INFINITY;
    const bound = dualBound(this.average, this.averageSum, this.groupLength, this.beta);
    this.best = Math.max(this.best, bound);
    return bound;
  }

  /** Largest ||h_pc|| / beta of the running average: above 1 the iterate is not yet stationary. */
  averageViolation(): number {
    return largestGroupNorm(this.average, this.groupLength) / this.beta;
  }

  /** Puts the running average into the bundle and starts a new one. */
  closeAverage(): void {
    if (this.averageWeight > 0) this.keep(this.average, this.averageSum);
    this.average.fill(0);
    this.averageSum = 0;
    this.averageWeight = 0;
  }

  /** Puts the pair (-gradient, dualSum) into the bundle. */
  keepGradient(gradient: Float64Array, dualSum: number): void {
    for (let k = 0; k < gradient.length; k++) this.trial[k] = -gradient[k];
    this.keep(this.trial, dualSum);
  }

  state(): BundleState {
    const { best, averageSum, averageWeight } = this;
    const pairs = this.pairs.map((pair) => pair.slice());
    return { best, average: this.average.slice(), averageSum, averageWeight, pairs, sums: this.sums.slice() };
  }

  restore(state: BundleState): void {
    this.best = state.best;
    this.average.set(state.average);
    this.averageSum = state.averageSum;
    this.averageWeight = state.averageWeight;
    this.pairs.splice(0, this.pairs.length, ...state.pairs.map((pair) => pair.slice()));
    this.sums.splice(0, this.sums.length, ...state.sums);
  }

  private keep(h: Float64Array, dualSum: number): void {
    const slot = this.pairs.length < this.capacity ? new Float64Array(h.length) : (this.pairs.shift() as Float64Array);
    if (this.sums.length >= this.capacity) this.sums.shift();
    slot.set(h);
    this.pairs.push(slot);
    this.sums.push(dualSum);
  }

  /**
   * Improves the bound over convex combinations w of the bundle: exponentiated gradient on log(sum alpha) - log(softmax of the group
   * norms), evaluated from the Gram matrix of each group, every trial checked by the exact bound.
   */
  polish(steps = 200): number {
    const count = this.pairs.length;
    if (count < 2 || (this.trial.length / this.groupLength) * count * count > MOST_PRODUCTS) return this.best;
    const grams = this.gramMatrices(count);
    const groups = grams.length / (count * count);
    let weights = new Float64Array(count).fill(1 / count);
    let bestWeights = weights.slice();
    let bestValue = Number.NEGATIVE_INFINITY;
    const slope = new Float64Array(count);
    const squares = new Float64Array(groups);
    for (let step = 0; step < steps; step++) {
      let largest = 0;
      for (let g = 0; g < groups; g++) {
        squares[g] = quadraticForm(grams, g * count * count, weights);
        if (squares[g] > largest) largest = squares[g];
      }
      const total = weights.reduce((sum, w, j) => sum + w * this.sums[j], 0);
      const value = total * Math.min(1, this.beta / Math.sqrt(largest));
      if (value > bestValue) {
        bestValue = value;
        bestWeights = weights.slice();
      }
      for (let j = 0; j < count; j++) slope[j] = this.sums[j] / total;
      if (largest > this.beta * this.beta) addNormSlopes(grams, squares, largest, weights, slope, 20 + step);
      const rate = 2 / Math.sqrt(step + 4);
      const raised = weights.map((w, j) => w * Math.exp(rate * Math.max(-5, Math.min(5, slope[j]))));
      const mass = raised.reduce((sum, w) => sum + w, 0);
      weights = raised.map((w) => w / mass);
    }
    this.trial.fill(0);
    let total = 0;
    bestWeights.forEach((w, j) => {
      total += w * this.sums[j];
      const pair = this.pairs[j];
      for (let k = 0; k < pair.length; k++) this.trial[k] += w * pair[k];
    });
    this.best = Math.max(this.best, dualBound(this.trial, total, this.groupLength, this.beta));
    return this.best;
  }

  // Of the groups that are longer than beta in some pair; no convex combination of the pairs makes the others so.
  private gramMatrices(count: number): Float64Array {
    const { groupLength, beta, pairs } = this;
    const long = [];
    for (let from = 0; from < this.trial.length; from += groupLength) {
      if (pairs.some((pair) => groupNorm(pair, from, groupLength) > beta)) long.push(from);
    }
    const grams = new Float64Array(long.length * count * count);
    for (let g = 0; g < long.length; g++) {
      for (let a = 0; a < count; a++) {
        for (let b = a; b < count; b++) {
          let sum = 0;
          for (let k = long[g]; k < long[g] + groupLength; k++) sum += pairs[a][k] * pairs[b][k];
          grams[(g * count + a) * count + b] = sum;
          grams[(g * count + b) * count + a] = sum;
        }
      }
    }
    return grams;
  }
}

function quadraticForm(grams: Float64Array, from: number, weights: Float64Array): number {
  const count = weights.length;
  let total = 0;
  for (let a = 0; a < count; a++) {
    let sum = 0;
    for (let b = 0; b < count; b++) sum += grams[from + a * count + b] * weights[b];
    total += weights[a] * sum;
  }
  return Math.max(0, total);
}

// Subtracts the gradient of log(soft maximum of the group norms) with sharpness `sharp`.
function addNormSlopes(
  grams: Float64Array,
  squares: Float64Array,
  largest: number,
  weights: Float64Array,
  slope: Float64Array,
  sharp: number,
): void {
  const count = weights.length;
  let mass = 0;
  for (const square of squares) mass += (square / largest) ** sharp;
  for (let g = 0; g < squares.length; g++) {
    const share = (squares[g] / largest) ** sharp / mass;
    if (share < 1e-6) continue;
    for (let a = 0; a < count; a++) {
      let sum = 0;
      for (let b = 0; b < count; b++) sum += grams[(g * count + a) * count + b] * weights[b];
      slope[a] -= (share * sum) / squares[g];
    }
  }
}
