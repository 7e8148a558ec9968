// Variables, memory and linear maps of the samples against a ball of radius r > 0 (solvers.md 3; math.md 4.2).
// Displacements are measured in units of r: T = [r I, x; 0, 1], J = diag(I, -1), multiplier l = lambda r^2, F = lift(U).
//   S_i = y_i T_i' F T_i + l_i J - (target_i - slack_g) e e',   g = i, or i modulo count / 2 when samples are paired
// n blocks, m slacks. Arrays of blocks are `[n, p, p]`. Everything is taken once; functions write into given memory.

import type { Workspace } from "@worstcase/linalg";
import type { Dimensions, Layout } from "./layout.js";
import type { SampleProblem } from "./sampleTerm.js";
import { createStepSearch, type StepSearch, stepSearchSizes } from "./stepSearch.js";

export interface BallBlocks {
  readonly problem: SampleProblem;
  readonly layout: Layout;
  readonly workspace: Workspace;
  readonly search: StepSearch;
  /** Blocks n and slacks m; n = 2 m when paired. */
  readonly n: number;
  readonly m: number;
  // `[n, p, p]`
  readonly slackBlocks: Float64Array;
  readonly inverse: Float64Array;
  readonly dual: Float64Array;
  readonly change: Float64Array;
  readonly dualChange: Float64Array;
  readonly correction: Float64Array;
  /** dS S^-1 of the present direction. */
  readonly product: Float64Array;
  readonly scratch: Float64Array;
  /** `[p, p]` */
  readonly lifted: Float64Array;
  /** Points and an image of them, `[n, d]`, and a square, `[d, d]`. */
  readonly data: Float64Array;
  readonly image: Float64Array;
  readonly square: Float64Array;
  /** Rows that the elimination of l (first n) and of the slack (last m) takes off the Hessian, `[n + m, N]`. */
  readonly rows: Float64Array;
  /** Their coefficients in the right-hand side, and a product with them, `[n + m]`. */
  readonly reduced: Float64Array;
  readonly moved: Float64Array;
  /** `[N]` */
  readonly unit: Float64Array;
  readonly signs: Float64Array;
  readonly status: Float64Array;
  readonly scalar: Float64Array;
  // `[n]`
  readonly multiplier: Float64Array;
  readonly multiplierDual: Float64Array;
  readonly multiplierChange: Float64Array;
  readonly multiplierDualChange: Float64Array;
  readonly multiplierCorrection: Float64Array;
  // `[m]`
  readonly slack: Float64Array;
  readonly slackDual: Float64Array;
  readonly slackChange: Float64Array;
  readonly slackDualChange: Float64Array;
  readonly slackCorrection: Float64Array;
  /** Whether slack >= 0 is a constraint with a dual partner, `[m]`. */
  readonly bounded: Uint8Array;
  /** Cholesky factors of the eliminated blocks: one column per multiplier, the last per slack. */
  readonly l11: Float64Array;
  readonly l21: Float64Array;
  readonly l22: Float64Array;
}

/** Lengths of the workspace arrays, in the order of `createBallBlocks`, without the step search. */
function ballSizes(n: number, { features: d, order: p, entries }: Dimensions): number[] {
  const block = n * p * p;
  return [
    ...Array<number>(8).fill(block),
    ...[p * p, n * d, n * d, d * d, 2 * n * entries, 2 * n, 2 * n, entries, n, n, 1],
  ];
}

export function ballMemory(n: number, dimensions: Dimensions): number[] {
  return [...ballSizes(n, dimensions), ...stepSearchSizes(dimensions.order)];
}

export function createBallBlocks(problem: SampleProblem, layout: Layout, workspace: Workspace): BallBlocks {
  const { count: n, points, labels, loss, required } = problem;
  const m = problem.paired ? n / 2 : n;
  const arrays = ballSizes(n, layout).map((size) => workspace.float64(size));
  const [slackBlocks, inverse, dual, change, dualChange, correction, product, scratch] = arrays;
  const [lifted, data, image, square, rows, reduced, moved, unit, signs, status, scalar] = arrays.slice(8);
  data.set(points.subarray(0, n * layout.features));
  signs.set(labels);
  const make = (count: number) => new Float64Array(count);
  // A plain literal without spreads keeps one hidden class over all solves (layout.ts).
  return {
    problem,
    layout,
    workspace,
    search: createStepSearch(n, layout.order, workspace),
    n,
    m,
    slackBlocks,
    inverse,
    dual,
    change,
    dualChange,
    correction,
    product,
    scratch,
    lifted,
    data,
    image,
    square,
    rows,
    reduced,
    moved,
    unit,
    signs,
    status,
    scalar,
    multiplier: make(n),
    multiplierDual: make(n),
    multiplierChange: make(n),
    multiplierDualChange: make(n),
    multiplierCorrection: make(n),
    slack: make(m),
    slackDual: make(m),
    slackChange: make(m),
    slackDualChange: make(m),
    slackCorrection: make(m),
    l11: make(n),
    l21: make(n),
    l22: make(m),
    bounded: Uint8Array.from({ length: m }, (_, i) => (loss.flatBelowZero && !required[i] ? 1 : 0)),
  };
}

/** target[i] <- y T' F T + l J + (slack - target) e e' for the matrix U; without the targets when `affine` is false. */
export function slackOf(
  { problem, layout, workspace, n, m, lifted, data, image }: BallBlocks,
  pair: Float64Array,
  multipliers: Float64Array,
  slacks: Float64Array,
  affine: boolean,
  target: Float64Array,
): void {
  const { labels, targets, radius: r } = problem;
  const { features: d, order: p, lift } = layout;
  const pp = p * p;
  const corner = pp - 1;
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
    target[at + corner] = y * value - l + slacks[i < m ? i : i - m] - (affine ? targets[i] : 0);
  }
}

/** Upper triangle of T M T' for block i of `source`, into `[N]` numbers. */
export function packLifted(
  { problem, layout, data }: BallBlocks,
  source: Float64Array,
  i: number,
  target: Float64Array,
  from: number,
): void {
  const r = problem.radius;
  const { features: d, order: p } = layout;
  const at = i * p * p;
  const x = i * d;
  const weight = source[at + p * p - 1];
  let next = from;
  for (let a = 0; a < d; a++) {
    const q = at + a * p;
    const xa = data[x + a];
    const va = r * source[q + d] + weight * xa;
    for (let b = a; b < d; b++) {
      target[next++] = r * r * source[q + b] + r * source[at + b * p + d] * xa + va * data[x + b];
    }
    target[next++] = va;
  }
  target[next] = weight;
}

/** lifted <- sum_i y_i T_i M_i T_i' over the blocks of `source`, symmetric `[p, p]`. */
export function sumLifted(blocks: BallBlocks, source: Float64Array): void {
  const { problem, layout, workspace, n, lifted, data, image, square, signs } = blocks;
  const { labels, radius: r } = problem;
  const { features: d, order: p } = layout;
  const pp = p * p;
  // sum y M over all blocks, then the part that the points contribute: V'X + X'V with V = y (r m12 + m22 x / 2)
  workspace.gemv(true, n, pp, 1, source, pp, signs, 0, lifted);
  for (let a = 0; a < d; a++) {
    for (let b = 0; b < d; b++) lifted[a * p + b] *= r * r;
    lifted[a * p + d] *= r;
  }
  for (let i = 0; i < n; i++) {
    const at = i * pp;
    const y = labels[i];
    const weight = source[at + pp - 1];
    for (let a = 0; a < d; a++) {
      const x = data[i * d + a];
      image[i * d + a] = y * (r * source[at + a * p + d] + 0.5 * weight * x);
      lifted[a * p + d] += y * weight * x;
    }
  }
  workspace.gemm(true, false, d, d, n, 1, image, d, data, d, 0, square, d);
  for (let a = 0; a < d; a++) {
    for (let b = a; b < d; b++) {
      const both = 0.5 * (lifted[a * p + b] + lifted[b * p + a]) + square[a * d + b] + square[b * d + a];
      lifted[a * p + b] = both;
      lifted[b * p + a] = both;
    }
    lifted[d * p + a] = lifted[a * p + d];
  }
}

/** From an upper triangle to a gradient row: factor * lifted weights, corner folded in. */
export function weigh(
  { order: p, features: d, entries, free, entry, liftedWeight }: Layout,
  target: Float64Array,
  from: number,
  factor: number,
): void {
  for (let k = 0; k < entries; k++) target[from + k] *= factor * liftedWeight[k];
  const last = target[from + free];
  for (let a = 0; a < d; a++) target[from + entry[a * p + a]] += last;
  target[from + free] = 0;
}
