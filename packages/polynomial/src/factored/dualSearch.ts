// Dual weights from the restricted master, drawn towards the certificate: with the attacks held fixed the moments of the certificate
// are linear in the weights, and the bound
//   bound(p) = sum p min(1, beta / max |h_p(u)|)
// falls off steeply where a direction outside the master is violated. So the master's weights only say where to go from the best
// weights so far; the bound is maximised on the way there, and the directions violated at that point join the master (cutting planes
// with in-out separation, Ben-Ameur & Neto 2007). Extremes are estimates (`sphereEstimate.ts`); what is found is certified by the caller.

import { throwIfAborted } from "@worstcase/core";
import type { AttackPart, Certifier, DualMoments } from "../certificate.js";
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

export interface DualSearch {
  /** Estimates of what a certificate of these attacks would say. */
  look(parts: readonly AttackPart[]): Violations & { readonly bound: number };
  /** After the master was loaded: goes on from these attacks with their weights, or from nothing. */
  restart(from: readonly AttackPart[]): void;
  /** Searches with one hinge width; `upper` and the tolerance say when to end, `attempts` at the latest. */
  run(width: number, upper: number, attempts: number, signal: AbortSignal | undefined): DualResult;
}

export function createDualSearch(
  problem: ObjectiveProblem,
  certifier: Certifier,
  master: Master,
  extraDirections: number,
  tolerance: number,
): DualSearch {
  const { data, labels, hingeWeights, radius, beta, activation, set = null } = problem;
  const { rows, dimension: d } = data;
  const estimate = createSphereEstimate(d, data.kernels);
  const slope = new Float64Array(d);
  let best: DualPoint | null = null;
  /** Attacks to go on from. */
  let earlier: readonly AttackPart[] = [];
  /** The master's weights at the last look, and their sums. */
  let held: Float64Array = new Float64Array(0);
  const sums = { moment: new Float64Array(d * d), linear: new Float64Array(d), constant: 0, weightSum: 0 };
  /** Moments that no point in use holds. */
  const spare: Float64Array[] = [];
  const allocate = () => spare.pop() ?? new Float64Array(d * d);

  function evaluate(
    { moment, linear, constant, weightSum }: DualMoments,
    weights: Float64Array,
    share: number,
  ): DualPoint {
    for (let l = 0; l < d; l++) slope[l] = activation.b * linear[l];
    const found = estimate.solve(moment, slope, activation.c * constant);
    // The estimate reuses its memory.
    const extremes = { ...found, eigenvalues: found.eigenvalues.slice(), eigenvectors: found.eigenvectors.slice() };
    const largest = extremes.maximum.bound;
    const largestNegative = -extremes.minimum.bound;
    const norm = Math.max(largest, largestNegative);
    const bound = weightSum * Math.min(1, beta / norm);
    return { weights, share, moment, linear, constant, weightSum, extremes, largest, largestNegative, norm, bound };
  }

  function momentsOf(parts: readonly AttackPart[]): DualMoments {
    return certifier.moments({ points: rows, labels, radius, parts, hingeWeights, beta, activation, set });
  }

  /** A copy that stays. */
  function keep({ moment, linear, constant, weightSum }: DualMoments): DualMoments {
    const copy = allocate();
    copy.set(moment.subarray(0, d * d));
    return { moment: copy, linear: linear.slice(), constant, weightSum };
  }

  /** The master's own weights. Only what changed since the last look is added to the sums, then taken away from them. */
  function masterPoint(): DualPoint {
    const { weights } = master;
    const { count } = master.cuts;
    for (const sign of [1, -1]) {
      const change = new Float64Array(count);
      let any = false;
      for (let e = 0; e < count; e++) {
        const more = sign * (weights[e] - held[e]);
        if (!(more > negligible * Math.max(weights[e], held[e]))) continue;
        change[e] = more;
        held[e] += sign * more;
        any = true;
      }
      if (!any) continue;
      const { moment, linear, constant, weightSum } = momentsOf(master.cuts.parts(change));
      for (let p = 0; p < d * d; p++) sums.moment[p] += sign * moment[p];
      for (let l = 0; l < d; l++) sums.linear[l] += sign * linear[l];
      sums.constant += sign * constant;
      sums.weightSum += sign * weightSum;
    }
    return evaluate(keep(sums), held.slice(), 0);
  }

  function mixture(from: DualPoint, to: DualPoint, share: number): DualPoint {
    const mix = (one: Float64Array, two: Float64Array, target: Float64Array) => {
      for (let i = 0; i < target.length; i++) target[i] = one[i] + share * (two[i] - one[i]);
      return target;
    };
    const between = (one: number, two: number) => one + share * (two - one);
    const moments = {
      moment: mix(from.moment, to.moment, allocate()),
      linear: mix(from.linear, to.linear, new Float64Array(d)),
      constant: between(from.constant, to.constant),
      weightSum: between(from.weightSum, to.weightSum),
    };
    const weights = mix(from.weights, to.weights, new Float64Array(from.weights.length));
    return evaluate(moments, weights, between(from.share, to.share));
  }

  function partsOf({ weights, share }: DualPoint): AttackPart[] {
    const old = earlier.map((part) => ({ ...part, weights: part.weights.map((p) => share * p) }));
    return share > 0 ? [...old, ...master.cuts.parts(weights)] : master.cuts.parts(weights);
  }

  function valueAt({ moment, linear, constant }: DualPoint, u: Float64Array): number {
    let value = activation.c * constant;
    for (let k = 0; k < d; k++) {
      let sum = activation.b * linear[k];
      for (let l = 0; l < d; l++) sum += moment[k * d + l] * u[l];
      value += sum * u[k];
    }
    return value;
  }

  /** Maximises the bound between two points: |h| at directions known is linear on the way, their maximum a model of the norm. */
  function between(from: DualPoint, to: DualPoint): DualPoint {
    let chosen = to.bound > from.bound ? to : from;
    const lines: [number, number][] = [];
    const see = ({ extremes: { maximum, minimum } }: DualPoint, share: number) => {
      for (const { point, bound } of [maximum, minimum]) {
        if (share < 0.5) {
          const two = valueAt(to, point);
          lines.push([(bound - share * two) / (1 - share), two]);
        } else {
          const one = valueAt(from, point);
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
      const point = mixture(from, to, next);
      see(point, next);
      if (point.bound > chosen.bound) {
        if (chosen !== from && chosen !== to) spare.push(chosen.moment);
        chosen = point;
      } else spare.push(point.moment);
    }
    if (chosen !== from) spare.push(from.moment);
    return chosen;
  }

  return {
    look(parts) {
      return evaluate(keep(momentsOf(parts)), new Float64Array(0), 0);
    },

    restart(from) {
      if (best) spare.push(best.moment);
      best = null;
      held = new Float64Array(master.cuts.count);
      sums.moment.fill(0);
      sums.linear.fill(0);
      sums.constant = 0;
      sums.weightSum = 0;
      const sizes = from.map(({ weights }) => weights.reduce((sum, p) => sum + p, 0));
      const least = leastShare * sizes.reduce((sum, size) => sum + size, 0);
      earlier = from.filter((_, k) => sizes[k] > least);
      if (earlier.length > 0) best = evaluate(keep(momentsOf(earlier)), new Float64Array(master.cuts.count), 1);
    },

    run(width, upper, attempts, signal) {
      let last = 0;
      for (let attempt = 0; attempt < attempts; attempt++) {
        throwIfAborted(signal, "training");
        master.solve(width);
        const point = masterPoint();
        const reached: DualPoint = best ? between(best, point) : point;
        best = reached;
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
      return { parts: best ? partsOf(best) : [], bound: best?.bound ?? 0, weightSum: last };
    },
  };
}
