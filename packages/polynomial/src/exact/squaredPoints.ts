// Regression without a ball (r = 0) in the interior point: sum_i kappa_i (t_i - f(x_i))^2 is a smooth convex function of U, so
// it needs no slack and no dual partner. f(x_i) = row_i . U:
//   gradient -2 sum kappa_i (t_i - f_i) row_i,   second derivatives 2 sum kappa_i row_i row_i' (constant).
// Dual weights are the derivatives 2 kappa_i |t_i - f_i|, on the side of the error. Samples come in pairs; the first half is used.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Dimensions, Layout } from "./layout.js";
import type { SampleProblem, SampleTerm } from "./sampleTerm.js";

export function squaredPointsSize(count: number, { entries }: Dimensions): number {
  const pairs = Math.ceil(count / 2);
  return workspaceSize(pairs * entries, entries, pairs, pairs);
}

export function createSquaredPoints(problem: SampleProblem, layout: Layout, workspace: Workspace): SampleTerm {
  const { count, points, targets, weights } = problem;
  const { features: d, entries, free, row, column, liftedWeight, entry, order } = layout;
  const m = count / 2;
  // rows are scaled by sqrt(2 kappa)
  const rows = workspace.float64(m * entries);
  const point = workspace.float64(entries);
  const scores = workspace.float64(m);
  const errors = workspace.float64(m);
  const roots = Float64Array.from({ length: m }, (_, i) => Math.sqrt(2 * weights[i]));
  const sides = new Float64Array(count);
  const displacements = new Float64Array(count * d);
  const slack = new Float64Array(m);
  const none = new Float64Array(0);
  for (let i = 0; i < m; i++) {
    const at = i * entries;
    const x = (a: number) => (a < d ? points[i * d + a] : 1);
    for (let k = 0; k < entries; k++) rows[at + k] = roots[i] * liftedWeight[k] * x(row[k]) * x(column[k]);
    const corner = rows[at + free];
    for (let a = 0; a < d; a++) rows[at + entry[a * order + a]] += corner;
    rows[at + free] = 0;
  }

  return {
    degree: 0,
    slack,
    start() {},
    emptyState: () => ({ radius: 0, dual: none, multiplier: none, multiplierDual: none, slack: none, slackDual: none }),
    save() {},
    restore() {},

    setPoint(pair) {
      for (let k = 0; k < free; k++) point[k] = pair[row[k] * order + column[k]];
      point[free] = 0;
      workspace.gemv(false, m, entries, 1, rows, entries, point, 0, scores);
      for (let i = 0; i < m; i++) {
        errors[i] = roots[i] * targets[i] - scores[i];
        slack[i] = Math.abs(errors[i]) / (roots[i] || 1);
      }
      return true;
    },

    complementarity: () => 0,

    loss() {
      let total = 0;
      for (let i = 0; i < m; i++) total += 0.5 * errors[i] * errors[i];
      return total;
    },

    shortfall: () => 0,

    addHessian(_, hessian) {
      workspace.syrk(true, free, m, 1, rows, entries, 1, hessian, entries);
    },

    beginDirection(_mu, _corrected, rightSide) {
      workspace.gemv(true, m, entries, 1, rows, entries, errors, 0, point);
      for (let k = 0; k < free; k++) rightSide[k] += point[k];
    },

    finishDirection() {},
    primalStep: (cap) => cap,
    dualStep: (cap) => cap,
    complementarityAfter: () => 0,
    advance() {},

    dualMoments() {
      for (let i = 0; i < m; i++) {
        const slope = roots[i] * errors[i];
        sides[i] = Math.max(0, slope);
        sides[i + m] = Math.max(0, -slope);
      }
      return { weights: sides, displacements, covariances: null };
    },
  };
}
