// The l-infinity adversary of one score for the joint trainer: the margin of a sample is its diagonal S-procedure bound, a concave
// function of the network whose supergradient is the relaxation's optimal moment E[(z;1)(z;1)'], z = x + D (math.md 12.1, 24 F).
// Rows whose bound is above 1 + idle stop early: their hinge is zero in any case.

import type { NumericBatch } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import { type Adversary, clear, type RowGroup } from "../multiclass/adversary.js";
import { scoresOf } from "../multiclass/fitPairwise.js";
import { allocateBoxProblem, type BoxAdversary, loadBoxProblem } from "./boxProblem.js";
import { createBoxRelaxation } from "./boxRelaxation.js";

/** Shrinks every moment by more than its rounding, so that it stays feasible. */
const inside = 1 - 1e-12;
const idle = 1.5;

export function createLinfAdversary(
  points: NumericBatch,
  labels: Float64Array,
  boxes: BoxAdversary,
  activation: Activation,
  kernels: Kernels,
): Adversary {
  const [n, d] = points.shape as [number, number];
  const relaxation = createBoxRelaxation(d, kernels);
  const problem = allocateBoxProblem(d);
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  let rows: Int32Array = Int32Array.from({ length: n }, (_, i) => i);
  let signs = labels;
  // E[z] and E[zz'] of each active row.
  let means = new Float64Array(0);
  let moments = new Float64Array(0);

  /** E[z] and E[zz'] of the relaxation's solution: z = x + centre + half t. */
  function keep(t: number, i: number): void {
    const m = problem.size;
    const mean = means.subarray(t * d, (t + 1) * d);
    const moment = moments.subarray(t * d * d, (t + 1) * d * d);
    for (let k = 0; k < d; k++) mean[k] = points.data[i * d + k] + problem.centre[k];
    for (let k = 0; k < d; k++) for (let l = 0; l < d; l++) moment[k * d + l] = mean[k] * mean[l];
    for (let a = 0; a < m; a++) {
      const k = problem.index[a];
      const shift = inside * problem.half[k] * relaxation.mean[a];
      for (let l = 0; l < d; l++) {
        const centre = points.data[i * d + l] + problem.centre[l];
        moment[k * d + l] += shift * centre;
        moment[l * d + k] += shift * centre;
      }
      for (let b = 0; b < m; b++) {
        const l = problem.index[b];
        moment[k * d + l] += inside * inside * problem.half[k] * problem.half[l] * relaxation.product(a, b);
      }
      mean[k] += shift;
    }
  }

  return {
    dimension: d,
    blocks: 1,
    samples: n,
    rowsPerSample: 1,
    activation,
    activate(mask) {
      const kept: number[] = [];
      for (let i = 0; i < n; i++) if (mask === null || mask[i]) kept.push(i);
      rows = Int32Array.from(kept);
      signs = Float64Array.from(kept, (i) => labels[i]);
      if (means.length < kept.length * d) {
        means = new Float64Array(kept.length * d);
        moments = new Float64Array(kept.length * d * d);
      }
    },
    attack(network, margins) {
      margins.fill(Number.POSITIVE_INFINITY);
      const [score] = scoresOf(network, 1, d, activation);
      const settings = { tolerance: 1e-7, stopAbove: idle };
      for (let t = 0; t < rows.length; t++) {
        const i = rows[t];
        boxes.boxAt(points, i, lower, upper);
        loadBoxProblem(problem, score, points.data, i * d, labels[i], lower, upper);
        margins[i] = relaxation.solve(problem, settings);
        keep(t, i);
      }
      return true;
    },
    moments(weights, _safe, [out]) {
      clear(out);
      for (let t = 0; t < rows.length; t++) {
        const p = weights[rows[t]];
        if (!(p > 0)) continue;
        const signed = signs[t] * p;
        const at = t * d * d;
        for (let i = 0; i < d * d; i++) out.matrix[i] += signed * moments[at + i];
        for (let l = 0; l < d; l++) {
          out.linear[l] += signed * means[t * d + l];
          out.squares += p * moments[at + l * d + l];
        }
        out.constant += signed;
        out.mass += p;
        out.rows++;
      }
    },
    groups(): readonly RowGroup[] {
      return [{ plus: 0, minus: -1, rows, signs }];
    },
    respond(_group, direction, values, stride, column) {
      const { a, b, c } = activation;
      for (let t = 0; t < rows.length; t++) {
        let linear = 0;
        let square = 0;
        for (let k = 0; k < d; k++) {
          linear += direction[k] * means[t * d + k];
          let row = 0;
          for (let l = 0, p = t * d * d + k * d; l < d; l++) row += moments[p + l] * direction[l];
          square += direction[k] * row;
        }
        values[t * stride + column] = signs[t] * (a * square + b * linear + c);
      }
    },
  };
}
