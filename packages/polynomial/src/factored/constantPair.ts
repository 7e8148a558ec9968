// What is optimal, or nearly, where the radius or the regulariser leave nothing to learn (pilot.md 0.6): a network that is almost
// constant, and attacks that make the two classes look alike. Where these two meet, no training is needed.
//   network:   pairs +-u of equal size along the directions in which the lighter class is short, sum of weights y / c:
//              y f >= 1 on the heavier class for every attack, y f about -1 on the lighter one
//   attacks:   `matchClasses`, with weights of equal total on both classes, the heavier one's then raised as far as the
//              certificate allows; tried on a sample first

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import { heavierExcess, type MatchedSamples, matchClasses, type SignedMoments } from "./matchClasses.js";
import type { ObjectiveProblem } from "./objective.js";
import { everyRow, spreadIndices } from "./rowSource.js";

/** Most pairs of neurons: with k pairs the adversary moves the score by a share a r^2 / (c k). */
const mostPairs = 20;
/** Samples that decide on the directions and on whether a match is possible. */
const sampleSize = 2048;
/** Weight of the heavier class that a match may choose from, in that of the lighter one. */
const spareWeight = +(process.env.SW ?? 4);

export interface ConstantPair {
  /** v_j `[count, d]` with one sign for all; empty when the activation has no constant part. */
  readonly vectors: Float64Array;
  readonly sign: number;
  /** The match of all samples; null where the ball is too small for it. */
  readonly attack: AttackPart | null;
  /** 1 for the samples of the heavier class, `[samples]`. */
  readonly heavier: Uint8Array;
}

export function constantPair(problem: ObjectiveProblem): ConstantPair {
  const { data, labels, hingeWeights, activation, radius } = problem;
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
  const all = withSpareWeight();
  const few = spreadIndices(all.length, Math.min(all.length, sampleSize)).map((t) => all[t]);
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
  const heavier = Uint8Array.from({ length: n }, (_, i) => (side(i) === lighter ? 0 : 1));
  return { vectors, sign: lighter === 1 ? -1 : 1, attack: match(), heavier };

  /** Second moments of the lighter class stay in `own`. */
  function signedMoments(indices: Int32Array, weights: Float64Array): SignedMoments {
    const means = [new Float64Array(d), new Float64Array(d)];
    own.fill(0);
    other.fill(0);
    for (let from = 0; from < indices.length; from += blockRows) {
      const size = Math.min(blockRows, indices.length - from);
      rows.gather(indices, from, size, points);
      for (const target of [0, 1]) {
        let held = 0;
        for (let t = 0; t < size; t++) {
          const p = weights[from + t];
          if (side(indices[from + t]) !== target || !(p > 0)) continue;
          const root = Math.sqrt(p);
          for (let l = 0; l < d; l++) {
            means[target][l] += p * points[t * d + l];
            block[held * d + l] = root * points[t * d + l];
          }
          held++;
        }
        if (held > 0) workspace.syrk(true, d, held, 1, block, d, 1, target === lighter ? own : other, d);
      }
    }
    const matrix = Float64Array.from(own, (value, i) => (lighter === 1 ? 1 : -1) * (value - other[i]));
    return { matrix, mean: means[1].map((value, l) => value - means[0][l]) };
  }

  /** All of the lighter class and an even choice of the heavier one that could weigh `spareWeight` times as much. */
  function withSpareWeight(): Int32Array {
    const share = Math.min(1, (spareWeight * lightest) / mass[1 - lighter]);
    let passed = 0;
    return everyRow(n).filter((i) => {
      if (side(i) === lighter) return true;
      passed += share;
      if (passed < 1 - 1e-9) return false;
      passed -= 1;
      return true;
    });
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

  function match(): AttackPart | null {
    if (!(radius > 0) || !(lightest > 0)) return null;
    const available = massOf(all);
    const room = available[1 - lighter] - lightest;
    const excess = Math.min(room, activation.c > 0 ? (heavierExcess * problem.beta) / activation.c : 0);
    const matched = (samples: Int32Array): MatchedSamples => {
      // Each side of some samples stands for that side of all.
      const own = massOf(samples);
      const most = (i: number) => (hingeWeights[i] * available[side(i)]) / (own[side(i)] || 1);
      return {
        samples,
        weights: levelled(samples, excess),
        largest: Float64Array.from(samples, most),
        lighter: lighter === 1 ? 1 : -1,
      };
    };
    const trial = matchClasses(problem, matched(few), moments);
    if (!trial || few.length === all.length) return trial;
    return matchClasses(problem, matched(all), signedMoments(all, levelled(all, 0)));
  }
}
