// Dual weights from the restricted master, drawn towards the certificate: with the attacks held fixed the moments of the certificate
// are linear in the weights, and the bound
//   bound(p) = sum p min(1, beta / max |h_p(u)|)
// falls off steeply where a direction outside the master is violated. So the master's weights only say where to go from the best
// weights so far; the bound is maximised on the way there, and the directions violated at that point join the master (cutting planes
// with in-out separation, Ben-Ameur & Neto 2007). Extremes are estimates (`sphereEstimate.ts`); what is found is certified by the caller.

import { throwIfAborted } from "@worstcase/core";
import type { AttackPart, Certifier, DualMoments } from "../certificate.js";
import type { SphereSolver } from "../sphere.js";
import { createSphereEstimate } from "../sphereEstimate.js";
import { candidates, type Violations } from "./candidates.js";
import type { Master } from "./master.js";
import type { ObjectiveProblem } from "./objective.js";

/** Times without `worthwhile` below. */
const fewAttempts = 3;
/** Points looked at between the best weights and the master's. */
const trials = 3;
/** Share of the tolerance at which a search ends: the bounds here are estimates. */
const closeEnough = 0.95;
/** Share of all weight below which an earlier attack is dropped. */
const leastShare = 0.02;
/** Changes of a weight, relative to it, that wait until they are larger. */
const negligible = 1e-6;
/** Shares of the way that are considered. */
const shares = Array.from({ length: 40 }, (_, t) => (t + 1) / 40);

/** Dual weights of the master's cuts, and a share of attacks from before, with what their bound is made of. */
interface DualPoint extends DualMoments, Omit<Violations, keyof DualMoments> {
  readonly weights: Float64Array;
  readonly share: number;
  readonly norm: number;
  readonly bound: number;
}

interface DualResult {
  readonly parts: AttackPart[];
  /** Estimated bound of the parts. */
  readonly bound: number;
  /** Sum of the master's own weights at the end. */
  readonly weightSum: number;
}

/** A class, so that it stays compiled from one fit to the next. */
export class DualSearch {
  private readonly estimate: SphereSolver;
  private readonly slope: Float64Array;
  private best: DualPoint | null = null;
  /** Attacks to go on from. */
  private earlier: readonly AttackPart[] = [];
  /** The master's weights at the last look, and their sums. */
  private held = new Float64Array(0);
  private readonly sums: { moment: Float64Array; linear: Float64Array; constant: number; weightSum: number };
  /** Moments that no point in use holds. */
  private readonly spare: Float64Array[] = [];

  constructor(
    private readonly problem: ObjectiveProblem,
    private readonly certifier: Certifier,
    private readonly master: Master,
    private readonly extraDirections: number,
    private readonly tolerance: number,
  ) {
    const { dimension: d, kernels } = problem.data;
    this.estimate = createSphereEstimate(d, kernels);
    this.slope = new Float64Array(d);
    this.sums = { moment: new Float64Array(d * d), linear: new Float64Array(d), constant: 0, weightSum: 0 };
  }

  /** Estimates of what a certificate of these attacks would say. */
  look(parts: readonly AttackPart[]): Violations & { readonly bound: number } {
    return this.evaluate(this.keep(this.momentsOf(parts)), new Float64Array(0), 0);
  }

  /** After the master was loaded: goes on from these attacks with their weights, or from nothing. */
  restart(from: readonly AttackPart[]): void {
    const { sums, spare, master } = this;
    if (this.best) spare.push(this.best.moment);
    this.best = null;
    this.held = new Float64Array(master.cuts.count);
    sums.moment.fill(0);
    sums.linear.fill(0);
    sums.constant = 0;
    sums.weightSum = 0;
    const sizes = from.map(({ weights }) => weights.reduce((sum, p) => sum + p, 0));
    const least = leastShare * sizes.reduce((sum, size) => sum + size, 0);
    this.earlier = from.filter((_, k) => sizes[k] > least);
    if (this.earlier.length === 0) return;
    this.best = this.evaluate(this.keep(this.momentsOf(this.earlier)), new Float64Array(master.cuts.count), 1);
  }

  /** Searches with one hinge width; `upper` and the tolerance say when to end, `attempts` at the latest. */
  run(width: number, upper: number, attempts: number, signal: AbortSignal | undefined): DualResult {
    const { master, spare, tolerance, extraDirections } = this;
    const { activation, beta } = this.problem;
    let last = 0;
    for (let attempt = 0; attempt < attempts; attempt++) {
      throwIfAborted(signal, "training");
      master.solve(width);
      const point = this.masterPoint();
      const reached: DualPoint = this.best ? this.between(this.best, point) : point;
      this.best = reached;
      last = point.weightSum;
      if (upper - reached.bound <= closeEnough * tolerance * upper) break;
      if (reached.norm <= beta * (1 + 0.1 * tolerance) && point.norm <= beta * (1 + tolerance)) break;
      // More than a few directions only when they, and not the width of the hinge, separate the bounds.
      const worthwhile = upper - point.weightSum < point.weightSum - reached.bound;
      if (attempt >= fewAttempts && !worthwhile) break;
      const perSide = worthwhile ? 1 + extraDirections : 1;
      const violated = reached === point ? [point] : [reached, point];
      const added = master.add(violated.flatMap((where) => candidates(where, activation, perSide, beta)));
      if (point !== reached) spare.push(point.moment);
      if (added === 0) break;
    }
    const { best } = this;
    return { parts: best ? this.partsOf(best) : [], bound: best?.bound ?? 0, weightSum: last };
  }

  private evaluate(
    { moment, linear, constant, weightSum }: DualMoments,
    weights: Float64Array,
    share: number,
  ): DualPoint {
    const { slope, estimate } = this;
    const { activation, beta } = this.problem;
    for (let l = 0; l < slope.length; l++) slope[l] = activation.b * linear[l];
    const found = estimate.solve(moment, slope, activation.c * constant);
    // The estimate reuses its memory.
    const extremes = { ...found, eigenvalues: found.eigenvalues.slice(), eigenvectors: found.eigenvectors.slice() };
    const largest = extremes.maximum.bound;
    const largestNegative = -extremes.minimum.bound;
    const norm = Math.max(largest, largestNegative);
    const bound = weightSum * Math.min(1, beta / norm);
    return { weights, share, moment, linear, constant, weightSum, extremes, largest, largestNegative, norm, bound };
  }

  private momentsOf(parts: readonly AttackPart[]): DualMoments {
    const { data, labels, hingeWeights, radius, beta, activation, set = null } = this.problem;
    return this.certifier.moments({ points: data.rows, labels, radius, parts, hingeWeights, beta, activation, set });
  }

  /** A copy that stays. */
  private keep({ moment, linear, constant, weightSum }: DualMoments): DualMoments {
    const copy = this.allocate();
    copy.set(moment.subarray(0, copy.length));
    return { moment: copy, linear: linear.slice(), constant, weightSum };
  }

  private allocate(): Float64Array {
    return this.spare.pop() ?? new Float64Array(this.slope.length ** 2);
  }

  /** The master's own weights. Only what changed since the last look is added to the sums, then taken away from them. */
  private masterPoint(): DualPoint {
    const { master, held, sums } = this;
    for (const sign of [1, -1]) {
      const change = new Float64Array(held.length);
      if (!takeChanges(change, master.weights, held, sign)) continue;
      const { moment, linear, constant, weightSum } = this.momentsOf(master.cuts.parts(change));
      addMultiple(sums.moment, sign, moment);
      addMultiple(sums.linear, sign, linear);
      sums.constant += sign * constant;
      sums.weightSum += sign * weightSum;
    }
    return this.evaluate(this.keep(sums), held.slice(), 0);
  }

  private mixture(from: DualPoint, to: DualPoint, share: number): DualPoint {
    const between = (one: number, two: number) => one + share * (two - one);
    const moments = {
      moment: mix(from.moment, to.moment, share, this.allocate()),
      linear: mix(from.linear, to.linear, share, new Float64Array(this.slope.length)),
      constant: between(from.constant, to.constant),
      weightSum: between(from.weightSum, to.weightSum),
    };
    const weights = mix(from.weights, to.weights, share, new Float64Array(from.weights.length));
    return this.evaluate(moments, weights, between(from.share, to.share));
  }

  private partsOf({ weights, share }: DualPoint): AttackPart[] {
    const { earlier, master } = this;
    const old = earlier.map((part) => ({ ...part, weights: part.weights.map((p) => share * p) }));
    return share > 0 ? [...old, ...master.cuts.parts(weights)] : master.cuts.parts(weights);
  }

  /** h(u) */
  private valueAt({ moment, linear, constant }: DualPoint, u: Float64Array): number {
    const { b, c } = this.problem.activation;
    return c * constant + quadraticAt(moment, b, linear, u);
  }

  /** Maximises the bound between two points: |h| at directions known is linear on the way, their maximum a model of the norm. */
  private between(from: DualPoint, to: DualPoint): DualPoint {
    const { spare } = this;
    const { beta } = this.problem;
    let chosen = to.bound > from.bound ? to : from;
    const lines: [number, number][] = [];
    const see = ({ extremes: { maximum, minimum } }: DualPoint, share: number) => {
      for (const { point, bound } of [maximum, minimum]) {
        if (share < 0.5) {
          const two = this.valueAt(to, point);
          lines.push([(bound - share * two) / (1 - share), two]);
        } else {
          const one = this.valueAt(from, point);
          lines.push([one, one + (bound - one) / share]);
        }
      }
    };
    see(from, 0);
    see(to, 1);
    for (let trial = 0; trial < trials; trial++) {
      let most = chosen.bound;
      let next = 0;
      for (const share of shares) {
        let norm = beta;
        for (const [one, two] of lines) norm = Math.max(norm, Math.abs(one + share * (two - one)));
        const bound = ((from.weightSum + share * (to.weightSum - from.weightSum)) * beta) / norm;
        if (bound > most * (1 + 1e-4)) [most, next] = [bound, share];
      }
      if (next === 0) break;
      const point = this.mixture(from, to, next);
      see(point, next);
      if (point.bound > chosen.bound) {
        if (chosen !== from && chosen !== to) spare.push(chosen.moment);
        chosen = point;
      } else spare.push(point.moment);
    }
    if (chosen !== from) spare.push(from.moment);
    return chosen;
  }
}

/** Of the weights that rose (sign 1) or fell since `held`, the size of the change; `held` follows. False when there is none. */
function takeChanges(change: Float64Array, weights: Float64Array, held: Float64Array, sign: number): boolean {
  let any = false;
  for (let e = 0; e < held.length; e++) {
    const more = sign * (weights[e] - held[e]);
    if (!(more > negligible * Math.max(weights[e], held[e]))) continue;
    change[e] = more;
    held[e] += sign * more;
    any = true;
  }
  return any;
}

function addMultiple(target: Float64Array, factor: number, source: Float64Array): void {
  for (let p = 0; p < target.length; p++) target[p] += factor * source[p];
}

function mix(one: Float64Array, two: Float64Array, share: number, target: Float64Array): Float64Array {
  for (let i = 0; i < target.length; i++) target[i] = one[i] + share * (two[i] - one[i]);
  return target;
}

/** u'Mu + b g'u */
function quadraticAt(matrix: Float64Array, b: number, linear: Float64Array, u: Float64Array): number {
  const d = u.length;
  let value = 0;
  for (let k = 0; k < d; k++) {
    let sum = b * linear[k];
    for (let l = 0; l < d; l++) sum += matrix[k * d + l] * u[l];
    value += sum * u[k];
  }
  return value;
}
