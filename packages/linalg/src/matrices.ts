// Products, Cholesky, eigendecomposition and solves on ml-matrix matrices, for callers that do not manage a workspace.
// Values are copied into a workspace that is kept between calls while it is small; inputs are never changed.

import { DataError, ShapeError } from "@worstcase/core";
import { type AbstractMatrix, Matrix } from "ml-matrix";
import { chooseKernels } from "./chooseKernels.js";
import type { Workspace } from "./kernels.js";
import { workspaceSize } from "./workspace.js";

export type CholeskyResult =
  | { readonly status: "ok" /** L, lower triangular, `[n, n]`. */; readonly factor: Matrix }
  | { readonly status: "not-positive-definite" /** 1-based index of the failing pivot. */; readonly pivot: number };

export type SolveResult =
  | { readonly status: "ok" /** X with A X = B, `[n, columns]`. */; readonly solution: Matrix }
  | { readonly status: "not-positive-definite"; readonly pivot: number };

/** A B `[rows, columns]` of A `[rows, inner]` and B `[inner, columns]`. Throws ShapeError, DataError on NaN or infinities. */
export function multiply(a: AbstractMatrix, b: AbstractMatrix): Matrix {
  if (a.columns !== b.rows) {
    throw new ShapeError({ argument: "b", expected: `${a.columns} rows, the columns of a`, received: b.rows });
  }
  const [m, k, n] = [a.rows, a.columns, b.columns];
  return withWorkspace([m * k, k * n, m * n], (workspace) => {
    const left = copyIn(workspace, a, "a");
    const right = copyIn(workspace, b, "b");
    const result = workspace.float64(m * n);
    workspace.gemm(false, false, m, n, k, 1, left, k, right, n, 0, result, n);
    return copyOut(result, m, n);
  });
}

/** Cholesky factor of a symmetric A `[n, n]`; reads the lower triangle. Throws ShapeError, DataError. */
export function cholesky(a: AbstractMatrix): CholeskyResult {
  const n = checkSquare(a);
  return withWorkspace([n * n], (workspace) => {
    const values = copyIn(workspace, a, "a");
    const pivot = workspace.potrf(n, values, n);
    if (pivot > 0) return { status: "not-positive-definite", pivot };
    return { status: "ok", factor: copyOut(values, n, n) };
  });
}

/** X with A X = B for a symmetric positive definite A `[n, n]` (lower triangle read) and B `[n, columns]`. Throws ShapeError, DataError. */
export function solveSpd(a: AbstractMatrix, b: AbstractMatrix): SolveResult {
  const n = checkSquare(a);
  if (b.rows !== n) throw new ShapeError({ argument: "b", expected: `${n} rows, the order of a`, received: b.rows });
  const columns = b.columns;
  return withWorkspace([n * n, n * columns], (workspace) => {
    const factor = copyIn(workspace, a, "a");
    const solution = copyIn(workspace, b, "b");
    const pivot = workspace.potrf(n, factor, n);
    if (pivot > 0) return { status: "not-positive-definite", pivot };
    workspace.trsm("left", false, n, columns, factor, n, solution, columns);
    workspace.trsm("left", true, n, columns, factor, n, solution, columns);
    return { status: "ok", solution: copyOut(solution, n, columns) };
  });
}

/**
 * Eigenvalues, ascending, and unit eigenvectors as columns `[n, n]` of a symmetric A `[n, n]`; reads the lower triangle.
 * Throws ShapeError, DataError on NaN or infinities, and DataError in the case, not seen so far, of no convergence.
 */
export function symmetricEigen(a: AbstractMatrix): { values: Float64Array; vectors: Matrix } {
  const n = checkSquare(a);
  return withWorkspace([n * n, n], (workspace) => {
    const rows = copyIn(workspace, a, "a");
    const values = workspace.float64(n);
    if (workspace.syevd(n, rows, n, values) > 0) {
      throw new DataError({ argument: "a", expected: "a matrix whose QL iteration converges", received: a });
    }
    const vectors = new Matrix(n, n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) vectors.set(j, i, rows[i * n + j]);
    return { values: Float64Array.from(values), vectors };
  });
}

/** A kept workspace holds at most this many numbers (32 MB); larger ones are dropped after the call. */
const KEPT = 4_000_000;
let kept: Workspace | undefined;

function withWorkspace<Result>(lengths: number[], work: (workspace: Workspace) => Result): Result {
  const needed = workspaceSize(...lengths);
  const kernels = chooseKernels();
  let workspace = kept;
  if (!workspace || workspace.kernels !== kernels.name || workspace.capacity < needed) {
    workspace = kernels.workspace(Math.max(needed, 8192));
    if (workspace.capacity <= KEPT) kept = workspace;
  }
  const mark = workspace.mark();
  try {
    return work(workspace);
  } finally {
    workspace.release(mark);
  }
}

function copyIn(workspace: Workspace, matrix: AbstractMatrix, argument: string): Float64Array {
  const { rows, columns } = matrix;
  const values = workspace.float64(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = matrix.get(i, j);
      if (!Number.isFinite(value)) {
        throw new DataError({ argument: `${argument}[${i}, ${j}]`, expected: "a finite number", received: value });
      }
      values[i * columns + j] = value;
    }
  }
  return values;
}

function copyOut(values: Float64Array, rows: number, columns: number): Matrix {
  const matrix = new Matrix(rows, columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) matrix.set(i, j, values[i * columns + j]);
  return matrix;
}

function checkSquare(a: AbstractMatrix): number {
  if (a.rows === a.columns) return a.rows;
  throw new ShapeError({ argument: "a", expected: "a square matrix", received: [a.rows, a.columns] });
}
