// What is optimal, or nearly, where the radius or the regulariser leave nothing to learn (pilot.md 0.6): a network that is almost
// constant, and attacks that make the two classes look alike. Where these two meet, no training is needed.
//   network:   pairs +-u of equal size along the directions in which the lighter class is short, sum of weights y / c:
//              y f >= 1 on the heavier class for every attack, y f about -1 on the lighter one
//   attacks:   `matchClasses`, with weights of equal total on both classes, the heavier one's then raised as far as the
//              certificate allows; tried on a sample first, in few directions, to which those are added that a certificate
//              finds unmatched

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import { differences, extendBasis, type SignedMoments } from "./classDifferences.js";
import { heavierExcess, matchClasses } from "./matchClasses.js";
import { type MatchedSamples, type Potential, widened } from "./matchSteps.js";
import type { ObjectiveProblem } from "./objective.js";
import { everyRow, spreadIndices } from "./rowSource.js";

/** Most pairs of neurons: with k pairs the adversary moves the score by a share a r^2 / (c k). */
const mostPairs = 20;
/** Samples that decide on the directions and on whether a match is possible. */
const sampleSize = 2048;
/** Weight of the heavier class that a match may choose from, in that of the lighter one. */
const spareWeight = 2.5;
/** Features up to which a match uses all directions; with more of them it starts in these, or in this share of those that fit. */
const fewFeatures = 64;
const firstDirections = 48;
const firstShare = 0.75;
/** Times directions are added. */
const extensions = 3;

/** What an attack that matches the classes is worth, and the directions `[d]` in which they still differ, worst first. */
export interface Verdict {
  readonly enough: boolean;
  readonly missing: readonly Float64Array[];
}

export interface ConstantPair {
  /** v_j `[count, d]` with one sign for all; empty when the activation has no constant part. */
  readonly vectors: Float64Array;
  readonly sign: number;
  /** The match, on all samples of the lighter class; null where the ball is too small for it. Ends with the first that is enough. */
  match(examine?: (part: AttackPart) => Verdict): AttackPart | null;
}

export function constantPair(problem: ObjectiveProblem): ConstantPair {
  const { data, labels, hingeWeights, activation, radius, set = null } = problem;
  const { samples: n, dimension: d, rows, buffers, kernels, maxNeurons } = data;
  const mass = [0, 0];
  const side = (i: number) => (labels[i] > 0 ? 1 : 0);
  for (let i = 0; i < n; i++) mass[side(i)] += hingeWeights[i];
  const lightest = Math.min(mass[0], mass[1]);
  const lighter = mass[1] <= mass[0] ? 1 : 0;
  const { blockRows, points } = buffers;
  const workspace = kernels.workspace(workspaceSize(blockRows * d, d * d, d * d, d));
  const block = workspace.float64(blockRows * d);
  const own = workspace.float64(d * d);
  const other = workspace.float64(d * d);
  const values = workspace.float64(d);
  const everything = everyRow(n);
  const few = spreadIndices(n, Math.min(n, sampleSize));
  const moments = signedMoments(few, levelled(few, 0));

  // Rows of the moment become its eigenvectors, shortest directions first.
  const failed = workspace.syevd(d, own, d, values) !== 0;
  const pairs = failed || !(activation.c > 0) ? 0 : Math.min(mostPairs, d, Math.floor(maxNeurons / 2));
  const vectors = new Float64Array(2 * pairs * d);
  const length = Math.sqrt(1 / (2 * pairs * activation.c));
  for (let j = 0; j < pairs; j++) {
    for (let l = 0; l < d; l++) {
      vectors[2 * j * d + l] = length * own[j * d + l];
      vectors[(2 * j + 1) * d + l] = -length * own[j * d + l];
    }
  }
  return { vectors, sign: lighter === 1 ? -1 : 1, match };

  /** Second moments of the lighter class stay in `own`. */
  function signedMoments(indices: Int32Array, weights: Float64Array): SignedMoments {
    const means = [new Float64Array(d), new Float64Array(d)];
    own.fill(0);
    other.fill(0);
    for (let from = 0; from < indices.length; from += blockRows) {
      const size = Math.min(blockRows, indices.length - from);
      rows.gather(indices, from, size, points);
      for (const target of [0, 1]) {
        const chosen = indices.subarray(from, from + size);
        const held = weighSide(chosen, weights.subarray(from), labels, target, points, block, means[target]);
        if (held > 0) workspace.syrk(true, d, held, 1, block, d, 1, target === lighter ? own : other, d);
      }
    }
    const matrix = lighter === 1 ? difference(own, other) : difference(other, own);
    return { matrix, mean: difference(means[1], means[0]) };
  }

  /**
   * All of the lighter class, and of the heavier one the samples with the highest scores, until they could weigh `spareWeight`
   * times as much.
   */
  function chosenBy(basis: Float64Array, { quadratic, linear }: Potential): Int32Array {
    const k = basis.length / d;
    const score = new Float64Array(n);
    const memory = kernels.workspace(workspaceSize(blockRows * d, k * d, blockRows * k, k * k, blockRows * k));
    const source = memory.float64(blockRows * d);
    const directions = memory.float64(k * d);
    const rotated = memory.float64(blockRows * k);
    const square = memory.float64(k * k);
    const along = memory.float64(blockRows * k);
    directions.set(basis);
    square.set(quadratic);
    for (let from = 0; from < n; from += blockRows) {
      const size = Math.min(blockRows, n - from);
      rows.gather(everything, from, size, source);
      memory.gemm(false, true, size, k, d, 1, source, d, directions, d, 0, rotated, k);
      memory.gemm(false, false, size, k, k, 1, rotated, k, square, k, 0, along, k);
      for (let t = 0; t < size; t++) {
        for (let l = 0; l < k; l++) score[from + t] += rotated[t * k + l] * (along[t * k + l] + linear[l]);
      }
    }
    const order = everything.filter((i) => side(i) !== lighter).sort((i, j) => score[j] - score[i]);
    let held = 0;
    const kept = Uint8Array.from({ length: n }, (_, i) => (side(i) === lighter ? 1 : 0));
    for (let t = 0; t < order.length && held < spareWeight * lightest; t++) {
      kept[order[t]] = 1;
      held += hingeWeights[order[t]];
    }
    return everything.filter((i) => kept[i] > 0);
  }

  /** Hinge weight of a side of some samples. */
  function massOf(indices: Int32Array): [number, number] {
    const sums: [number, number] = [0, 0];
    for (const i of indices) sums[side(i)] += hingeWeights[i];
    return sums;
  }

  /** Hinge weights of some samples, scaled to the lighter class's total on both sides, and `excess` more on the heavier. */
  function levelled(indices: Int32Array, excess: number): Float64Array {
    const sums = massOf(indices);
    const total = (own: number) => (own === lighter ? lightest : lightest + excess);
    return Float64Array.from(indices, (i) => (hingeWeights[i] * total(side(i))) / (sums[side(i)] || 1));
  }

  function match(examine: (part: AttackPart) => Verdict = () => ({ enough: false, missing: [] })): AttackPart | null {
    // A match moves every feature by a plain length.
    if (set || !(radius > 0) || !(lightest > 0)) return null;
    const accept = (part: AttackPart) => examine(part).enough;
    const whole = few.length === n;
    const first =
      d <= Math.min(fewFeatures, maxNeurons) ? d : Math.min(firstDirections, Math.ceil(firstShare * maxNeurons), d);
    const basis = differences(problem, moments, first);
    let members = matched(few, mass[1 - lighter]);
    let found = matchClasses(problem, members, { basis }, whole ? accept : undefined);
    if (found && !whole) {
      const all = chosenBy(basis, found.potential);
      members = matched(all, massOf(all)[1 - lighter]);
      const wider = extendBasis(basis, d, [signedMean(members)], maxNeurons);
      const k = wider.length / d;
      const { quadratic, linear } = found.potential;
      const potential = {
        quadratic: widened(widened(quadratic, first, k), 1, k * k),
        linear: widened(linear, 1, k),
      };
      found = matchClasses(problem, members, { basis: wider, potential }, accept);
    }
    for (let round = 0; found && !found.accepted; round++) {
      const { attack, weights } = found.part;
      const { enough, missing } = examine(found.part);
      if (enough || round === extensions) break;
      const present = attack.basis ?? basis;
      const wider = extendBasis(present, d, missing, maxNeurons);
      if (wider === present) break;
      const start = { basis: wider, moves: attack.coordinates };
      const next = matchClasses(problem, { ...members, weights }, start, accept);
      if (!next) break;
      found = next;
    }
    return found?.part ?? null;
  }

  /** Difference of the classes' means under the weights, `[d]`. */
  function signedMean({ samples, weights }: MatchedSamples): Float64Array {
    const mean = new Float64Array(d);
    for (let from = 0; from < samples.length; from += blockRows) {
      const size = Math.min(blockRows, samples.length - from);
      rows.gather(samples, from, size, points);
      for (let t = 0; t < size; t++) {
        const p = weights[from + t] * labels[samples[from + t]];
        for (let l = 0; l < d; l++) mean[l] += p * points[t * d + l];
      }
    }
    return mean;
  }

  /** Some samples as they stand for samples whose heavier class may weigh `available`. */
  function matched(samples: Int32Array, available: number): MatchedSamples {
    const excess = activation.c > 0 ? (heavierExcess * problem.beta) / activation.c : 0;
    const own = massOf(samples);
    const most = (i: number) => {
      const part = side(i);
      return (hingeWeights[i] * (part === lighter ? lightest : available)) / (own[part] || 1);
    };
    return {
      samples,
      weights: levelled(samples, Math.min(excess, available - lightest)),
      largest: Float64Array.from(samples, most),
      lighter: lighter === 1 ? 1 : -1,
    };
  }
}

/**
 * Of a block of samples with their points `[count, d]`, those of one side (1 for labels +1, else 0): sqrt(p_i) x_i into the front of
 * `rows`, p_i x_i added to the mean `[d]`. Returns how many there are.
 */
function weighSide(
  samples: Int32Array,
  weights: Float64Array,
  labels: Float64Array,
  side: number,
  points: Float64Array,
  rows: Float64Array,
  mean: Float64Array,
): number {
  const d = mean.length;
  let held = 0;
  for (let t = 0; t < samples.length; t++) {
    const p = weights[t];
    if (labels[samples[t]] > 0 !== side > 0 || !(p > 0)) continue;
    const root = Math.sqrt(p);
    for (let l = 0; l < d; l++) {
      mean[l] += p * points[t * d + l];
      rows[held * d + l] = root * points[t * d + l];
    }
    held++;
  }
  return held;
}

function difference(one: Float64Array, two: Float64Array): Float64Array {
  const result = new Float64Array(one.length);
  for (let i = 0; i < result.length; i++) result[i] = one[i] - two[i];
  return result;
}
