// Eigenpairs of a symmetric tridiagonal matrix by divide and conquer (Cuppen 1981; Gu and Eisenstat 1995).
//   T = diag(T1, T2) + rho u u',  u = (0, .., 1, +-1, .., 0);  with T_i = Q_i D_i Q_i' this is Q (D + rho z z') Q'.
// Entries of z that are negligible and values of D that coincide are deflated; the others follow from the secular
// equation, and z is recomputed from its roots so that the vectors are orthogonal to working precision.
// Rows of X are eigenvectors throughout. All counts are numbers, leading dimensions bytes.

import { multiply } from "./gemm";
import { implicitQl, sortRows } from "./ql";
import { secularRoot } from "./secular";
import { dot, get, scale, set } from "./vector";

const EPSILON: f64 = 2.220446049250313e-16;
/** Up to this order implicit QL is faster. */
const LEAF: i32 = 32;
/** A merge below this is negligible whatever its neighbours; keeps squares and reciprocals in range. */
const SMALLEST: f64 = 1e-120;

let order: i32 = 0;
let matrix: usize = 0; // [order, order], gathered eigenvectors
let vectors: usize = 0; // [order, order], eigenvectors of D + rho z z'
let lists: usize = 0;

/** Scratch in bytes for order n. */
export function divideScratch(n: i32): usize {
  return (2 * <usize>n * <usize>n + 9 * <usize>n) << 3;
}

/** Eigenvalues ascend in d; rows of x [n, n] become eigenvectors. Returns 0 or a positive number. */
export function tridiagonalEigen(n: i32, d: usize, e: usize, x: usize, ldx: usize, scratch: usize): i32 {
  order = n;
  matrix = scratch;
  vectors = matrix + ((<usize>n * <usize>n) << 3);
  lists = vectors + ((<usize>n * <usize>n) << 3);
  for (let i = 0; i < n; i++) {
    const row = x + <usize>i * ldx;
    memory.fill(row, 0, <usize>n << 3);
    set(row, i, 1);
  }
  return solve(n, d, e, x, ldx);
}

function solve(n: i32, d: usize, e: usize, x: usize, ldx: usize): i32 {
  if (n <= LEAF) {
    const failed = implicitQl(n, d, e, x, ldx, n, lists);
    if (!failed) sortRows(n, d, x, ldx, n);
    return failed;
  }
  const m = n >> 1;
  const rho = get(e, m - 1);
  const strength = Math.abs(rho);
  set(d, m - 1, get(d, m - 1) - strength);
  set(d, m, get(d, m) - strength);
  const failed = solve(m, d, e, x, ldx);
  if (failed) return failed;
  const later = solve(n - m, d + (<usize>m << 3), e + (<usize>m << 3), x + <usize>m * ldx + (<usize>m << 3), ldx);
  if (later) return m + later;
  merge(n, m, rho, d, x, ldx);
  return 0;
}

// @ts-ignore: decorator
@inline
function getIndex(list: usize, i: i32): i32 {
  return i32.load(list + ((<usize>i) << 2));
}

// @ts-ignore: decorator
@inline
function setIndex(list: usize, i: i32, value: i32): void {
  i32.store(list + ((<usize>i) << 2), value);
}

function merge(n: i32, m: i32, rho: f64, d: usize, x: usize, ldx: usize): void {
  const size = <usize>order << 3;
  const z = lists;
  const dk = z + size;
  const zk = dk + size;
  const w = zk + size;
  const delta = w + size;
  const line = delta + size;
  const sorted = line + size; // two lists of 32-bit indices share one vector
  const kept = sorted + (size >> 1);
  const parts = kept + (size >> 1); // per row: 1 = first half only, 2 = second half only, 3 = both
  const column = parts + (size >> 1);
  const dropped = column + (size >> 1);

  // z / sqrt(2) has length 1; rho doubles. A negative coupling changes the sign of the second half.
  const factor: f64 = Math.SQRT1_2;
  let largest: f64 = 0;
  for (let i = 0; i < n; i++) {
    const row = x + <usize>i * ldx;
    set(z, i, i < m ? factor * get(row, m - 1) : (rho < 0 ? -factor : factor) * get(row, m));
    largest = Math.max(largest, Math.abs(get(d, i)));
    setIndex(parts, i, i < m ? 1 : 2);
  }
  rho = 2 * Math.abs(rho);
  const tolerance = Math.max(8 * EPSILON * Math.max(largest, rho), SMALLEST);
  let p = 0;
  let q = m;
  for (let i = 0; i < n; i++) {
    if (q >= n || (p < m && get(d, p) <= get(d, q))) setIndex(sorted, i, p++);
    else setIndex(sorted, i, q++);
  }

  // deflation
  let count = 0; // kept
  let lost = 0; // dropped
  let previous = -1;
  for (let s = 0; s < n; s++) {
    const j = getIndex(sorted, s);
    if (rho * Math.abs(get(z, j)) <= tolerance) {
      setIndex(dropped, lost++, j);
      continue;
    }
    if (previous >= 0) {
      const zp = get(z, previous);
      const zj = get(z, j);
      const length = Math.sqrt(zp * zp + zj * zj);
      const cosine = zj / length;
      const sine = -zp / length;
      const dp = get(d, previous);
      const dj = get(d, j);
      if (Math.abs((dj - dp) * cosine * sine) <= tolerance) {
        set(z, j, length);
        rotateRows(n, x + <usize>previous * ldx, x + <usize>j * ldx, cosine, sine);
        set(d, previous, dp * cosine * cosine + dj * sine * sine);
        set(d, j, dp * sine * sine + dj * cosine * cosine);
        const both = getIndex(parts, previous) | getIndex(parts, j);
        setIndex(parts, previous, both);
        setIndex(parts, j, both);
        setIndex(dropped, lost++, previous);
      } else {
        setIndex(kept, count++, previous);
      }
    }
    previous = j;
  }
  if (previous >= 0) setIndex(kept, count++, previous);
  if (count == 0) {
    sortRows(n, d, x, ldx, n);
    return;
  }

  // column of each kept vector in the grouped order: first half only, both, second half only
  let ones = 0;
  let boths = 0;
  for (let j = 0; j < count; j++) {
    const part = getIndex(parts, getIndex(kept, j));
    if (part == 1) ones++;
    else if (part == 3) boths++;
  }
  let at1 = 0;
  let at3 = ones;
  let at2 = ones + boths;
  const upperLength = <usize>m << 3;
  const lowerLength = <usize>(n - m) << 3;
  const upper = matrix; // [ones + boths, m]
  const lower = upper + <usize>(ones + boths) * upperLength; // [count - ones, n - m]
  const rest = lower + <usize>(count - ones) * lowerLength; // [lost, n]
  for (let j = 0; j < count; j++) {
    const source = getIndex(kept, j);
    const part = getIndex(parts, source);
    const to = part == 1 ? at1++ : part == 3 ? at3++ : at2++;
    const row = x + <usize>source * ldx;
    setIndex(column, j, to);
    set(dk, j, get(d, source));
    set(zk, j, get(z, source));
    if (part != 2) memory.copy(upper + <usize>to * upperLength, row, upperLength);
    if (part != 1) memory.copy(lower + <usize>(to - ones) * lowerLength, row + upperLength, lowerLength);
  }
  for (let j = 0; j < lost; j++) {
    const source = getIndex(dropped, j);
    memory.copy(rest + <usize>j * (<usize>n << 3), x + <usize>source * ldx, <usize>n << 3);
    set(line, j, get(d, source));
  }
  for (let j = 0; j < lost; j++) set(d, count + j, get(line, j));

  secularVectors(count, dk, zk, rho, d, w, delta, line, column);

  const ldu = <usize>count << 3;
  multiply(false, false, false, count, m, ones + boths, 1, vectors, ldu, upper, upperLength, 0, x, ldx);
  const from = vectors + (<usize>ones << 3);
  multiply(false, false, false, count, n - m, count - ones, 1, from, ldu, lower, lowerLength, 0, x + upperLength, ldx);
  for (let j = 0; j < lost; j++) {
    memory.copy(x + <usize>(count + j) * ldx, rest + <usize>j * (<usize>n << 3), <usize>n << 3);
  }
  if (lost > 0) sortRows(n, d, x, ldx, n);
}

/** Roots to d [k] and unit eigenvectors of diag(dk) + rho zk zk' as rows of `vectors`, columns in grouped order. */
function secularVectors(
  k: i32, dk: usize, zk: usize, rho: f64, d: usize, w: usize, delta: usize, line: usize, column: usize,
): void {
  if (k == 1) {
    set(d, 0, get(dk, 0) + rho * get(zk, 0) * get(zk, 0));
    set(vectors, 0, 1);
    return;
  }
  const ld = <usize>k << 3;
  const zz = dot(k, zk, zk);
  for (let j = 0; j < k; j++) set(w, j, 1);
  for (let i = 0; i < k; i++) {
    const row = vectors + <usize>i * ld;
    set(d, i, secularRoot(k, i, dk, zk, rho, zz, delta, row));
    // w_j = product over i of (d_j - lambda_i) / (d_j - d_i), without the denominator at i = j
    const own = get(w, i) * get(row, i);
    const di = f64x2.splat(get(dk, i));
    let j = 0;
    for (; j + 1 < k; j += 2) {
      const at = <usize>j << 3;
      const ratio = f64x2.div(v128.load(row + at), f64x2.sub(v128.load(dk + at), di));
      v128.store(w + at, f64x2.mul(v128.load(w + at), ratio));
    }
    if (j < k) set(w, j, (get(w, j) * get(row, j)) / (get(dk, j) - get(dk, i)));
    set(w, i, own);
  }
  for (let j = 0; j < k; j++) {
    const size = Math.sqrt(Math.abs(get(w, j)));
    set(w, j, get(zk, j) < 0 ? -size : size);
  }
  for (let i = 0; i < k; i++) {
    const row = vectors + <usize>i * ld;
    let j = 0;
    for (; j + 1 < k; j += 2) {
      const at = <usize>j << 3;
      v128.store(line + at, f64x2.div(v128.load(w + at), v128.load(row + at)));
    }
    if (j < k) set(line, j, get(w, j) / get(row, j));
    scale(k, 1 / Math.sqrt(dot(k, line, line)), line);
    for (j = 0; j < k; j++) set(row, getIndex(column, j), get(line, j));
  }
}

/** first <- c first + s second; second <- c second - s first. */
function rotateRows(n: i32, first: usize, second: usize, c: f64, s: f64): void {
  for (let k = 0; k < n; k++) {
    const a = f64.load(first);
    const b = f64.load(second);
    f64.store(first, c * a + s * b);
    f64.store(second, c * b - s * a);
    first += 8;
    second += 8;
  }
}
