// Worst cases over an ellipsoid D = L z, ||z|| <= r (math.md 12.4): in the coordinates x = L t it is a ball again.
//   f(L t) has Q~ = L'QL and q~ = L'q; points t = L^-1 x by forward substitution.   L: lower triangular, `[d, d]`

import { checkFinite, DataError, type NumericBatch, ShapeError } from "@worstcase/core";
import { type Quadratic, quadraticFromNeurons } from "./quadratic.js";

/** Throws ShapeError or DataError unless L is `[d, d]`, finite, lower triangular with a positive diagonal. */
export function checkEllipsoid(shape: Float64Array, d: number, argument = "options.ellipsoid"): void {
  if (shape.length !== d * d) {
    throw new ShapeError({ argument, expected: `${d} x ${d} values`, received: shape.length });
  }
  checkFinite(shape, argument, d);
  for (let k = 0; k < d; k++) {
    const hint = "pass the Cholesky factor L of the covariance, row-major, zeros above the diagonal";
    const diagonal = shape[k * d + k];
    if (!(diagonal > 0)) {
      throw new DataError({ argument: `${argument}[${k}, ${k}]`, expected: "> 0", received: diagonal, hint });
    }
    for (let l = k + 1; l < d; l++) {
      const above = shape[k * d + l];
      if (above !== 0)
        throw new DataError({ argument: `${argument}[${k}, ${l}]`, expected: "0", received: above, hint });
    }
  }
}

/** The quadratic in the coordinates t with x = L t. */
export function quadraticInEllipsoid(quadratic: Quadratic, shape: Float64Array): Quadratic {
  const { dimension: d, Q, q, s, neurons } = quadratic;
  if (neurons) {
    const directions = timesShape(neurons.directions, shape, neurons.weights.length, d);
    return quadraticFromNeurons({ ...neurons, directions }, d);
  }
  const half = timesShape(Q, shape, d, d);
  // half = Q L, so Q~ = L' half = (half' L)', and Q~ is symmetric.
  const transposed = new Float64Array(d * d);
  for (let k = 0; k < d; k++) for (let l = 0; l < d; l++) transposed[l * d + k] = half[k * d + l];
  const full = timesShape(transposed, shape, d, d);
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < k; l++) {
      const mean = 0.5 * (full[k * d + l] + full[l * d + k]);
      full[k * d + l] = mean;
      full[l * d + k] = mean;
    }
  }
  return { dimension: d, Q: full, q: timesShape(q, shape, 1, d), s };
}

/** t = L^-1 x for every point, `[samples, d]`. */
export function pointsInEllipsoid(points: NumericBatch, shape: Float64Array): NumericBatch {
  const [samples, d] = points.shape as [number, number];
  const data = new Float64Array(samples * d);
  for (let i = 0; i < samples; i++) {
    for (let k = 0, row = i * d; k < d; k++) {
      let rest = points.data[row + k];
      for (let l = 0; l < k; l++) rest -= shape[k * d + l] * data[row + l];
      data[row + k] = rest / shape[k * d + k];
    }
  }
  return { data, shape: [samples, d] };
}

/** rows * L, `[count, d]`. */
function timesShape(rows: Float64Array, shape: Float64Array, count: number, d: number): Float64Array {
  const result = new Float64Array(count * d);
  for (let j = 0; j < count; j++) {
    for (let k = 0; k < d; k++) {
      const value = rows[j * d + k];
      if (value !== 0) for (let l = 0; l <= k; l++) result[j * d + l] += value * shape[k * d + l];
    }
  }
  return result;
}
