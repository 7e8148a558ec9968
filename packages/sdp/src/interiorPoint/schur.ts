// The Schur complement of the HKM direction, H_jk = <F_j, Y F_k S^-1>, added block by block into the lower triangle.
//
// With T = Y F_k S^-1, H_jk = <F_j, sym T>. Matrices are visited in order of descending entry count, and row k covers only
// the matrices after it, so the costly side is always formed for the fuller one. Per matrix the cheapest of three ways:
//   product  T whole, from the r nonzero rows of F_k: Y[:, r] (F_k[r, :] S^-1), one dense product
//   dots     only the entries of T that some later F_j has, each a dot product of length r
//   entries  those entries straight from pairs of entries of F_k and F_j
// (the idea is Fujisawa, Kojima and Nakata's, Mathematical Programming 79:235-253, 1997).

import type { Workspace } from "@worstcase/linalg/kernels";
import type { PsdBlock } from "./reducedProblem.js";
import { addRankOne } from "./schurRankOne.js";

type Formula = "product" | "dots" | "entries";

export interface SchurPlan {
  readonly formulas: readonly Formula[];
  /** Nonzero rows of each F_k, only where the formula needs them. */
  readonly support: readonly (Int32Array | undefined)[];
  /** Positions of row and column of each entry within its matrix's support. */
  readonly supportRow: Int32Array;
  readonly supportColumn: Int32Array;
  /** Of each entry: row * order + column, and the value, halved on the diagonal, that multiplies (T + T') there. */
  readonly position: Int32Array;
  readonly weight: Float64Array;
  /** First of the groups that have one entry only; they are the last ones. */
  readonly firstSingle: number;
  /** How many products are gathered from at once. */
  readonly lanes: number;
  /** Numbers of scratch needed: two of `[order, widest]` and one of `[order, order]`, and those of the rank-one part. */
  readonly widest: number;
}

/** Relative costs of one unit of each formula's work, from apps/bench (suite sdp) on one core with wasm kernels. */
const COST = { axpy: 0.7, product: 0.1, call: 1500, gather: 1, dot: 0.9, dotStart: 6, pair: 1.8, pairStart: 6 };

/** Several T side by side share the loads of an entry; beyond this order they would not stay in cache. */
const LANES = 4;
const LANES_UP_TO = 128;

/** From this share of entries on F_k S^-1 is a dense product. */
const DENSE = 0.05;

const plans = new WeakMap<PsdBlock, SchurPlan>();

/** The plan of a block, made once. */
export function planSchur(block: PsdBlock): SchurPlan {
  const known = plans.get(block);
  if (known) return known;
  const plan = makePlan(block);
  plans.set(block, plan);
  return plan;
}

function makePlan({ order, terms }: PsdBlock): SchurPlan {
  const { variable, start, row, column } = terms;
  const formulas: Formula[] = [];
  const support: (Int32Array | undefined)[] = [];
  let widest = 0;
  const total = start[variable.length];
  const mark = new Int32Array(order).fill(-1);
  const rank = new Int32Array(order);
  const rows = new Int32Array(order);
  const supportRow = new Int32Array(total);
  const supportColumn = new Int32Array(total);
  for (let g = 0; g < variable.length; g++) {
    const later = total - start[g];
    let nonzeros = 0;
    let r = 0;
    for (let e = start[g]; e < start[g + 1]; e++) {
      const [i, j] = [row[e], column[e]];
      nonzeros += i === j ? 1 : 2;
      if (mark[i] !== g) rows[r++] = i;
      mark[i] = g;
      if (mark[j] !== g) rows[r++] = j;
      mark[j] = g;
    }
    const form = COST.axpy * nonzeros * order;
    const product = form + COST.call + (COST.product * 2 * r + 1) * order * order + COST.gather * later;
    const dots = form * 2 + (COST.dotStart + COST.dot * 2 * r) * later;
    const entries = (COST.pairStart + COST.pair * nonzeros) * later;
    const best: Formula = Math.min(product, dots) >= entries ? "entries" : product < dots ? "product" : "dots";
    formulas.push(best);
    const own = best === "entries" ? undefined : rows.slice(0, r).sort();
    support.push(own);
    if (own) for (let position = 0; position < r; position++) rank[own[position]] = position;
    for (let e = start[g]; e < start[g + 1]; e++) {
      supportRow[e] = rank[row[e]];
      supportColumn[e] = rank[column[e]];
    }
    if (best !== "entries") widest = Math.max(widest, r);
  }
  const products = formulas.filter((formula) => formula === "product").length;
  let firstSingle = variable.length;
  while (firstSingle > 0 && start[firstSingle] - start[firstSingle - 1] === 1) firstSingle--;
  return {
    formulas,
    support,
    supportRow,
    supportColumn,
    position: row.map((i, e) => i * order + column[e]),
    weight: terms.value.map((v, e) => (row[e] === column[e] ? v / 2 : v)),
    firstSingle,
    lanes: products >= LANES && order <= LANES_UP_TO ? LANES : 1,
    widest,
  };
}

export interface SchurScratch {
  /** `[order * widest]` each, and at least `[order]`. */
  readonly left: Float64Array;
  readonly right: Float64Array;
  /** `[order * order]`. */
  readonly product: Float64Array;
  /** `[order * order, lanes]` where the plan has several lanes, else unused. */
  readonly lanes: Float64Array;
}

/** H (lower triangle, `[m, m]`) += the block's part. `y`, `inverse` are Y and S^-1 with both triangles. */
export function addSchur(
  block: PsdBlock,
  plan: SchurPlan,
  workspace: Workspace,
  scratch: SchurScratch,
  y: Float64Array,
  inverse: Float64Array,
  h: Float64Array,
  m: number,
): void {
  const groups = block.terms.variable.length;
  let batch: number[] = [];
  for (let g = 0; g < groups; g++) {
    if (plan.formulas[g] === "product") {
      formProduct(block, g, plan, workspace, scratch, y, inverse);
      if (plan.lanes === 1) {
        symmetrise(block.order, scratch.product, scratch.product, 1, 0);
        gather(block, g, plan, scratch.product, h, m);
      } else {
        symmetrise(block.order, scratch.product, scratch.lanes, plan.lanes, batch.push(g) - 1);
        if (batch.length === plan.lanes) {
          gatherLanes(block, batch, plan, scratch.lanes, h, m);
          batch = [];
        }
      }
    } else if (plan.formulas[g] === "dots") byDots(block, g, plan, scratch, y, inverse, h, m);
    else byEntries(block, g, plan, y, inverse, h, m);
  }
  if (batch.length > 0) gatherLanes(block, batch, plan, scratch.lanes, h, m);
  if (block.rankOne.length > 0) addRankOne(block, scratch, y, inverse, h, m);
}

/** product <- T = Y F_k S^-1. */
function formProduct(
  { order: n, terms }: PsdBlock,
  g: number,
  plan: SchurPlan,
  workspace: Workspace,
  { left, right, product: t }: SchurScratch,
  y: Float64Array,
  inverse: Float64Array,
): void {
  const { start, row, column, value } = terms;
  const { supportRow, supportColumn } = plan;
  const support = plan.support[g] as Int32Array;
  const r = support.length;
  const count = start[g + 1] - start[g];
  right.fill(0, 0, r * n);
  if (r === n && count > DENSE * n * n) {
    // a full F_k is cheaper through the dense product
    left.fill(0, 0, n * n);
    for (let e = start[g]; e < start[g + 1]; e++)
      left[row[e] * n + column[e]] = left[column[e] * n + row[e]] = value[e];
    workspace.gemm(false, false, n, n, n, 1, left, n, inverse, n, 0, right, n);
  } else {
    for (let e = start[g]; e < start[g + 1]; e++) {
      addRow(right, supportRow[e] * n, value[e], inverse, column[e] * n, n);
      if (row[e] !== column[e]) addRow(right, supportColumn[e] * n, value[e], inverse, row[e] * n, n);
    }
  }
  let rows = y;
  if (r < n) {
    for (let p = 0; p < r; p++) {
      for (let i = 0, to = p * n, from = support[p] * n; i < n; i++) left[to + i] = y[from + i];
    }
    rows = left;
  }
  workspace.gemm(true, false, n, n, r, 1, rows, n, right, n, 0, t, n);
}

/** Upper triangle of T + T' into one of `lanes` lanes of `out`. */
function symmetrise(n: number, t: Float64Array, out: Float64Array, lanes: number, lane: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = i, at = i * n + i, mirrored = at; j < n; j++, at++, mirrored += n) {
      out[at * lanes + lane] = t[at] + t[mirrored];
    }
  }
}

/** H_qk += <F_q, sym T> for the matrices q from k on. */
function gather({ terms }: PsdBlock, g: number, plan: SchurPlan, t: Float64Array, h: Float64Array, m: number): void {
  const { variable, start } = terms;
  const { position, weight } = plan;
  const k = variable[g];
  for (let q = g; q < variable.length; q++) {
    let sum = 0;
    let e = start[q];
    const end = start[q + 1];
    // two sums, so that one addition need not wait for the other
    let odd = 0;
    for (; e + 1 < end; e += 2) {
      sum += weight[e] * t[position[e]];
      odd += weight[e + 1] * t[position[e + 1]];
    }
    if (e < end) sum += weight[e] * t[position[e]];
    sum += odd;
    const other = variable[q];
    h[other > k ? other * m + k : k * m + other] += sum;
  }
}

/** As `gather` for up to four matrices at once. */
function gatherLanes(
  { terms }: PsdBlock,
  batch: readonly number[],
  plan: SchurPlan,
  t: Float64Array,
  h: Float64Array,
  m: number,
): void {
  const { variable, start } = terms;
  const { position, weight } = plan;
  const sums = new Float64Array(LANES);
  for (let q = batch[0]; q < variable.length; q++) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let e = start[q], end = start[q + 1]; e < end; e++) {
      const w = weight[e];
      const at = LANES * position[e];
      s0 += w * t[at];
      s1 += w * t[at + 1];
      s2 += w * t[at + 2];
      s3 += w * t[at + 3];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    const other = variable[q];
    for (let lane = 0; lane < batch.length; lane++) {
      if (batch[lane] > q) continue;
      const k = variable[batch[lane]];
      h[other > k ? other * m + k : k * m + other] += sums[lane];
    }
  }
}

function byDots(
  { order: n, terms }: PsdBlock,
  g: number,
  plan: SchurPlan,
  { left, right }: SchurScratch,
  y: Float64Array,
  inverse: Float64Array,
  h: Float64Array,
  m: number,
): void {
  const { variable, start, row, column, value } = terms;
  const { supportRow, supportColumn } = plan;
  const support = plan.support[g] as Int32Array;
  const r = support.length;
  // left[i, p] = Y[i, support p], right[j, p] = (F_k S^-1)[support p, j]
  right.fill(0, 0, n * r);
  for (let p = 0; p < r; p++) {
    const from = support[p] * n;
    for (let i = 0; i < n; i++) left[i * r + p] = y[from + i];
  }
  for (let e = start[g]; e < start[g + 1]; e++) {
    const i = row[e];
    const j = column[e];
    const v = value[e];
    const p = supportRow[e];
    for (let a = 0, from = j * n; a < n; a++) right[a * r + p] += v * inverse[from + a];
    if (i === j) continue;
    const q = supportColumn[e];
    for (let a = 0, from = i * n; a < n; a++) right[a * r + q] += v * inverse[from + a];
  }
  const k = variable[g];
  for (let q = g; q < variable.length; q++) {
    let sum = 0;
    for (let e = start[q], end = start[q + 1]; e < end; e++) {
      const a = row[e] * r;
      const b = column[e] * r;
      let dot = 0;
      if (a === b) for (let p = 0; p < r; p++) dot += left[a + p] * right[a + p];
      else for (let p = 0; p < r; p++) dot += left[a + p] * right[b + p] + left[b + p] * right[a + p];
      sum += value[e] * dot;
    }
    const other = variable[q];
    h[other > k ? other * m + k : k * m + other] += sum;
  }
}

function byEntries(
  { order: n, terms }: PsdBlock,
  g: number,
  plan: SchurPlan,
  y: Float64Array,
  inverse: Float64Array,
  h: Float64Array,
  m: number,
): void {
  const { variable, start, row, column, value } = terms;
  const k = variable[g];
  for (let f = start[g]; f < start[g + 1]; f++) {
    const c = row[f] * n;
    const d = column[f] * n;
    const weight = value[f];
    const diagonal = c === d;
    // groups come in order of descending count: those of one entry are the last
    const single = Math.max(g, plan.firstSingle);
    for (let q = single, e = start[single]; q < variable.length; q++, e++) {
      const a = row[e];
      const b = column[e];
      let t = y[c + a] * inverse[d + b];
      if (!diagonal) t += y[d + a] * inverse[c + b];
      if (a !== b) {
        t += y[c + b] * inverse[d + a];
        if (!diagonal) t += y[d + b] * inverse[c + a];
      }
      const other = variable[q];
      h[other > k ? other * m + k : k * m + other] += weight * value[e] * t;
    }
    for (let q = g; q < single; q++) {
      let sum = 0;
      for (let e = start[q], end = start[q + 1]; e < end; e++) {
        const a = row[e];
        const b = column[e];
        let t = y[c + a] * inverse[d + b];
        if (!diagonal) t += y[d + a] * inverse[c + b];
        if (a !== b) {
          t += y[c + b] * inverse[d + a];
          if (!diagonal) t += y[d + b] * inverse[c + a];
        }
        sum += value[e] * t;
      }
      const other = variable[q];
      h[other > k ? other * m + k : k * m + other] += weight * sum;
    }
  }
}

function addRow(to: Float64Array, at: number, weight: number, from: Float64Array, begin: number, n: number): void {
  for (let i = 0; i < n; i++) to[at + i] += weight * from[begin + i];
}
