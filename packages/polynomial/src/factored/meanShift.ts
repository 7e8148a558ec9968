// Attacks found in a subspace B [k, d] leave what the classes' means differ by outside of it, and the certificate of all features often
// fails there alone. With p_i the weights of the attacks,
//   g = sum_i p_i y_i (x_i - B'B x_i),   delta = ||g|| / sum_i p_i,
//   D_i <- sqrt(1 - delta^2 / r^2) D_i - y_i delta g / ||g||
// takes the difference away and stays in the ball: a small part of the radius, where the subspace holds most of the variance.

import type { AttackPart } from "../certificate.js";
import type { ObjectiveProblem } from "./objective.js";

/** Largest share of the radius that may go into the shift. */
const mostShare = 0.3;

/** The attacks with the shift, in one direction more; the same where there is none to take. `basis`: orthonormal rows `[k, d]`. */
export function shiftMeans(
  { data, labels, radius }: ObjectiveProblem,
  parts: readonly AttackPart[],
  basis: Float64Array,
): readonly AttackPart[] {
  const { dimension: d, rows, buffers } = data;
  const { blockRows, points } = buffers;
  const direction = new Float64Array(d);
  let mass = 0;
  for (const { samples, weights } of parts) {
    for (let from = 0; from < samples.length; from += blockRows) {
      const count = Math.min(blockRows, samples.length - from);
      rows.gather(samples, from, count, points);
      for (let t = 0; t < count; t++) {
        const p = weights[from + t];
        if (!(p > 0)) continue;
        mass += p;
        addRow(direction, p * labels[samples[from + t]], points, t * d);
      }
    }
  }
  for (let j = 0; j * d < basis.length; j++) {
    let product = 0;
    for (let l = 0; l < d; l++) product += basis[j * d + l] * direction[l];
    addRow(direction, -product, basis, j * d);
  }
  const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
  const delta = length / mass;
  if (!(delta > 0 && delta <= mostShare * radius)) return parts;
  for (let l = 0; l < d; l++) direction[l] /= length;
  const left = Math.sqrt(1 - (delta / radius) ** 2);
  return parts.map(({ samples, weights, attack }) => {
    const own = attack.basis as Float64Array;
    const rank = own.length / d;
    const wider = new Float64Array(own.length + d);
    wider.set(own);
    wider.set(direction, own.length);
    const widened = (source: Float64Array, factor: number, last: (i: number) => number) => {
      const target = new Float64Array(samples.length * (rank + 1));
      for (let t = 0, p = 0, q = 0; t < samples.length; t++) {
        for (let k = 0; k < rank; k++) target[q++] = factor * source[p++];
        target[q++] = last(samples[t]);
      }
      return target;
    };
    const coordinates = widened(attack.coordinates, left, (i) => -labels[i] * delta);
    const variances = attack.variances ? widened(attack.variances, left * left, () => 0) : null;
    return { samples, weights, attack: { coordinates, basis: wider, variances } };
  });
}

/** target += factor * source[at ..]. */
function addRow(target: Float64Array, factor: number, source: Float64Array, at: number): void {
  for (let l = 0; l < target.length; l++) target[l] += factor * source[at + l];
}
