// Radii beyond all points, where the zero network is optimal by a closed form (math.md 7). The adversary moves every point to a cloud
// around the origin with mean 0 and second moments M I. With M = 0 for the heavier class of a pair and M = c (W_h - W_l) / (a W_l) for the
// lighter one (W: total weights; c < 0 the other way round) the signed moments of the pair cancel on every unit vector,
//   a u'(sum p y E[zz']) u + b u'(sum p y E[z]) + c sum p y = 0,
// so that all weights may be full and no network is below the zero one. It needs ||x||^2 + d M <= r^2 for every point.

import type { Activation } from "./activation.js";
import { blockRowsFor, everyRow, type RowSource } from "./factored/rowSource.js";
import type { SignLabels } from "./inputs.js";
import { type Neurons, quadraticFromNeurons } from "./quadratic.js";
import { unitRoundoff } from "./worstCase/rotatedForm.js";

/** Room for the rounding of the lengths. */
const safety = 1 + 1e-9;

/** Variance M of a cloud in every feature that makes each pair of classes cancel; Infinity where none does. */
export function cloudVariance(masses: Float64Array, { a, c }: Activation): number {
  let spread = 0;
  for (const one of masses) {
    for (const other of masses) {
      const [lighter, heavier] = [Math.min(one, other), Math.max(one, other)];
      const excess = (c / a) * (heavier - lighter);
      if (excess !== 0) spread = Math.max(spread, excess > 0 ? excess / lighter : -excess / heavier);
    }
  }
  return spread;
}

/** Whether a ball of this radius around every point holds such clouds. masses: weight of each class, `[classes]`. */
export function hidesAll(rows: RowSource, masses: Float64Array, radius: number, activation: Activation): boolean {
  const { samples, dimension: d } = rows;
  const room = radius * radius - d * cloudVariance(masses, activation) * safety;
  if (!(room >= 0)) return false;
  const block = Math.min(samples, blockRowsFor(d));
  const points = new Float64Array(block * d);
  const everything = everyRow(samples);
  for (let from = 0; from < samples; from += block) {
    const count = Math.min(block, samples - from);
    rows.gather(everything, from, count, points);
    for (let t = 0; t < count; t++) {
      let square = 0;
      for (let l = t * d; l < (t + 1) * d; l++) square += points[l] * points[l];
      if (!(square * safety <= room)) return false;
    }
  }
  return true;
}

/** Weight of the negative and of the positive class. */
export function classMasses(labels: SignLabels, weights: Float64Array): Float64Array {
  const masses = new Float64Array(2);
  for (let i = 0; i < weights.length; i++) masses[labels[i] > 0 ? 1 : 0] += weights[i];
  return masses;
}

/** The zero network with its hinge objective, which is optimal where `hidesAll`. */
export function zeroNetwork(weights: Float64Array, features: number, activation: Activation) {
  const neurons: Neurons = { directions: new Float64Array(0), weights: new Float64Array(0), activation };
  const loss = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    neurons,
    quadratic: quadraticFromNeurons(neurons, features),
    objective: { total: loss, loss, regulariser: 0 },
    lowerBound: roundedDown(loss, weights.length),
  };
}

/** A sum of `count` nonnegative terms, rounded down. */
export function roundedDown(sum: number, count: number): number {
  return sum * (1 - 4 * (count + 8) * unitRoundoff);
}
