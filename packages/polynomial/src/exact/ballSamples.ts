// Samples against a ball of radius r > 0 in the interior point (solvers.md 3; math.md 4.2): the sample term made of
//   S_i positive definite, Y_i its dual partner, and the scalar pairs l_i nu_i and x_g eta_g (ballBlocks.ts)
// A sample pays kappa loss(x), x = target - w. Paired samples (regression) are two blocks, for the scores f and -f, that share
// one slack. Attack of block i: Y_i = p [P, m; m', 1] in units of r.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import type { MoveSet } from "../moveSet.js";
import { ballMemory, createBallBlocks, slackOf, spreadBlock } from "./ballBlocks.js";
import { beginBallDirection, finishBallDirection } from "./ballDirection.js";
import { addBallHessian } from "./ballHessian.js";
import { emptyBallState, restoreBall, saveBall, startBall, startBallAt } from "./ballStart.js";
import type { Dimensions, Layout } from "./layout.js";
import type { DualMoments, SampleProblem, SampleTerm } from "./sampleTerm.js";

/** Numbers of workspace memory that `createBallSamples` takes. */
export function ballSamplesSize(count: number, dimensions: Dimensions, set: MoveSet | null): number {
  return workspaceSize(...ballMemory(count, dimensions, set));
}

export function createBallSamples(problem: SampleProblem, layout: Layout, workspace: Workspace): SampleTerm {
  const blocks = createBallBlocks(problem, layout, workspace);
  const { n, m, slackBlocks, inverse, dual, change, dualChange, status, scalar, search, bounded } = blocks;
  const { multiplier, multiplierDual, multiplierChange, multiplierDualChange } = blocks;
  const { slack, slackDual, slackChange, slackDualChange } = blocks;
  const { weights, required, loss } = problem;
  const { features: d, order } = layout;
  const p = blocks.q;
  const pp = p * p;
  const spread = new Float64Array(order * order);
  const moments: { weights: Float64Array; displacements: Float64Array; covariances: Float64Array | null } = {
    weights: new Float64Array(n),
    displacements: new Float64Array(0),
    covariances: null,
  };
  let boundedCount = 0;
  for (const b of bounded) boundedCount += b;

  function inner(x: Float64Array, y: Float64Array): number {
    workspace.gemv(false, 1, n * pp, 1, x, n * pp, y, 0, scalar);
    return scalar[0];
  }

  return {
    degree: n * (p + 1) + boundedCount,
    slack,
    start: (mu) => startBall(blocks, mu),
    startAt: (pair, mu) => startBallAt(blocks, pair, mu),
    emptyState: () => emptyBallState(blocks),
    save: (state) => saveBall(blocks, state),
    restore: (state, place, pair, mu, dualScale) => restoreBall(blocks, state, place, pair, mu, dualScale),

    setPoint(pair) {
      slackOf(blocks, pair, multiplier, slack, true, slackBlocks);
      inverse.set(slackBlocks);
      if (workspace.batch.potrf(n, p, inverse, p, pp, status) !== 0) return false;
      workspace.batch.potri(n, p, inverse, p, pp);
      return true;
    },

    complementarity() {
      let total = inner(dual, slackBlocks);
      for (let i = 0; i < n; i++) total += multiplier[i] * multiplierDual[i];
      for (let g = 0; g < m; g++) total += slack[g] * slackDual[g];
      return total;
    },

    loss() {
      let total = 0;
      for (let g = 0; g < m; g++) if (!required[g]) total += weights[g] * loss.value(slack[g]);
      return total;
    },

    shortfall() {
      let worst = 0;
      for (let g = 0; g < m; g++) if (required[g] && slack[g] > worst) worst = slack[g];
      return worst;
    },

    addHessian: (product, hessian) => addBallHessian(blocks, product, hessian),
    beginDirection: (mu, corrected, rightSide) => beginBallDirection(blocks, mu, corrected, rightSide),
    finishDirection: (vector, pair, keep) => finishBallDirection(blocks, vector, pair, keep),

    primalStep(cap) {
      let step = search.longest(slackBlocks, change, cap);
      for (let i = 0; i < n; i++) {
        if (multiplierChange[i] < 0) step = Math.min(step, -multiplier[i] / multiplierChange[i]);
      }
      for (let g = 0; g < m; g++) {
        if (bounded[g] && slackChange[g] < 0) step = Math.min(step, -slack[g] / slackChange[g]);
        if (!required[g]) step = Math.min(step, loss.trust / Math.abs(slackChange[g]));
      }
      return step;
    },

    dualStep(cap) {
      let step = search.longest(dual, dualChange, cap);
      for (let i = 0; i < n; i++) {
        if (multiplierDualChange[i] < 0) step = Math.min(step, -multiplierDual[i] / multiplierDualChange[i]);
      }
      for (let g = 0; g < m; g++) {
        if (bounded[g] && slackDualChange[g] < 0) step = Math.min(step, -slackDual[g] / slackDualChange[g]);
      }
      return step;
    },

    complementarityAfter(primal, dualStep) {
      let total = inner(dual, slackBlocks) + primal * inner(dual, change);
      total += dualStep * (inner(dualChange, slackBlocks) + primal * inner(dualChange, change));
      for (let i = 0; i < n; i++) {
        const l = multiplier[i] + primal * multiplierChange[i];
        total += l * (multiplierDual[i] + dualStep * multiplierDualChange[i]);
      }
      for (let g = 0; g < m; g++) {
        if (!bounded[g]) continue;
        total += (slack[g] + primal * slackChange[g]) * (slackDual[g] + dualStep * slackDualChange[g]);
      }
      return total;
    },

    advance(primal, dualStep) {
      for (let k = 0, size = n * pp; k < size; k++) dual[k] += dualStep * dualChange[k];
      for (let i = 0; i < n; i++) {
        multiplier[i] += primal * multiplierChange[i];
        multiplierDual[i] += dualStep * multiplierDualChange[i];
      }
      for (let g = 0; g < m; g++) {
        slack[g] += primal * slackChange[g];
        slackDual[g] += dualStep * slackDualChange[g];
      }
    },

    dualMoments(): DualMoments {
      if (moments.covariances === null) {
        moments.covariances = new Float64Array(n * d * d);
        moments.displacements = new Float64Array(n * d);
      }
      const { weights: w, displacements, covariances } = moments as DualMoments & { covariances: Float64Array };
      for (let i = 0; i < n; i++) {
        spreadBlock(blocks, dual, i, spread);
        const weight = spread[order * order - 1];
        w[i] = weight;
        for (let a = 0; a < d; a++) {
          const mean = spread[a * order + d] / weight;
          displacements[i * d + a] = mean;
          for (let b = 0; b < d; b++) {
            covariances[i * d * d + a * d + b] = (spread[a * order + b] - mean * spread[b * order + d]) / weight;
          }
        }
      }
      return moments;
    },
  };
}
