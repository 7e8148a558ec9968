// Where the ball samples start: an exactly centred point for W = 0 or for a network near the optimum, or the iterate of an
// earlier, similar solve.

import { type BallBlocks, slackOf } from "./ballBlocks.js";
import { centreSample } from "./centreSample.js";
import type { SampleState } from "./sampleTerm.js";

/** Start of every slack matrix's corner. Of 0.001 to 1, values about 0.02 need the fewest iterations on wdbc and synth. */
const startSlack = 0.02;

/** S_i = diag(l, .., l, corner) and Y_i = mu S_i^-1 at U = 0. */
export function startBall(blocks: BallBlocks, mu: number): void {
  const { problem, n, m, q: p, dual, multiplier, multiplierDual, slack, slackDual, bounded } = blocks;
  const d = p - 1;
  const pp = p * p;
  multiplier.fill(startSlack * p);
  multiplierDual.fill(mu / (startSlack * p));
  for (let g = 0; g < m; g++) {
    let target = problem.targets[g];
    for (let i = g + m; i < n; i += m) target = Math.max(target, problem.targets[i]);
    slack[g] = target + multiplier[g] + startSlack;
    slackDual[g] = bounded[g] ? mu / slack[g] : 0;
  }
  dual.fill(0);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < d; a++) dual[i * pp + a * (p + 1)] = mu / multiplier[i];
    dual[(i + 1) * pp - 1] = mu / (slack[i < m ? i : i - m] - problem.targets[i] - multiplier[i]);
  }
}

export function emptyBallState({ n, m, q, problem }: BallBlocks): SampleState {
  const make = (count: number) => new Float64Array(count);
  return {
    ...{ radius: problem.radius, dual: make(n * q * q), multiplier: make(n), multiplierDual: make(n) },
    ...{ slack: make(m), slackDual: make(m) },
  };
}

export function saveBall({ problem, n, dual, multiplier, ...rest }: BallBlocks, state: SampleState): void {
  state.dual.set(dual);
  for (let i = 0; i < n; i++) state.multiplier[i] = multiplier[i] / (problem.radius * problem.radius);
  state.multiplierDual.set(rest.multiplierDual);
  state.slack.set(rest.slack);
  state.slackDual.set(rest.slackDual);
}

/** As `SampleTerm.startAt`: every sample at its centre. */
export function startBallAt(blocks: BallBlocks, pair: Float64Array, mu: number): void {
  const { multiplier, slack, slackBlocks } = blocks;
  const centre = createCentring(blocks, pair);
  for (let i = 0; i < blocks.n; i++) centre(i, mu);
  slackOf(blocks, pair, multiplier, slack, true, slackBlocks);
  for (let i = 0; i < blocks.n; i++) centreDual(blocks, i, mu);
}

/** A function that puts l and x of one sample, and their duals, at its centre for U. */
function createCentring(blocks: BallBlocks, pair: Float64Array): (i: number, mu: number) => void {
  const { problem, q: p, workspace, slackBlocks, square, unit, multiplier, multiplierDual, slack, slackDual } = blocks;
  const d = p - 1;
  const { labels, targets, weights } = problem;
  multiplier.fill(0);
  slack.set(targets.subarray(0, slack.length));
  // Blocks without l and slack: [y r^2 F11, side; side', y f].
  slackOf(blocks, pair, multiplier, slack, true, slackBlocks);
  const plain = slackBlocks.slice();
  for (let a = 0; a < d; a++) for (let b = 0; b < d; b++) square[a * d + b] = labels[0] * plain[a * p + b];
  const values = unit.subarray(0, d);
  if (workspace.syevd(d, square, d, values) !== 0) values.fill(Number.NaN);
  const curvatures = new Float64Array(d);
  const squares = new Float64Array(d);
  const found = { multiplier: 0, slack: 0 };
  const eigenvalues = values.slice();
  const vectors = square.slice();
  return (i, mu) => {
    const at = i * p * p;
    for (let k = 0; k < d; k++) {
      let along = 0;
      for (let a = 0; a < d; a++) along += vectors[k * d + a] * plain[at + a * p + d];
      squares[k] = along * along;
      curvatures[k] = labels[i] * eigenvalues[k];
    }
    centreSample({ curvatures, squares, missing: targets[i] - plain[at + p * p - 1] }, weights[i], mu, found);
    multiplier[i] = found.multiplier;
    multiplierDual[i] = mu / found.multiplier;
    slack[i] = found.slack;
    slackDual[i] = mu / found.slack;
  };
}

/** Y_i = mu S_i^-1; NaN, which no start survives, when S_i is not positive definite. */
function centreDual({ q: p, workspace, dual, slackBlocks }: BallBlocks, i: number, mu: number): void {
  const block = dual.subarray(i * p * p, (i + 1) * p * p);
  block.set(slackBlocks.subarray(i * p * p, (i + 1) * p * p));
  const failed = workspace.potrf(p, block, p) !== 0;
  if (!failed) workspace.potri(p, block, p);
  for (let k = 0; k < p * p; k++) block[k] *= failed ? Number.NaN : mu;
}

/** As `SampleTerm.restore`; samples are not paired. */
export function restoreBall(
  blocks: BallBlocks,
  state: SampleState,
  place: Int32Array,
  pair: Float64Array,
  mu: number,
  dualScale: number,
): void {
  const { problem, layout, n, q: p, dual, multiplier, multiplierDual, slack, slackDual, bounded, slackBlocks } = blocks;
  const { weights, targets, loss, required, radius: r } = problem;
  const { order, features, lift } = layout;
  const pp = p * p;
  const corner = pp - 1;
  // A multiplier that makes y F11 + lambda I positive definite whatever the sign, for samples seen first.
  let square = 0;
  for (let a = 0; a < features; a++) {
    for (let b = 0; b < features; b++) square += (lift[a * order + b] * pair[a * order + b]) ** 2;
  }
  let widest = 0;
  for (const entry of blocks.reach ?? []) widest += entry * entry;
  const bend = Math.sqrt(square) * (blocks.reach ? widest : 1);
  const centred = (i: number) => place[i] < 0 && bounded[i] !== 0 && !loss.curved;
  const centre = place.some((_, i) => centred(i)) ? createCentring(blocks, pair) : null;
  for (let i = 0; i < n; i++) {
    const o = place[i];
    if (centre && centred(i)) {
      centre(i, mu);
      continue;
    }
    const lambda = o < 0 ? bend + startSlack / (r * r) : state.multiplier[o];
    multiplier[i] = lambda * r * r;
    if (o < 0) {
      slack[i] = targets[i];
      continue;
    }
    // The corner of S moves by -lambda (r^2 - earlier r^2): undone by the slack where that stays positive.
    const moved = lambda * (r * r - state.radius * state.radius);
    slack[i] = Math.max(0.5 * state.slack[o], state.slack[o] + moved);
    multiplierDual[i] = dualScale * state.multiplierDual[o];
    for (let k = 0; k < pp; k++) dual[i * pp + k] = dualScale * state.dual[o * pp + k];
    const rest = weights[i] * loss.slope(slack[i]) - dual[i * pp + corner];
    slackDual[i] = bounded[i] ? Math.max(rest, dualScale * state.slackDual[o], 1e-3 * (mu / slack[i])) : 0;
  }
  slackOf(blocks, pair, multiplier, slack, true, slackBlocks);
  for (let i = 0; i < n; i++) {
    if (centred(i)) centreDual(blocks, i, mu);
    else if (place[i] < 0) openBlock(i);
  }

  /** Opens the slack of a new sample until its block is positive definite, and centres the dual. */
  function openBlock(i: number): void {
    const { workspace, inverse } = blocks;
    const at = i * pp;
    const block = inverse.subarray(at, at + pp);
    // Corner less what the ball takes away from it, at slack = target.
    block.set(slackBlocks.subarray(at, at + pp));
    block[corner] += 1e6 * (1 + Math.abs(block[corner]));
    const raised = block[corner];
    if (workspace.potrf(p, block, p) !== 0) return;
    const taken = raised - block[corner] * block[corner];
    const margin = slackBlocks[at + corner] - taken;
    // Open the slack until the share of the ball is positive, and let weight and slack dual add up to kappa: a large
    // dual residual would end the next step at once.
    const share = bounded[i] ? Math.max((2 * mu) / weights[i], 1e-8) : startSlack;
    const least = bounded[i] || required[i] ? share : Number.NEGATIVE_INFINITY;
    slack[i] = Math.max(least, targets[i] + share - margin);
    block.set(slackBlocks.subarray(at, at + pp));
    block[corner] += slack[i] - targets[i];
    if (workspace.potrf(p, block, p) !== 0) return;
    workspace.potri(p, block, p);
    for (let k = 0; k < pp; k++) dual[at + k] = mu * block[k];
    multiplierDual[i] = mu / multiplier[i];
    const rest = weights[i] * loss.slope(slack[i]) - dual[at + corner];
    slackDual[i] = bounded[i] ? Math.max(rest, mu / slack[i]) : 0;
  }
}
