// Two-lane building blocks. Pointers and steps are in bytes, counts in numbers.

/** a b + c; fused when the module is built with relaxed SIMD. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(a, b, c);
  return f64x2.add(f64x2.mul(a, b), c);
}

/** c - a b; fused when the module is built with relaxed SIMD. */
// @ts-ignore: decorator
@inline
export function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_nmadd(a, b, c);
  return f64x2.sub(c, f64x2.mul(a, b));
}

// @ts-ignore: decorator
@inline
export function laneSum(a: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

// @ts-ignore: decorator
@inline
export function get(x: usize, i: i32): f64 {
  return f64.load(x + ((<usize>i) << 3));
}

// @ts-ignore: decorator
@inline
export function set(x: usize, i: i32, value: f64): void {
  f64.store(x + ((<usize>i) << 3), value);
}

/** x' y */
export function dot(n: i32, x: usize, y: usize): f64 {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let k = 0;
  for (; k + 3 < n; k += 4) {
    s0 = madd(v128.load(x), v128.load(y), s0);
    s1 = madd(v128.load(x, 16), v128.load(y, 16), s1);
    x += 32;
    y += 32;
  }
  let sum = laneSum(f64x2.add(s0, s1));
  for (; k < n; k++) {
    sum += f64.load(x) * f64.load(y);
    x += 8;
    y += 8;
  }
  return sum;
}

/** y += f x */
export function addScaled(n: i32, f: f64, x: usize, y: usize): void {
  const v = f64x2.splat(f);
  let k = 0;
  for (; k + 3 < n; k += 4) {
    v128.store(y, madd(v, v128.load(x), v128.load(y)));
    v128.store(y, madd(v, v128.load(x, 16), v128.load(y, 16)), 16);
    x += 32;
    y += 32;
  }
  for (; k < n; k++) {
    f64.store(y, f64.load(y) + f * f64.load(x));
    x += 8;
    y += 8;
  }
}

/** y += f x + g z */
export function addTwoScaled(n: i32, f: f64, x: usize, g: f64, z: usize, y: usize): void {
  const u = f64x2.splat(f);
  const v = f64x2.splat(g);
  let k = 0;
  for (; k + 3 < n; k += 4) {
    v128.store(y, madd(v, v128.load(z), madd(u, v128.load(x), v128.load(y))));
    v128.store(y, madd(v, v128.load(z, 16), madd(u, v128.load(x, 16), v128.load(y, 16))), 16);
    x += 32;
    y += 32;
    z += 32;
  }
  for (; k < n; k++) {
    f64.store(y, f64.load(y) + f * f64.load(x) + g * f64.load(z));
    x += 8;
    y += 8;
    z += 8;
  }
}

/** x <- 0. Short runs are written here, because memory.fill is a call out of WebAssembly. */
export function clear(n: i32, x: usize): void {
  if (n > 64) {
    memory.fill(x, 0, <usize>n << 3);
    return;
  }
  const zero = f64x2.splat(0);
  let k = 0;
  for (; k + 1 < n; k += 2) {
    v128.store(x, zero);
    x += 16;
  }
  if (k < n) f64.store(x, 0);
}

/** y <- x, short runs. */
export function copyShort(n: i32, x: usize, y: usize): void {
  let k = 0;
  for (; k + 1 < n; k += 2) {
    v128.store(y, v128.load(x));
    x += 16;
    y += 16;
  }
  if (k < n) f64.store(y, f64.load(x));
}

/** x *= f */
export function scale(n: i32, f: f64, x: usize): void {
  const v = f64x2.splat(f);
  let k = 0;
  for (; k + 1 < n; k += 2) {
    v128.store(x, f64x2.mul(v, v128.load(x)));
    x += 16;
  }
  if (k < n) f64.store(x, f * f64.load(x));
}

/** y = alpha x + beta y, one element; beta = 0 ignores y. */
// @ts-ignore: decorator
@inline
export function blend(y: usize, alpha: f64, x: f64, beta: f64): void {
  f64.store(y, beta == 0 ? alpha * x : alpha * x + beta * f64.load(y));
}
