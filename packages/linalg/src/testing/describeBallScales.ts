// Minima of separable quadratics over balls against bisection of the secular equation, a slower method that needs no derivative, no
// start and no other row: rows of very different scale in one call, near-hard rows among plain ones, tiny and huge radii.
//   with a_k = h_k x_k + l_k / 2, g_k = y h_k - lowest: the root of sum_k a_k^2 / (g_k + delta)^2 = r^2 over delta >= max(lowest, 0)

import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";

/** The dual value of one row and the sum of its terms in size. All sums are relative to a and r, so nothing overflows. */
function bisect(
  x: Float64Array,
  h: Float64Array,
  l: Float64Array,
  sign: number,
  r: number,
): [value: number, size: number] {
  const n = h.length;
  const lowest = sign > 0 ? h[0] : -h[n - 1];
  const a = Array.from(h, (curvature, k) => curvature * x[k] + 0.5 * l[k]);
  const gaps = Array.from(h, (curvature) => sign * curvature - lowest);
  const reach = (delta: number) => Math.hypot(...a.map((v, k) => (v === 0 ? 0 : v / (gaps[k] + delta) / r)));
  let low = Math.max(lowest, 0);
  if (reach(low) > 1) {
    let high = low + Math.hypot(...a) / r;
    low = Math.max(low, 1e-320);
    // the root may lie many powers of ten from either end: halve exponents while they differ, then numbers
    for (let step = 0; step < 400; step++) {
      const middle = high > 4 * low ? Math.sqrt(low) * Math.sqrt(high) : low + 0.5 * (high - low);
      if (reach(middle) > 1) low = middle;
      else high = middle;
    }
  }
  let value = -(low - lowest) * r * r;
  let size = Math.abs(value);
  for (let k = 0; k < n; k++) {
    const score = sign * x[k] * (h[k] * x[k] + l[k]);
    const loss = a[k] === 0 ? 0 : a[k] * (a[k] / (gaps[k] + low));
    value += score - loss;
    size += Math.abs(score) + loss;
  }
  return [value, size];
}

function compare(
  kernels: Kernels,
  rows: Float64Array[],
  h: Float64Array,
  l: Float64Array,
  signs: readonly number[],
  radius: number,
  tolerance: number,
): void {
  const n = h.length;
  const count = rows.length;
  const sizes = [count * n, n, n, 1, count, 3 * n + 24, count, count];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [x, curvatures, slopes, constants, y, work, values, multipliers] = sizes.map((size) => workspace.float64(size));
  rows.forEach((row, i) => {
    x.set(row, i * n);
  });
  curvatures.set(h);
  slopes.set(l);
  y.set(signs);
  workspace.ballMinima({
    ...{ rows: count, n, x, ldx: n, h: curvatures, l: slopes, ldl: 0, constants, perSampleConstants: false, signs: y },
    ...{ radius, tolerance, work, values, multipliers, ldm: n },
  });
  rows.forEach((row, i) => {
    const [value, size] = bisect(row, h, l, signs[i], radius);
    expect(Math.abs(values[i] - value) / size, `row ${i}, radius ${radius}: ${values[i]} for ${value}`).toBeLessThan(
      1e-12,
    );
  });
}

export function describeBallScales(kernels: Kernels): void {
  describe("minima over balls against bisection", () => {
    test.each([1, 5, 16, 30, 67])("rows of very different scale in one call, %i coordinates", (n) => {
      const rng = createRng(n);
      for (let round = 0; round < 6; round++) {
        const h = Float64Array.from({ length: n }, () => rng.normal()).sort();
        const l = Float64Array.from({ length: n }, () => rng.normal());
        // large rows first and in between: what is carried from row to row must not spoil the next
        const rows = [1e60, 1, 1e-3, 1e-60, 1e20, 1e-20, 1, 1e100, 1, 1e-100, 1].map((scale) =>
          Float64Array.from({ length: n }, () => scale * rng.normal()),
        );
        const signs = rows.map((_, i) => ((i + round) % 3 === 0 ? -1 : 1));
        for (const radius of [1e-3, 1, 30])
          for (const tolerance of [1e-5, 1e-13]) compare(kernels, rows, h, l, signs, radius, tolerance);
      }
    });

    test.each([5, 40])("tiny and huge radii, curvatures and slopes, %i coordinates", (n) => {
      const rng = createRng(100 + n);
      for (const radius of [1e-150, 1e-120, 1e-80, 1e-30, 1e-8, 1e8, 1e30, 1e80, 1e120]) {
        for (const scale of [1e-40, 1, 1e40]) {
          const h = Float64Array.from({ length: n }, () => scale * rng.normal()).sort();
          const l = Float64Array.from({ length: n }, () => scale * rng.normal());
          // every other row lies at the origin, where the score is 0 and the value all the ball's
          const rows = Array.from({ length: 6 }, (_, i) =>
            Float64Array.from({ length: n }, () => (i % 2) * rng.normal()),
          );
          compare(kernels, rows, h, l, [1, -1, -1, 1, 1, -1], radius, 1e-5);
        }
      }
    });

    test.each([8, 33])("near-hard rows among plain ones, %i coordinates", (n) => {
      const rng = createRng(200 + n);
      for (let round = 0; round < 10; round++) {
        const h = Float64Array.from({ length: n }, () => rng.normal()).sort();
        if (round % 2) [h[1], h[n - 2]] = [h[0], h[n - 1]];
        const l = Float64Array.from({ length: n }, () => rng.normal());
        const rows = [0, 1, 1e-300, 1e-30, 1, 1e-18, 1e-12, 1e-7, 1e-4, 1].map((small) =>
          Float64Array.from({ length: n }, (_, k) => {
            const own = h[k] === h[0] || h[k] === h[n - 1];
            return own && small < 1 ? (small - 0.5 * l[k]) / h[k] : rng.normal();
          }),
        );
        const signs = rows.map((_, i) => (i % 2 ? 1 : -1));
        for (const radius of [0.1, 3, 100]) compare(kernels, rows, h, l, signs, radius, 1e-5);
      }
    });
  });
}
