// A-posteriori lower bound of the optimal robust objective from any weights and any attack (math.md 7, solvers.md 2.1):
//   M = sum_i p_i y_i E[x x'] etc. over the attack of sample i,  h(u) = a u'Au + b g'u + c s,
//   A = sum p_i y_i (z_i z_i' + covariance_i),  g = sum p_i y_i z_i,  s = sum p_i y_i,  z_i = x_i + D_i,
//   LOWER BOUND = min(1, beta / max_{||u||=1} |h(u)|) * sum_i p_i   for 0 <= p_i <= hinge weight of sample i,
// valid when every attack stays in its ball: ||D_i||^2 + trace covariance_i <= r^2. Nothing else is assumed, so any iterate
// of any trainer gives a rigorous bound. Attacks that leave the ball by rounding are pulled back here. With immutable features or an
// ellipsoid (moveSet.ts) lengths are those of the set, and no attack moves an immutable feature.
// For another convex loss sum_i p_i becomes sum_i conjugate_i(p_i), maximised over the admissible scalings of p (math.md 7).

import { checkFinite, type NumericBatch, ShapeError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import type { Activation } from "./activation.js";
import {
  type AttackMemory,
  addSpread,
  allocate,
  attackLength,
  block,
  displace,
  loadBasis,
  movingCovariances,
  pullBack,
} from "./attackedRows.js";
import { bestScaling, bestSquaredScaling, largestWeight } from "./dualScaling.js";
import { everyRow, type RowSource, rowsOf } from "./factored/rowSource.js";
import { checkNumber, checkPoints, checkSignLabels, type SignLabels } from "./inputs.js";
import { type LossName, lossShape } from "./marginLoss.js";
import { createMomentSums, type MomentSums, momentSumsPay } from "./momentSums.js";
import { type MoveOptions, type MoveSet, moveSetOf } from "./moveSet.js";
import { createSphereSolver, type SphereExtremes, type SphereSolver } from "./sphere.js";
import { unitRoundoff } from "./worstCase/rotatedForm.js";

/** One attack per sample: a displacement, and optionally a spread around it (a moment matrix instead of a point). */
export interface Attack {
  /** D_i = coordinates_i * basis; `[samples, rank]`. Without a basis, `[samples, features]` displacements themselves. */
  readonly coordinates: Float64Array;
  /** `[rank, features]` */
  readonly basis?: Float64Array;
  /** Covariance_i = basis' diag(variances_i) basis, nonnegative, `[samples, rank]`; needs a basis. */
  readonly variances?: Float64Array | null;
  /** Full covariances instead, `[samples, features, features]`, positive semidefinite; excludes a basis. */
  readonly covariances?: Float64Array | null;
  /** Every sample moves to this point, or as far towards it as the ball allows, `[features]`; excludes all the others. */
  readonly centre?: Float64Array;
}

export interface CertificateInput extends MoveOptions {
  /** `[samples, features]` */
  readonly points: NumericBatch;
  /** +1 / -1, `[samples]` */
  readonly labels: SignLabels;
  /** l2 radius of the training ball, in feature space. */
  readonly radius: number;
  readonly attack: Attack;
  /** p_i, clipped into [0, hinge weight], `[samples]`. */
  readonly weights: Float64Array;
  /** Weight of each sample's hinge in the objective (1/n for the mean), `[samples]`. */
  readonly hingeWeights: Float64Array;
  readonly beta: number;
  readonly activation: Activation;
  /**
   * Default `hinge`. `squared` (regression): samples i and i + samples / 2 are the two sides, labels +1 and -1, of one
   * error with weight hingeWeights_i, and `targets` are t_i, then -t_i.
   */
  readonly loss?: LossName;
  /** For `squared`: margins at which each side's error is zero, `[samples]`. */
  readonly targets?: Float64Array;
  /**
   * Samples that must keep a worst margin of 1 (math.md 4.4): their p_i has no upper end. Nonzero marks one, `[samples]`.
   */
  readonly required?: Uint8Array;
}

export interface Certificate {
  /** No network of any width has a smaller robust objective. */
  readonly lowerBound: number;
  /** Upper bounds of max h(u) and of max -h(u) over unit vectors; the bound is scaled when one exceeds beta. */
  readonly largest: number;
  readonly largestNegative: number;
  /** sum_i p_i before scaling. */
  readonly weightSum: number;
}

/** The certificate with what the trainer needs to go on: the matrices and the extreme directions. */
export interface DetailedCertificate extends Certificate {
  readonly extremes: SphereExtremes;
  /** a A, reused memory. */
  readonly moment: Float64Array;
  /** g and s above, reused memory. */
  readonly linear: Float64Array;
  readonly constant: number;
}

/** An attack on some samples with its weights, all in the order of `samples`, which ascend. */
export interface AttackPart {
  readonly samples: Int32Array;
  readonly weights: Float64Array;
  readonly attack: Attack;
}

/**
 * As the input of `lowerBound`; the points may be read block by block, and several attacks may share a sample: the sum of its
 * weights is what stays within its hinge weight.
 */
interface CertifierInput extends Omit<CertificateInput, "points" | "attack" | "weights" | keyof MoveOptions> {
  readonly points: NumericBatch | RowSource;
  readonly parts: readonly AttackPart[];
  /** What an attack may do; the ball when left out. */
  readonly set?: MoveSet | null;
}

/** What h(u) is made of, not yet bounded: linear in the weights as long as none is clipped. */
export interface DualMoments {
  /** a A `[d, d]`, g `[d]` and s above */
  readonly moment: Float64Array;
  readonly linear: Float64Array;
  readonly constant: number;
  /** sum_i p_i */
  readonly weightSum: number;
}

export interface Certifier {
  certify(input: CertifierInput): DetailedCertificate;
  /** The moments alone, in memory that the next call reuses. */
  moments(input: CertifierInput): DualMoments;
}

/**
 * Lower bound of min over all networks of sum_i hingeWeight_i max(0, 1 - worst margin_i) + beta sum_j |alpha_j|.
 * Recomputed from the data alone. Throws ShapeError, DataError or SettingError on misuse.
 */
export function lowerBound(input: CertificateInput, options: { kernels?: Kernels } = {}): Certificate {
  const [samples, d] = checkPoints(input.points, "points");
  checkSignLabels(input.labels, samples);
  checkNumber(input.radius, "radius", 0);
  checkNumber(input.beta, "beta", 0, true);
  for (const [name, values] of Object.entries({ weights: input.weights, hingeWeights: input.hingeWeights })) {
    if (values.length !== samples) {
      throw new ShapeError({ argument: name, expected: `${samples} values, one per sample`, received: values.length });
    }
    checkFinite(values, name);
  }
  const { basis, coordinates, variances, covariances, centre } = input.attack;
  const rank = basis ? basis.length / d : d;
  if (centre && (basis || variances || covariances || centre.length !== d)) {
    throw new ShapeError({
      argument: "attack.centre",
      expected: `${d} values and nothing else`,
      received: centre.length,
    });
  }
  if (covariances) {
    if (basis || covariances.length !== samples * d * d) {
      const expected = `${samples} x ${d} x ${d} values and no basis`;
      throw new ShapeError({ argument: "attack.covariances", expected, received: covariances.length });
    }
    checkFinite(covariances, "attack.covariances", d * d);
  }
  if (input.required && input.required.length !== samples) {
    const received = input.required.length;
    throw new ShapeError({ argument: "required", expected: `${samples} flags, one per sample`, received });
  }
  if (input.loss === "squared") {
    if (input.targets?.length !== samples || samples % 2 !== 0) {
      const expected = `${samples} values, for samples in pairs`;
      throw new ShapeError({ argument: "targets", expected, received: input.targets?.length ?? "none" });
    }
    checkFinite(input.targets, "targets");
  }
  for (const [name, values] of Object.entries({ coordinates, variances })) {
    if (!values || centre) continue;
    if (!Number.isInteger(rank) || values.length !== samples * rank || (name === "variances" && !basis)) {
      const expected = `${samples} x rank values and a basis of rank x ${d}`;
      throw new ShapeError({ argument: `attack.${name}`, expected, received: values.length });
    }
    checkFinite(values, `attack.${name}`, rank);
  }
  const set = moveSetOf(input, d, "input");
  const {
    lowerBound: bound,
    largest,
    largestNegative,
    weightSum,
  } = createCertifier(d, options.kernels ?? chooseKernels()).certify({ ...input, set, parts: [wholePart(input)] });
  return { lowerBound: bound, largest, largestNegative, weightSum };
}

/** One attack on every sample as a part. */
export function wholePart({ attack, weights }: Pick<CertificateInput, "attack" | "weights">): AttackPart {
  return { samples: everyRow(weights.length), weights, attack };
}

/** Reusable memory for certificates of one dimension; arguments are not checked again. */
export function createCertifier(dimension: number, kernels: Kernels): Certifier {
  return new MomentCertifier(dimension, kernels);
}

/** A class, so that it stays compiled from one fit to the next. */
class MomentCertifier implements Certifier {
  private readonly sphere: SphereSolver;
  private readonly linear: Float64Array;
  private readonly slope: Float64Array;
  private memory: AttackMemory;
  private exactSums: MomentSums | null = null;

  constructor(
    private readonly dimension: number,
    private readonly kernels: Kernels,
  ) {
    this.sphere = createSphereSolver(dimension, kernels);
    this.linear = new Float64Array(dimension);
    this.slope = new Float64Array(dimension);
    this.memory = allocate(kernels, dimension, 0);
  }

  moments(input: CertifierInput): DualMoments {
    const { moment, sums } = this.gather(input);
    return { moment, linear: this.linear, constant: sums.constant, weightSum: sums.weights };
  }

  certify(input: CertifierInput): DetailedCertificate {
    const { dimension: d, linear, slope } = this;
    const { hingeWeights, beta, activation, loss = "hinge", required, targets } = input;
    const { moment, weights, sums, precise, samples: n, shape } = this.gather(input);
    const { a, b, c } = activation;
    const { constant, weights: weightSum, squares: squareSum } = sums;
    const samples = Math.max(n, sums.entries);
    const extremes = this.sphere.solve(moment, slope, c * constant);
    // Rounding of the sums, as a bound on |h|: of each term, or with exact products only of what is left after cancellation.
    const sizes = a * squareSum + Math.abs(b) * Math.sqrt(squareSum * weightSum) + Math.abs(c) * weightSum;
    const steps = 4 * (samples + d + 16) * unitRoundoff;
    const left = length(moment) + length(slope) + Math.abs(c * constant);
    const summed = precise ? 32 * unitRoundoff * (d * left + steps * sizes) : steps * sizes;
    const error = summed + steps * a * sums.spreads;
    const largest = extremes.maximum.bound + error;
    const largestNegative = -extremes.minimum.bound + error;
    const dual = Math.max(largest, largestNegative);
    const value =
      loss === "squared"
        ? bestSquaredScaling(weights, hingeWeights, targets as Float64Array, beta / dual)
        : bestScaling(shape, weights, hingeWeights, required, weightSum, beta / dual);
    const bound = value * (1 - 4 * (samples + 8) * unitRoundoff);
    const lower = Number.isFinite(bound) ? Math.max(0, bound) : 0;
    return { lowerBound: lower, largest, largestNegative, weightSum, extremes, moment, linear, constant };
  }

  /** Sums over all parts into `memory.moment`, `linear` and `slope`. */
  private gather(input: CertifierInput) {
    const { dimension: d, linear, slope } = this;
    const { points, labels, radius, parts, hingeWeights, beta, activation, loss = "hinge" } = input;
    const { required, set = null } = input;
    const source = "gather" in points ? points : rowsOf(points);
    const n = source.samples;
    const shape = lossShape(loss);
    const weights = new Float64Array(n);
    for (const part of parts) addWeights(weights, part);
    const largestRank = Math.max(...parts.map(({ attack }) => (attack.basis ? attack.basis.length / d : 0)));
    if (largestRank > this.memory.rank) {
      this.memory = allocate(this.kernels, d, Math.max(largestRank, 2 * this.memory.rank));
    }
    const { memory } = this;
    const { moment } = memory;
    moment.fill(0);
    linear.fill(0);
    const { a, b } = activation;
    const cap = (i: number) => largestWeight(shape, hingeWeights, required, i);
    const exactly = !("gather" in points) && momentSumsPay(points.data, d, weights, cap, a, beta);
    const precise = exactly ? (this.exactSums ??= createMomentSums(d)) : null;
    precise?.clear();
    const sums = { constant: 0, weights: 0, squares: 0, spreads: 0, entries: 0 };
    const moments: Moments = { memory, source, labels, radius, linear, precise, sums, total: weights, cap, set };
    for (const part of parts) addPart(part, moments);
    if (precise) sums.constant = precise.addTo(moment, linear);
    scaleInto(moment, a, moment, d * d);
    scaleInto(slope, b, linear, d);
    return { moment, weights, sums, precise, samples: n, shape };
  }
}

function addWeights(total: Float64Array, { samples, weights }: AttackPart): void {
  for (let t = 0; t < samples.length; t++) total[samples[t]] += Math.max(0, weights[t]);
}

function scaleInto(target: Float64Array, factor: number, source: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) target[i] = factor * source[i];
}

/** What the moments of the parts are added to. */
interface Moments {
  readonly memory: ReturnType<typeof allocate>;
  readonly source: RowSource;
  readonly labels: SignLabels;
  readonly radius: number;
  /** g, `[features]` */
  readonly linear: Float64Array;
  readonly precise: MomentSums | null;
  readonly sums: { constant: number; weights: number; squares: number; spreads: number; entries: number };
  /** Weight of each sample over all parts, `[samples]`, and its most. */
  readonly total: Float64Array;
  readonly cap: (i: number) => number;
  readonly set: MoveSet | null;
}

/** Weight of entry t of a part, within the sample's allowance. */
function weightOf(part: AttackPart, t: number, { total, cap }: Moments): number {
  const i = part.samples[t];
  const most = cap(i);
  if (!(part.weights[t] > 0)) return 0;
  return total[i] > most ? most * (part.weights[t] / total[i]) : part.weights[t];
}

/** Adds the moments of one part. */
function addPart(part: AttackPart, moments: Moments): void {
  const { memory, source, labels, radius, linear, precise, sums, set } = moments;
  const { workspace, moment, rows, gathered } = memory;
  const d = linear.length;
  const { attack, samples } = part;
  const rank = attack.basis ? attack.basis.length / d : 0;
  if (attack.basis) loadBasis(memory, attack.basis, rank, d, set);
  const variances = attack.basis ? (attack.variances ?? null) : null;
  const full = attack.basis ? null : (attack.covariances ?? null);
  const covariances = full && set ? movingCovariances(full, set) : full;
  const metric = attackLength(set, covariances !== null);
  const spread = new Float64Array(rank);
  for (const sign of [1, -1]) {
    let next = 0;
    while (next < samples.length) {
      // Gather up to `block` rows of this class that carry weight.
      let count = 0;
      for (; next < samples.length && count < block; next++) {
        if (labels[samples[next]] !== sign || !(weightOf(part, next, moments) > 0)) continue;
        memory.samples[count] = samples[next];
        memory.active[count++] = next;
      }
      if (count === 0) continue;
      source.gather(memory.samples, 0, count, gathered);
      displace(memory, attack, count, d, rank, set);
      for (let t = 0; t < count; t++) {
        const i = memory.active[t];
        const p = weightOf(part, i, moments);
        const spreads = variances ?? covariances;
        const scale = pullBack(memory, t * d, i, d, radius, spreads, rank, metric);
        sums.squares += p * attackRow(memory, t * d, scale, precise ? 1 : Math.sqrt(p), linear, sign * p);
        precise?.add(rows, t * d, sign * p);
        if (variances) {
          for (let k = 0; k < rank; k++) {
            const variance = scale * scale * Math.max(0, variances[i * rank + k]);
            spread[k] += sign * p * variance;
            sums.spreads += 2 * p * variance;
          }
        }
        if (covariances) {
          const factor = sign * p * scale * scale;
          let trace = 0;
          for (let l = 0, at = i * d * d; l < d; l++) {
            trace += covariances[at + l * (d + 1)];
            for (let m = 0, q = at + l * d; m < d; m++, q++) moment[l * d + m] += factor * covariances[q];
          }
          sums.spreads += 2 * p * scale * scale * trace;
        }
        sums.constant += sign * p;
        sums.weights += p;
      }
      sums.entries += count;
      if (!precise) workspace.syrk(true, d, count, sign, rows, d, 1, moment, d);
    }
  }
  if (variances) addSpread(memory, spread, d, rank);
}

/** Writes `factor` times the attacked point into the rows, adds `share` times it to the linear part; returns its squared length. */
function attackRow(
  { gathered, moves, rows }: Moments["memory"],
  at: number,
  scale: number,
  factor: number,
  linear: Float64Array,
  share: number,
): number {
  let square = 0;
  for (let l = 0, q = at; l < linear.length; l++, q++) {
    const z = gathered[q] + scale * moves[q];
    rows[q] = factor * z;
    linear[l] += share * z;
    square += z * z;
  }
  return square;
}

function length(values: Float64Array): number {
  let square = 0;
  for (const value of values) square += value * value;
  return Math.sqrt(square);
}
