// Worst cases that change some coordinates only (math.md 12.5). With M the moving and F the immutable coordinates, z = x_M + D,
//   f = z'Q_MM z + l'z + c,   l = q_M + 2 Q_MF x_F,   c = s + q_F'x_F + x_F'Q_FF x_F
// so Q_MM is decomposed once and every sample has a linear part and a constant of its own.
// points: [samples, features]   moving: ascending indices, [m]

import { type NumericBatch, SettingError } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { SignLabels } from "../inputs.js";
import type { Quadratic } from "../quadratic.js";
import { errorBound } from "./errorBound.js";
import { type RotatedForm, rotate, unitRoundoff } from "./rotatedForm.js";
import { createTrustRegionSolver, solveRows } from "./trustRegion.js";

/** Throws SettingError unless `moving` holds distinct feature indices, at least one. */
export function checkMoving(moving: ArrayLike<number>, dimension: number): Int32Array {
  const argument = "options.moving";
  const expected = `distinct indices of the ${dimension} features, at least one`;
  const sorted = Array.from(moving).sort((a, b) => a - b);
  if (sorted.length === 0) throw new SettingError({ argument, expected, received: "none" });
  sorted.forEach((k, position) => {
    const known = Number.isSafeInteger(k) && k >= 0 && k < dimension && k !== sorted[position - 1];
    if (!known) throw new SettingError({ argument, expected, received: k });
  });
  return Int32Array.from(sorted);
}

export interface MovingOracle {
  /** Of Q_MM, with q_M as its linear part. */
  readonly form: RotatedForm;
  /** `tolerance` is that of ||D|| = radius; perturbations `[samples, features]` are zero outside `moving`. */
  solve(
    points: NumericBatch,
    labels: SignLabels,
    radius: number,
    tolerance: number,
    wanted: boolean,
  ): { values: Float64Array; multipliers: Float64Array; perturbations?: Float64Array };
}

export function prepareMoving(
  { dimension: d, Q, q, s }: Quadratic,
  moving: Int32Array,
  kernels: Kernels,
): MovingOracle {
  const m = moving.length;
  const isMoving = new Uint8Array(d);
  for (const k of moving) isMoving[k] = 1;
  const fixed = Int32Array.from({ length: d }, (_, k) => k).filter((k) => isMoving[k] === 0);
  const block = Float64Array.from({ length: m * m }, (_, e) => Q[moving[Math.floor(e / m)] * d + moving[e % m]]);
  const own = { dimension: m, Q: block, q: Float64Array.from(moving, (k) => q[k]), s };
  const form = rotate(own, kernels);
  const { rank, basis } = form;
  const bound = errorBound(form);
  const sample = { ...form, linear: new Float64Array(rank), constant: 0 };
  const solver = createTrustRegionSolver(sample);
  const norm = (values: Float64Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  const [sizeQ, sizeq] = [norm(Q), norm(q)];
  // rounding of l and c, and of the products with the basis
  const rounding = 4 * (2 * d + 8) * unitRoundoff * Math.sqrt(d);
  return {
    form,
    solve(points, labels, radius, tolerance, wanted) {
      const samples = points.shape[0];
      const values = new Float64Array(samples);
      const multipliers = new Float64Array(samples);
      const perturbations = wanted ? new Float64Array(samples * d) : undefined;
      const workspace = kernels.workspace(workspaceSize(2 * samples * m, rank * m, 2 * samples * rank));
      const both = workspace.float64(2 * samples * m);
      const axes = workspace.float64(rank * m);
      const rotated = workspace.float64(2 * samples * rank);
      axes.set(basis);
      const constants = new Float64Array(samples);
      // x_M, then l, of every sample
      for (let i = 0; i < samples; i++) {
        const x = points.data.subarray(i * d, (i + 1) * d);
        let constant = s;
        for (const f of fixed) {
          let line = q[f];
          for (const g of fixed) line += Q[f * d + g] * x[g];
          constant += line * x[f];
        }
        constants[i] = constant;
        for (let k = 0; k < m; k++) {
          let linear = q[moving[k]];
          for (const f of fixed) linear += 2 * Q[moving[k] * d + f] * x[f];
          both[i * m + k] = x[moving[k]];
          both[(samples + i) * m + k] = linear;
        }
      }
      workspace.gemm(false, true, 2 * samples, rank, m, 1, both, m, axes, m, 0, rotated, rank);
      const step = wanted ? new Float64Array(rank) : null;
      const label = new Float64Array(1);
      for (let i = 0; i < samples; i++) {
        const row = rotated.subarray(i * rank, (i + 1) * rank);
        sample.linear.set(rotated.subarray((samples + i) * rank, (samples + i + 1) * rank));
        sample.constant = constants[i];
        label[0] = labels[i];
        const [value, multiplier] = [values.subarray(i, i + 1), multipliers.subarray(i, i + 1)];
        const results = { value, multiplier, perturbation: step, warmStart: null };
        solveRows(solver, row, label, 0, 1, radius, results, tolerance);
        const size = norm(Float64Array.from(points.data.subarray(i * d, (i + 1) * d)));
        const reach = size + radius;
        const extra = rounding * (Math.abs(s) + (sizeq + 2 * sizeQ * reach) * reach);
        values[i] -= bound.at(size, radius, multipliers[i]) + extra;
        if (!perturbations || !step) continue;
        for (let k = 0; k < m; k++) {
          let sum = 0;
          for (let r = 0; r < rank; r++) sum += basis[r * m + k] * step[r];
          perturbations[i * d + moving[k]] = sum;
        }
      }
      return perturbations ? { values, multipliers, perturbations } : { values, multipliers };
    },
  };
}
