// Implicit QL for a symmetric tridiagonal matrix: diag d, coupling e (e[i] between i and i + 1).
// After the EISPACK routine tql2; the rotations of a sweep are collected, then applied to eight columns of X at a time.

import { get, madd, set } from "./vector";

const SWEEPS: i32 = 60;
const EPSILON: f64 = 2.220446049250313e-16;
/** Couplings below EPSILON times this are dropped even among small entries; the whole matrix is of size 1e-9 to 1e9. */
const SMALLEST: f64 = 1e-120;

/** Rows of X [n, width] are rotated along. rotations: scratch 2 n. Returns 0 or the 1-based index that stalled. */
export function implicitQl(n: i32, d: usize, e: usize, x: usize, ldx: usize, width: i32, rotations: usize): i32 {
  let shift: f64 = 0;
  let size: f64 = SMALLEST;
  set(e, n - 1, 0);
  for (let l = 0; l < n; l++) {
    size = Math.max(size, Math.abs(get(d, l)) + Math.abs(get(e, l)));
    let m = l;
    while (m < n - 1 && !(Math.abs(get(e, m)) <= EPSILON * size)) m++;
    for (let sweep = 0; m > l; sweep++) {
      if (sweep == SWEEPS) return l + 1;
      const el = get(e, l);
      let g = get(d, l);
      let p = (get(d, l + 1) - g) / (2 * el);
      let r = Math.sqrt(p * p + 1);
      if (p < 0) r = -r;
      set(d, l, el / (p + r));
      set(d, l + 1, el * (p + r));
      const next = get(d, l + 1);
      let h = g - get(d, l);
      for (let i = l + 2; i < n; i++) set(d, i, get(d, i) - h);
      shift += h;
      p = get(d, m);
      let c: f64 = 1, c2: f64 = 1, c3: f64 = 1, s: f64 = 0, s2: f64 = 0;
      const coupling = get(e, l + 1);
      for (let i = m - 1; i >= l; i--) {
        c3 = c2;
        c2 = c;
        s2 = s;
        const ei = get(e, i);
        const di = get(d, i);
        g = c * ei;
        h = c * p;
        r = Math.sqrt(p * p + ei * ei);
        set(e, i + 1, s * r);
        s = ei / r;
        c = p / r;
        p = c * di - s * g;
        set(d, i + 1, h + s * (c * g + s * di));
        f64.store(rotations + (<usize>i << 4), c);
        f64.store(rotations + (<usize>i << 4), s, 8);
      }
      rotate(l, m, x, ldx, width, rotations);
      p = (-s * s2 * c3 * coupling * get(e, l)) / next;
      set(e, l, s * p);
      set(d, l, c * p);
      if (!(Math.abs(get(e, l)) > EPSILON * size)) break;
    }
    set(d, l, get(d, l) + shift);
    set(e, l, 0);
  }
  return 0;
}

/** Rotations m - 1 down to l, rotation i mixing rows i and i + 1; the lower row stays in registers on the way. */
function rotate(l: i32, m: i32, x: usize, ldx: usize, width: i32, rotations: usize): void {
  let j = 0;
  for (; j + 7 < width; j += 8) {
    let at = x + <usize>m * ldx + <usize>(j << 3);
    let k0 = v128.load(at), k1 = v128.load(at, 16), k2 = v128.load(at, 32), k3 = v128.load(at, 48);
    for (let i = m - 1; i >= l; i--) {
      const c = v128.load64_splat(rotations + (<usize>i << 4));
      const s = v128.load64_splat(rotations + (<usize>i << 4), 8);
      const up = at - ldx;
      const v0 = v128.load(up), v1 = v128.load(up, 16), v2 = v128.load(up, 32), v3 = v128.load(up, 48);
      v128.store(at, madd(s, v0, f64x2.mul(c, k0)));
      v128.store(at, madd(s, v1, f64x2.mul(c, k1)), 16);
      v128.store(at, madd(s, v2, f64x2.mul(c, k2)), 32);
      v128.store(at, madd(s, v3, f64x2.mul(c, k3)), 48);
      k0 = f64x2.sub(f64x2.mul(c, v0), f64x2.mul(s, k0));
      k1 = f64x2.sub(f64x2.mul(c, v1), f64x2.mul(s, k1));
      k2 = f64x2.sub(f64x2.mul(c, v2), f64x2.mul(s, k2));
      k3 = f64x2.sub(f64x2.mul(c, v3), f64x2.mul(s, k3));
      at = up;
    }
    v128.store(at, k0);
    v128.store(at, k1, 16);
    v128.store(at, k2, 32);
    v128.store(at, k3, 48);
  }
  for (; j < width; j++) {
    let at = x + <usize>m * ldx + <usize>(j << 3);
    let kept = f64.load(at);
    for (let i = m - 1; i >= l; i--) {
      const c = f64.load(rotations + (<usize>i << 4));
      const s = f64.load(rotations + (<usize>i << 4), 8);
      const up = at - ldx;
      const v = f64.load(up);
      f64.store(at, s * v + c * kept);
      kept = c * v - s * kept;
      at = up;
    }
    f64.store(at, kept);
  }
}

/** Selection sort of d with the rows of X, each row moved at most once per position. */
export function sortRows(n: i32, d: usize, x: usize, ldx: usize, width: i32): void {
  for (let i = 0; i < n - 1; i++) {
    let least = i;
    for (let j = i + 1; j < n; j++) if (get(d, j) < get(d, least)) least = j;
    if (least == i) continue;
    const kept = get(d, i);
    set(d, i, get(d, least));
    set(d, least, kept);
    let p = x + <usize>i * ldx;
    let q = x + <usize>least * ldx;
    for (let k = 0; k < width; k++) {
      const value = f64.load(p);
      f64.store(p, f64.load(q));
      f64.store(q, value);
      p += 8;
      q += 8;
    }
  }
}
