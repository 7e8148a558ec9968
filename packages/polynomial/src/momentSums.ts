// Sums of weighted moments with twice the digits of float64, for certificates of badly scaled points: at the optimum
//   A = sum_i w_i z_i z_i',  g = sum_i w_i z_i,  s = sum_i w_i   (w signed)
// cancel to the size of beta, however large the points are; plain sums leave an error of the size of the largest term.
// Products are split exactly (Dekker), sums are carried as an unevaluated pair high + low (Knuth).

import { unitRoundoff } from "./worstCase/rotatedForm.js";

export interface MomentSums {
  clear(): void;
  /** Adds weight times the moments of z = rows[at .. at + d]. */
  add(rows: Float64Array, at: number, weight: number): void;
  /** moment += A `[d, d]`, linear <- g `[d]`; returns s. */
  addTo(moment: Float64Array, linear: Float64Array): number;
}

/** Share of beta that rounding may take before exact products are used, and how many of them are worth it. */
const tolerated = 1e-9;
const mostProducts = 3e7;

/** Whether the rounding of plain sums could be seen in the bound. data `[samples, d]`. */
export function momentSumsPay(
  data: Float32Array | Float64Array,
  d: number,
  weights: Float64Array,
  cap: (i: number) => number,
  a: number,
  beta: number,
): boolean {
  let size = 0;
  let active = 0;
  for (let i = 0; i < weights.length; i++) {
    const p = Math.min(weights[i], cap(i));
    if (!(p > 0)) continue;
    active++;
    for (let l = i * d; l < (i + 1) * d; l++) size += p * data[l] * data[l];
  }
  if (active * d * d > mostProducts) return false;
  return 4 * (weights.length + d + 16) * unitRoundoff * a * size > tolerated * beta;
}

const splitter = 2 ** 27 + 1;

export function createMomentSums(d: number): MomentSums {
  // lower triangle row by row, then g, then s
  const count = (d * (d + 1)) / 2 + d + 1;
  const high = new Float64Array(count);
  const low = new Float64Array(count);

  function accumulate(k: number, value: number, rest: number): void {
    const before = high[k];
    const sum = before + value;
    const shadow = sum - before;
    low[k] += before - (sum - shadow) + (value - shadow) + rest;
    high[k] = sum;
  }

  /** Rounding error of the product x y, given its rounded value. */
  function productError(x: number, y: number, product: number): number {
    const cx = splitter * x;
    const xh = cx - (cx - x);
    const xl = x - xh;
    const cy = splitter * y;
    const yh = cy - (cy - y);
    const yl = y - yh;
    return xl * yl - (product - xh * yh - xl * yh - xh * yl);
  }

  return {
    clear() {
      high.fill(0);
      low.fill(0);
    },

    add(rows, at, weight) {
      let k = 0;
      for (let l = 0; l < d; l++) {
        const z = rows[at + l];
        const product = weight * z;
        const rest = productError(weight, z, product);
        for (let m = 0; m <= l; m++, k++) {
          const other = rows[at + m];
          const value = product * other;
          accumulate(k, value, productError(product, other, value) + rest * other);
        }
        accumulate(count - 1 - d + l, product, rest);
      }
      accumulate(count - 1, weight, 0);
    },

    addTo(moment, linear) {
      let k = 0;
      for (let l = 0; l < d; l++) {
        for (let m = 0; m <= l; m++, k++) {
          const value = high[k] + low[k];
          moment[l * d + m] += value;
          if (m < l) moment[m * d + l] += value;
        }
      }
      for (let l = 0; l < d; l++) linear[l] = high[count - 1 - d + l] + low[count - 1 - d + l];
      return high[count - 1] + low[count - 1];
    },
  };
}
