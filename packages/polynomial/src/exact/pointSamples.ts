// Samples without a ball (r = 0) in the interior point: one scalar inequality each, no semidefinite block (math.md 4.5).
//   s_i = y_i f(x_i) - target_i + x_i >= 0,  p_i its dual partner,  x_i eta_i as in ballSamples,  p_i + eta_i = kappa_i loss'(x_i)
// f(x_i) = row_i . U, so the second derivatives are a weighted Gram matrix of the fixed rows `[count, N]`:
//   sum_i y^2 row row' q_i,  q = (p/s) (eta/x + kappa loss'') / (p/s + eta/x + kappa loss'')   after eliminating x_i.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Dimensions, Layout } from "./layout.js";
import type { SampleProblem, SampleTerm } from "./sampleTerm.js";

const startSlack = 0.1;

export function pointSamplesSize(count: number, { entries }: Dimensions): number {
  return workspaceSize(count * entries, count * entries);
}

export function createPointSamples(problem: SampleProblem, layout: Layout, workspace: Workspace): SampleTerm {
  const { count: n, points, labels, targets, weights, required, loss } = problem;
  const { features: d, entries, free, row, column, liftedWeight, entry, order } = layout;
  const rows = workspace.float64(n * entries);
  const scaled = workspace.float64(n * entries);
  const make = () => new Float64Array(n);
  const [gap, dual, slack, slackDual] = [make(), make(), make(), make()];
  const [gapChange, dualChange, slackChange, slackDualChange] = [make(), make(), make(), make()];
  const [dualCorrection, slackCorrection] = [make(), make()];
  const [ratio, curvature, reduced] = [make(), make(), make()];
  const displacements = new Float64Array(n * d);
  const bounded = Uint8Array.from({ length: n }, (_, i) => (loss.flatBelowZero && !required[i] ? 1 : 0));
  let boundedCount = 0;
  for (const b of bounded) boundedCount += b;
  for (let i = 0; i < n; i++) {
    const at = i * entries;
    const x = (a: number) => (a < d ? points[i * d + a] : 1);
    for (let k = 0; k < entries; k++) rows[at + k] = labels[i] * liftedWeight[k] * x(row[k]) * x(column[k]);
    const corner = rows[at + free];
    for (let a = 0; a < d; a++) rows[at + entry[a * order + a]] += corner;
    rows[at + free] = 0;
  }

  return {
    degree: n + boundedCount,
    slack,

    start(mu) {
      for (let i = 0; i < n; i++) {
        slack[i] = targets[i] + startSlack;
        gap[i] = startSlack;
        dual[i] = mu / startSlack;
        slackDual[i] = bounded[i] ? mu / slack[i] : 0;
      }
    },

    emptyState: () => ({
      radius: 0,
      dual: make(),
      multiplier: new Float64Array(0),
      multiplierDual: new Float64Array(0),
      slack: make(),
      slackDual: make(),
    }),

    save(state) {
      state.dual.set(dual);
      state.slack.set(slack);
      state.slackDual.set(slackDual);
    },

    restore(state, place, pair, mu, dualScale) {
      for (let i = 0; i < n; i++) {
        let value = 0;
        for (let k = 0, q = i * entries; k < free; k++) value += rows[q + k] * pair[row[k] * order + column[k]];
        const o = place[i];
        const share = bounded[i] ? Math.max((2 * mu) / weights[i], 1e-8) : startSlack;
        slack[i] = Math.max(o < 0 ? share : state.slack[o], targets[i] - value + (o < 0 ? share : 1e-6));
        gap[i] = value - targets[i] + slack[i];
        dual[i] = o < 0 ? mu / gap[i] : dualScale * state.dual[o];
        const rest = weights[i] * loss.slope(slack[i]) - dual[i];
        if (bounded[i]) slackDual[i] = Math.max(rest, o < 0 ? mu / slack[i] : dualScale * state.slackDual[o]);
      }
    },

    setPoint(pair) {
      for (let i = 0; i < n; i++) {
        let value = 0;
        for (let k = 0, q = i * entries; k < free; k++) value += rows[q + k] * pair[row[k] * order + column[k]];

        gap[i] = value - targets[i] + slack[i];
        if (!(gap[i] > 0)) return false;
      }
      return true;
    },

    complementarity() {
      let total = 0;
      for (let i = 0; i < n; i++) total += gap[i] * dual[i] + slack[i] * slackDual[i];
      return total;
    },

    loss() {
      let total = 0;
      for (let i = 0; i < n; i++) if (!required[i]) total += weights[i] * loss.value(slack[i]);
      return total;
    },

    shortfall() {
      let worst = 0;
      for (let i = 0; i < n; i++) if (required[i] && slack[i] > worst) worst = slack[i];
      return worst;
    },

    addHessian(_, hessian) {
      for (let i = 0; i < n; i++) {
        ratio[i] = dual[i] / gap[i];
        curvature[i] = (bounded[i] ? slackDual[i] / slack[i] : 0) + weights[i] * loss.curvature(slack[i]);
        const q = required[i] ? ratio[i] : (ratio[i] * curvature[i]) / (ratio[i] + curvature[i]);
        const root = Math.sqrt(q);
        for (let k = 0, at = i * entries; k < entries; k++) scaled[at + k] = root * rows[at + k];
      }
      workspace.syrk(true, free, n, 1, scaled, entries, 1, hessian, entries);
    },

    beginDirection(mu, corrected, rightSide) {
      for (let i = 0; i < n; i++) {
        // target of p if s did not move; of eta if x did not move
        const target = mu / gap[i] - (corrected ? dualCorrection[i] : 0);
        const slackTarget = bounded[i] ? mu / slack[i] - (corrected ? slackCorrection[i] : 0) : 0;
        dualChange[i] = target;
        slackDualChange[i] = slackTarget;
        let weight = target;
        if (required[i]) {
          slackChange[i] = -slack[i];
          weight -= ratio[i] * slackChange[i];
        } else {
          reduced[i] = (target + slackTarget - weights[i] * loss.slope(slack[i])) / (ratio[i] + curvature[i]);
          weight -= ratio[i] * reduced[i];
        }
        for (let k = 0, q = i * entries; k < free; k++) rightSide[k] += weight * rows[q + k];
      }
    },

    finishDirection(vector, _, keepCorrection) {
      for (let i = 0; i < n; i++) {
        let moved = 0;
        for (let k = 0, q = i * entries; k < free; k++) moved += rows[q + k] * vector[k];
        if (!required[i]) slackChange[i] = reduced[i] - (ratio[i] / (ratio[i] + curvature[i])) * moved;
        gapChange[i] = moved + slackChange[i];
        dualChange[i] += -dual[i] - ratio[i] * gapChange[i];
        if (bounded[i]) slackDualChange[i] += -slackDual[i] - (slackDual[i] * slackChange[i]) / slack[i];
        if (!keepCorrection) continue;
        dualCorrection[i] = (gapChange[i] * dualChange[i]) / gap[i];
        slackCorrection[i] = bounded[i] ? (slackChange[i] * slackDualChange[i]) / slack[i] : 0;
      }
    },

    primalStep(cap) {
      let step = cap;
      for (let i = 0; i < n; i++) {
        if (gapChange[i] < 0) step = Math.min(step, -gap[i] / gapChange[i]);
        if (bounded[i] && slackChange[i] < 0) step = Math.min(step, -slack[i] / slackChange[i]);
        if (!required[i]) step = Math.min(step, loss.trust / Math.abs(slackChange[i]));
      }
      return step;
    },

    dualStep(cap) {
      let step = cap;
      for (let i = 0; i < n; i++) {
        if (dualChange[i] < 0) step = Math.min(step, -dual[i] / dualChange[i]);
        if (bounded[i] && slackDualChange[i] < 0) step = Math.min(step, -slackDual[i] / slackDualChange[i]);
      }
      return step;
    },

    complementarityAfter(primal, dualStep) {
      let total = 0;
      for (let i = 0; i < n; i++) {
        total += (gap[i] + primal * gapChange[i]) * (dual[i] + dualStep * dualChange[i]);
        if (!bounded[i]) continue;
        total += (slack[i] + primal * slackChange[i]) * (slackDual[i] + dualStep * slackDualChange[i]);
      }
      return total;
    },

    advance(primal, dualStep) {
      for (let i = 0; i < n; i++) {
        slack[i] += primal * slackChange[i];
        dual[i] += dualStep * dualChange[i];
        slackDual[i] += dualStep * slackDualChange[i];
      }
    },

    dualMoments: () => ({ weights: dual, displacements, covariances: null }),
  };
}
