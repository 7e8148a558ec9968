// Means of dual points (math.md 7): the set of (weights, attacks) behind a lower bound is convex in the moments they make, so the mean of
// two rounds' is a dual point as well, with two attacks a row. Where attacks tie no single one a row is optimal, and the bound of
// one round stays below the optimum; that of the means does not. Moments are linear, so a mean costs one bound, whatever the samples.

import { unitRoundoff } from "../worstCase/rotatedForm.js";
import { allocateMoment, type BlockMoment } from "./adversary.js";

/** Golden-section steps between two dual points and points kept; few of both where the bound of one takes long. */
const [steps, kept] = [6, 12];
const [fewSteps, fewKept] = [2, 1];
const manyFeatures = 64;
/** Less than any rounding of the mass. */
const safely = 1 - 8 * unitRoundoff;

interface DualPoint {
  mass: number;
  readonly blocks: readonly BlockMoment[];
}

export interface DualMeans {
  /** Mixes a round's moments and sum of weights into the best mean so far; its lower bound. */
  add(blocks: readonly BlockMoment[], mass: number): number;
}

export function createDualMeans(
  d: number,
  blockCount: number,
  boundOf: (blocks: readonly BlockMoment[], mass: number) => number,
): DualMeans {
  const [most, searches] = d > manyFeatures ? [fewKept, fewSteps] : [kept, steps];
  const make = (): DualPoint => ({ mass: 0, blocks: Array.from({ length: blockCount }, () => allocateMoment(d)) });
  const points: DualPoint[] = [];
  let best: DualPoint | null = null;
  let former: DualPoint;
  let trial: DualPoint;
  let bound = 0;
  let next = 0;

  /** The best point between `best` and another takes its place. */
  function approach(mean: DualPoint, other: DualPoint): void {
    const at = (share: number): number => {
      copy(trial, mean);
      mix(trial, share, other);
      return boundOf(trial.blocks, trial.mass);
    };
    let [low, high, found] = [0, 1, 0];
    for (let step = 0; step < searches; step++) {
      const [one, two] = [low + 0.382 * (high - low), low + 0.618 * (high - low)];
      const [first, second] = [at(one), at(two)];
      if (first > bound) [bound, found] = [first, one];
      if (second > bound) [bound, found] = [second, two];
      if (first > second) high = two;
      else low = one;
    }
    if (found > 0) mix(mean, found, other);
  }

  return {
    add(blocks, mass) {
      const present = points[next] ?? make();
      points[next] = present;
      next = (next + 1) % most;
      copy(present, { mass, blocks });
      const alone = boundOf(blocks, mass);
      if (best === null) {
        [best, former, trial] = [make(), make(), make()];
        copy(best, present);
        bound = alone;
        return bound;
      }
      if (alone > bound) {
        copy(former, best);
        copy(best, present);
        bound = alone;
        approach(best, former);
      }
      for (const point of points) approach(best, point);
      return bound;
    },
  };
}

function copy(target: DualPoint, source: DualPoint): void {
  target.mass = source.mass;
  target.blocks.forEach((one, c) => {
    const { matrix, linear, constant, squares, mass, rows } = source.blocks[c];
    one.matrix.set(matrix);
    one.linear.set(linear);
    Object.assign(one, { constant, squares, mass, rows });
  });
}

/** target <- (1 - share) target + share source */
function mix(target: DualPoint, share: number, source: DualPoint): void {
  target.mass = (target.mass + share * (source.mass - target.mass)) * safely;
  target.blocks.forEach((one, c) => {
    const two = source.blocks[c];
    for (let i = 0; i < one.matrix.length; i++) one.matrix[i] += share * (two.matrix[i] - one.matrix[i]);
    for (let l = 0; l < one.linear.length; l++) one.linear[l] += share * (two.linear[l] - one.linear[l]);
    one.constant += share * (two.constant - one.constant);
    one.squares += share * (two.squares - one.squares);
    one.mass += share * (two.mass - one.mass);
    // what mixing rounds, counted as rows
    one.rows = Math.max(one.rows, two.rows) + 4;
  });
}
