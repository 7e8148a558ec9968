// Worst cases over a ball of the moving features (math.md 12.5): rows (movingRows.ts) are solved one by one with their own linear
// part and constant. Values stay lower bounds: what rounding does to l and c, and in the solve, is taken off.

import type { NumericBatch } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import type { SignLabels } from "../inputs.js";
import type { Quadratic } from "../quadratic.js";
import { errorBound } from "./errorBound.js";
import { createMovingRows, movingBlock } from "./movingRows.js";
import { type RotatedForm, unitRoundoff } from "./rotatedForm.js";

export interface MovingOracle {
  /** Of the moving features. */
  readonly form: RotatedForm;
  /** `tolerance` is that of ||D|| = radius; perturbations `[samples, features]` are zero on immutable features. */
  solve(
    points: NumericBatch,
    labels: SignLabels,
    radius: number,
    tolerance: number,
    wanted: boolean,
  ): { values: Float64Array; multipliers: Float64Array; perturbations?: Float64Array };
}

/** moving: ascending indices. */
export function prepareMoving(quadratic: Quadratic, moving: Int32Array, kernels: Kernels): MovingOracle {
  const d = quadratic.dimension;
  const rows = createMovingRows(quadratic, moving, kernels);
  const { form, sizeQ, sizeq } = rows;
  const bound = errorBound(form);
  // rounding of l and c, and of the products with the basis
  const rounding = 4 * (2 * d + 8) * unitRoundoff * Math.sqrt(d);
  return {
    form,
    solve(points, labels, radius, tolerance, wanted) {
      const samples = points.shape[0];
      const values = new Float64Array(samples);
      const multipliers = new Float64Array(samples);
      const perturbations = wanted ? new Float64Array(samples * d) : undefined;
      const moves = wanted ? rows.moves : null;
      for (let from = 0; from < samples; from += movingBlock) {
        const count = Math.min(movingBlock, samples - from);
        rows.load(points, from, count);
        const own = Array.from({ length: count }, (_, t) => labels[from + t]);
        rows.ballRows.solveOwn(
          ...([form, rows.rotated, rows.linear, rows.constants, count, own, radius, tolerance, moves] as const),
        );
        for (let t = 0; t < count; t++) {
          const i = from + t;
          multipliers[i] = rows.ballRows.multipliers[t];
          const size = rows.lengths[t];
          // l z with z = x_M + D, and c
          const sloping = (rows.sizeSlope + rows.sizeAcross * size) * (size + radius);
          const extra = rounding * (Math.abs(quadratic.s) + (sizeq + sizeQ * size) * size + sloping);
          values[i] = rows.ballRows.values[t] - bound.at(size, radius, multipliers[i]) - extra;
        }
        if (perturbations) rows.writeMoves(count, perturbations, from);
      }
      return perturbations ? { values, multipliers, perturbations } : { values, multipliers };
    },
  };
}
