// Extremes of h(u) = u'Au + g'u + c over the unit sphere (math.md 7): one eigendecomposition, one scalar equation a side.
//   max = min over theta >= e_max of  theta + sum_k a_k^2 / (theta - e_k) + c,   a_k = v_k'g / 2,
// so every admissible theta gives an upper bound; the maximiser is u = sum_k a_k / (theta - e_k) v_k.
// This is the linear-minimisation oracle that finds new neurons and the dual norm of the certificate.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { unitRoundoff } from "./worstCase/rotatedForm.js";

export interface SphereExtreme {
  /** Rigorous bound: h(u) <= bound for the maximum, h(u) >= bound for the minimum, for every unit vector u. */
  readonly bound: number;
  /** A unit vector that attains it up to rounding, `[features]`. */
  readonly point: Float64Array;
}

export interface SphereExtremes {
  readonly maximum: SphereExtreme;
  readonly minimum: SphereExtreme;
  /** Eigenvalues of A ascending and eigenvectors row by row; valid until the next call of the same solver. */
  readonly eigenvalues: Float64Array;
  readonly eigenvectors: Float64Array;
}

export interface SphereSolver {
  /** A: symmetric `[features, features]` (the lower triangle is read), g: `[features]`. */
  solve(matrix: Float64Array, linear: Float64Array, constant: number): SphereExtremes;
}

/** Both extremes over the unit sphere. For repeated use make a solver with `createSphereSolver`. */
export function sphereExtremes(
  matrix: Float64Array,
  linear: Float64Array,
  constant: number,
  kernels: Kernels,
): SphereExtremes {
  return createSphereSolver(linear.length, kernels).solve(matrix, linear, constant);
}

export function createSphereSolver(dimension: number, kernels: Kernels): SphereSolver {
  return new EigenSphere(dimension, kernels);
}

/** A class, so that it stays compiled from one solver to the next. */
class EigenSphere implements SphereSolver {
  private readonly workspace: Workspace;
  private readonly vectors: Float64Array;
  private readonly scaled: Float64Array;
  private readonly product: Float64Array;
  private readonly values: Float64Array;
  private readonly half: Float64Array;
  private readonly coordinates: Float64Array;

  constructor(
    private readonly dimension: number,
    kernels: Kernels,
  ) {
    const d = dimension;
    const sizes = [d * d, d * d, d * d, d];
    const workspace = kernels.workspace(workspaceSize(...sizes));
    [this.vectors, this.scaled, this.product, this.values] = sizes.map((size) => workspace.float64(size));
    this.workspace = workspace;
    this.half = new Float64Array(d);
    this.coordinates = new Float64Array(d);
  }

  solve(matrix: Float64Array, linear: Float64Array, constant: number): SphereExtremes {
    const { dimension: d, workspace, vectors, scaled, product, values, half } = this;
    vectors.set(matrix.subarray(0, d * d));
    const failed = workspace.syevd(d, vectors, d, values) !== 0;
    const error = failed
      ? { residual: Number.POSITIVE_INFINITY, defect: 0 }
      : decompositionError(workspace, d, matrix, vectors, values, scaled, product);
    const size = halfProducts(half, vectors, linear);
    const slope = size * (error.defect + 4 * (d + 4) * unitRoundoff * Math.sqrt(d));
    const allowance = error.residual + slope;
    return {
      maximum: this.side(1, size, constant, allowance),
      minimum: this.side(-1, size, constant, allowance),
      eigenvalues: values,
      eigenvectors: vectors,
    };
  }

  /** The extreme of one sign; `size` is ||g||, `allowance` what the decomposition may be wrong by. */
  private side(sign: 1 | -1, size: number, constant: number, allowance: number): SphereExtreme {
    const { dimension: d, vectors, values, half, coordinates } = this;
    const top = extreme(values, half, sign, coordinates);
    const point = new Float64Array(d);
    for (let k = 0; k < d; k++) {
      const weight = coordinates[k];
      if (weight !== 0) for (let l = 0; l < d; l++) point[l] += weight * vectors[k * d + l];
    }
    normalise(point);
    const rounding = 4 * (d + 8) * unitRoundoff * (Math.abs(top) + size + Math.abs(constant));
    return { bound: sign * (top + 2 * (allowance + rounding)) + constant, point };
  }
}

/** half_k = v_k'g / 2; returns ||g||. */
function halfProducts(half: Float64Array, vectors: Float64Array, linear: Float64Array): number {
  const d = half.length;
  let size = 0;
  for (let k = 0; k < d; k++) {
    let dot = 0;
    for (let l = 0; l < d; l++) dot += vectors[k * d + l] * linear[l];
    half[k] = 0.5 * dot;
    size += linear[k] * linear[k];
  }
  return Math.sqrt(size);
}

/** Upper bound of max over ||u|| = 1 of sign (sum e_k u_k^2 + 2 sum half_k u_k); writes the maximiser. */
function extreme(values: Float64Array, half: Float64Array, sign: 1 | -1, maximiser: Float64Array): number {
  const d = values.length;
  const topIndex = sign > 0 ? d - 1 : 0;
  const top = sign * values[topIndex];
  let delta = 1e-290;
  for (let k = 0; k < d; k++) delta = Math.max(delta, Math.abs(half[k]) - (top - sign * values[k]));
  let length = 0;
  for (let step = 0; step < 100; step++) {
    let norm2 = 0;
    let norm3 = 0;
    for (let k = 0; k < d; k++) {
      const inverse = 1 / (top - sign * values[k] + delta);
      const p = half[k] * half[k] * inverse * inverse;
      norm2 += p;
      norm3 += p * inverse;
    }
    length = Math.sqrt(norm2);
    if (length <= 1 + 1e-14) break;
    const next = delta + (norm2 / norm3) * (length - 1);
    if (!(next > delta)) break;
    delta = next;
  }
  let quadratic = 0;
  for (let k = 0; k < d; k++) {
    const inverse = 1 / (top - sign * values[k] + delta);
    quadratic += half[k] * half[k] * inverse;
    maximiser[k] = sign * half[k] * inverse;
  }
  // Hard case: fill the sphere along the extreme eigenvector.
  if (length < 1) {
    const own = maximiser[topIndex];
    const rest = 1 - (length * length - own * own);
    maximiser[topIndex] = (own < 0 ? -1 : 1) * Math.sqrt(Math.max(0, rest));
  }
  return top + delta + quadratic;
}

function decompositionError(
  workspace: Workspace,
  d: number,
  matrix: Float64Array,
  vectors: Float64Array,
  values: Float64Array,
  scaled: Float64Array,
  product: Float64Array,
): { residual: number; defect: number } {
  let largest = 0;
  for (let k = 0; k < d; k++) {
    largest = Math.max(largest, Math.abs(values[k]));
    for (let l = 0; l < d; l++) scaled[k * d + l] = values[k] * vectors[k * d + l];
  }
  workspace.gemm(true, false, d, d, d, 1, scaled, d, vectors, d, 0, product, d);
  let residual = 0;
  for (let k = 0; k < d; k++) {
    for (let l = 0; l <= k; l++) residual += (k === l ? 1 : 2) * (product[k * d + l] - matrix[k * d + l]) ** 2;
  }
  workspace.syrk(false, d, d, 1, vectors, d, 0, product, d);
  let defect = 0;
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < d; l++) defect += (product[k * d + l] - (k === l ? 1 : 0)) ** 2;
  }
  const rounding = 4 * (d + 4) * unitRoundoff * Math.sqrt(d);
  const orthogonality = Math.sqrt(defect) + rounding;
  return { residual: Math.sqrt(residual) + largest * (rounding + 2 * orthogonality), defect: orthogonality };
}

function normalise(vector: Float64Array): void {
  let square = 0;
  for (const value of vector) square += value * value;
  const length = Math.sqrt(square);
  if (length > 0) for (let l = 0; l < vector.length; l++) vector[l] /= length;
}
