// Eigenvalues of D + rho z z' for ascending, distinct d [k] and nonzero z [k], rho > 0: the roots of
//   f(mu) = 1 / rho + sum_j z_j^2 / (delta_j - mu),  delta_j = d_j - d_origin,  lambda = d_origin + mu,
// one between each pair of neighbours and one above the last. The origin is the nearer neighbour, which keeps the
// differences d_j - lambda accurate. Each step replaces f by a constant and two poles ("middle way", Li 1993, LAPACK
// working note 89); a bracket guards it.

import { get, laneSum, madd, set } from "./vector";

const EPSILON: f64 = 2.220446049250313e-16;
const STEPS: i32 = 80;

let sum: f64 = 0;
let slope: f64 = 0;

/** sum_j z_j^2 / (delta_j - mu) over j in [from, to) into `sum`, its derivative into `slope`. */
function poles(from: i32, to: i32, delta: usize, z: usize, mu: f64): void {
  let s = f64x2.splat(0);
  let t = f64x2.splat(0);
  const m = f64x2.splat(mu);
  let j = from;
  let pd = delta + (<usize>from << 3);
  let pz = z + (<usize>from << 3);
  for (; j + 1 < to; j += 2) {
    const v = v128.load(pz);
    const q = f64x2.div(v, f64x2.sub(v128.load(pd), m));
    s = madd(v, q, s);
    t = madd(q, q, t);
    pd += 16;
    pz += 16;
  }
  sum = laneSum(s);
  slope = laneSum(t);
  if (j < to) {
    const v = f64.load(pz);
    const q = v / (f64.load(pd) - mu);
    sum += v * q;
    slope += q * q;
  }
}

/** The root of c x^2 - a x + b that the interpolation wants: between the poles, or above both. */
function root(c: f64, a: f64, b: f64, above: bool): f64 {
  const square = Math.sqrt(Math.abs(a * a - 4 * b * c));
  if (above) return a >= 0 ? (a + square) / (2 * c) : (2 * b) / (a - square);
  return a <= 0 ? (a - square) / (2 * c) : (2 * b) / (a + square);
}

/**
 * Root i. Writes d_j - lambda to row [k] and returns lambda. delta: scratch [k]; zz = z'z.
 */
export function secularRoot(k: i32, i: i32, d: usize, z: usize, rho: f64, zz: f64, delta: usize, row: usize): f64 {
  const above = i == k - 1;
  // the two poles of the interpolation, and the interval of the root measured from pole i
  const left = above ? k - 2 : i;
  const di = get(d, i);
  const width = above ? rho * zz : get(d, i + 1) - di;
  const inverse = 1 / rho;
  for (let j = 0; j < k; j++) set(delta, j, get(d, j) - di);
  const middle = 0.5 * width;
  poles(0, left, delta, z, middle);
  let rest = inverse + sum;
  poles(left + 2, k, delta, z, middle);
  rest += sum;
  const z1 = get(z, left) * get(z, left);
  const z2 = get(z, left + 1) * get(z, left + 1);
  const value = rest + z1 / (get(delta, left) - middle) + z2 / (get(delta, left + 1) - middle);
  let origin = i;
  let low: f64 = 0;
  let high = width;
  if (value >= 0) high = middle;
  else low = middle;
  if (!above && value < 0) {
    origin = i + 1;
    const shift = get(d, i + 1);
    for (let j = 0; j < k; j++) set(delta, j, get(d, j) - shift);
    low = -middle;
    high = 0;
  }
  // start: the two nearest poles exactly, the rest constant
  const p1 = get(delta, left);
  const p2 = get(delta, left + 1);
  let mu = root(rest, rest * (p1 + p2) + z1 + z2, rest * p1 * p2 + z1 * p2 + z2 * p1, above);
  if (!(mu > low && mu < high)) mu = 0.5 * (low + high);
  for (let step = 0; step < STEPS; step++) {
    poles(0, left + 1, delta, z, mu);
    const psi = sum;
    const psiSlope = slope;
    poles(left + 1, k, delta, z, mu);
    const phi = sum;
    const phiSlope = slope;
    const f = inverse + psi + phi;
    const total = psiSlope + phiSlope;
    if (Math.abs(f) <= EPSILON * (8 * (Math.abs(phi) + Math.abs(psi)) + inverse + Math.abs(mu) * total)) break;
    if (f < 0) low = Math.max(low, mu);
    else high = Math.min(high, mu);
    const g1 = p1 - mu;
    const g2 = p2 - mu;
    const c = f - g1 * psiSlope - g2 * phiSlope;
    let change = root(c, (g1 + g2) * f - g1 * g2 * total, g1 * g2 * f, above);
    if (!(change * f < 0)) change = -f / total;
    let next = mu + change;
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (next == mu || next == low || next == high) break;
    mu = next;
  }
  for (let j = 0; j < k; j++) set(row, j, get(delta, j) - mu);
  return get(d, origin) + mu;
}
