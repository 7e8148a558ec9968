// Small sizes in WebAssembly, the rest in BLAS, on the same memory: a call out of JavaScript costs about 0.15 us, and the
// small paths of OpenBLAS's LAPACK are slower than ours. The limits were measured with OpenBLAS 0.3.21 and the `linalg`
// suite of apps/bench: up to each, WebAssembly was about as fast or faster on an AMD EPYC.

import type { Routines } from "../kernels.js";

interface Limits {
  /** Largest m n k of a product. */
  readonly product: number;
  /** Largest orders of the other routines. */
  readonly symmetricProduct: number;
  readonly cholesky: number;
  readonly inverse: number;
  readonly solveLeft: number;
  readonly solveRight: number;
  readonly vector: number;
  readonly eigen: number;
}

/** With fused multiply-add, and without. */
const fused: Limits = {
  ...{ product: 10 ** 3, symmetricProduct: 64, cholesky: 256, inverse: 256 },
  ...{ solveLeft: 64, solveRight: 192, vector: 96, eigen: 64 },
};
const plain: Limits = {
  ...{ product: 8 ** 3, symmetricProduct: 32, cholesky: 128, inverse: 192 },
  ...{ solveLeft: 24, solveRight: 96, vector: 64, eigen: 48 },
};

/** Order of the largest eigenproblem that `bySize` leaves to WebAssembly. */
export const LARGEST_SMALL_EIGENPROBLEM = Math.max(fused.eigen, plain.eigen);

export function bySize(native: Routines, small: Routines, hasFusedMultiplyAdd: boolean): Routines {
  const limits = hasFusedMultiplyAdd ? fused : plain;
  const product = (m: number, n: number, k: number) => (m * n * k <= limits.product ? small : native);
  const solve = (left: boolean, m: number, n: number) =>
    (left ? m <= limits.solveLeft : n <= limits.solveRight) ? small : native;
  const symmetric = (n: number, k: number) =>
    n <= limits.symmetricProduct && n * n * k <= limits.symmetricProduct ** 3 ? small : native;
  return {
    gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      product(m, n, k).gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    },
    syrk(transpose, n, k, alpha, a, lda, beta, c, ldc) {
      symmetric(n, k).syrk(transpose, n, k, alpha, a, lda, beta, c, ldc);
    },
    gemmBits: small.gemmBits,
    ballMinima: small.ballMinima,
    rowLengths: small.rowLengths,
    mirror: small.mirror,
    potrf: (n, a, lda) => (n <= limits.cholesky ? small : native).potrf(n, a, lda),
    trsm(left, transpose, m, n, l, ldl, b, ldb) {
      solve(left, m, n).trsm(left, transpose, m, n, l, ldl, b, ldb);
    },
    trtri: (n, l, ldl) => (n <= limits.inverse ? small : native).trtri(n, l, ldl),
    potri: (n, l, ldl) => (n <= limits.inverse ? small : native).potri(n, l, ldl),
    gemv(transpose, m, n, alpha, a, lda, x, beta, y) {
      const routines = m * n <= limits.vector ** 2 ? small : native;
      routines.gemv(transpose, m, n, alpha, a, lda, x, beta, y);
    },
    symv(n, alpha, a, lda, x, beta, y) {
      (n <= limits.vector ? small : native).symv(n, alpha, a, lda, x, beta, y);
    },
    trsv(transpose, n, l, ldl, x) {
      (n <= limits.vector ? small : native).trsv(transpose, n, l, ldl, x);
    },
    syevd: (n, a, lda, eigenvalues) => (n <= limits.eigen ? small : native).syevd(n, a, lda, eigenvalues),
    batch: {
      gemm(count, transposeA, transposeB, m, n, k, alpha, a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC) {
        const { batch } = product(m, n, k);
        batch.gemm(
          ...([count, transposeA, transposeB, m, n, k, alpha] as const),
          ...([a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC] as const),
        );
      },
      potrf: (count, n, a, lda, stride, status) =>
        (n <= limits.cholesky ? small : native).batch.potrf(count, n, a, lda, stride, status),
      potri: (count, n, l, ldl, stride) => (n <= limits.inverse ? small : native).batch.potri(count, n, l, ldl, stride),
      trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB) {
        solve(left, m, n).batch.trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB);
      },
      congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut) {
        product(m, n, m).batch.congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut);
      },
    },
  };
}
