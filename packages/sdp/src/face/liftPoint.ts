// From a point of the problem on a face back to the whole problem. Y = N Y' N' is feasible as it stands. x solves
// S' = Q'S(x)Q >= 0 on the face only; among all x + w + t z with the same S' (F(w) vanishes on the face, z exposes it)
// one is chosen with S >= -epsilon I. In an orthonormal basis of the face and its complement
//
//   S + epsilon I = [ S' + epsilon I   B ;  B'   C + epsilon I + t V ],   V = the part of F(z), positive definite,
//
// is positive semidefinite when t V >= B'(S' + epsilon I)^-1 B - C - epsilon I. w makes B small in that metric (least
// squares), t is then the smallest possible. Where the optimum is not attained, t grows like 1 / epsilon.

import { type Workspace, workspaceSize } from "@worstcase/linalg/kernels";
import { checkSolution } from "../check/check.js";
import type { SdpProblem } from "../problem.js";
import type { Point } from "../result.js";
import { combination } from "./combination.js";
import type { Face } from "./findFace.js";
import type { KernelBasis } from "./kernelBasis.js";

/** Values of epsilon to try, in tolerances relative to the size of the constants. */
const TRIES = [0.8, 0.3, 2.5, 8, 25];

export interface Lifted {
  readonly point: Point;
  /** Its worst DIMACS error. */
  readonly worst: number;
}

/** The best lift of a point of `face.restriction.problem`; undefined when none was found. */
export function liftPoint(problem: SdpProblem, face: Face, inner: Point, tolerance: number): Lifted | undefined {
  const { restriction, bases, kernels } = face;
  const x = new Float64Array(problem.objective.length);
  restriction.variables.forEach((k, i) => {
    x[k] = inner.x[i];
  });
  const dual = bases.map((basis, b) => expandDual(basis, inner.dual[b], problem.blocks[b].kind === "psd"));
  const vanishing = restriction.vanishing();
  const workspace = kernels.workspace(workspaceSize(...lengths(problem, bases, vanishing.count)));
  const parts = exposedParts(problem, face, vanishing, x, workspace);
  let best: Lifted | undefined;
  for (const share of TRIES) {
    const mark = workspace.mark();
    const lifted = lift(problem, face, workspace, parts, vanishing, x, share * tolerance * constantSize(problem));
    workspace.release(mark);
    if (!lifted) continue;
    const slack = problem.blocks.map((_, b) => combination(problem, b, lifted, 1));
    const point = { x: lifted, slack, dual, multipliers: inner.multipliers.slice() };
    const { worst } = checkSolution(problem, point);
    if (!best || worst < best.worst) best = { point, worst };
    if (worst <= tolerance) break;
  }
  workspace.dispose();
  return best;
}

/** What one lift takes at most; scratch of a block is given back before the next. */
function lengths({ blocks }: SdpProblem, bases: readonly KernelBasis[], freedom: number): number[] {
  const exposed = bases.filter(({ count }, b) => count > 0 && blocks[b].kind === "psd");
  const kept = exposed.flatMap(({ size, count }) => [3 * size * size, 2 * count * size, 2 * size * size]);
  const widest = Math.max(0, ...exposed.map(({ size }) => size)) ** 2;
  const width = exposed.reduce((sum, { size, count }) => sum + (size - count) * count, 0);
  const panels = 3 * (freedom + 1) * width;
  return [...kept, panels, freedom * freedom, freedom, freedom, width, ...new Array<number>(9).fill(widest)];
}

/** N Y' N' of a psd block, or Y' put back in its places. */
export function expandDual(basis: KernelBasis, inner: Float64Array, psd: boolean): Float64Array {
  const { size, count, start, column, value } = basis;
  const free = size - count;
  const out = new Float64Array(psd ? size * size : size);
  if (!psd) {
    for (let i = 0; i < size; i++) if (start[i] < start[i + 1]) out[i] = inner[column[start[i]]];
    return out;
  }
  const line = new Float64Array(free);
  for (let i = 0; i < size; i++) {
    line.fill(0);
    for (let e = start[i]; e < start[i + 1]; e++) {
      for (let a = 0; a < free; a++) line[a] += value[e] * inner[column[e] * free + a];
    }
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let e = start[j]; e < start[j + 1]; e++) sum += value[e] * line[column[e]];
      out[i * size + j] = sum;
    }
  }
  return out;
}

/** Orthonormal bases of the face and its complement, by columns: `inside` Q [size, free], `outside` R [size, count]. */
interface Frame {
  readonly inside: Float64Array;
  readonly outside: Float64Array;
  readonly size: number;
  readonly free: number;
  readonly count: number;
}

function frameOf({ size, count, exposed, start, column, value }: KernelBasis, workspace: Workspace): Frame {
  const free = size - count;
  const inside = workspace.float64(size * free);
  for (let i = 0; i < size; i++) {
    for (let e = start[i]; e < start[i + 1]; e++) inside[i * free + column[e]] = value[e];
  }
  const gram = workspace.float64(free * free);
  workspace.syrk(true, free, size, 1, inside, free, 0, gram, free);
  workspace.potrf(free, gram, free);
  workspace.trsm("right", true, size, free, gram, free, inside, free);
  const outside = workspace.float64(size * count);
  for (let i = 0; i < size; i++) for (let r = 0; r < count; r++) outside[i * count + r] = exposed[r * size + i];
  const small = workspace.float64(count * count);
  workspace.syrk(true, count, size, 1, outside, count, 0, small, count);
  workspace.potrf(count, small, count);
  workspace.trsm("right", true, size, count, small, count, outside, count);
  return { inside, outside, size, free, count };
}

/** A psd block that the face cuts, with what every try needs of it. */
interface Part extends Frame {
  readonly block: number;
  /** Q'SQ, `[free, free]`. */
  readonly inner: Float64Array;
  /** Q'F(w_j)R for every column w_j that vanishes on the face, and Q'SR last: `[free, (freedom + 1) count]`. */
  readonly off: Float64Array;
}

function exposedParts(
  problem: SdpProblem,
  { bases }: Face,
  { columns, count: freedom }: Vanishing,
  x: Float64Array,
  workspace: Workspace,
): Part[] {
  const w = new Float64Array(x.length);
  return bases.flatMap((basis, block) => {
    if (problem.blocks[block].kind !== "psd" || basis.count === 0) return [];
    const frame = frameOf(basis, workspace);
    const { inside, size, free, count } = frame;
    const width = (freedom + 1) * count;
    const off = workspace.float64(free * width);
    for (let j = 0; j <= freedom; j++) {
      for (let k = 0; k < x.length; k++) w[k] = j < freedom ? columns[k * freedom + j] : x[k];
      const s = combination(problem, block, w, j < freedom ? 0 : 1);
      offDiagonal(frame, s, off.subarray(j * count), width, workspace);
    }
    return [
      { ...frame, block, off, inner: compress(inside, free, size, combination(problem, block, x, 1), workspace) },
    ];
  });
}

interface Vanishing {
  readonly columns: Float64Array;
  readonly count: number;
}

function lift(
  problem: SdpProblem,
  { restriction, bases, exposing }: Face,
  workspace: Workspace,
  parts: readonly Part[],
  { columns, count: freedom }: Vanishing,
  x: Float64Array,
  epsilon: number,
): Float64Array | undefined {
  const factors: Float64Array[] = [];
  for (const { inner, free } of parts) {
    const factor = workspace.float64(free * free);
    factor.set(inner);
    for (let i = 0; i < free; i++) factor[i * free + i] += epsilon;
    if (workspace.potrf(free, factor, free) !== 0) return undefined;
    factors.push(factor);
  }
  const moved = x.slice();
  if (freedom > 0) {
    const weights = smallestOff(parts, factors, freedom, workspace);
    const w = new Float64Array(x.length);
    for (let k = 0; k < w.length; k++) for (let j = 0; j < freedom; j++) w[k] -= weights[j] * columns[k * freedom + j];
    const exact = restriction.project(w);
    for (let k = 0; k < w.length; k++) moved[k] += exact[k];
  }
  let t = 0;
  parts.forEach((part, p) => {
    const s = combination(problem, part.block, moved, 1);
    const v = combination(problem, part.block, exposing);
    t = Math.max(t, smallestMultiple(part, s, v, factors[p], epsilon, workspace));
  });
  bases.forEach(({ start, size, count }, b) => {
    if (problem.blocks[b].kind === "psd" || count === 0) return;
    const s = combination(problem, b, moved, 1);
    const v = combination(problem, b, exposing);
    for (let i = 0; i < size; i++) if (start[i] === start[i + 1]) t = Math.max(t, (-s[i] - epsilon) / v[i]);
  });
  if (!Number.isFinite(t)) return undefined;
  for (let k = 0; k < moved.length; k++) moved[k] += t * exposing[k];
  return moved;
}

/** The weights of the columns w_j that make B smallest in the metric of S' + epsilon I, over all blocks. */
function smallestOff(
  parts: readonly Part[],
  factors: readonly Float64Array[],
  freedom: number,
  workspace: Workspace,
): Float64Array {
  const total = parts.reduce((sum, { free, count }) => sum + free * count, 0);
  const rows = workspace.float64((freedom + 1) * total);
  let offset = 0;
  parts.forEach(({ off, free, count }, p) => {
    const width = (freedom + 1) * count;
    const scaled = workspace.float64(free * width);
    scaled.set(off);
    workspace.trsm("left", false, free, width, factors[p], free, scaled, width);
    for (let j = 0; j <= freedom; j++) {
      for (let a = 0; a < free; a++) {
        const from = a * width + j * count;
        rows.set(scaled.subarray(from, from + count), j * total + offset + a * count);
      }
    }
    offset += free * count;
  });
  return leastSquares(rows, rows.subarray(freedom * total), freedom, total, workspace);
}

/** out <- Q'S R, `[free, count]` with rows `stride` apart. */
function offDiagonal(
  { inside, outside, size, free, count }: Frame,
  s: Float64Array,
  out: Float64Array,
  stride: number,
  w: Workspace,
): void {
  const mark = w.mark();
  const matrix = w.float64(size * size);
  matrix.set(s);
  const half = w.float64(size * count);
  w.gemm(false, false, size, count, size, 1, matrix, size, outside, count, 0, half, count);
  w.gemm(true, false, free, count, size, 1, inside, free, half, count, 0, out, stride);
  w.release(mark);
}

/** B'S B, `[width, width]`, for a basis B `[size, width]`; the result stays in the workspace. */
function compress(basis: Float64Array, width: number, size: number, s: Float64Array, w: Workspace): Float64Array {
  const out = w.float64(width * width);
  const mark = w.mark();
  const matrix = w.float64(size * size);
  matrix.set(s);
  const half = w.float64(size * width);
  w.gemm(false, false, size, width, size, 1, matrix, size, basis, width, 0, half, width);
  w.gemm(true, false, width, width, size, 1, basis, width, half, width, 0, out, width);
  w.release(mark);
  return out;
}

/** The weights that minimise |target - sum_j weights_j rows_j|. */
function leastSquares(rows: Float64Array, target: Float64Array, count: number, width: number, w: Workspace) {
  const gram = w.float64(count * count);
  w.syrk(false, count, width, 1, rows, width, 0, gram, count);
  let largest = 0;
  for (let j = 0; j < count; j++) largest = Math.max(largest, gram[j * count + j]);
  // rows that are all rounding must not be blown up to the size of the target
  const shift = 1e-13 * largest + 1e-20 * target.reduce((sum, value) => sum + value * value, 0) + Number.MIN_VALUE;
  for (let j = 0; j < count; j++) gram[j * count + j] += shift;
  const weights = w.float64(count);
  if (w.potrf(count, gram, count) !== 0) return weights;
  const rest = w.float64(width);
  const step = w.float64(count);
  for (let round = 0; round < 3; round++) {
    rest.set(target);
    w.gemv(true, count, width, -1, rows, width, weights, 1, rest);
    w.gemv(false, count, width, 1, rows, width, rest, 0, step);
    w.trsv(false, count, gram, count, step);
    w.trsv(true, count, gram, count, step);
    for (let j = 0; j < count; j++) weights[j] += step[j];
  }
  return weights;
}

/** The smallest t >= 0 with t V >= B'B - C - epsilon I on the complement. */
function smallestMultiple(
  part: Part,
  s: Float64Array,
  v: Float64Array,
  l: Float64Array,
  epsilon: number,
  w: Workspace,
): number {
  const { free, count, outside, size } = part;
  const mark = w.mark();
  const off = w.float64(free * count);
  offDiagonal(part, s, off, count, w);
  w.trsm("left", false, free, count, l, free, off, count);
  const need = compress(outside, count, size, s, w);
  w.syrk(true, count, free, 1, off, count, -1, need, count);
  for (let i = 0; i < count; i++) need[i * count + i] -= epsilon;
  const factor = compress(outside, count, size, v, w);
  const eigenvalues = w.float64(count);
  let t = Number.POSITIVE_INFINITY;
  if (w.potrf(count, factor, count) === 0) {
    w.trsm("left", false, count, count, factor, count, need, count);
    w.trsm("right", true, count, count, factor, count, need, count);
    if (w.syevd(count, need, count, eigenvalues) === 0) t = Math.max(0, eigenvalues[count - 1]);
  }
  w.release(mark);
  return t;
}

/** 1 + the larger of |F_0| and |b|: what DIMACS error 4 is relative to. */
function constantSize({ blocks, equalities }: SdpProblem): number {
  let size = 0;
  for (const { entries, rankOne = [] } of blocks) {
    entries.value.forEach((value, e) => {
      if (entries.matrix[e] === 0) size = Math.max(size, Math.abs(value));
    });
    for (const { matrix, weight, vector } of rankOne) {
      if (matrix === 0) for (const v of vector) size = Math.max(size, Math.abs(weight) * v * v);
    }
  }
  for (const b of equalities?.right ?? []) size = Math.max(size, Math.abs(b));
  return 1 + size;
}
