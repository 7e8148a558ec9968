// A = sum_k w_k v_k v_k': tridiagonal reduction, eigenpairs of the tridiagonal matrix, back-transformation.

import { BLOCK, backTransform, reduce } from "./tridiagonal";
import { divideScratch, tridiagonalEigen } from "./divide";

/** Scratch in bytes for order n: X [n, n], W or V and TV [BLOCK, n] each, Y [n, BLOCK], T, two vectors, and divide and conquer. */
export function eigenScratch(n: i32): usize {
  return ((<usize>n * <usize>n + <usize>(3 * BLOCK + 2) * <usize>n + BLOCK * BLOCK) << 3) + divideScratch(n);
}

export function eigen(n: i32, a: usize, lda: usize, d: usize, scratch: usize): i32 {
  const size = <usize>n << 3;
  const x = scratch;
  const v = x + <usize>n * size;
  const tv = v + <usize>BLOCK * size;
  const y = tv + <usize>BLOCK * size;
  const t = y + <usize>BLOCK * size;
  const e = t + BLOCK * BLOCK * 8;
  const tau = e + size;
  reduce(n, a, lda, d, e, tau, v);
  const failed = tridiagonalEigen(n, d, e, x, size, tau + size);
  if (failed) return failed;
  backTransform(n, a, lda, tau, x, size, v, tv, y, t);
  for (let i = 0; i < n; i++) memory.copy(a + <usize>i * lda, x + <usize>i * size, size);
  return 0;
}
