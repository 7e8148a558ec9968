// ALL activation patterns of small problems, by the rays of the arrangement of the hyperplanes {g : g'x_i = 0} (math.md 13.1).
// In coordinates of the row space the n hyperplanes have rank k, so every open cell is a pointed cone whose closure has rays, and every
// ray is the common normal +-u of k - 1 independent samples. The cells around a ray have the signs of u'x_i off the samples
// Z = {i : u'x_i = 0}, and on Z the signs of a cell of the arrangement of Z, of rank k - 1: recursion. The sum of the unit rays of a cell lies
// inside it and is its gate. Samples in general position have 2 sum_{j<k} binomial(n - 1, j) cells (Cover 1965); ties, duplicate
// and zero samples (always on) need no special care.
// Gates that lie ON a hyperplane give further bit columns (g'x = 0 counts as on); their cones lie in those of the cells, so programs with
// cones lose nothing.
// features: [n, d]   points: [n, k], rows of unit length   signs: [n], -1, 0 (on the plane of the ray), 1

import { type NumericBatch, ResourceError, sampleCount, sampleSize } from "@worstcase/core";
import { checkFeatures, checkOptions } from "../checks.js";
import { withConstant } from "../program/program.js";
import type { GateSet } from "./gateSet.js";
import { lengthOf, OrthogonalRows } from "./orthogonalRows.js";
import { GateEvaluator } from "./packedPatterns.js";

export interface EnumeratedGates extends GateSet {
  /** Patterns, packed 32 samples to a word, `[count, ceil(n / 32)]`. */
  readonly patterns: Uint32Array;
  /** Open cells of the arrangement: count, plus 1 when the pattern that fires on no sample is among them (not kept). */
  readonly cells: number;
  /** Rank of the samples (with the constant, when there is a bias). */
  readonly rank: number;
}

export interface EnumerateGatesOptions {
  /** Adds the constant 1 to every sample (default true). */
  readonly bias?: boolean;
  /** Most subsets of rank - 1 samples to look at (default 200,000): the work is that times n. */
  readonly maximumSubsets?: number;
}

/** Samples within this sine of a ray lie on its hyperplane. */
const ON_PLANE = 1e-9;

/**
 * Every pattern 1[X g >= 0] of gates g that lie on no sample's hyperplane, each with a gate that has it. Meant for rank up to 3 or few
 * samples. Throws ShapeError or DataError on unusable features, ResourceError when there are more subsets than allowed.
 */
export function enumerateGates(features: NumericBatch, options: EnumerateGatesOptions = {}): EnumeratedGates {
  checkFeatures(features);
  checkOptions(options);
  const { bias = true, maximumSubsets = 200_000 } = options;
  const samples = sampleCount(features);
  const width = sampleSize(features) + (bias ? 1 : 0);
  const { points, directions, rank, basis } = rowSpace(withConstant(features, bias), samples, width);
  const subsets = binomial(directions, Math.max(0, rank - 1));
  if (subsets > maximumSubsets) {
    const received = `${subsets} (${directions} directions of rank ${rank})`;
    const hint = "draw patterns with sampleGates, or raise maximumSubsets";
    throw new ResourceError({ argument: "features", expected: `at most ${maximumSubsets} subsets`, received, hint });
  }
  const cells = rank === 0 ? [new Float64Array(0)] : cellsOf(points, directions, rank);
  const gates = new Float64Array(cells.length * width);
  cells.forEach((cell, p) => {
    for (let q = 0; q < rank; q++) {
      for (let k = 0; k < width; k++) gates[p * width + k] += cell[q] * basis[q * width + k];
    }
  });
  return packed(features, gates, cells.length, bias, rank);
}

function packed(
  features: NumericBatch,
  gates: Float64Array,
  cells: number,
  bias: boolean,
  rank: number,
): EnumeratedGates {
  const evaluator = new GateEvaluator(features, bias);
  const { words, width, featureCount } = evaluator;
  const all = evaluator.patterns(gates, cells);
  const loud = Array.from({ length: cells }, (_, p) => p).filter((p) =>
    all.subarray(p * words, (p + 1) * words).some((word) => word !== 0),
  );
  const kept = new Float64Array(loud.length * width);
  const patterns = new Uint32Array(loud.length * words);
  loud.forEach((p, to) => {
    kept.set(gates.subarray(p * width, (p + 1) * width), to * width);
    patterns.set(all.subarray(p * words, (p + 1) * words), to * words);
  });
  const scales = evaluator.scales(kept, loud.length);
  return { gates: kept, count: loud.length, featureCount, bias, scales, patterns, cells, rank };
}

/** One interior vector per cell, `[rank]` each, of the arrangement of `points` `[samples, rank]` that span the space. */
function cellsOf(points: Float64Array, samples: number, rank: number): Float64Array[] {
  if (rank === 1) return [Float64Array.of(1), Float64Array.of(-1)];
  const inside = new Map<string, Float64Array>();
  const rays = new Set<string>();
  const chosen = new OrthogonalRows(rank, rank);
  const normal = new Float64Array(rank);
  const signs = new Int8Array(samples);
  forEachSubset(samples, rank - 1, (subset) => {
    chosen.clear();
    for (const i of subset) if (!chosen.add(points.slice(i * rank, (i + 1) * rank))) return;
    commonNormal(chosen, normal);
    for (const direction of [1, -1]) {
      const onPlane: number[] = [];
      for (let i = 0; i < samples; i++) {
        let opening = 0;
        for (let q = 0; q < rank; q++) opening += direction * normal[q] * points[i * rank + q];
        signs[i] = Math.abs(opening) <= ON_PLANE ? 0 : Math.sign(opening);
        if (signs[i] === 0) onPlane.push(i);
      }
      const key = textOf(signs);
      if (rays.has(key)) continue;
      rays.add(key);
      addCellsAround(points, rank, onPlane, signs, normal, direction, inside, chosen);
    }
  });
  return [...inside.values()];
}

// The cells around one ray: the signs off its hyperplane, and those of every cell of the samples on it.
function addCellsAround(
  points: Float64Array,
  rank: number,
  onPlane: readonly number[],
  signs: Int8Array,
  normal: Float64Array,
  direction: number,
  inside: Map<string, Float64Array>,
  plane: OrthogonalRows,
): void {
  const local = new Float64Array(onPlane.length * (rank - 1));
  onPlane.forEach((i, to) => {
    for (let q = 0; q < rank - 1; q++) {
      for (let k = 0; k < rank; k++) local[to * (rank - 1) + q] += plane.rows[q * rank + k] * points[i * rank + k];
    }
  });
  for (const cell of cellsOf(local, onPlane.length, rank - 1)) {
    onPlane.forEach((i, to) => {
      let opening = 0;
      for (let q = 0; q < rank - 1; q++) opening += cell[q] * local[to * (rank - 1) + q];
      signs[i] = Math.sign(opening);
    });
    const key = textOf(signs);
    const sum = inside.get(key) ?? new Float64Array(rank);
    for (let k = 0; k < rank; k++) sum[k] += direction * normal[k];
    inside.set(key, sum);
  }
}

function commonNormal(chosen: OrthogonalRows, normal: Float64Array): void {
  // the coordinate axis that is farthest from the span
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let axis = 0; axis < chosen.length; axis++) {
    let square = 0;
    for (let q = 0; q < chosen.rank; q++) square += chosen.rows[q * chosen.length + axis] ** 2;
    if (square < least) {
      least = square;
      best = axis;
    }
  }
  normal.fill(0);
  normal[best] = 1;
  chosen.reduce(normal);
  const size = lengthOf(normal);
  for (let k = 0; k < normal.length; k++) normal[k] /= size;
}

/**
 * Samples in coordinates of an orthonormal basis `[rank, width]` of their span, scaled to unit length `[directions, rank]`. Zero samples and
 * samples parallel to an earlier one are left out: they add no hyperplane.
 */
function rowSpace(inputs: Float64Array, samples: number, width: number) {
  const span = new OrthogonalRows(width, Math.min(samples, width));
  for (let i = 0; i < samples && span.rank < width; i++) span.add(inputs.slice(i * width, (i + 1) * width));
  const { rank, rows: basis } = span;
  const points = new Float64Array(samples * rank);
  let directions = 0;
  for (let i = 0; i < samples; i++) {
    const row = inputs.subarray(i * width, (i + 1) * width);
    const size = lengthOf(row);
    if (size === 0) continue;
    const point = points.subarray(directions * rank, (directions + 1) * rank).fill(0);
    for (let q = 0; q < rank; q++) {
      for (let k = 0; k < width; k++) point[q] += (basis[q * width + k] * row[k]) / size;
    }
    if (!isParallel(points, directions, rank)) directions++;
  }
  return { points, directions, rank, basis };
}

// Whether the last point is, up to sign, one of those before it.
function isParallel(points: Float64Array, last: number, rank: number): boolean {
  for (let i = 0; i < last; i++) {
    let same = 0;
    for (let q = 0; q < rank; q++) same += points[i * rank + q] * points[last * rank + q];
    const sign = Math.sign(same);
    let square = 0;
    for (let q = 0; q < rank; q++) square += (points[i * rank + q] - sign * points[last * rank + q]) ** 2;
    if (square <= ON_PLANE * ON_PLANE) return true;
  }
  return false;
}

function textOf(signs: Int8Array): string {
  return String.fromCharCode(...signs.map((sign) => sign + 1));
}

function forEachSubset(samples: number, size: number, visit: (subset: Int32Array) => void): void {
  const subset = Int32Array.from({ length: size }, (_, k) => k);
  if (size > samples) return;
  for (;;) {
    visit(subset);
    let k = size - 1;
    while (k >= 0 && subset[k] === samples - size + k) k--;
    if (k < 0) return;
    subset[k]++;
    for (let j = k + 1; j < size; j++) subset[j] = subset[j - 1] + 1;
  }
}

function binomial(n: number, k: number): number {
  let value = 1;
  for (let j = 1; j <= k; j++) value *= (n - k + j) / j;
  return Math.round(value);
}
