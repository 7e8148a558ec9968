// Variables, memory and linear maps of the samples against a ball of radius r > 0 (solvers.md 3; math.md 4.2).
// Displacements are measured in units of r: T = [r I, x; 0, 1], J = diag(I, -1), multiplier l = lambda r^2, F = lift(U).
//   S_i = y_i T_i' F T_i + l_i J - (target_i - slack_g) e e',   g = i, or i modulo count / 2 when samples are paired
// Over a move set D = A z, ||z|| <= r (moveSet.ts; math.md 12.4, 12.5), T = [r A, x; 0, 1] with A `[d, q - 1]`: exact by the S-lemma.
// n blocks of order q (p = d + 1 for the ball), m slacks. Arrays of blocks are `[n, q, q]`. Everything is taken once; functions write into given memory.

import type { Workspace } from "@worstcase/linalg";
import type { MoveSet } from "../moveSet.js";
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
  /** Order of the blocks: moving features + 1. */
  readonly q: number;
  /** A `[d, q - 1]`; null for the identity. */
  readonly reach: Float64Array | null;
  // `[n, q, q]`
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
  /** One block in all features, `[p, p]`, and a product with A, `[n, q - 1]`; empty without A. */
  readonly spread: Float64Array;
  readonly sides: Float64Array;
  /** T Y e and T S^-1 e of one block, `[p]`. */
  readonly columnDual: Float64Array;
  readonly columnInverse: Float64Array;
  /** F11 A `[d, q - 1]` and A'F11 A `[q - 1, q - 1]`. */
  readonly through: Float64Array;
  readonly inner: Float64Array;
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
function ballSizes(n: number, { features: d, order: p, entries }: Dimensions, q: number): number[] {
  const block = n * q * q;
  return [
    ...Array<number>(8).fill(block),
    ...[p * p, n * d, n * d, d * d, 2 * n * entries, 2 * n, 2 * n, entries, n, n, 1],
  ];
}

/** Order of the blocks of a problem. */
function blockOrder({ features }: Pick<SampleProblem, "features">, set: MoveSet | null): number {
  return (set ? set.moving.length : features) + 1;
}

/** A, its square scratch and its products, where there is a move set. */
function reachSizes(n: number, { features: d, order: p }: Dimensions, set: MoveSet | null): number[] {
  if (!set) return [];
  const m = set.moving.length;
  return [d * m, p * p, n * m, d * m, m * m];
}

export function ballMemory(n: number, dimensions: Dimensions, set: MoveSet | null): number[] {
  const q = blockOrder(dimensions, set);
  return [...ballSizes(n, dimensions, q), ...stepSearchSizes(q), ...reachSizes(n, dimensions, set)];
}

export function createBallBlocks(problem: SampleProblem, layout: Layout, workspace: Workspace): BallBlocks {
  const { count: n, points, labels, loss, required, set } = problem;
  const m = problem.paired ? n / 2 : n;
  const q = blockOrder(problem, set);
  const arrays = ballSizes(n, layout, q).map((size) => workspace.float64(size));
  const [slackBlocks, inverse, dual, change, dualChange, correction, product, scratch] = arrays;
  const [lifted, data, image, square, rows, reduced, moved, unit, signs, status, scalar] = arrays.slice(8);
  const extra = reachSizes(n, layout, set).map((size) => workspace.float64(size));
  const [reach = null, spread = none, sides = none, through = none, inner = none] = extra;
  if (set && reach) fillReach(set, reach);
  data.set(points.subarray(0, n * layout.features));
  signs.set(labels);
  const make = (count: number) => new Float64Array(count);
  // A plain literal without spreads keeps one hidden class over all solves (layout.ts).
  return {
    problem,
    layout,
    workspace,
    search: createStepSearch(n, q, workspace),
    n,
    m,
    q,
    reach,
    slackBlocks,
    inverse,
    dual,
    change,
    dualChange,
    correction,
    product,
    scratch,
    lifted,
    spread,
    sides,
    through,
    inner,
    columnDual: make(layout.order),
    columnInverse: make(layout.order),
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

const none = new Float64Array(0);

/** A: the columns of P that belong to the moving features, by rows of all features. */
function fillReach({ dimension: d, moving, shape }: MoveSet, reach: Float64Array): void {
  const m = moving.length;
  reach.fill(0);
  for (let c = 0; c < m; c++) {
    if (!shape) reach[moving[c] * m + c] = 1;
    else for (const k of moving) reach[k * m + c] = shape[k * d + moving[c]];
  }
}

/** target[i] <- y T' F T + l J + (slack - target) e e' for the matrix U; without the targets when `affine` is false. */
export function slackOf(
  blocks: BallBlocks,
  pair: Float64Array,
  multipliers: Float64Array,
  slacks: Float64Array,
  affine: boolean,
  target: Float64Array,
): void {
  const { problem, layout, workspace, n, m, lifted, data, image, q, reach, sides } = blocks;
  const { labels, targets, radius: r } = problem;
  const { features: d, order: p, lift } = layout;
  const size = q - 1;
  const corner = q * q - 1;
  for (let k = 0; k < p * p; k++) lifted[k] = lift[k] * pair[k];
  workspace.gemm(false, false, n, d, d, 1, data, d, lifted, p, 0, image, d);
  const constant = lifted[p * p - 1];
  // Without A the square of the block is F11 itself, and its side the gradient.
  let [square, stride, edge] = [lifted, p, image];
  if (reach) {
    const { through, inner } = blocks;
    workspace.gemm(false, false, d, size, d, 1, lifted, p, reach, size, 0, through, size);
    workspace.gemm(true, false, size, size, d, 1, reach, size, through, size, 0, inner, size);
    [square, stride, edge] = [inner, size, sides];
  }
  for (let i = 0; i < n; i++) {
    let value = constant;
    for (let a = 0, k = i * d; a < d; a++, k++) {
      const linear = lifted[a * p + d];
      value += data[k] * (image[k] + 2 * linear);
      image[k] += linear;
    }
    target[i * q * q + corner] = labels[i] * value;
  }
  if (reach) workspace.gemm(false, false, n, size, d, 1, image, d, reach, size, 0, sides, size);
  for (let i = 0; i < n; i++) {
    const at = i * q * q;
    const y = labels[i];
    const scale = y * r * r;
    const l = multipliers[i];
    for (let a = 0; a < size; a++) {
      const to = at + a * q;
      const f = a * stride;
      for (let b = 0; b < size; b++) target[to + b] = scale * square[f + b];
      target[to + a] += l;
      const side = y * r * edge[i * size + a];
      target[to + size] = side;
      target[at + size * q + a] = side;
    }
    target[at + corner] = target[at + corner] - l + slacks[i < m ? i : i - m] - (affine ? targets[i] : 0);
  }
}

/** Block i of `source` in units of the features, `[r A, 0; 0, 1] M [r A, 0; 0, 1]'` `[p, p]`, into `target`. */
export function spreadBlock(
  { problem, layout, q, reach }: BallBlocks,
  source: Float64Array,
  i: number,
  target: Float64Array,
): void {
  const r = problem.radius;
  const { features: d, order: p } = layout;
  const size = q - 1;
  const at = i * q * q;
  target[p * p - 1] = source[at + q * q - 1];
  if (!reach) {
    for (let a = 0; a < d; a++) {
      for (let b = 0; b < d; b++) target[a * p + b] = r * r * source[at + a * q + b];
      target[a * p + d] = target[d * p + a] = r * source[at + a * q + d];
    }
    return;
  }
  const { moving, shape } = problem.set as MoveSet;
  target.fill(0, 0, p * p - 1);
  if (!shape) {
    for (let a = 0; a < size; a++) {
      const to = moving[a] * p;
      for (let b = 0; b < size; b++) target[to + moving[b]] = r * r * source[at + a * q + b];
      target[to + d] = target[d * p + moving[a]] = r * source[at + a * q + size];
    }
    return;
  }
  // Rows of A M first, then its product with A'.
  for (let k = 0; k < size; k++) {
    const row = moving[k];
    for (let b = 0; b < q; b++) {
      let sum = 0;
      for (let c = 0; c <= k; c++) sum += reach[row * size + c] * source[at + c * q + b];
      target[row * p + (b < size ? moving[b] : d)] = r * sum;
    }
  }
  for (let k = 0; k < size; k++) {
    const row = moving[k] * p;
    for (let b = size - 1; b >= 0; b--) {
      let sum = 0;
      for (let c = 0; c <= b; c++) sum += target[row + moving[c]] * reach[moving[b] * size + c];
      target[row + moving[b]] = r * sum;
    }
    target[d * p + moving[k]] = target[row + d];
  }
}

/** Upper triangle of T M T' for block i of `source`, into `[N]` numbers. */
export function packLifted(
  blocks: BallBlocks,
  source: Float64Array,
  i: number,
  target: Float64Array,
  from: number,
): void {
  const { problem, layout, data, reach, spread } = blocks;
  const { features: d, order: p } = layout;
  let [block, at, r] = [source, i * p * p, problem.radius];
  if (reach) {
    spreadBlock(blocks, source, i, spread);
    [block, at, r] = [spread, 0, 1];
  }
  const x = i * d;
  const weight = block[at + p * p - 1];
  let next = from;
  for (let a = 0; a < d; a++) {
    const q = at + a * p;
    const xa = data[x + a];
    const va = r * block[q + d] + weight * xa;
    for (let b = a; b < d; b++) {
      target[next++] = r * r * block[q + b] + r * block[at + b * p + d] * xa + va * data[x + b];
    }
    target[next++] = va;
  }
  target[next] = weight;
}

/** lifted <- sum_i y_i T_i M_i T_i' over the blocks of `source`, symmetric `[p, p]`. */
export function sumLifted(blocks: BallBlocks, source: Float64Array): void {
  const { problem, layout, workspace, n, q, reach, lifted, data, image, square, signs } = blocks;
  const { labels, radius: r } = problem;
  const { features: d, order: p } = layout;
  const qq = q * q;
  const size = q - 1;
  // sum y M over all blocks, then the part that the points contribute: V'X + X'V with V = y (r m12 + m22 x / 2)
  if (reach) {
    const { spread, sides } = blocks;
    workspace.gemv(true, n, qq, 1, source, qq, signs, 0, spread);
    const sum = spread.slice(0, qq);
    spreadBlock(blocks, sum, 0, lifted);
    for (let i = 0; i < n; i++) for (let a = 0; a < size; a++) sides[i * size + a] = r * source[i * qq + a * q + size];
    workspace.gemm(false, true, n, d, size, 1, sides, size, reach, size, 0, image, d);
  } else {
    workspace.gemv(true, n, qq, 1, source, qq, signs, 0, lifted);
    for (let a = 0; a < d; a++) {
      for (let b = 0; b < d; b++) lifted[a * p + b] *= r * r;
      lifted[a * p + d] *= r;
    }
    for (let i = 0; i < n; i++) for (let a = 0; a < d; a++) image[i * d + a] = r * source[i * qq + a * q + d];
  }
  for (let i = 0; i < n; i++) {
    const y = labels[i];
    const weight = source[(i + 1) * qq - 1];
    for (let a = 0; a < d; a++) {
      const x = data[i * d + a];
      image[i * d + a] = y * (image[i * d + a] + 0.5 * weight * x);
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
