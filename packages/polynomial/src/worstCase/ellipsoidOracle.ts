// Worst cases over D = P z, ||z|| <= r (math.md 12.4): those over the ball in the coordinates x = P t. What rounding does to
// t = P^-1 x, to P'QP and to P'q is taken off, so that values stay lower bounds.

import type { NumericBatch } from "@worstcase/core";
import { pointsInEllipsoid, quadraticInEllipsoid } from "../ellipsoid.js";
import { checkPoints } from "../inputs.js";
import { displaceRows, type MoveSet } from "../moveSet.js";
import type { Quadratic } from "../quadratic.js";
import { unitRoundoff } from "./rotatedForm.js";
import type { WorstCase, WorstCaseOracle } from "./worstCase.js";

/** `inner` makes the oracle of the transformed quadratic. */
export function prepareEllipsoid(
  quadratic: Quadratic,
  set: MoveSet,
  shape: Float64Array,
  inner: (transformed: Quadratic) => WorstCaseOracle,
): WorstCaseOracle {
  const oracle = inner(quadraticInEllipsoid(quadratic, shape));
  const error = transformError(quadratic, shape);
  const d = quadratic.dimension;
  return {
    ...oracle,
    quadratic,
    solve(points, labels, radius, options): WorstCase {
      checkPoints(points, "points", d);
      const inside: NumericBatch = pointsInEllipsoid(points, shape);
      const result = oracle.solve(inside, labels, radius, options);
      const reach = typeof radius === "object" ? radius.value : radius;
      for (let i = 0; i < result.values.length; i++) {
        let square = 0;
        for (let k = i * d; k < (i + 1) * d; k++) square += inside.data[k] * inside.data[k];
        result.values[i] -= error(Math.sqrt(square) + reach);
      }
      if (result.perturbations) displaceRows(set, result.perturbations, result.values.length);
      return result;
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
