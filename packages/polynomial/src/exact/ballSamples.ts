// Samples against a ball of radius r > 0 in the interior point (solvers.md 3; math.md 4.2). Displacements are measured in
// units of r: T = [r I, x; 0, 1], J = diag(I, -1), multiplier l = lambda r^2, slack x = 1 - w, F = lift(U).
//   S_i = y_i T_i' F T_i + l_i J - (1 - x_i) e e'  positive definite,   Y_i its dual partner, l_i nu_i, x_i eta_i scalar pairs
//   <J, Y_i> + nu_i = 0,   Y_i[e,e] + eta_i = kappa_i loss'(x_i),   attack of sample i: Y_i = p [P, m; m', 1] in units of r
// HKM direction: dY = mu S^-1 - Y - sym(Y dS S^-1) - correction. (l_i, x_i) are eliminated per sample by a 2 x 2 Cholesky
// factor. Arrays of blocks are `[count, p, p]`. Nothing is allocated after construction.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { addKronecker, type Dimensions, type Layout } from "./layout.js";
import type { DualMoments, SampleProblem, SampleState, SampleTerm } from "./sampleTerm.js";
import { symmetrise } from "./scaledBlock.js";
import { createStepSearch, stepSearchSizes } from "./stepSearch.js";

/** Start of every slack matrix's corner. Of 0.001 to 1, values about 0.02 need the fewest iterations on wdbc and synth. */
const startSlack = 0.02;

/** Numbers of workspace memory that `createBallSamples` takes. */
export function ballSamplesSize(count: number, dimensions: Dimensions): number {
  return workspaceSize(...ballSizes(count, dimensions), ...stepSearchSizes(dimensions.order));
}

function ballSizes(n: number, { features: d, order: p, entries }: Dimensions): number[] {
  const block = n * p * p;
  return [block, block, block, block, block, block, block, p * p, p * p, n * d, n * d, 2 * n * entries, 2 * n, entries];
}

export function createBallSamples(problem: SampleProblem, layout: Layout, workspace: Workspace): SampleTerm {
  const { count: n, points, labels, weights, required, loss, radius: r } = problem;
  const { features: d, order: p, entries, free, lift, liftedWeight, entry } = layout;
  const pp = p * p;
  const corner = pp - 1;
  const arrays = ballSizes(n, layout).map((size) => workspace.float64(size));
  const [slackBlocks, inverse, dual, change, dualChange, correction, product, lifted, left] = arrays;
  const [data, image, rows, reduced, unit] = arrays.slice(9);
  const search = createStepSearch(n, p, workspace);
  const views = (blocks: Float64Array) => Array.from({ length: n }, (_, i) => blocks.subarray(i * pp, (i + 1) * pp));
  const inverseViews = views(inverse);
  const dualViews = views(dual);
  const changeViews = views(change);
  const dualChangeViews = views(dualChange);
  const productViews = views(product);
  const first = rows.subarray(0, n * entries);
  const second = rows.subarray(n * entries);
  const reducedFirst = reduced.subarray(0, n);
  const reducedSecond = reduced.subarray(n);
  data.set(points.subarray(0, n * d));
  const multiplier = new Float64Array(n);
  const slack = new Float64Array(n);
  const multiplierDual = new Float64Array(n);
  const slackDual = new Float64Array(n);
  const changes = [0, 1, 2, 3].map(() => new Float64Array(n));
  const [multiplierChange, slackChange, multiplierDualChange, slackDualChange] = changes;
  const multiplierCorrection = new Float64Array(n);
  const slackCorrection = new Float64Array(n);
  // 2 x 2 Cholesky factors of the eliminated block.
  const [l11, l21, l22] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  const moments: { weights: Float64Array; displacements: Float64Array; covariances: Float64Array | null } = {
    weights: new Float64Array(n),
    displacements: new Float64Array(0),
    covariances: null,
  };
  /** Whether x_i >= 0 is a constraint with a dual partner. */
  const bounded = Uint8Array.from({ length: n }, (_, i) => (loss.flatBelowZero && !required[i] ? 1 : 0));
  let boundedCount = 0;
  for (const b of bounded) boundedCount += b;

  /** target[i] <- y T' F T (+ l J + x e e' - e e'), one block; the change of it when `affine` is false. */
  function slackOf(
    pair: Float64Array,
    multipliers: Float64Array,
    slacks: Float64Array,
    affine: boolean,
    target: Float64Array,
  ) {
    for (let k = 0; k < pp; k++) lifted[k] = lift[k] * pair[k];
    workspace.gemm(false, false, n, d, d, 1, data, d, lifted, p, 0, image, d);
    const constant = lifted[corner];
    for (let i = 0; i < n; i++) {
      const at = i * pp;
      const y = labels[i];
      const scale = y * r * r;
      const l = multipliers[i];
      let value = constant;
      for (let a = 0; a < d; a++) {
        const q = at + a * p;
        const f = a * p;
        for (let b = 0; b < d; b++) target[q + b] = scale * lifted[f + b];
        target[q + a] += l;
        const linear = lifted[f + d];
        const g = image[i * d + a];
        const side = y * r * (g + linear);
        target[q + d] = side;
        target[at + d * p + a] = side;
        value += data[i * d + a] * (g + 2 * linear);
      }
      target[at + corner] = y * value - l + slacks[i] - (affine ? 1 : 0);
    }
  }

  /** Upper triangle of T M T' for block i of `source`, into `[N]` numbers. */
  function packLifted(source: Float64Array, i: number, target: Float64Array, from: number): void {
    const at = i * pp;
    const x = i * d;
    const weight = source[at + corner];
    let next = from;
    for (let a = 0; a < d; a++) {
      const q = at + a * p;
      const xa = data[x + a];
      const ma = r * source[q + d];
      const va = ma + weight * xa;
      for (let b = a; b < d; b++) {
        target[next++] = r * r * source[q + b] + r * source[at + b * p + d] * xa + va * data[x + b];
      }
      target[next++] = va;
    }
    target[next] = weight;
  }

  /** From an upper triangle to a gradient row: factor * lifted weights, corner folded in. */
  function weigh(target: Float64Array, from: number, factor: number): void {
    for (let k = 0; k < entries; k++) target[from + k] *= factor * liftedWeight[k];
    const last = target[from + free];
    for (let a = 0; a < d; a++) target[from + entry[a * p + a]] += last;
    target[from + free] = 0;
  }

  /** <J, block i> */
  function ballValue(blocks: Float64Array, i: number): number {
    let value = -blocks[i * pp + corner];
    for (let a = 0, q = i * pp; a < d; a++, q += p + 1) value += blocks[q];
    return value;
  }

  return {
    degree: n * (p + 1) + boundedCount,
    slack,

    start(mu) {
      for (let i = 0; i < n; i++) {
        multiplier[i] = startSlack * p;
        slack[i] = 1 + multiplier[i] + startSlack;
        multiplierDual[i] = mu / multiplier[i];
        slackDual[i] = bounded[i] ? mu / slack[i] : 0;
        dualViews[i].fill(0);
        for (let a = 0; a < d; a++) dual[i * pp + a * (p + 1)] = mu / multiplier[i];
        dual[i * pp + corner] = mu / startSlack;
      }
    },

    emptyState: () => ({
      radius: r,
      dual: new Float64Array(n * pp),
      multiplier: new Float64Array(n),
      multiplierDual: new Float64Array(n),
      slack: new Float64Array(n),
      slackDual: new Float64Array(n),
    }),

    save(state) {
      state.dual.set(dual);
      for (let i = 0; i < n; i++) state.multiplier[i] = multiplier[i] / (r * r);
      state.multiplierDual.set(multiplierDual);
      state.slack.set(slack);
      state.slackDual.set(slackDual);
    },

    restore(state: SampleState, place, pair, mu, dualScale) {
      // A multiplier that makes y F11 + lambda I positive definite whatever the sign, for samples seen first.
      let square = 0;
      for (let a = 0; a < d; a++) for (let b = 0; b < d; b++) square += (lift[a * p + b] * pair[a * p + b]) ** 2;
      const bend = Math.sqrt(square);
      for (let i = 0; i < n; i++) {
        const o = place[i];
        const lambda = o < 0 ? bend + startSlack / (r * r) : state.multiplier[o];
        multiplier[i] = lambda * r * r;
        if (o < 0) {
          slack[i] = 1;
          continue;
        }
        // The corner of S moves by -lambda (r^2 - earlier r^2): undone by the slack where that stays positive.
        const moved = lambda * (r * r - state.radius * state.radius);
        slack[i] = Math.max(0.5 * state.slack[o], state.slack[o] + moved);
        multiplierDual[i] = dualScale * state.multiplierDual[o];
        dualViews[i].set(state.dual.subarray(o * pp, (o + 1) * pp));
        for (let k = i * pp; k < (i + 1) * pp; k++) dual[k] *= dualScale;
        const rest = weights[i] * loss.slope(slack[i]) - dual[i * pp + corner];
        slackDual[i] = bounded[i] ? Math.max(rest, dualScale * state.slackDual[o], 1e-3 * (mu / slack[i])) : 0;
      }
      slackOf(pair, multiplier, slack, true, slackBlocks);
      for (let i = 0; i < n; i++) {
        if (place[i] >= 0) continue;
        const at = i * pp;
        const block = inverseViews[i];
        // Corner less what the ball takes away from it, at slack 1.
        block.set(slackBlocks.subarray(at, at + pp));
        block[corner] += 1e6 * (1 + Math.abs(block[corner]));
        const raised = block[corner];
        if (workspace.potrf(p, block, p) !== 0) continue;
        const taken = raised - block[corner] * block[corner];
        const margin = slackBlocks[at + corner] - taken;
        // Open the slack until the share of the ball is positive, and let weight and slack dual add up to kappa: a large
        // dual residual would end the next step at once.
        const share = bounded[i] ? Math.max((2 * mu) / weights[i], 1e-8) : startSlack;
        slack[i] = Math.max(bounded[i] || required[i] ? share : Number.NEGATIVE_INFINITY, 1 + share - margin);
        block.set(slackBlocks.subarray(at, at + pp));
        block[corner] += slack[i] - 1;
        if (workspace.potrf(p, block, p) !== 0) continue;
        workspace.potri(p, block, p);
        for (let k = 0; k < pp; k++) dual[at + k] = mu * block[k];
        multiplierDual[i] = mu / multiplier[i];
        const rest = weights[i] * loss.slope(slack[i]) - dual[at + corner];
        slackDual[i] = bounded[i] ? Math.max(rest, mu / slack[i]) : 0;
      }
    },

    setPoint(pair) {
      slackOf(pair, multiplier, slack, true, slackBlocks);
      inverse.set(slackBlocks);
      for (let i = 0; i < n; i++) {
        if (workspace.potrf(p, inverseViews[i], p) !== 0) return false;
        workspace.potri(p, inverseViews[i], p);
      }
      return true;
    },

    complementarity() {
      let total = 0;
      for (let k = 0, size = n * pp; k < size; k++) total += dual[k] * slackBlocks[k];
      for (let i = 0; i < n; i++) total += multiplier[i] * multiplierDual[i] + slack[i] * slackDual[i];
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

    addHessian(k, hessian) {
      for (let i = 0; i < n; i++) {
        packLifted(dual, i, first, i * entries);
        packLifted(inverse, i, second, i * entries);
      }
      workspace.gemm(true, false, entries, entries, n, 1, first, entries, second, entries, 0, k, entries);
      addKronecker(layout, k, true, hessian);
      for (let i = 0; i < n; i++) {
        const at = i * pp;
        const y = labels[i];
        // h = sym(Y J S^-1)
        for (let a = 0; a < p; a++) {
          for (let b = 0; b < d; b++) left[a * p + b] = dual[at + a * p + b];
          left[a * p + d] = -dual[at + a * p + d];
        }
        workspace.gemm(false, false, p, p, p, 1, left, p, inverseViews[i], p, 0, lifted, p);
        symmetrise(lifted, p);
        product.set(lifted, at);
        let ballBall = 0;
        for (let a = 0; a < d; a++) ballBall += lifted[a * p + a];
        ballBall -= lifted[corner];
        ballBall += multiplierDual[i] / multiplier[i];
        let ballCorner = 0;
        for (let a = 0; a < d; a++) ballCorner += dual[at + d * p + a] * inverse[at + d * p + a];
        ballCorner -= dual[at + corner] * inverse[at + corner];
        let cornerCorner = dual[at + corner] * inverse[at + corner];
        cornerCorner += (bounded[i] ? slackDual[i] / slack[i] : 0) + weights[i] * loss.curvature(slack[i]);
        l11[i] = Math.sqrt(ballBall);
        l21[i] = ballCorner / l11[i];
        l22[i] = Math.sqrt(Math.max(cornerCorner - l21[i] * l21[i], 1e-300));
        const one = i * entries;
        packLifted(product, i, first, one);
        weigh(first, one, y / l11[i]);
        // gradient of the corner: y sym(T Y e (T S^-1 e)'), an outer product
        const yc = dual[at + corner];
        const sc = inverse[at + corner];
        let next = one;
        for (let a = 0; a < p; a++) {
          const va = a < d ? r * dual[at + a * p + d] + yc * data[i * d + a] : yc;
          const ua = a < d ? r * inverse[at + a * p + d] + sc * data[i * d + a] : sc;
          for (let b = a; b < p; b++) {
            const vb = b < d ? r * dual[at + b * p + d] + yc * data[i * d + b] : yc;
            const ub = b < d ? r * inverse[at + b * p + d] + sc * data[i * d + b] : sc;
            second[next++] = 0.5 * (va * ub + ua * vb);
          }
        }
        weigh(second, one, y);
        if (required[i]) continue;
        for (let k = one; k < one + entries; k++) second[k] = (second[k] - l21[i] * first[k]) / l22[i];
      }
      // Required samples keep the plain corner gradient in `second`: their slack is prescribed, not eliminated.
      if (required.some((flag) => flag !== 0)) {
        workspace.syrk(true, free, n, -1, first, entries, 1, hessian, entries);
        let from = 0;
        while (from < n) {
          while (from < n && required[from]) from++;
          let to = from;
          while (to < n && !required[to]) to++;
          if (to > from) {
            const part = second.subarray(from * entries, to * entries);
            workspace.syrk(true, free, to - from, -1, part, entries, 1, hessian, entries);
          }
          from = to;
        }
      } else workspace.syrk(true, free, 2 * n, -1, rows, entries, 1, hessian, entries);
    },

    beginDirection(mu, corrected, rightSide) {
      lifted.fill(0);
      for (let i = 0; i < n; i++) {
        const at = i * pp;
        for (let k = at; k < at + pp; k++) dualChange[k] = mu * inverse[k] - (corrected ? correction[k] : 0);
        const ballRest = mu / multiplier[i] - (corrected ? multiplierCorrection[i] : 0);
        const slackRest = bounded[i] ? mu / slack[i] - (corrected ? slackCorrection[i] : 0) : 0;
        multiplierDualChange[i] = ballRest;
        slackDualChange[i] = slackRest;
        const ball = ballValue(dualChange, i) + ballRest;
        const cornerRest = dualChange[at + corner] + slackRest - weights[i] * loss.slope(slack[i]);
        if (required[i]) {
          // x_i must go to zero: its change is known, -x_i.
          slackChange[i] = -slack[i];
          reducedFirst[i] = (ball - l21[i] * l11[i] * slackChange[i]) / l11[i];
          reducedSecond[i] = 0;
        } else {
          reducedFirst[i] = ball / l11[i];
          reducedSecond[i] = (cornerRest - l21[i] * reducedFirst[i]) / l22[i];
        }
        addLifted(i);
      }
      unit.fill(0);
      for (let a = 0, k = 0; a < p; a++) for (let b = a; b < p; b++, k++) unit[k] = lifted[a * p + b];
      weigh(unit, 0, 1);
      for (let i = 0; i < n; i++) {
        // second-row coefficient: eliminated part, or the prescribed change
        const s = required[i] ? slackChange[i] : reducedSecond[i];
        if (s !== 0) for (let k = 0, q = i * entries; k < free; k++) unit[k] -= s * second[q + k];
        const t = reducedFirst[i];
        for (let k = 0, q = i * entries; k < free; k++) unit[k] -= t * first[q + k];
      }
      for (let k = 0; k < free; k++) rightSide[k] += unit[k];

      /** lifted (upper triangle) += y T M T' for the block now in dualChange */
      function addLifted(i: number): void {
        const at = i * pp;
        const y = labels[i];
        const weight = dualChange[at + corner];
        for (let a = 0; a < d; a++) {
          const q = at + a * p;
          const xa = data[i * d + a];
          const va = r * dualChange[q + d] + weight * xa;
          for (let b = a; b < d; b++) {
            const value = r * r * dualChange[q + b] + r * dualChange[at + b * p + d] * xa + va * data[i * d + b];
            lifted[a * p + b] += y * value;
          }
          lifted[a * p + d] += y * va;
        }
        lifted[corner] += y * weight;
      }
    },

    finishDirection(vector, pair, keepCorrection) {
      for (let i = 0; i < n; i++) {
        let s1 = reducedFirst[i];
        let s2 = reducedSecond[i];
        for (let k = 0, q = i * entries; k < free; k++) s1 -= first[q + k] * vector[k];
        if (!required[i]) {
          for (let k = 0, q = i * entries; k < free; k++) s2 -= second[q + k] * vector[k];
          slackChange[i] = s2 / l22[i];
          multiplierChange[i] = (s1 - l21[i] * slackChange[i]) / l11[i];
        } else multiplierChange[i] = s1 / l11[i];
      }
      slackOf(pair, multiplierChange, slackChange, false, change);
      for (let i = 0; i < n; i++) {
        const at = i * pp;
        workspace.gemm(false, false, p, p, p, 1, changeViews[i], p, inverseViews[i], p, 0, productViews[i], p);
        workspace.gemm(false, false, p, p, p, 1, dualViews[i], p, productViews[i], p, 0, left, p);
        for (let a = 0; a < p; a++) {
          for (let b = 0; b <= a; b++) {
            const value = 0.5 * (left[a * p + b] + left[b * p + a]);
            const rest = 0.5 * (dualChange[at + a * p + b] + dualChange[at + b * p + a]);
            const result = rest - dual[at + a * p + b] - value;
            dualChange[at + a * p + b] = result;
            dualChange[at + b * p + a] = result;
          }
        }
        const l = multiplier[i];
        multiplierDualChange[i] += -multiplierDual[i] - (multiplierDual[i] * multiplierChange[i]) / l;
        if (bounded[i]) slackDualChange[i] += -slackDual[i] - (slackDual[i] * slackChange[i]) / slack[i];
        if (!keepCorrection) continue;
        multiplierCorrection[i] = (multiplierChange[i] * multiplierDualChange[i]) / l;
        slackCorrection[i] = bounded[i] ? (slackChange[i] * slackDualChange[i]) / slack[i] : 0;
        workspace.gemm(false, false, p, p, p, 1, dualChangeViews[i], p, productViews[i], p, 0, left, p);
        symmetrise(left, p);
        correction.set(left, at);
      }
    },

    primalStep(cap) {
      let step = search.longest(slackBlocks, change, cap);
      for (let i = 0; i < n; i++) {
        if (multiplierChange[i] < 0) step = Math.min(step, -multiplier[i] / multiplierChange[i]);
        if (bounded[i] && slackChange[i] < 0) step = Math.min(step, -slack[i] / slackChange[i]);
        if (!required[i]) step = Math.min(step, loss.trust / Math.abs(slackChange[i]));
      }
      return step;
    },

    dualStep(cap) {
      let step = search.longest(dual, dualChange, cap);
      for (let i = 0; i < n; i++) {
        if (multiplierDualChange[i] < 0) step = Math.min(step, -multiplierDual[i] / multiplierDualChange[i]);
        if (bounded[i] && slackDualChange[i] < 0) step = Math.min(step, -slackDual[i] / slackDualChange[i]);
      }
      return step;
    },

    complementarityAfter(primal, dualStep) {
      let total = 0;
      for (let k = 0, size = n * pp; k < size; k++) {
        total += (dual[k] + dualStep * dualChange[k]) * (slackBlocks[k] + primal * change[k]);
      }
      for (let i = 0; i < n; i++) {
        const l = multiplier[i] + primal * multiplierChange[i];
        total += l * (multiplierDual[i] + dualStep * multiplierDualChange[i]);
        if (!bounded[i]) continue;
        total += (slack[i] + primal * slackChange[i]) * (slackDual[i] + dualStep * slackDualChange[i]);
      }
      return total;
    },

    advance(primal, dualStep) {
      for (let k = 0, size = n * pp; k < size; k++) dual[k] += dualStep * dualChange[k];
      for (let i = 0; i < n; i++) {
        multiplier[i] += primal * multiplierChange[i];
        slack[i] += primal * slackChange[i];
        multiplierDual[i] += dualStep * multiplierDualChange[i];
        slackDual[i] += dualStep * slackDualChange[i];
      }
    },

    dualMoments(): DualMoments {
      if (moments.covariances === null) {
        moments.covariances = new Float64Array(n * d * d);
        moments.displacements = new Float64Array(n * d);
      }
      const { weights: w, displacements, covariances } = moments as DualMoments & { covariances: Float64Array };
      for (let i = 0; i < n; i++) {
        const at = i * pp;
        const weight = dual[at + corner];
        w[i] = weight;
        for (let a = 0; a < d; a++) {
          const mean = dual[at + a * p + d] / weight;
          displacements[i * d + a] = r * mean;
          for (let b = 0; b < d; b++) {
            const moment = dual[at + a * p + b] / weight - (mean * dual[at + b * p + d]) / weight;
            covariances[i * d * d + a * d + b] = r * r * moment;
          }
        }
      }
      return moments;
    },
  };
}
