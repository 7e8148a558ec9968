// Small sizes in WebAssembly, the rest in BLAS, on the same memory: a call out of JavaScript costs about 0.15 us, and the
// small paths of OpenBLAS's LAPACK are slower than ours. The limits were measured with OpenBLAS 0.3.21 and the `linalg`
// suite of apps/bench; below each, WebAssembly was at least as fast on an AMD EPYC.

import type { Routines } from "../kernels.js";

const PRODUCT_VOLUME = 10 ** 3;
const SYMMETRIC_PRODUCT_ORDER = 64;
const CHOLESKY_ORDER = 256;
const INVERSE_ORDER = 256;
const SOLVE_LEFT_ORDER = 64;
const SOLVE_RIGHT_ORDER = 192;
const VECTOR_ORDER = 96;
export const LARGEST_SMALL_EIGENPROBLEM = 64;

export function bySize(native: Routines, small: Routines): Routines {
  const product = (m: number, n: number, k: number) => (m * n * k <= PRODUCT_VOLUME ? small : native);
  const solve = (left: boolean, m: number, n: number) =>
    (left ? m <= SOLVE_LEFT_ORDER : n <= SOLVE_RIGHT_ORDER) ? small : native;
  const symmetric = (n: number, k: number) =>
    n * n * k <= SYMMETRIC_PRODUCT_ORDER ** 3 && n <= SYMMETRIC_PRODUCT_ORDER ? small : native;
  return {
    gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      product(m, n, k).gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    },
    syrk(transpose, n, k, alpha, a, lda, beta, c, ldc) {
      symmetric(n, k).syrk(transpose, n, k, alpha, a, lda, beta, c, ldc);
    },
    mirror: small.mirror,
    potrf: (n, a, lda) => (n <= CHOLESKY_ORDER ? small : native).potrf(n, a, lda),
    trsm(left, transpose, m, n, l, ldl, b, ldb) {
      solve(left, m, n).trsm(left, transpose, m, n, l, ldl, b, ldb);
    },
    trtri: (n, l, ldl) => (n <= INVERSE_ORDER ? small : native).trtri(n, l, ldl),
    potri: (n, l, ldl) => (n <= INVERSE_ORDER ? small : native).potri(n, l, ldl),
    gemv(transpose, m, n, alpha, a, lda, x, beta, y) {
      const routines = m * n <= VECTOR_ORDER ** 2 ? small : native;
      routines.gemv(transpose, m, n, alpha, a, lda, x, beta, y);
    },
    symv(n, alpha, a, lda, x, beta, y) {
      (n <= VECTOR_ORDER ? small : native).symv(n, alpha, a, lda, x, beta, y);
    },
    trsv(transpose, n, l, ldl, x) {
      (n <= VECTOR_ORDER ? small : native).trsv(transpose, n, l, ldl, x);
    },
    syevd: (n, a, lda, eigenvalues) => (n <= LARGEST_SMALL_EIGENPROBLEM ? small : native).syevd(n, a, lda, eigenvalues),
    batch: {
      gemm(count, transposeA, transposeB, m, n, k, alpha, a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC) {
        const { batch } = product(m, n, k);
        batch.gemm(
          ...([count, transposeA, transposeB, m, n, k, alpha] as const),
          ...([a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC] as const),
        );
      },
      potrf: (count, n, a, lda, stride, status) =>
        (n <= CHOLESKY_ORDER ? small : native).batch.potrf(count, n, a, lda, stride, status),
      potri: (count, n, l, ldl, stride) => (n <= INVERSE_ORDER ? small : native).batch.potri(count, n, l, ldl, stride),
      trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB) {
        solve(left, m, n).batch.trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB);
      },
      congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut) {
        product(m, n, m).batch.congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut);
      },
    },
  };
}
