// The objective of the joint trainer and its gradient: neuron j is one vector v_j with sign s_j and block c_j, and
//   F(v) = sum_i kappa_i loss_i(1 - w) + beta sum_j ||v_j||^2
//   grad_j = -s_j (2 a A v_j + b (||v_j|| g + (g'v_j) v_j/||v_j||) + 2 c s v_j) + 2 beta v_j
// with the moments (A, g, s) of block c_j under the loss's dual weights at the worst attacks (Danskin).

import type { Adversary, AttackSmoothing, BlockMoment, DirectionSet, FactoredNetwork } from "./adversary.js";
import { allocateMoment } from "./adversary.js";
import { evaluateRows, type RowLoss } from "./rowLoss.js";

export interface JointObjective {
  /** Margins of the last evaluation, `[rows]`; +Infinity for rows the adversary was told to leave out. */
  readonly margins: Float64Array;
  /** Moments of the last gradient or of the certificate, one per block. */
  readonly moments: readonly BlockMoment[];
  readonly evaluations: number;
  /** Value at this hinge width (0: exact) and smoothing of the worst case; writes the gradient `[count, d]` when given. */
  evaluate(
    network: FactoredNetwork,
    width: number,
    smoothing: AttackSmoothing | null,
    gradient: Float64Array | null,
  ): number;
}

/** Features above which forming second moments costs more than applying them to the neurons. */
const manyFeatures = 128;

export function createJointObjective(
  adversary: Adversary,
  directions: DirectionSet,
  loss: RowLoss,
  kappa: Float64Array,
  beta: number,
  applied = adversary.dimension > manyFeatures,
): JointObjective {
  const { dimension: d, blocks, samples, rowsPerSample: k, activation } = adversary;
  const margins = new Float64Array(samples * k);
  const slacks = new Float64Array(samples * k);
  const weights = new Float64Array(samples * k);
  const moments = Array.from({ length: blocks }, () => allocateMoment(d));
  let products = new Float64Array(d);
  let evaluations = 0;
  return {
    margins,
    moments,
    get evaluations() {
      return evaluations;
    },
    evaluate(network, width, smoothing, gradient) {
      evaluations++;
      if (!adversary.attack(network, margins, smoothing)) return Number.POSITIVE_INFINITY;
      const { vectors, signs, blocks: owners, count } = network;
      for (let r = 0; r < margins.length; r++) slacks[r] = 1 - margins[r];
      let total = evaluateRows(loss, slacks, k, kappa, width, weights);
      for (let i = 0; i < count * d; i++) total += beta * vectors[i] * vectors[i];
      if (!gradient) return total;
      if (!Number.isFinite(total)) return Number.POSITIVE_INFINITY;
      const applies = applied && adversary.applyMoments !== undefined;
      if (products.length < count * d) products = new Float64Array(count * d);
      if (applies) adversary.applyMoments?.(weights, network, products, moments);
      else adversary.moments(weights, false, moments);
      const { a, b, c } = activation;
      for (let j = 0; j < count; j++) {
        const { matrix, linear, constant } = moments[owners[j]];
        const v = vectors.subarray(j * d, (j + 1) * d);
        let square = 0;
        let along = 0;
        for (let l = 0; l < d; l++) {
          square += v[l] * v[l];
          along += linear[l] * v[l];
          if (applies) continue;
          let sum = 0;
          for (let m = 0, p = l * d; m < d; m++) sum += matrix[p + m] * v[m];
          products[j * d + l] = sum;
        }
        const length = Math.sqrt(square);
        const own = -signs[j] * ((length > 0 ? (b * along) / length : 0) + 2 * c * constant) + 2 * beta;
        for (let l = 0; l < d; l++) {
          // A sparse neuron stays in the support it was made with.
          const still = directions.sparse && v[l] === 0;
          gradient[j * d + l] = still
            ? 0
            : -signs[j] * (2 * a * products[j * d + l] + b * length * linear[l]) + own * v[l];
        }
      }
      return total;
    },
  };
}
