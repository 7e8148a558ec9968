// One Newton direction of the ball samples, around the solve for U: HKM,
//   dY = mu S^-1 - Y - sym(Y dS S^-1) - correction,   <J, Y_i> + nu_i = 0,   sum Y_i[e,e] + eta_g = kappa_g loss'(x_g),
// correction = sym(dY dS S^-1) of the predictor. l_i and x_g follow from U by the factors of ballHessian.ts.

import { type BallBlocks, slackOf, sumLifted, weigh } from "./ballBlocks.js";
import { symmetrise } from "./scaledBlock.js";

/** Adds to rightSide `[N]` what the samples contribute; dualChange holds dY + Y + sym(Y dS S^-1) afterwards. */
export function beginBallDirection(blocks: BallBlocks, mu: number, corrected: boolean, rightSide: Float64Array): void {
  const { problem, layout, workspace, n, m, q: p, inverse, dualChange, correction } = blocks;
  const { order, entries, free } = layout;
  const d = p - 1;
  const pp = p * p;
  const corner = pp - 1;
  if (corrected) for (let k = 0, size = n * pp; k < size; k++) dualChange[k] = mu * inverse[k] - correction[k];
  else for (let k = 0, size = n * pp; k < size; k++) dualChange[k] = mu * inverse[k];
  const { multiplier, multiplierDualChange, multiplierCorrection, reduced, l11, l21, l22 } = blocks;
  for (let i = 0; i < n; i++) {
    const rest = mu / multiplier[i] - (corrected ? multiplierCorrection[i] : 0);
    multiplierDualChange[i] = rest;
    let ball = rest - dualChange[i * pp + corner];
    for (let a = 0, q = i * pp; a < d; a++, q += p + 1) ball += dualChange[q];
    reduced[i] = ball / l11[i];
  }
  const { weights, required, loss } = problem;
  const { slack, slackChange, slackDualChange, slackCorrection, bounded } = blocks;
  for (let g = 0; g < m; g++) {
    const rest = bounded[g] ? mu / slack[g] - (corrected ? slackCorrection[g] : 0) : 0;
    slackDualChange[g] = rest;
    if (required[g]) {
      // x must go to zero: its change is known, -x.
      slackChange[g] = -slack[g];
      reduced[g] -= l21[g] * slackChange[g];
      reduced[n + g] = slackChange[g];
      continue;
    }
    let corners = rest - weights[g] * loss.slope(slack[g]);
    for (let i = g; i < n; i += m) corners += dualChange[i * pp + corner] - l21[i] * reduced[i];
    reduced[n + g] = corners / l22[g];
  }
  const { lifted, unit, rows } = blocks;
  sumLifted(blocks, dualChange);
  for (let a = 0, k = 0; a < order; a++) for (let b = a; b < order; b++, k++) unit[k] = lifted[a * order + b];
  weigh(layout, unit, 0, 1);
  workspace.gemv(true, n + m, entries, -1, rows, entries, reduced, 1, unit);
  for (let k = 0; k < free; k++) rightSide[k] += unit[k];
}

/** Completes the direction for the change of U, as vector `[N]` and matrix `[p, p]`. */
export function finishBallDirection(
  blocks: BallBlocks,
  vector: Float64Array,
  pair: Float64Array,
  keepCorrection: boolean,
): void {
  const { problem, layout, workspace, n, m, q: p, rows, moved, reduced, unit, l11, l21, l22 } = blocks;
  const { entries, free } = layout;
  const pp = p * p;
  for (let k = 0; k < free; k++) unit[k] = vector[k];
  unit[free] = 0;
  workspace.gemv(false, n + m, entries, 1, rows, entries, unit, 0, moved);
  const { slackChange, multiplierChange } = blocks;
  for (let i = 0; i < n; i++) {
    const g = i < m ? i : i - m;
    const prescribed = problem.required[g] !== 0;
    if (i === g && !prescribed) slackChange[g] = (reduced[n + g] - moved[n + g]) / l22[g];
    const rest = reduced[i] - moved[i] - (prescribed ? 0 : l21[i] * slackChange[g]);
    multiplierChange[i] = rest / l11[i];
  }
  const { inverse, dual, change, dualChange, product, scratch, correction } = blocks;
  slackOf(blocks, pair, multiplierChange, slackChange, false, change);
  workspace.batch.gemm(n, false, false, p, p, p, 1, change, p, pp, inverse, p, pp, 0, product, p, pp);
  workspace.batch.gemm(n, false, false, p, p, p, 1, dual, p, pp, product, p, pp, 0, scratch, p, pp);
  for (let at = 0, end = n * pp; at < end; at += pp) {
    for (let a = 0; a < p; a++) {
      for (let b = 0, q = at + a * p, t = at + a; b <= a; b++, q++, t += p) {
        const result = 0.5 * (dualChange[q] + dualChange[t] - scratch[q] - scratch[t]) - dual[q];
        dualChange[q] = result;
        dualChange[t] = result;
      }
    }
  }
  const { multiplier, multiplierDual, multiplierDualChange, multiplierCorrection } = blocks;
  for (let i = 0; i < n; i++) {
    multiplierDualChange[i] -= multiplierDual[i] + (multiplierDual[i] * multiplierChange[i]) / multiplier[i];
    if (keepCorrection) multiplierCorrection[i] = (multiplierChange[i] * multiplierDualChange[i]) / multiplier[i];
  }
  const { slack, slackDual, slackDualChange, slackCorrection, bounded } = blocks;
  for (let g = 0; g < m; g++) {
    if (!bounded[g]) continue;
    slackDualChange[g] -= slackDual[g] + (slackDual[g] * slackChange[g]) / slack[g];
    if (keepCorrection) slackCorrection[g] = (slackChange[g] * slackDualChange[g]) / slack[g];
  }
  if (!keepCorrection) return;
  workspace.batch.gemm(n, false, false, p, p, p, 1, dualChange, p, pp, product, p, pp, 0, correction, p, pp);
  for (let at = 0, end = n * pp; at < end; at += pp) symmetrise(correction, p, at);
}
