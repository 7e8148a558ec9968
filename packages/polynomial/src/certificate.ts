// A-posteriori lower bound of the optimal robust objective from any weights and any attack (math.md 7, solvers.md 2.1):
//   M = sum_i p_i y_i E[x x'] etc. over the attack of sample i,  h(u) = a u'Au + b g'u + c s,
//   A = sum p_i y_i (z_i z_i' + covariance_i),  g = sum p_i y_i z_i,  s = sum p_i y_i,  z_i = x_i + D_i,
//   LOWER BOUND = min(1, beta / max_{||u||=1} |h(u)|) * sum_i p_i   for 0 <= p_i <= hinge weight of sample i,
// valid when every attack stays in its ball: ||D_i||^2 + trace covariance_i <= r^2. Nothing else is assumed, so any iterate
// of any trainer gives a rigorous bound. Attacks that leave the ball by rounding are pulled back here.
// For another convex loss sum_i p_i becomes sum_i conjugate_i(p_i), maximised over the admissible scalings of p (math.md 7).

import { checkFinite, type NumericBatch, ShapeError } from "@worstcase/core";
import { chooseKernels, type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Activation } from "./activation.js";
import { bestScaling, bestSquaredScaling, largestWeight } from "./dualScaling.js";
import { checkNumber, checkPoints, checkSignLabels, type SignLabels } from "./inputs.js";
import { type LossName, lossShape } from "./marginLoss.js";
import { createMomentSums, type MomentSums, momentSumsPay } from "./momentSums.js";
import { createSphereSolver, type SphereExtremes } from "./sphere.js";
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
}

export interface CertificateInput {
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

export interface Certifier {
  certify(input: CertificateInput): DetailedCertificate;
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
  const { basis, coordinates, variances, covariances } = input.attack;
  const rank = basis ? basis.length / d : d;
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
    if (!values) continue;
    if (!Number.isInteger(rank) || values.length !== samples * rank || (name === "variances" && !basis)) {
      const expected = `${samples} x rank values and a basis of rank x ${d}`;
      throw new ShapeError({ argument: `attack.${name}`, expected, received: values.length });
    }
    checkFinite(values, `attack.${name}`, rank);
  }
  const {
    lowerBound: bound,
    largest,
    largestNegative,
    weightSum,
  } = createCertifier(d, options.kernels ?? chooseKernels()).certify(input);
  return { lowerBound: bound, largest, largestNegative, weightSum };
}

const block = 256;

/** Reusable memory for certificates of one dimension; arguments are not checked again. */
export function createCertifier(dimension: number, kernels: Kernels): Certifier {
  const d = dimension;
  const sphere = createSphereSolver(d, kernels);
  const linear = new Float64Array(d);
  const slope = new Float64Array(d);
  let memory = allocate(kernels, d, 0);
  let sums: MomentSums | null = null;

  return {
    certify({ points, labels, radius, attack, weights, hingeWeights, beta, activation, loss = "hinge", ...rest }) {
      const { required, targets } = rest;
      const samples = points.shape[0];
      const shape = lossShape(loss);
      const cap = (i: number) => largestWeight(shape, hingeWeights, required, i);
      const rank = attack.basis ? attack.basis.length / d : 0;
      if (rank > memory.rank) memory = allocate(kernels, d, Math.max(rank, 2 * memory.rank));
      const { workspace, moment, rows, moves } = memory;
      if (attack.basis) loadBasis(memory, attack.basis, rank, d);
      const variances = attack.basis ? (attack.variances ?? null) : null;
      const covariances = attack.basis ? null : (attack.covariances ?? null);
      const spread = new Float64Array(rank);
      const data = points.data;
      moment.fill(0);
      linear.fill(0);
      let constant = 0;
      let weightSum = 0;
      let squareSum = 0;
      let spreadSum = 0;
      const { a, b, c } = activation;
      const precise = momentSumsPay(data, d, weights, cap, a, beta) ? (sums ??= createMomentSums(d)) : null;
      precise?.clear();
      for (const sign of [1, -1]) {
        let next = 0;
        while (next < samples) {
          // Gather up to `block` rows of this class that carry weight.
          let count = 0;
          for (; next < samples && count < block; next++) {
            if (labels[next] === sign && Math.min(weights[next], cap(next)) > 0) memory.active[count++] = next;
          }
          if (count === 0) continue;
          displace(memory, attack, count, d, rank);
          for (let t = 0; t < count; t++) {
            const i = memory.active[t];
            const p = Math.min(weights[i], cap(i));
            const scale = pullBack(
              memory,
              t * d,
              data,
              i,
              d,
              radius,
              variances ?? covariances,
              rank,
              covariances !== null,
            );
            const root = Math.sqrt(p);
            for (let l = 0; l < d; l++) {
              const z = data[i * d + l] + scale * moves[t * d + l];
              rows[t * d + l] = precise ? z : root * z;
              linear[l] += sign * p * z;
              squareSum += p * z * z;
            }
            precise?.add(rows, t * d, sign * p);
            if (variances) {
              for (let k = 0; k < rank; k++) {
                const variance = scale * scale * Math.max(0, variances[i * rank + k]);
                spread[k] += sign * p * variance;
                spreadSum += 2 * p * variance;
              }
            }
            if (covariances) {
              const factor = sign * p * scale * scale;
              let trace = 0;
              for (let l = 0, at = i * d * d; l < d; l++) {
                trace += covariances[at + l * (d + 1)];
                for (let m = 0, q = at + l * d; m < d; m++, q++) moment[l * d + m] += factor * covariances[q];
              }
              spreadSum += 2 * p * scale * scale * trace;
            }
            constant += sign * p;
            weightSum += p;
          }
          if (!precise) workspace.syrk(true, d, count, sign, rows, d, 1, moment, d);
        }
      }
      if (variances) addSpread(memory, spread, d, rank);
      if (precise) constant = precise.addTo(moment, linear);
      for (let i = 0; i < d * d; i++) moment[i] *= a;
      for (let l = 0; l < d; l++) slope[l] = b * linear[l];
      const extremes = sphere.solve(moment, slope, c * constant);
      // Rounding of the sums, as a bound on |h|: of each term, or with exact products only of what is left after cancellation.
      const sizes = a * squareSum + Math.abs(b) * Math.sqrt(squareSum * weightSum) + Math.abs(c) * weightSum;
      const steps = 4 * (samples + d + 16) * unitRoundoff;
      const left = length(moment) + length(slope) + Math.abs(c * constant);
      const summed = precise ? 32 * unitRoundoff * (d * left + steps * sizes) : steps * sizes;
      const error = summed + steps * a * spreadSum;
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
    },
  };
}

function length(values: Float64Array): number {
  let square = 0;
  for (const value of values) square += value * value;
  return Math.sqrt(square);
}

interface Memory {
  readonly rank: number;
  readonly workspace: Workspace;
  readonly moment: Float64Array;
  readonly rows: Float64Array;
  readonly moves: Float64Array;
  readonly basis: Float64Array;
  readonly scaledBasis: Float64Array;
  readonly coordinates: Float64Array;
  readonly product: Float64Array;
  /** Squared lengths of the basis rows. */
  readonly squares: Float64Array;
  /** Sample indices of the rows in the present block. */
  readonly active: Int32Array;
}

function allocate(kernels: Kernels, d: number, rank: number): Memory {
  const spreading = rank > 0 ? d * d : 0;
  const sizes = [d * d, block * d, block * d, rank * d, rank * d, block * rank, spreading];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [moment, rows, moves, basis, scaledBasis, coordinates, product] = sizes.map((size) => workspace.float64(size));
  const [squares, active] = [new Float64Array(rank), new Int32Array(block)];
  return { rank, workspace, moment, rows, moves, basis, scaledBasis, coordinates, product, squares, active };
}

function loadBasis(memory: Memory, source: Float64Array, rank: number, d: number): void {
  memory.basis.set(source);
  for (let k = 0; k < rank; k++) {
    memory.squares[k] = 0;
    for (let l = 0; l < d; l++) memory.squares[k] += source[k * d + l] ** 2;
  }
}

/** moves <- displacements of the active rows, `[count, d]`. */
function displace(memory: Memory, attack: Attack, count: number, d: number, rank: number): void {
  const { workspace, active, moves, coordinates, basis } = memory;
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
function pullBack(
  memory: Memory,
  at: number,
  data: Float32Array | Float64Array,
  sample: number,
  d: number,
  radius: number,
  spread: Float64Array | null,
  rank: number,
  full: boolean,
): number {
  if (radius === 0) return 0;
  const { moves, squares } = memory;
  let square = 0;
  let size = 0;
  for (let l = 0; l < d; l++) {
    square += moves[at + l] * moves[at + l];
    size += data[sample * d + l] * data[sample * d + l];
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
function addSpread(memory: Memory, spread: Float64Array, d: number, rank: number): void {
  const { workspace, basis, scaledBasis, product, moment } = memory;
  if (rank === 0) return;
  for (let k = 0; k < rank; k++) {
    for (let l = 0; l < d; l++) scaledBasis[k * d + l] = spread[k] * basis[k * d + l];
  }
  workspace.gemm(true, false, d, d, rank, 1, scaledBasis, d, basis, d, 0, product, d);
  for (let i = 0; i < d * d; i++) moment[i] += product[i];
}
