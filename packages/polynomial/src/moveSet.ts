// What the adversary may do to a point: D = P z with ||z|| <= r and z = 0 on the immutable features (math.md 12.4, 12.5).
//   ball: P = I.  Ellipsoid: P = L.  Both: the moves L z that leave the immutable features alone are again an ellipsoid,
//   { D_M : ||K D_M|| <= r } with K the moving columns of L^-1; K = O T with T lower triangular gives D_M = T^-1 z_M.
// In the coordinates x = P t the set is a ball of the moving coordinates.   P: lower triangular, `[d, d]`

import { SettingError } from "@worstcase/core";
import { checkEllipsoid } from "./ellipsoid.js";

export interface MoveOptions {
  /** Indices of features that perturbations leave as they are, such as a category or an age (math.md 12.5). Default: none. */
  readonly immutable?: ArrayLike<number>;
  /**
   * Lower triangular L: perturbations are L z with ||z|| <= radius instead of a ball (math.md 12.4), row-major
   * `[features, features]`, for example the Cholesky factor of a covariance. With immutable features, those of them that
   * leave these features alone. Default: the identity.
   */
  readonly ellipsoid?: Float64Array;
}

export interface MoveSet {
  readonly dimension: number;
  /** Ascending indices, at least one. */
  readonly moving: Int32Array;
  readonly fixed: Int32Array;
  /** P, with the identity on the fixed features; null for the identity. `[d, d]` */
  readonly shape: Float64Array | null;
  /** Bounds of ||P^-1|| and of ||P|| ||P^-1||; both 1 for the identity. */
  readonly inverseSize: number;
  readonly condition: number;
}

/** Null for the plain ball. Throws SettingError, ShapeError or DataError on misuse. */
export function moveSetOf(options: MoveOptions, dimension: number, prefix = "options"): MoveSet | null {
  const { immutable, ellipsoid } = options;
  if (ellipsoid) checkEllipsoid(ellipsoid, dimension, `${prefix}.ellipsoid`);
  const fixed = checkImmutable(immutable ?? [], dimension, `${prefix}.immutable`);
  if (fixed.length === 0 && !ellipsoid) return null;
  const held = new Uint8Array(dimension);
  for (const k of fixed) held[k] = 1;
  const moving = Int32Array.from({ length: dimension }, (_, k) => k).filter((k) => held[k] === 0);
  const plain = { dimension, moving, fixed, shape: null, inverseSize: 1, condition: 1 };
  if (!ellipsoid) return plain;
  const shape = fixed.length === 0 ? ellipsoid : section(ellipsoid, moving, dimension);
  let [size, inverse] = [0, 0];
  for (const value of shape) size += value * value;
  for (const value of inverseTransposed(shape, dimension)) inverse += value * value;
  return { ...plain, shape, inverseSize: Math.sqrt(inverse), condition: Math.sqrt(size * inverse) };
}

/** Just the moves of some options. */
export function movesOf({ immutable, ellipsoid }: MoveOptions): MoveOptions {
  return { ...(immutable && { immutable }), ...(ellipsoid && { ellipsoid }) };
}

/** Ascending; at least one feature must be left to move. */
function checkImmutable(list: ArrayLike<number>, dimension: number, argument: string): Int32Array {
  const expected = `distinct indices of the ${dimension} features, not all of them`;
  if (typeof list !== "object" || list === null || typeof list.length !== "number") {
    throw new SettingError({ argument, expected, received: list });
  }
  const sorted = Array.from(list).sort((a, b) => a - b);
  sorted.forEach((k, position) => {
    const known = Number.isSafeInteger(k) && k >= 0 && k < dimension && k !== sorted[position - 1];
    if (!known) throw new SettingError({ argument, expected, received: k });
  });
  if (sorted.length === dimension) throw new SettingError({ argument, expected, received: "all" });
  return Int32Array.from(sorted);
}

/** P of the moves L z that are zero outside `moving`. */
function section(L: Float64Array, moving: Int32Array, d: number): Float64Array {
  const m = moving.length;
  // Columns of K = L^-1 restricted to the moving features, by forward substitution.
  const columns = Array.from(moving, (k) => {
    const column = new Float64Array(d);
    for (let i = 0; i < d; i++) {
      let rest = i === k ? 1 : 0;
      for (let l = 0; l < i; l++) rest -= L[i * d + l] * column[l];
      column[i] = rest / L[i * d + i];
    }
    return column;
  });
  // K = O T from the last column to the first: column k has parts along the directions of columns j >= k only.
  const T = new Float64Array(m * m);
  for (let k = m - 1; k >= 0; k--) {
    const own = columns[k];
    for (let pass = 0; pass < 2; pass++) {
      for (let j = m - 1; j > k; j--) {
        const other = columns[j];
        let along = 0;
        for (let i = 0; i < d; i++) along += other[i] * own[i];
        for (let i = 0; i < d; i++) own[i] -= along * other[i];
        T[j * m + k] += along;
      }
    }
    let square = 0;
    for (const value of own) square += value * value;
    T[k * m + k] = Math.sqrt(square);
    for (let i = 0; i < d; i++) own[i] /= T[k * m + k];
  }
  const shape = new Float64Array(d * d);
  for (let k = 0; k < d; k++) shape[k * d + k] = 1;
  // T^-1, column by column.
  for (let c = 0; c < m; c++) {
    const column = new Float64Array(m);
    for (let i = c; i < m; i++) {
      let rest = i === c ? 1 : 0;
      for (let l = c; l < i; l++) rest -= T[i * m + l] * column[l];
      column[i] = rest / T[i * m + i];
      shape[moving[i] * d + moving[c]] = column[i];
    }
  }
  return shape;
}

/** Whether two sets allow the same moves. */
export function sameSet(one: MoveSet | null, other: MoveSet | null): boolean {
  if (one === null || other === null) return one === other;
  const equal = (a: ArrayLike<number> | null, b: ArrayLike<number> | null) =>
    a === null || b === null ? a === b : a.length === b.length && Array.from(a).every((value, k) => value === b[k]);
  return equal(one.moving, other.moving) && equal(one.shape, other.shape);
}

/** rows <- P' rows with zeros on the fixed features: directions as the adversary sees them. `[count, d]`, in place. */
export function projectRows({ dimension: d, fixed, shape }: MoveSet, rows: Float64Array, count: number): void {
  for (let j = 0, at = 0; j < count; j++, at += d) {
    if (shape) {
      for (let l = 0; l < d; l++) {
        let sum = 0;
        for (let k = l; k < d; k++) sum += shape[k * d + l] * rows[at + k];
        rows[at + l] = sum;
      }
    }
    for (const k of fixed) rows[at + k] = 0;
  }
}

/** rows <- P rows with zeros on the fixed features: moves z to displacements D. `[count, d]`, in place. */
export function displaceRows({ dimension: d, fixed, shape }: MoveSet, rows: Float64Array, count: number): void {
  for (let j = 0, at = 0; j < count; j++, at += d) {
    for (const k of fixed) rows[at + k] = 0;
    if (!shape) continue;
    for (let k = d - 1; k >= 0; k--) {
      let sum = 0;
      for (let l = 0; l <= k; l++) sum += shape[k * d + l] * rows[at + l];
      rows[at + k] = sum;
    }
    for (const k of fixed) rows[at + k] = 0;
  }
}

/** Squared length of P^-1 v for the row v at `at`; `scratch` `[d]`. */
export function metricSquare(
  { dimension: d, shape }: MoveSet,
  rows: Float64Array,
  at: number,
  scratch: Float64Array,
): number {
  let square = 0;
  for (let k = 0; k < d; k++) {
    let rest = rows[at + k];
    if (shape) {
      for (let l = 0; l < k; l++) rest -= shape[k * d + l] * scratch[l];
      rest /= shape[k * d + k];
    }
    scratch[k] = rest;
    square += rest * rest;
  }
  return square;
}

/** Row c is column c of P^-1, `[d, d]`. */
function inverseTransposed(shape: Float64Array, d: number): Float64Array {
  const inverse = new Float64Array(d * d);
  for (let c = 0; c < d; c++) {
    const column = inverse.subarray(c * d, (c + 1) * d);
    for (let i = c; i < d; i++) {
      let rest = i === c ? 1 : 0;
      for (let l = c; l < i; l++) rest -= shape[i * d + l] * column[l];
      column[i] = rest / shape[i * d + i];
    }
  }
  return inverse;
}

/** (P P')^-1 `[d, d]`, for traces of covariances in the metric of the set. */
export function metricMatrix({ dimension: d, shape }: MoveSet): Float64Array {
  const matrix = new Float64Array(d * d);
  const inverse = shape && inverseTransposed(shape, d);
  for (let k = 0; k < d; k++) {
    if (!inverse) matrix[k * (d + 1)] = 1;
    for (let l = 0; inverse && l <= k; l++) {
      let sum = 0;
      for (let i = k; i < d; i++) sum += inverse[k * d + i] * inverse[l * d + i];
      matrix[k * d + l] = sum;
      matrix[l * d + k] = sum;
    }
  }
  return matrix;
}
