// Corrects the weights of a dual attack where rounding, not the method, keeps the lower bound away (points of very different
// sizes). At the optimum h(u_j) = +-beta for every neuron u_j of the network (solvers.md 4, dual polish); with points of size 1e4
// these sums cancel from 1e7 to beta, and the interior point leaves the last digits wrong. Weighted least squares:
//   minimise sum_i delta_i^2 / w_i   subject to   sum_i (p_i + delta_i) h_i(u_j) = s_j beta,   w_i = p_i (cap_i - p_i) / cap_i
//   h_i(u) = y_i (a ((u'z_i)^2 + u' C_i u) + b u'z_i + c)
// so only samples strictly inside their range move. Directions that come to violate |h| <= beta are added, a few times.

import type { Kernels } from "@worstcase/linalg";
import { type CertificateInput, createCertifier, wholePart } from "../certificate.js";
import { largestWeight } from "../dualScaling.js";
import { lossShape } from "../marginLoss.js";
import type { Neurons } from "../quadratic.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";

/** Neurons with less than this share of the mass are rounding, not optimal directions. */
const leastShare = 1e-6;
const rounds = 12;

/** Lower bound of the polished weights: any weights give a valid one, so the caller takes the best. `input.attack` has no basis. */
export function polishDual(input: CertificateInput, neurons: Neurons, kernels: Kernels): number {
  const [n, d] = [input.points.shape[0], input.points.shape[1] as number];
  const shape = lossShape(input.loss ?? "hinge");
  const attack = { ...input.attack, coordinates: Float64Array.from(input.attack.coordinates) };
  const covariances = attack.covariances ? Float64Array.from(attack.covariances) : null;
  const points = new Float64Array(n * d);
  for (let i = 0; i < n; i++) moveInside(i);
  const weights = Float64Array.from(input.weights);
  const cap = Float64Array.from(weights, (_, i) => largestWeight(shape, input.hingeWeights, input.required, i));
  for (let i = 0; i < n; i++) weights[i] = Math.min(Math.max(0, weights[i]), cap[i]);
  const certifier = createCertifier(d, kernels);
  const rows: Float64Array[] = [];
  const targets: number[] = [];
  const mass = neurons.weights.reduce((sum, alpha) => sum + Math.abs(alpha), 0);
  neurons.weights.forEach((alpha, j) => {
    if (Math.abs(alpha) > leastShare * mass) add(neurons.directions.subarray(j * d, (j + 1) * d), Math.sign(alpha));
  });
  let best = Number.NEGATIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    for (let repeat = 0; repeat < 3; repeat++) correct();
    const part = wholePart({ attack: { ...attack, covariances }, weights });
    const certificate = certifier.certify({ ...input, parts: [part] });
    const { lowerBound, extremes, largest, largestNegative } = certificate;
    if (round > 0 && !(lowerBound > best)) break;
    best = Math.max(best, lowerBound);
    if (largest <= input.beta && largestNegative <= input.beta) break;
    if (largest > input.beta) add(extremes.maximum.point, 1);
    if (largestNegative > input.beta) add(extremes.minimum.point, -1);
  }
  return best;

  /** Takes the attack on sample i as far inside its ball as the certificate wants it, so that it is used unchanged. */
  function moveInside(i: number): void {
    let [square, size] = [0, 0];
    for (let l = 0; l < d; l++) {
      square += attack.coordinates[i * d + l] ** 2;
      size += input.points.data[i * d + l] ** 2;
      if (covariances) square += Math.max(0, covariances[i * d * d + l * (d + 1)]);
    }
    const allowed = input.radius * (1 - 8 * (d + 8) * unitRoundoff) - 4 * unitRoundoff * Math.sqrt(size);
    const scale = Math.min(1, Math.max(0, allowed) / Math.sqrt(square));
    for (let l = 0; l < d; l++) {
      if (scale < 1) attack.coordinates[i * d + l] *= scale;
      points[i * d + l] = input.points.data[i * d + l] + attack.coordinates[i * d + l];
    }
    if (covariances && scale < 1) {
      for (let k = i * d * d; k < (i + 1) * d * d; k++) covariances[k] *= scale * scale;
    }
  }

  function add(u: Float64Array, sign: number): void {
    const { a, b, c } = input.activation;
    targets.push(sign * input.beta);
    rows.push(
      Float64Array.from(weights, (_, i) => {
        let [along, spread] = [0, 0];
        for (let l = 0; l < d; l++) {
          along += u[l] * points[i * d + l];
          if (!covariances) continue;
          let row = 0;
          for (let m = 0; m < d; m++) row += covariances[i * d * d + l * d + m] * u[m];
          spread += u[l] * row;
        }
        return input.labels[i] * (a * (along * along + spread) + b * along + c);
      }),
    );
  }

  function correct(): void {
    const free = weights.map((p, i) => (p > 0 && p < cap[i] ? p * (Number.isFinite(cap[i]) ? 1 - p / cap[i] : 1) : 0));
    const norms = rows.map((row) => Math.sqrt(row.reduce((sum, h, i) => sum + free[i] * h * h, 0)) || 1);
    const misses = rows.map((row, j) => (targets[j] - row.reduce((sum, h, i) => sum + weights[i] * h, 0)) / norms[j]);
    const gram = rows.map((one, j) =>
      rows.map((other, k) => one.reduce((sum, h, i) => sum + free[i] * h * other[i], 0) / (norms[j] * norms[k])),
    );
    for (let j = 0; j < rows.length; j++) gram[j][j] += 1e-13;
    const multipliers = solvePositive(gram, misses);
    if (!multipliers) return;
    for (let i = 0; i < n; i++) {
      let change = 0;
      for (let j = 0; j < rows.length; j++) change += (multipliers[j] * rows[j][i]) / norms[j];
      weights[i] = Math.min(Math.max(0, weights[i] + free[i] * change), cap[i]);
    }
  }
}

/** Cholesky solve of a small positive definite system; null when it is not. */
function solvePositive(matrix: number[][], right: number[]): number[] | null {
  const n = right.length;
  const factor = matrix.map((row) => row.slice());
  const x = right.slice();
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let value = factor[i][j];
      for (let k = 0; k < j; k++) value -= factor[i][k] * factor[j][k];
      if (i > j) factor[i][j] = value / factor[j][j];
      else if (value > 0) factor[j][j] = Math.sqrt(value);
      else return null;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] -= factor[i][k] * x[k];
    x[i] /= factor[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= factor[k][i] * x[k];
    x[i] /= factor[i][i];
  }
  return x;
}
