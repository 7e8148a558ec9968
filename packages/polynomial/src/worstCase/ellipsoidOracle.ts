// Worst cases over D = P z, ||z|| <= r (math.md 12.4): those over the ball in the coordinates x = P t. What rounding does to
// t = P^-1 x, to P'QP and to P'q is taken off, so that values stay lower bounds.

import type { Kernels } from "@worstcase/linalg";
import { createEllipsoidRows, type EllipsoidRows, quadraticInEllipsoid } from "../ellipsoid.js";
import { checkPoints, checkSignLabels } from "../inputs.js";
import type { Quadratic } from "../quadratic.js";
import { unitRoundoff } from "./rotatedForm.js";
import { radiusValue, type WorstCase, type WorstCaseOracle } from "./worstCase.js";

/** `inner` makes the oracle of the transformed quadratic. */
export function prepareEllipsoid(
  quadratic: Quadratic,
  shape: Float64Array,
  kernels: Kernels,
  inner: (transformed: Quadratic) => WorstCaseOracle,
): WorstCaseOracle {
  const oracle = inner(quadraticInEllipsoid(quadratic, shape, kernels));
  const error = transformError(quadratic, shape);
  const d = quadratic.dimension;
  let rows: EllipsoidRows | null = null;
  return {
    ...oracle,
    quadratic,
    solve(points, labels, radius, { points: wanted = true } = {}): WorstCase {
      const [samples] = checkPoints(points, "points", d);
      checkSignLabels(labels, samples);
      const reach = radiusValue(radius);
      rows ??= createEllipsoidRows(shape, d, kernels);
      const values = new Float64Array(samples);
      const multipliers = new Float64Array(samples);
      const perturbations = wanted ? new Float64Array(samples * d) : undefined;
      for (let from = 0; from < samples; from += rows.block) {
        const count = Math.min(rows.block, samples - from);
        const inside = { data: rows.load(points, from, count).subarray(0, count * d), shape: [count, d] };
        const own = Float64Array.from({ length: count }, (_, t) => labels[from + t]);
        const found = oracle.solve(inside, own, reach, { points: wanted });
        const lengths = rows.lengths(count);
        for (let t = 0; t < count; t++) {
          values[from + t] = found.values[t] - error(lengths[t] + reach);
          multipliers[from + t] = found.multipliers[t];
        }
        if (found.perturbations) {
          rows.displace(found.perturbations, count);
          perturbations?.set(found.perturbations, from * d);
        }
      }
      return perturbations ? { values, multipliers, perturbations } : { values, multipliers };
    },
  };
}

/** Bound of |f(P(t + z)) - f~(t^ + z)| from the rounding of t^, P'QP and P'q, for ||t^|| + ||z|| <= reach. */
function transformError({ dimension: d, Q, q, neurons }: Quadratic, shape: Float64Array): (reach: number) => number {
  const square = (values: ArrayLike<number>) => {
    let sum = 0;
    for (let k = 0; k < values.length; k++) sum += values[k] * values[k];
    return sum;
  };
  let mass = 0;
  for (const alpha of neurons?.weights ?? []) mass += Math.abs(alpha);
  const { a, b } = neurons?.activation ?? { a: 0, b: 0 };
  const curvature = Math.max(Math.sqrt(square(Q)), a * mass);
  const slope = Math.max(Math.sqrt(square(q)), Math.abs(b) * mass);
  const size = Math.sqrt(square(shape));
  const rounding = 8 * (d + (neurons?.weights.length ?? 0) + 8) * unitRoundoff;
  return (reach) => rounding * size * reach * (2 * curvature * size * reach + slope);
}
