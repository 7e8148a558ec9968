// Attack side of the worst case over a box cut with a ball: projected gradient steps with Barzilai-Borwein lengths. The projection
// is exact: clip(v / (1 + theta), lower, upper) with the least theta >= 0 for which it lies in the ball. What it reaches is attained.

import type { Quadratic } from "../quadratic.js";

export interface BallBoxDescent {
  /** Projects `move` `[d]` in place; false when box and ball do not meet. */
  project(move: Float64Array, lower: Float64Array, upper: Float64Array, radius: number): boolean;
  /** Improves the admissible `move` in place and returns y f(x + move). The sample starts at `at`. */
  improve(
    quadratic: Quadratic,
    point: ArrayLike<number>,
    at: number,
    label: number,
    lower: Float64Array,
    upper: Float64Array,
    radius: number,
    move: Float64Array,
  ): number;
}

const maximumSteps = 500;

export function createBallBoxDescent(d: number): BallBoxDescent {
  const gradient = new Float64Array(d);
  const trial = new Float64Array(d);
  const trialGradient = new Float64Array(d);

  function project(move: Float64Array, lower: Float64Array, upper: Float64Array, radius: number): boolean {
    const size = (scale: number) => {
      let square = 0;
      for (let k = 0; k < d; k++) square += Math.min(upper[k], Math.max(lower[k], move[k] * scale)) ** 2;
      return Math.sqrt(square);
    };
    let scale = 1;
    if (size(1) > radius) {
      if (size(0) > radius) return false;
      let [low, high] = [0, 1];
      for (let step = 0; step < 100 && high - low > 1e-16 * high; step++) {
        const middle = 0.5 * (low + high);
        if (size(middle) > radius) high = middle;
        else low = middle;
      }
      scale = low;
    }
    for (let k = 0; k < d; k++) move[k] = Math.min(upper[k], Math.max(lower[k], move[k] * scale));
    return true;
  }

  /** y f(x + D); writes y times the gradient. */
  function valueAt(
    { Q, q, s }: Quadratic,
    point: ArrayLike<number>,
    at: number,
    label: number,
    move: Float64Array,
    out: Float64Array,
  ) {
    let value = s;
    for (let k = 0; k < d; k++) {
      let row = 0;
      for (let l = 0, p = k * d; l < d; l++) row += Q[p + l] * (point[at + l] + move[l]);
      value += (row + q[k]) * (point[at + k] + move[k]);
      out[k] = label * (2 * row + q[k]);
    }
    return label * value;
  }

  return {
    project,
    improve(quadratic, point, at, label, lower, upper, radius, move) {
      let value = valueAt(quadratic, point, at, label, move, gradient);
      let size = 0;
      for (const entry of quadratic.Q) size += entry * entry;
      let slope = 0;
      for (const entry of gradient) slope += entry * entry;
      // No step need be much longer than the ball is wide.
      const steepest = Math.min(1 / (2 * Math.sqrt(size)), (4 * radius) / Math.sqrt(slope), Number.MAX_VALUE);
      let length = steepest;
      for (let step = 0; step < maximumSteps; step++) {
        let accepted = false;
        for (let attempt = 0; attempt < 40; attempt++) {
          for (let k = 0; k < d; k++) trial[k] = move[k] - length * gradient[k];
          project(trial, lower, upper, radius);
          const reached = valueAt(quadratic, point, at, label, trial, trialGradient);
          if (reached < value) {
            let moved = 0;
            let bent = 0;
            for (let k = 0; k < d; k++) {
              const t = trial[k] - move[k];
              moved += t * t;
              bent += t * (trialGradient[k] - gradient[k]);
            }
            const gained = value - reached;
            value = reached;
            move.set(trial);
            gradient.set(trialGradient);
            length = bent > 0 ? Math.min(1e6 * steepest, moved / bent) : 1e2 * steepest;
            accepted = gained > 1e-15 * (1 + Math.abs(value));
            break;
          }
          length *= length > steepest ? 0.2 : 0.5;
          if (length < 1e-6 * steepest) break;
        }
        if (!accepted) break;
      }
      return value;
    },
  };
}
