// Attack side of the box problem (math.md 12.2): exact minimisation over one coordinate at a time. A coordinate with
// positive curvature moves to its stationary point, cut to the box; any other to the better end. Monotone; stops when a
// whole sweep gains nothing. The result is attained, so it is an upper bound of the worst case.

import type { Quadratic } from "../quadratic.js";

export interface CoordinateDescent {
  /**
   * Improves `move` `[d]` in place inside lower .. upper and returns y f(x + move). Allocates nothing.
   * point: the sample starts at `at`. Q as of `symmetrised`.
   */
  improve(
    quadratic: Quadratic,
    point: ArrayLike<number>,
    at: number,
    label: number,
    lower: Float64Array,
    upper: Float64Array,
    move: Float64Array,
  ): number;
}

const maximumSweeps = 200;

export function createCoordinateDescent(d: number): CoordinateDescent {
  const gradient = new Float64Array(d);
  return {
    improve({ Q, q, s }, point, at, label, lower, upper, move) {
      // Half gradient of y f at x + move, kept up to date.
      for (let k = 0; k < d; k++) {
        move[k] = Math.min(upper[k], Math.max(lower[k], move[k]));
      }
      for (let k = 0; k < d; k++) {
        let row = 0.5 * q[k];
        for (let l = 0, p = k * d; l < d; l++) row += Q[p + l] * (point[at + l] + move[l]);
        gradient[k] = label * row;
      }
      for (let sweep = 0; sweep < maximumSweeps; sweep++) {
        let gained = 0;
        for (let k = 0; k < d; k++) {
          if (!(upper[k] > lower[k])) continue;
          const curvature = label * Q[k * d + k];
          const here = move[k];
          // Change of y f when the coordinate moves by t: t (2 gradient + curvature t).
          let best = here;
          let change = 0;
          const offer = (candidate: number) => {
            const t = candidate - here;
            const value = t * (2 * gradient[k] + curvature * t);
            if (value < change) {
              change = value;
              best = candidate;
            }
          };
          offer(lower[k]);
          offer(upper[k]);
          if (curvature > 0) offer(Math.min(upper[k], Math.max(lower[k], here - gradient[k] / curvature)));
          if (best === here) continue;
          const t = best - here;
          move[k] = best;
          gained -= change;
          const signed = label * t;
          for (let l = 0, p = k * d; l < d; l++) gradient[l] += signed * Q[p + l];
        }
        if (!(gained > 1e-15)) break;
      }
      let value = s;
      for (let k = 0; k < d; k++) {
        let row = q[k];
        for (let l = 0, p = k * d; l < d; l++) row += Q[p + l] * (point[at + l] + move[l]);
        value += row * (point[at + k] + move[k]);
      }
      return label * value;
    },
  };
}
