// A quadratic in its own eigenbasis, made once and shared by all samples (math.md 6):
//   f(x) = sum_k h_k (b_k'x)^2 + l_k (b_k'x) + s   with orthonormal rows b_k of `basis`, h ascending.
// Dense form: rank = d. Span form (neurons): rank = dimension of the span of the neurons; outside it f is constant.
// The three error fields bound how far this is from the given function, so that lower bounds stay lower bounds.

import { DataError } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Neurons, Quadratic } from "../quadratic.js";
import { allocateSpan, orthonormalise } from "./span.js";

/** Unit roundoff of float64. */
export const unitRoundoff = 2 ** -53;

export interface RotatedForm {
  readonly dimension: number;
  readonly rank: number;
  /** `[rank, dimension]` */
  readonly basis: Float64Array;
  /** Ascending, `[rank]`. */
  readonly eigenvalues: Float64Array;
  /** `[rank]` */
  readonly linear: Float64Array;
  readonly constant: number;
  /** Bound of ||Q - basis' diag(h) basis||. */
  readonly quadraticError: number;
  /** Bound of ||q - basis' linear||. */
  readonly linearError: number;
  /** Bound of ||basis basis' - I||. */
  readonly orthogonalityError: number;
}

/** Chooses the span form when the quadratic is a network narrow enough to gain from it. */
export function rotate(quadratic: Quadratic, kernels: Kernels): RotatedForm {
  const { neurons, dimension } = quadratic;
  if (neurons && neurons.weights.length < 0.75 * dimension) return rotateNeurons(neurons, dimension, kernels);
  return rotateDense(quadratic, kernels);
}

/** Full eigendecomposition of Q, O(d^3). */
function rotateDense(quadratic: Quadratic, kernels: Kernels): RotatedForm {
  const { dimension: d, Q, q, s } = quadratic;
  const { vectors, values } = eigenRows(Q, d, kernels);
  const linear = new Float64Array(d);
  for (let k = 0; k < d; k++) for (let l = 0; l < d; l++) linear[k] += vectors[k * d + l] * q[l];
  const { productError, orthogonalityError } = decompositionErrors(Q, vectors, values, d, kernels);
  let linearError = 0;
  let size = 0;
  for (let l = 0; l < d; l++) {
    let rest = q[l];
    for (let k = 0; k < d; k++) rest -= vectors[k * d + l] * linear[k];
    linearError += rest * rest;
    size += q[l] * q[l];
  }
  const rounding = 4 * (d + 4) * unitRoundoff * Math.sqrt(size) * Math.sqrt(d);
  return {
    dimension: d,
    rank: d,
    basis: vectors,
    eigenvalues: values,
    linear,
    constant: s,
    quadraticError: productError,
    linearError: Math.sqrt(linearError) + rounding,
    orthogonalityError,
  };
}

/** Works in the span of the neurons: O(d K^2 + K^3). */
function rotateNeurons(neurons: Neurons, dimension: number, kernels: Kernels): RotatedForm {
  const { directions, weights, activation } = neurons;
  const count = weights.length;
  const span = allocateSpan(Math.max(1, count), dimension);
  orthonormalise(directions, count, dimension, span);
  const rank = span.rank;
  const small = new Float64Array(rank * rank);
  const smallLinear = new Float64Array(rank);
  let mass = 0;
  let largestLength = 1;
  let constant = 0;
  for (let j = 0; j < count; j++) {
    const row = j * span.stride;
    let length = 0;
    for (let k = 0; k < rank; k++) {
      const c = span.coordinates[row + k];
      length += c * c;
      smallLinear[k] += activation.b * weights[j] * c;
      for (let l = 0; l < rank; l++) {
        small[k * rank + l] += activation.a * weights[j] * c * span.coordinates[row + l];
      }
    }
    mass += Math.abs(weights[j]) * Math.max(1, length);
    largestLength = Math.max(largestLength, Math.sqrt(length));
    constant += activation.c * weights[j];
  }
  const { vectors, values } = eigenRows(small, rank, kernels);
  const errors = decompositionErrors(small, vectors, values, rank, kernels);
  const basis = new Float64Array(rank * dimension);
  const linear = new Float64Array(rank);
  for (let k = 0; k < rank; k++) {
    for (let m = 0; m < rank; m++) {
      const factor = vectors[k * rank + m];
      linear[k] += factor * smallLinear[m];
      for (let l = 0; l < dimension; l++) basis[k * dimension + l] += factor * span.basis[m * dimension + l];
    }
  }
  // Gram-Schmidt twice leaves an orthogonality defect and a representation error of a few roundoffs times the sizes.
  const rounding = 8 * (dimension + rank + count + 8) * unitRoundoff * Math.sqrt(rank + 1) + 4e-13;
  return {
    dimension,
    rank,
    basis,
    eigenvalues: values,
    linear,
    constant,
    quadraticError: errors.productError + 2 * activation.a * mass * rounding,
    linearError: (Math.abs(activation.b) * mass + 1e-300) * (rounding + errors.orthogonalityError),
    orthogonalityError: errors.orthogonalityError + measuredDefect(basis, rank, dimension),
  };
}

/** Symmetric eigendecomposition: values ascending, ROW k of `vectors` belongs to value k. */
export function eigenRows(
  matrix: Float64Array,
  n: number,
  kernels: Kernels,
): { vectors: Float64Array; values: Float64Array } {
  if (n === 0) return { vectors: new Float64Array(0), values: new Float64Array(0) };
  const workspace = kernels.workspace(workspaceSize(n * n, n));
  const a = workspace.float64(n * n);
  const values = workspace.float64(n);
  a.set(matrix);
  if (workspace.syevd(n, a, n, values) !== 0) {
    const hint = "rescale the features";
    throw new DataError({
      argument: "quadratic",
      expected: "finite values of moderate size",
      received: "overflow",
      hint,
    });
  }
  return { vectors: Float64Array.from(a), values: Float64Array.from(values) };
}

function decompositionErrors(
  matrix: Float64Array,
  vectors: Float64Array,
  values: Float64Array,
  n: number,
  kernels: Kernels,
): { productError: number; orthogonalityError: number } {
  if (n === 0) return { productError: 0, orthogonalityError: 0 };
  const workspace = kernels.workspace(workspaceSize(n * n, n * n, n * n));
  const left = workspace.float64(n * n);
  const right = workspace.float64(n * n);
  const product = workspace.float64(n * n);
  let largest = 0;
  for (let k = 0; k < n; k++) {
    largest = Math.max(largest, Math.abs(values[k]));
    for (let l = 0; l < n; l++) {
      right[k * n + l] = vectors[k * n + l];
      left[k * n + l] = values[k] * vectors[k * n + l];
    }
  }
  workspace.gemm(true, false, n, n, n, 1, left, n, right, n, 0, product, n);
  let productSquare = 0;
  for (let i = 0; i < n * n; i++) productSquare += (product[i] - matrix[i]) ** 2;
  workspace.gemm(false, true, n, n, n, 1, right, n, right, n, 0, product, n);
  let defect = 0;
  for (let k = 0; k < n; k++) {
    for (let l = 0; l < n; l++) defect += (product[k * n + l] - (k === l ? 1 : 0)) ** 2;
  }
  const rounding = 4 * (n + 4) * unitRoundoff * Math.sqrt(n);
  return {
    productError: Math.sqrt(productSquare) * (1 + 1e-10) + largest * rounding,
    orthogonalityError: Math.sqrt(defect) * (1 + 1e-10) + rounding,
  };
}

function measuredDefect(basis: Float64Array, rank: number, dimension: number): number {
  let defect = 0;
  for (let k = 0; k < rank; k++) {
    for (let l = 0; l <= k; l++) {
      let product = k === l ? -1 : 0;
      for (let m = 0; m < dimension; m++) product += basis[k * dimension + m] * basis[l * dimension + m];
      defect += (k === l ? 1 : 2) * product * product;
    }
  }
  return Math.sqrt(defect) + 4 * (dimension + 4) * unitRoundoff * Math.sqrt(rank + 1);
}
