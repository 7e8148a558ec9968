// Minima of separable quadratics over balls, for many rows: min over ||D|| <= r of y f(x + D), f(t) = c + sum_k (h_k t_k + l_k) t_k,
// h ascending. With a_k = h_k x_k + l_k / 2 and g_k = y h_k - lowest >= 0, lowest = min_k y h_k, the dual is
//   max over delta >= max(lowest, 0) of  y f(x) - (delta - lowest) r^2 - sum_k a_k^2 / (g_k + delta)
// and Newton on 1/||D|| - 1/r, ||D||^2 = sum_k a_k^2 / (g_k + delta)^2, is monotone from the left of the root. Rows long enough start
// with passes in single precision, four divisions at a time; every value comes from a pass in double precision, and since the dual is
// a bound at any delta >= least, what single precision found needs no proof. The last Newton step from the left is added to the value
// as its quadratic Taylor term, which stays below the dual (its third derivative is positive).

import { get, laneSum, madd, set } from "./vector";

/** Keeps 0/0 out when a row is exactly in the hard case. */
const TINIEST: f64 = 1e-290;
/** Below it a radius acts only through the slope, and its square would underflow. */
const NEGLIGIBLE: f64 = 1e-140;
/** Multipliers so many times the curvatures leave nothing of them in double precision. */
const STRAIGHT: f64 = 1e17;
const STEPS: i32 = 100;
const NOWHERE: usize = 0xffffffff;
const SINGLE_STEPS: i32 = 30;
/** Rows at least so long are worth the single-precision start. */
const SINGLE_LENGTH: i32 = 16;
/** By how much the start from single precision is moved left, to stay on the left of the root. */
const BACK: f64 = 1 - 4e-6;

let quadratic: f64 = 0;
let norm2: f64 = 0;
let norm3: f64 = 0;

/** Scratch arrays are padded to whole steps of the loops: a_k^2, then in single precision a_k^2 and g_k for either sign. */
function padded(n: i32): i32 {
  return (n + 7) & ~7;
}

/**
 * ||a|| / r, the root where all curvatures vanish beside it (at tiny radii the sums of a step would underflow); 0 where it is none.
 * Leaves the sums of that delta.
 */
function straightRoot(n: i32, squares: usize, radius: f64, inverseRadius: f64, least: f64): f64 {
  let total: f64 = 0;
  for (let k = 0; k < n; k++) total += get(squares, k);
  const size = Math.sqrt(total);
  const delta = size * inverseRadius;
  if (!(delta >= least && delta < Infinity && size > 0)) return 0;
  quadratic = size * radius;
  norm2 = radius * radius;
  norm3 = 0;
  return delta;
}

/** sum a^2 / (g + delta), sum a^2 / (g + delta)^2, sum a^2 / (g + delta)^3; g = sign h - lowest. */
function sums(n: i32, h: usize, squares: usize, sign: f64, lowest: f64, delta: f64): void {
  let q0 = f64x2.splat(0), q1 = f64x2.splat(0);
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0);
  let t0 = f64x2.splat(0), t1 = f64x2.splat(0);
  const one = f64x2.splat(1);
  const y = f64x2.splat(sign);
  const down = f64x2.splat(lowest);
  const up = f64x2.splat(delta);
  let k = 0;
  for (; k + 3 < n; k += 4) {
    // the gap first: adding delta to it has no cancellation
    const i0 = f64x2.div(one, f64x2.add(f64x2.sub(f64x2.mul(y, v128.load(h)), down), up));
    const i1 = f64x2.div(one, f64x2.add(f64x2.sub(f64x2.mul(y, v128.load(h, 16)), down), up));
    const u0 = f64x2.mul(v128.load(squares), i0);
    const u1 = f64x2.mul(v128.load(squares, 16), i1);
    const p0 = f64x2.mul(u0, i0);
    const p1 = f64x2.mul(u1, i1);
    q0 = f64x2.add(q0, u0);
    q1 = f64x2.add(q1, u1);
    s0 = f64x2.add(s0, p0);
    s1 = f64x2.add(s1, p1);
    t0 = madd(p0, i0, t0);
    t1 = madd(p1, i1, t1);
    h += 32;
    squares += 32;
  }
  quadratic = laneSum(f64x2.add(q0, q1));
  norm2 = laneSum(f64x2.add(s0, s1));
  norm3 = laneSum(f64x2.add(t0, t1));
  for (; k < n; k++) {
    const inverse = 1 / (sign * f64.load(h) - lowest + delta);
    const u = f64.load(squares) * inverse;
    const p = u * inverse;
    quadratic += u;
    norm2 += p;
    norm3 += p * inverse;
    h += 8;
    squares += 8;
  }
}

/** As `sums`, without the first of them, over padded single-precision arrays. */
function singleSums(n: i32, gaps: usize, squares: usize, delta: f32): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0);
  const one = f32x4.splat(1);
  const o = f32x4.splat(delta);
  for (let k = 0; k < n; k += 8) {
    const i0 = f32x4.div(one, f32x4.add(v128.load(gaps), o));
    const i1 = f32x4.div(one, f32x4.add(v128.load(gaps, 16), o));
    const p0 = f32x4.mul(f32x4.mul(v128.load(squares), i0), i0);
    const p1 = f32x4.mul(f32x4.mul(v128.load(squares, 16), i1), i1);
    s0 = f32x4.add(s0, p0);
    s1 = f32x4.add(s1, p1);
    t0 = f32x4.add(t0, f32x4.mul(p0, i0));
    t1 = f32x4.add(t1, f32x4.mul(p1, i1));
    gaps += 32;
    squares += 32;
  }
  const s = f32x4.add(s0, s1);
  const t = f32x4.add(t0, t1);
  norm2 = <f64>f32x4.extract_lane(s, 0) + <f64>f32x4.extract_lane(s, 1) + <f64>f32x4.extract_lane(s, 2) + <f64>f32x4.extract_lane(s, 3);
  norm3 = <f64>f32x4.extract_lane(t, 0) + <f64>f32x4.extract_lane(t, 1) + <f64>f32x4.extract_lane(t, 2) + <f64>f32x4.extract_lane(t, 3);
}

/** g_k / width of one sign in single precision, padded with ones. */
function singleGaps(n: i32, h: usize, sign: f64, lowest: f64, width: f64, gaps: usize): void {
  for (let k = 0; k < padded(n); k++) {
    const gap = k < n ? (sign * get(h, k) - lowest) / width : 1;
    f32.store(gaps + ((<usize>k) << 2), <f32>gap);
  }
}

/** A start near the root from the left, or `least`, itself begun at `guess` >= least. `largest`: of the squares. */
function singleStart(
  n: i32, squares: usize, singles: usize, gaps: usize, width: f64, largest: f64, radius: f64, least: f64, guess: f64,
): f64 {
  const factor = f64x2.splat(1 / largest);
  let from = squares;
  let to = singles;
  for (let k = 0; k < padded(n); k += 4) {
    const low = f32x4.demote_f64x2_zero(f64x2.mul(v128.load(from), factor));
    const high = f32x4.demote_f64x2_zero(f64x2.mul(v128.load(from, 16), factor));
    v128.store(to, v128.shuffle<f32>(low, high, 0, 1, 4, 5));
    from += 32;
    to += 16;
  }
  // in units of the width and of the largest |a|
  const target = (radius * width) / Math.sqrt(largest);
  const lowest = least / width;
  let delta = guess / width;
  if (!(lowest > 1e-30 && target > 0 && target < Infinity)) return least;
  for (let step = 0; step < SINGLE_STEPS; step++) {
    singleSums(n, gaps, singles, <f32>delta);
    // nothing left in single precision: the guess, a root of another row, is far beyond this one
    if (norm3 == 0) return least;
    if (!(norm3 < Infinity)) break;
    const excess = Math.sqrt(norm2) / target - 1;
    if (Math.abs(excess) <= 1e-5) break;
    const next = Math.max(lowest, delta + (norm2 / norm3) * excess);
    if (!(next < Infinity) || next == delta) break;
    delta = next;
  }
  const found = delta * width * BACK;
  return found > least ? found : least;
}

/**
 * Values and multipliers lambda = delta - lowest [rows], and the minimisers' D [rows, n] unless `moves` is NOWHERE. Leading
 * dimensions in bytes; `ldl` and `stepConstants` 0 share l and c among the rows. work: 2.5 padded(n) numbers.
 */
export function minimaOverBalls(
  rows: i32, n: i32, x: usize, ldx: usize, h: usize, l: usize, ldl: usize, constants: usize, stepConstants: usize,
  signs: usize, radius: f64, tolerance: f64, work: usize, values: usize, multipliers: usize, moves: usize, ldm: usize,
): void {
  const wanted = moves != NOWHERE;
  const room = padded(n);
  const squares = work;
  const singles = squares + ((<usize>room) << 3);
  const gapsPositive = singles + ((<usize>room) << 2);
  const gapsNegative = gapsPositive + ((<usize>room) << 2);
  const first = get(h, 0);
  const last = get(h, n - 1);
  const width = last - first;
  const single = n >= SINGLE_LENGTH && width > 0 && width < Infinity && radius >= NEGLIGIBLE;
  if (single) {
    singleGaps(n, h, 1, first, width, gapsPositive);
    singleGaps(n, h, -1, -last, width, gapsNegative);
  }
  for (let k = n; k < room; k++) set(squares, k, 0);
  const radiusSquare = radius * radius;
  const inverseRadius = radius < NEGLIGIBLE ? 0 : 1 / radius;
  // rows are alike: the last root of the same sign is a good guess
  let lastPositive: f64 = 0;
  let lastNegative: f64 = 0;
  const upper = radius * (1 + tolerance);
  const lower = radius * (1 - Math.min(tolerance, 1e-9));
  for (let i = 0; i < rows; i++) {
    const positive = get(signs, i) > 0;
    const sign: f64 = positive ? 1 : -1;
    const lowest = positive ? first : -last;
    // a^2, y f(x), the largest a^2 and the largest |a| / r - g
    const y = f64x2.splat(sign);
    const down = f64x2.splat(lowest);
    const half = f64x2.splat(0.5);
    const per = f64x2.splat(inverseRadius);
    let score2 = f64x2.splat(0);
    let largest2 = f64x2.splat(0);
    let start2 = f64x2.splat(Math.max(Math.max(lowest, 0), TINIEST));
    let k = 0;
    for (; k + 1 < n; k += 2) {
      const at = (<usize>k) << 3;
      const t = v128.load(x + at);
      const c = v128.load(h + at);
      const slope = v128.load(l + at);
      const hx = f64x2.mul(c, t);
      score2 = madd(t, f64x2.add(hx, slope), score2);
      const a = madd(half, slope, hx);
      const square = f64x2.mul(a, a);
      v128.store(squares + at, square);
      largest2 = f64x2.max(largest2, square);
      const gap = f64x2.sub(f64x2.mul(y, c), down);
      start2 = f64x2.max(start2, f64x2.sub(f64x2.mul(f64x2.abs(a), per), gap));
    }
    let score = laneSum(score2) + f64.load(constants);
    let largest = Math.max(f64x2.extract_lane(largest2, 0), f64x2.extract_lane(largest2, 1));
    let least = Math.max(f64x2.extract_lane(start2, 0), f64x2.extract_lane(start2, 1));
    if (k < n) {
      const t = get(x, k);
      const c = get(h, k);
      const hx = c * t;
      score += t * (hx + get(l, k));
      const a = hx + 0.5 * get(l, k);
      set(squares, k, a * a);
      largest = Math.max(largest, a * a);
      least = Math.max(least, Math.abs(a) * inverseRadius - (sign * c - lowest));
    }
    if (radius < NEGLIGIBLE) {
      let total: f64 = 0;
      for (let j = 0; j < n; j++) total += get(squares, j);
      set(values, i, sign * score - 2 * radius * Math.sqrt(total));
      set(multipliers, i, 0);
      if (wanted) memory.fill(moves, 0, (<usize>n) << 3);
    } else {
      const straight = least > STRAIGHT * Math.max(width, Math.abs(lowest))
        ? straightRoot(n, squares, radius, inverseRadius, least) : 0;
      let delta = straight > 0 ? straight : least;
      if (straight == 0 && single && largest > 0 && largest < Infinity) {
        const gaps = positive ? gapsPositive : gapsNegative;
        const guess = Math.max(least, positive ? lastPositive : lastNegative);
        delta = singleStart(n, squares, singles, gaps, width, largest, radius, least, guess);
      }
      let length: f64 = radius;
      for (let step = 0; straight == 0; step++) {
        sums(n, h, squares, sign, lowest, delta);
        length = Math.sqrt(norm2);
        if (step == STEPS || (length <= upper && (length >= lower || delta <= least))) break;
        let next = delta + (norm2 / norm3) * (length * inverseRadius - 1);
        if (!(next > least)) next = least;
        if (next == delta) break;
        delta = next;
      }
      if (positive) lastPositive = delta;
      else lastNegative = delta;
      let lambda = delta - lowest;
      if (lambda < 0) lambda = 0;
      let value = sign * score - lambda * radiusSquare - quadratic;
      if (wanted) {
        const signed = (positive ? -1 : 1) * (length > radius ? radius / length : 1);
        const factor = f64x2.splat(signed);
        const up = f64x2.splat(delta);
        let j = 0;
        for (; j + 1 < n; j += 2) {
          const at = (<usize>j) << 3;
          const c = v128.load(h + at);
          const a = madd(half, v128.load(l + at), f64x2.mul(c, v128.load(x + at)));
          const gap = f64x2.sub(f64x2.mul(y, c), down);
          v128.store(moves + at, f64x2.div(f64x2.mul(factor, a), f64x2.add(gap, up)));
        }
        if (j < n) {
          const a = get(h, j) * get(x, j) + 0.5 * get(l, j);
          set(moves, j, (signed * a) / (sign * get(h, j) - lowest + delta));
        }
        // hard case: the multiplier is at its lower end and the ball is not filled; move along the lowest eigenvector
        if (lambda > 0 && length < radius * (1 - 1e-9)) {
          const at = positive ? 0 : n - 1;
          const own = get(moves, at);
          const rest = radiusSquare - (length * length - own * own);
          set(moves, at, (own < 0 ? -1 : 1) * Math.sqrt(Math.max(rest, 0)));
        }
      }
      if (length > radius && norm3 > 0 && norm3 < Infinity) {
        const step = (norm2 / norm3) * (length * inverseRadius - 1);
        const gain = ((norm2 - radiusSquare) - norm3 * step) * step;
        if (gain > 0) {
          value += gain;
          lambda += step;
        }
      }
      set(values, i, value);
      set(multipliers, i, lambda);
    }
    x += ldx;
    l += ldl;
    constants += stepConstants;
    if (wanted) moves += ldm;
  }
}
