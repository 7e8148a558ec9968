// Second derivatives of the ball samples with respect to U, with every multiplier l_i and slack x_g eliminated:
//   sum_i T_i Y_i T_i' (x) T_i S_i^-1 T_i' (symmetric part)  -  sum over eliminated variables of row' row,
// the rows being those of the Cholesky factor [l11_1 .. ; l21_1 .. l22] of one slack with its multipliers (one, or two when
// samples are paired). Inner products with J and e e' give its entries: HKM scaling, sym(Y J S^-1) and so on.

import { type BallBlocks, packLifted, weigh } from "./ballBlocks.js";
import { addKronecker } from "./layout.js";
import { symmetrise } from "./scaledBlock.js";

/** Adds to the lower triangle of hessian `[N, N]`; `k` `[N, N]` is scratch. */
export function addBallHessian(blocks: BallBlocks, k: Float64Array, hessian: Float64Array): void {
  const { layout, workspace, n, m, q: p, inverse, dual, rows } = blocks;
  const { entries } = layout;
  const d = p - 1;
  const pp = p * p;
  const corner = pp - 1;
  const second = rows.subarray(n * entries);
  // All n rows of the second kind fit: the slack rows replace them below.
  for (let i = 0; i < n; i++) {
    packLifted(blocks, dual, i, rows, i * entries);
    packLifted(blocks, inverse, i, second, i * entries);
  }
  workspace.gemm(true, false, entries, entries, n, 1, rows, entries, second, entries, 0, k, entries);
  addKronecker(layout, k, true, hessian);
  // product_i <- sym(Y J S^-1)
  const { scratch, product } = blocks;
  scratch.set(dual);
  for (let i = 0; i < n; i++) for (let a = i * pp + d; a < (i + 1) * pp; a += p) scratch[a] = -scratch[a];
  workspace.batch.gemm(n, false, false, p, p, p, 1, scratch, p, pp, inverse, p, pp, 0, product, p, pp);
  const { l11, l21, l22, multiplier, multiplierDual, problem } = blocks;
  for (let i = 0; i < n; i++) {
    const at = i * pp;
    symmetrise(product, p, at);
    let ballBall = multiplierDual[i] / multiplier[i] - product[at + corner];
    for (let a = 0; a < d; a++) ballBall += product[at + a * (p + 1)];
    let ballCorner = -dual[at + corner] * inverse[at + corner];
    for (let a = 0; a < d; a++) ballCorner += dual[at + d * p + a] * inverse[at + d * p + a];
    l11[i] = Math.sqrt(ballBall);
    l21[i] = ballCorner / l11[i];
    packLifted(blocks, product, i, rows, i * entries);
    weigh(layout, rows, i * entries, problem.labels[i] / l11[i]);
  }
  const { weights, required, loss } = problem;
  const { slack, slackDual, bounded } = blocks;
  for (let g = 0; g < m; g++) {
    let square = (bounded[g] ? slackDual[g] / slack[g] : 0) + weights[g] * loss.curvature(slack[g]);
    const row = g * entries;
    for (let i = g; i < n; i += m) {
      const at = i * pp;
      square += dual[at + corner] * inverse[at + corner] - l21[i] * l21[i];
      addCornerRow(blocks, i, second, row, i === g);
      if (required[g]) continue;
      const [from, factor] = [i * entries, l21[i]];
      for (let q = 0; q < entries; q++) second[row + q] -= factor * rows[from + q];
    }
    l22[g] = Math.sqrt(Math.max(square, 1e-300));
    if (required[g]) continue;
    for (let q = row; q < row + entries; q++) second[q] /= l22[g];
  }
  subtractRows(blocks, hessian);
}

/** target <- (or +=) gradient of the corner of block i: y sym(T Y e (T S^-1 e)'), weighted. */
function addCornerRow(blocks: BallBlocks, i: number, target: Float64Array, from: number, first: boolean): void {
  const { problem, layout, q, reach, data, dual, inverse, unit } = blocks;
  const { labels } = problem;
  const { features: d, order: p, entries } = layout;
  const y = labels[i];
  const yc = dual[(i + 1) * q * q - 1];
  const sc = inverse[(i + 1) * q * q - 1];
  // T Y e and T S^-1 e without their last entries
  const [v, u] = [blocks.columnDual, blocks.columnInverse];
  for (let a = 0; a < d; a++) {
    v[a] = yc * data[i * d + a];
    u[a] = sc * data[i * d + a];
  }
  const r = problem.radius;
  for (let c = 0, k = i * q * q + q - 1; c < q - 1; c++, k += q) {
    if (!reach) {
      v[c] += r * dual[k];
      u[c] += r * inverse[k];
      continue;
    }
    for (let a = 0; a < d; a++) {
      const factor = r * reach[a * (q - 1) + c];
      v[a] += factor * dual[k];
      u[a] += factor * inverse[k];
    }
  }
  v[d] = yc;
  u[d] = sc;
  let next = 0;
  for (let a = 0; a < p; a++) for (let b = a; b < p; b++) unit[next++] = 0.5 * (v[a] * u[b] + u[a] * v[b]);
  weigh(layout, unit, 0, y);
  if (first) for (let k = 0; k < entries; k++) target[from + k] = unit[k];
  else for (let k = 0; k < entries; k++) target[from + k] += unit[k];
}

/** hessian -= rows' rows. Required samples keep the plain corner gradient: their slack is prescribed, not eliminated. */
function subtractRows({ problem, layout, workspace, n, m, rows }: BallBlocks, hessian: Float64Array): void {
  const { entries, free } = layout;
  const { required } = problem;
  if (!required.some((flag) => flag !== 0)) {
    workspace.syrk(true, free, n + m, -1, rows, entries, 1, hessian, entries);
    return;
  }
  workspace.syrk(true, free, n, -1, rows, entries, 1, hessian, entries);
  for (let from = 0; from < m; ) {
    while (from < m && required[from]) from++;
    let to = from;
    while (to < m && !required[to]) to++;
    if (to > from) {
      const part = rows.subarray((n + from) * entries, (n + to) * entries);
      workspace.syrk(true, free, to - from, -1, part, entries, 1, hessian, entries);
    }
    from = to;
  }
}
