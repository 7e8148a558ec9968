// Facial reduction: a proof that every feasible Y lies on a face of the cone, and the problem on that face.
//
// z with F(z) = sum_k z_k F_k in K, A z = 0 and c'z = 0 gives <F(z), Y> = c'z - (A z)'u = 0 for every feasible Y, so the
// range of Y lies in the kernel of F(z) (Borwein and Wolkowicz 1981). Such a z also makes the set of optimal x unbounded,
// or leaves the optimum unattained, which is where interior points lose their digits: x grows along z. Two ways to find it:
//   faceOfTerms      single F_k of zero cost that are positive semidefinite by their form (diagonal or rank one)
//   faceOfDirection  the direction along which the iterates grow gives the kernel to a few digits; the kernel is then made
//                    exact (kernelBasis.ts), z recomputed for it, and the proof checked to rounding.

import { type Kernels, workspaceSize } from "@worstcase/linalg/kernels";
import type { Block, SdpProblem } from "../problem.js";
import { combination } from "./combination.js";
import { type KernelBasis, kernelBasis, wholeSpace } from "./kernelBasis.js";
import { exposingRows, type Restriction, restrict } from "./restrict.js";
import { NullSpace } from "./sparseRows.js";

export interface Face {
  readonly restriction: Restriction;
  readonly bases: readonly KernelBasis[];
  /** z, `[variables]`, scaled so that the largest eigenvalue of F(z) is 1. */
  readonly exposing: Float64Array;
  readonly kernels: Kernels;
}

/** Dense arrays of order m or n are needed: larger problems are left as they are. */
const LARGEST_VARIABLES = 2500;
const LARGEST_ORDER = 1000;
/** Eigenvalues of the direction: those of the kernel are this much smaller than the others. */
const GAP = 20;
const SMALLEST = 1e-3;
/** The recomputed z may differ from the direction by this share. */
const MOVED = 0.2;
/** What F(z) N, A z and c'z may be, relative to the terms they sum. */
const EXACT = 1e-12;

/** The face exposed by single data matrices of zero cost, or undefined. */
export function faceOfTerms(problem: SdpProblem, kernels: Kernels): Face | undefined {
  const { objective, blocks, equalities } = problem;
  if (tooLarge(problem)) return undefined;
  const free = new Set(equalities?.variable.filter((_, e) => equalities.value[e] !== 0));
  const candidates = Array.from(objective.keys()).filter((k) => objective[k] === 0 && !free.has(k));
  if (candidates.length === 0) return undefined;
  const direction = new Float64Array(objective.length);
  const vectors: Float64Array[][] = blocks.map(() => []);
  const wanted = new Set(candidates);
  const parts = blocks.map((block) => entriesOf(block, wanted));
  for (const k of candidates) {
    const found = blocks.map((block, b) => obviousRange(block, parts[b].get(k) ?? []));
    if (found.some((list) => list === undefined) || found.every((list) => list?.length === 0)) continue;
    direction[k] = 1;
    found.forEach((list, b) => {
      vectors[b].push(...(list as Float64Array[]));
    });
  }
  if (direction.every((value) => value === 0)) return undefined;
  const bases = blocks.map((block, b) => basisOf(block, vectors[b], true));
  return complete(problem, bases, direction, kernels);
}

/** The face that a direction of growth of x points to, or undefined when it proves none. */
export function faceOfDirection(problem: SdpProblem, direction: Float64Array, kernels: Kernels): Face | undefined {
  const { blocks } = problem;
  if (tooLarge(problem)) return undefined;
  const n = Math.max(...blocks.map(({ kind, size }) => (kind === "psd" ? size : 1)));
  const workspace = kernels.workspace(workspaceSize(n * n, n));
  const matrix = workspace.float64(n * n);
  const values = workspace.float64(n);
  const spectra = blocks.map((block, b) => {
    const v = combination(problem, b, direction);
    if (block.kind === "nonnegative") return { eigenvalues: v, vectors: undefined };
    const { size } = block;
    matrix.set(v);
    if (workspace.syevd(size, matrix, size, values) !== 0) return undefined;
    return { eigenvalues: values.slice(0, size), vectors: matrix.slice(0, size * size) };
  });
  const all = spectra.flatMap((spectrum) => [...(spectrum?.eigenvalues ?? [Number.NaN])]);
  workspace.dispose();
  const cut = largestGap(all);
  if (cut === undefined) return undefined;
  const bases = blocks.map((block, b) => {
    const { eigenvalues, vectors } = spectra[b] as { eigenvalues: Float64Array; vectors: Float64Array | undefined };
    const large = [...eigenvalues.keys()].filter((i) => eigenvalues[i] > cut);
    const { size } = block;
    const range = large.map((i) => vectors?.subarray(i * size, (i + 1) * size) ?? unit(size, i));
    return basisOf(block, range, vectors === undefined);
  });
  return complete(problem, bases, direction, kernels);
}

function tooLarge({ objective, blocks }: SdpProblem): boolean {
  return (
    objective.length > LARGEST_VARIABLES || blocks.some(({ kind, size }) => kind === "psd" && size > LARGEST_ORDER)
  );
}

/** Where the eigenvalues split into a positive group near the largest and one near zero; undefined when they do not. */
function largestGap(values: readonly number[]): number | undefined {
  const sizes = values.map(Math.abs).sort((p, q) => q - p);
  const [largest] = sizes;
  if (!(largest > 0) || !Number.isFinite(largest)) return undefined;
  const negative = -Math.min(0, ...values);
  let best = { ratio: GAP, cut: undefined as number | undefined };
  for (let i = 0; i + 1 < sizes.length && sizes[i] >= SMALLEST * largest && sizes[i] > negative; i++) {
    const below = Math.max(sizes[i + 1], 1e-300);
    if (sizes[i] / below > best.ratio) best = { ratio: sizes[i] / below, cut: Math.sqrt(sizes[i] * below) };
  }
  return best.cut;
}

function basisOf(block: Block, vectors: readonly Float64Array[], exact: boolean): KernelBasis | undefined {
  const { size } = block;
  if (vectors.length === 0) return wholeSpace(size);
  const flat = new Float64Array(vectors.length * size);
  vectors.forEach((vector, i) => {
    flat.set(vector, i * size);
  });
  return kernelBasis(flat, vectors.length, size, exact);
}

/** From exact bases: z, the check of the proof, and the restricted problem. */
function complete(
  problem: SdpProblem,
  maybe: readonly (KernelBasis | undefined)[],
  direction: Float64Array,
  kernels: Kernels,
): Face | undefined {
  const bases = maybe.filter((basis) => basis !== undefined);
  if (bases.length < maybe.length || bases.every(({ count }) => count === 0)) return undefined;
  if (bases.every(({ size, count }) => size === count)) return undefined;
  const m = problem.objective.length;
  const rows = exposingRows(problem, bases);
  const space = new NullSpace(rows, kernels);
  const { z, left } = space.project(direction);
  space.dispose();
  const size = Math.max(...z.map(Math.abs));
  let moved = 0;
  for (let k = 0; k < m; k++) moved = Math.max(moved, Math.abs(z[k] - direction[k]));
  if (!(moved <= MOVED * size)) return undefined;
  let largestTerm = 0;
  for (let k = 0; k < m; k++) {
    for (let e = rows.start[k]; e < rows.start[k + 1]; e++)
      largestTerm = Math.max(largestTerm, Math.abs(z[k] * rows.value[e]));
  }
  if (!(left <= EXACT * largestTerm)) return undefined;
  const top = positiveOnRange(problem, bases, z, kernels);
  if (top === undefined) return undefined;
  return { restriction: restrict(problem, bases, kernels), bases, exposing: z.map((value) => value / top), kernels };
}

/** The largest eigenvalue of F(z) when it is positive definite on the complement of the face, else undefined. */
function positiveOnRange(
  problem: SdpProblem,
  bases: readonly KernelBasis[],
  z: Float64Array,
  kernels: Kernels,
): number | undefined {
  let [lowest, highest] = [Number.POSITIVE_INFINITY, 0];
  bases.forEach(({ size, count }, b) => {
    if (count === 0) return;
    const v = combination(problem, b, z);
    if (problem.blocks[b].kind === "nonnegative") {
      const sorted = v.slice().sort();
      lowest = Math.min(lowest, sorted[size - count]);
      highest = Math.max(highest, sorted[size - 1]);
      return;
    }
    const workspace = kernels.workspace(workspaceSize(size * size, size));
    const matrix = workspace.float64(size * size);
    const eigenvalues = workspace.float64(size);
    matrix.set(v);
    if (workspace.syevd(size, matrix, size, eigenvalues) !== 0) lowest = Number.NaN;
    else lowest = Math.min(lowest, eigenvalues[size - count]);
    highest = Math.max(highest, eigenvalues[size - 1]);
    workspace.dispose();
  });
  return lowest > SMALLEST * highest ? highest : undefined;
}

interface Entry {
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

function entriesOf({ entries, rankOne = [] }: Block, wanted: ReadonlySet<number>): Map<number, Entry[]> {
  const lists = new Map<number, Entry[]>();
  const push = (k: number, entry: Entry) => {
    const list = lists.get(k);
    if (list) list.push(entry);
    else lists.set(k, [entry]);
  };
  const { matrix, row, column, value } = entries;
  for (let e = 0; e < value.length; e++) {
    if (value[e] !== 0 && wanted.has(matrix[e] - 1)) {
      push(matrix[e] - 1, { row: row[e], column: column[e], value: value[e] });
    }
  }
  for (const { matrix: k, weight, vector } of rankOne) {
    if (!wanted.has(k - 1) || weight === 0) continue;
    for (let i = 0; i < vector.length; i++) {
      if (vector[i] === 0) continue;
      for (let j = i; j < vector.length; j++) {
        if (vector[j] !== 0) push(k - 1, { row: i, column: j, value: weight * vector[i] * vector[j] });
      }
    }
  }
  return lists;
}

/** Vectors that span the range of a part that is diagonal or of rank one and positive semidefinite; undefined otherwise. */
function obviousRange({ size }: Block, entries: readonly Entry[]): Float64Array[] | undefined {
  if (entries.length === 0) return [];
  if (entries.every(({ row, column, value }) => row === column && value > 0)) {
    return [...new Set(entries.map(({ row }) => row))].map((i) => unit(size, i));
  }
  const diagonal = entries.filter(({ row, column }) => row === column);
  const pivot = diagonal.reduce<Entry | undefined>((best, e) => (best && best.value >= e.value ? best : e), undefined);
  if (!pivot || pivot.value <= 0 || entries.length !== (diagonal.length * (diagonal.length + 1)) / 2) return undefined;
  const vector = new Float64Array(size);
  for (const { row, column, value } of entries) {
    if (row === pivot.row) vector[column] = value / pivot.value;
    else if (column === pivot.row) vector[row] = value / pivot.value;
  }
  const exact = entries.every(
    ({ row, column, value }) =>
      Math.abs(value - pivot.value * vector[row] * vector[column]) <= 1e-13 * Math.abs(pivot.value),
  );
  return exact ? [vector] : undefined;
}

function unit(size: number, i: number): Float64Array {
  const vector = new Float64Array(size);
  vector[i] = 1;
  return vector;
}
