// A = sum_k w_k v_k v_k': tridiagonal reduction, eigenpairs of the tridiagonal matrix, back-transformation.

import { BLOCK, backTransform, reduce } from "./tridiagonal";
import { implicitQl, sortRows } from "./ql";

/** Scratch in bytes for order n: X [n, n], W or V and TV [BLOCK, n] each, Y [n, BLOCK], T, and three vectors. */
export function eigenScratch(n: i32): usize {
  return (<usize>n * <usize>n + <usize>(3 * BLOCK + 4) * <usize>n + BLOCK * BLOCK) << 3;
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
  const rotations = tau + size;
  reduce(n, a, lda, d, e, tau, v);
  memory.fill(x, 0, <usize>n * size);
  for (let i = 0; i < n; i++) f64.store(x + <usize>i * size + (<usize>i << 3), 1);
  const failed = implicitQl(n, d, e, x, size, n, rotations);
  if (failed) return failed;
  sortRows(n, d, x, size, n);
  backTransform(n, a, lda, tau, x, size, v, tv, y, t);
  for (let i = 0; i < n; i++) memory.copy(a + <usize>i * lda, x + <usize>i * size, size);
  return 0;
}
