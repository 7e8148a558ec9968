// Coordinates of points, networks and attacks in a subspace of the features: x_B = B x, B [k, features] with orthonormal rows. A network
// v_B is B'v_B in the whole space, an attack likewise, with the same lengths and scores.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import type { ObjectiveProblem } from "./objective.js";
import { everyRow, rowsOf } from "./rowSource.js";
import { prepareRows } from "./trainingData.js";

/** The same samples with k features. */
export function projected(problem: ObjectiveProblem, basis: Float64Array): ObjectiveProblem {
  const { data } = problem;
  const { samples: n, dimension: d, kernels, maxNeurons, buffers } = data;
  const { blockRows } = buffers;
  const k = basis.length / d;
  const workspace = kernels.workspace(workspaceSize(blockRows * d, k * d, blockRows * k));
  const block = workspace.float64(blockRows * d);
  const directions = workspace.float64(k * d);
  const products = workspace.float64(blockRows * k);
  directions.set(basis);
  const points = new Float64Array(n * k);
  const everything = everyRow(n);
  for (let from = 0; from < n; from += blockRows) {
    const size = Math.min(blockRows, n - from);
    data.rows.gather(everything, from, size, block);
    workspace.gemm(false, true, size, k, d, 1, block, d, directions, d, 0, products, k);
    points.set(products.subarray(0, size * k), from * k);
  }
  const batch = { data: points, shape: [n, k] };
  const options = { kernels, maxNeurons: Math.min(maxNeurons, 2 * k + 2) };
  return { ...problem, data: prepareRows(rowsOf(batch), batch, options) };
}

/** Rows `[count, k]` in coordinates of the basis as rows `[count, d]`. */
export function lifted(rows: Float64Array, basis: Float64Array, d: number): Float64Array {
  const k = basis.length / d;
  const whole = new Float64Array((rows.length / k) * d);
  for (let j = 0; j * k < rows.length; j++) {
    for (let m = 0; m < k; m++) {
      const size = rows[j * k + m];
      for (let l = 0; l < d; l++) whole[j * d + l] += size * basis[m * d + l];
    }
  }
  return whole;
}

/** Rows `[count, d]` that lie in the subspace in coordinates of the basis, `[count, k]`. */
export function coordinates(rows: Float64Array, basis: Float64Array, d: number): Float64Array {
  const k = basis.length / d;
  const inside = new Float64Array((rows.length / d) * k);
  for (let j = 0; j * d < rows.length; j++) {
    for (let m = 0; m < k; m++) {
      let product = 0;
      for (let l = 0; l < d; l++) product += rows[j * d + l] * basis[m * d + l];
      inside[j * k + m] = product;
    }
  }
  return inside;
}

/** Rows `[count, from]` as rows `[count, to]` with zeros at their ends. */
export function padded(rows: Float64Array, from: number, to: number): Float64Array {
  const wide = new Float64Array((rows.length / from) * to);
  for (let j = 0; j * from < rows.length; j++) wide.set(rows.subarray(j * from, (j + 1) * from), j * to);
  return wide;
}

/** Attacks with `change` applied to their directions. */
export function withDirections(
  parts: readonly AttackPart[],
  change: (rows: Float64Array) => Float64Array,
): AttackPart[] {
  return parts.map((part) => ({
    ...part,
    attack: { ...part.attack, basis: change(part.attack.basis as Float64Array) },
  }));
}
