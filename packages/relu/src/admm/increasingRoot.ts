// Root of a nondecreasing function by regula falsi with the Illinois rule, bisecting where that is slow.

/** x in [low, high] with f(x) = 0; `low` where f(low) >= 0, `high` where f(high) <= 0. */
export function increasingRoot(f: (x: number) => number, low: number, high: number): number {
  let a = low;
  let b = high;
  let fa = f(a);
  if (fa >= 0) return a;
  let fb = f(b);
  if (fb <= 0) return b;
  let side = 0;
  for (let round = 0; round < 200 && b - a > 1e-15 * Math.max(Math.abs(a), Math.abs(b)); round++) {
    let x = round % 8 === 7 ? (a + b) / 2 : b - (fb * (b - a)) / (fb - fa);
    if (!(x > a && x < b)) x = (a + b) / 2;
    const fx = f(x);
    if (fx === 0) return x;
    if (fx < 0) {
      a = x;
      fa = fx;
      if (side < 0) fb /= 2;
      side = -1;
    } else {
      b = x;
      fb = fx;
      if (side > 0) fa /= 2;
      side = 1;
    }
  }
  return b;
}
