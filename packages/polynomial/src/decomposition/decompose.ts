// Neural decomposition (math.md 8): Z >= 0 with trace(Z1) = z4 is a sum of vectors v_j v_j' with ||s_j|| = |t_j|, v_j = (s_j; t_j),
// and every such vector is a neuron: u_j = s_j / t_j of length 1, weight t_j^2. With G = diag(I, -1) the condition is v'Gv = 0.
//   1. repair the trace (both ways keep Z >= 0), eigendecompose, columns p = sqrt(eigenvalue) eigenvector, g = p'Gp, sum g = 0
//   2. while some g > 0 > some other: rotate the two columns so that one of them is finished; at most rank - 1 rotations
//   3. u = s/t, alpha = t^2
// Z: [(d + 1), (d + 1)] row-major, the last row and column belong to the constant

import { checkFinite, DataError, ShapeError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "../activation.js";
import type { Neurons } from "../quadratic.js";
import { eigenRows } from "../worstCase/rotatedForm.js";

export interface Decomposition {
  /** Unit rows u_j, `[rank, features]`. */
  readonly directions: Float64Array;
  /** t_j^2 > 0, `[rank]`; they sum to the repaired z4. */
  readonly weights: Float64Array;
  /** What was changed before decomposing: most negative eigenvalue cut off, and trace(Z1) - z4 after that. */
  readonly repair: { readonly negativePart: number; readonly traceDefect: number };
  /** Largest entry of |sum_j alpha_j (u_j;1)(u_j;1)' - Z repaired|, and largest | ||u_j|| - 1 | before rows were normalised. */
  readonly check: { readonly reconstruction: number; readonly norm: number };
}

export interface DecomposeOptions {
  readonly kernels?: Kernels;
  /** Eigenvalues below this share of the largest are dropped. Default 1e-14. */
  readonly rankTolerance?: number;
  /** Largest repair accepted, relative to the size of Z. Default 1e-3: solver noise, not another matrix. */
  readonly repairTolerance?: number;
}

/**
 * Neurons of one positive semidefinite matrix. Throws ShapeError on a wrong size, DataError on values that are not finite, not
 * symmetric, or further from the cone than `repairTolerance`. Source: math.md 8.
 */
export function decompose(matrix: Float64Array, dimension: number, options: DecomposeOptions = {}): Decomposition {
  const d = dimension;
  const n = d + 1;
  if (!Number.isInteger(d) || d < 1 || matrix.length !== n * n) {
    throw new ShapeError({ argument: "matrix", expected: `${n} x ${n} values`, received: matrix.length });
  }
  checkFinite(matrix, "matrix", n);
  const { rankTolerance = 1e-14, repairTolerance = 1e-3 } = options;
  let size = 0;
  for (const value of matrix) size = Math.max(size, Math.abs(value));
  const Z = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    for (let l = 0; l < n; l++) {
      if (Math.abs(matrix[k * n + l] - matrix[l * n + k]) > 1e-8 * size) {
        const expected = `${matrix[l * n + k]}, a symmetric matrix`;
        throw new DataError({ argument: `matrix[${k}, ${l}]`, expected, received: matrix[k * n + l] });
      }
      Z[k * n + l] = 0.5 * (matrix[k * n + l] + matrix[l * n + k]);
    }
  }
  const empty = { directions: new Float64Array(0), weights: new Float64Array(0) };
  const nothing = { repair: { negativePart: 0, traceDefect: 0 }, check: { reconstruction: 0, norm: 0 } };
  if (size === 0) return { ...empty, ...nothing };
  const kernels = options.kernels ?? chooseKernels();
  const accept = (change: number, what: string) => {
    if (Math.abs(change) <= repairTolerance * size * n) return;
    const hint = "decompose takes Z >= 0 with trace(Z1) = z4; raise repairTolerance if this is solver noise";
    throw new DataError({ argument: "matrix", expected: `${what} up to ${repairTolerance}`, received: change, hint });
  };

  // Cut off negative eigenvalues, then balance the trace: raise z4, or the diagonal of Z1.
  const first = eigenRows(Z, n, kernels);
  const negativePart = Math.min(0, first.values[0]);
  accept(negativePart, "a positive semidefinite matrix");
  if (negativePart < 0) assemble(first.vectors, first.values, n, Z);
  let traceDefect = -Z[n * n - 1];
  for (let k = 0; k < d; k++) traceDefect += Z[k * n + k];
  accept(traceDefect, "trace(Z1) = z4");
  if (traceDefect > 0) Z[n * n - 1] += traceDefect;
  else for (let k = 0; k < d; k++) Z[k * n + k] -= traceDefect / d;

  const { vectors, values } = eigenRows(Z, n, kernels);
  const largest = values[n - 1];
  const columns: Float64Array[] = [];
  for (let k = 0; k < n; k++) {
    if (values[k] <= rankTolerance * largest) continue;
    const root = Math.sqrt(values[k]);
    columns.push(vectors.slice(k * n, (k + 1) * n).map((value) => root * value));
  }
  const finished = rotateToNeurons(columns, n);
  return { ...toNeurons(finished, Z, d), repair: { negativePart, traceDefect } };
}

/** Both parts as one network with f(x) = <Z - Z', Phi(x)>: positive weights from Z, negative ones from Z'. */
export function decomposeNetwork(
  positive: Float64Array,
  negative: Float64Array,
  dimension: number,
  options: DecomposeOptions & { readonly activation?: Activation } = {},
): Neurons {
  const { activation = paperActivation, ...rest } = options;
  checkActivation(activation, "options.activation");
  const plus = decompose(positive, dimension, rest);
  const minus = decompose(negative, dimension, rest);
  const directions = new Float64Array(plus.directions.length + minus.directions.length);
  directions.set(plus.directions);
  directions.set(minus.directions, plus.directions.length);
  const weights = Float64Array.from([...plus.weights, ...Array.from(minus.weights, (weight) => -weight)]);
  return { directions, weights, activation };
}

/** v'Gv. */
function form(v: Float64Array): number {
  const last = v.length - 1;
  let total = -v[last] * v[last];
  for (let k = 0; k < last; k++) total += v[k] * v[k];
  return total;
}

/** Rotates pairs of columns until v'Gv = 0 for every one, keeping sum v v'. */
export function rotateToNeurons(columns: Float64Array[], n: number): Float64Array[] {
  const open = columns.map((column) => ({ column, g: form(column) }));
  const finished: Float64Array[] = [];
  while (open.length > 1) {
    let high = 0;
    let low = 0;
    for (let j = 1; j < open.length; j++) {
      if (open[j].g > open[high].g) high = j;
      if (open[j].g < open[low].g) low = j;
    }
    const [p, q] = [open[high], open[low]];
    // Exactly balanced: whatever is left is finished.
    if (!(p.g > 0 && q.g < 0)) break;
    let mixed = -p.column[n - 1] * q.column[n - 1];
    for (let k = 0; k < n - 1; k++) mixed += p.column[k] * q.column[k];
    // g(p + t q) = q.g t^2 + 2 mixed t + p.g = 0; the roots have opposite signs, the smaller one without cancellation.
    const root = Math.sqrt(mixed * mixed - p.g * q.g);
    const t = mixed >= 0 ? -p.g / (mixed + root) : -p.g / (mixed - root);
    const cosine = 1 / Math.sqrt(1 + t * t);
    const sine = t * cosine;
    const done = new Float64Array(n);
    const rest = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      done[k] = cosine * p.column[k] + sine * q.column[k];
      rest[k] = cosine * q.column[k] - sine * p.column[k];
    }
    finished.push(done);
    open[high] = { column: rest, g: form(rest) };
    open[low] = open[open.length - 1];
    open.pop();
  }
  return [...finished, ...open.map(({ column }) => column)];
}

/** u = s/t, alpha = t^2, with the checks of math.md 8.5. */
function toNeurons(vectors: readonly Float64Array[], Z: Float64Array, d: number): Omit<Decomposition, "repair"> {
  const n = d + 1;
  let scale = 0;
  for (const v of vectors) for (const value of v) scale = Math.max(scale, Math.abs(value));
  const kept = vectors.filter((v) => Math.abs(v[d]) > 1e-9 * scale);
  const directions = new Float64Array(kept.length * d);
  const weights = new Float64Array(kept.length);
  let norm = 0;
  kept.forEach((v, j) => {
    let length = 0;
    for (let k = 0; k < d; k++) length += v[k] * v[k];
    length = Math.sqrt(length);
    norm = Math.max(norm, Math.abs(length / Math.abs(v[d]) - 1));
    for (let k = 0; k < d; k++) directions[j * d + k] = (Math.sign(v[d]) * v[k]) / length;
    weights[j] = v[d] * v[d];
  });
  let reconstruction = 0;
  for (let k = 0; k < n; k++) {
    for (let l = 0; l <= k; l++) {
      let total = -Z[k * n + l];
      for (let j = 0; j < kept.length; j++) {
        const uk = k < d ? directions[j * d + k] : 1;
        const ul = l < d ? directions[j * d + l] : 1;
        total += weights[j] * uk * ul;
      }
      reconstruction = Math.max(reconstruction, Math.abs(total));
    }
  }
  return { directions, weights, check: { reconstruction, norm } };
}

function assemble(vectors: Float64Array, values: Float64Array, n: number, target: Float64Array): void {
  target.fill(0);
  for (let k = 0; k < n; k++) {
    if (!(values[k] > 0)) continue;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) target[i * n + j] += values[k] * vectors[k * n + i] * vectors[k * n + j];
    }
  }
}
