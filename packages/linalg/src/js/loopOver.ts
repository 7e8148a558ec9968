// Batches as loops over the single routines, which saves the checks of single calls.

import type { BatchRoutines, Routines } from "../kernels.js";

/** `x` is the memory that the routines work on. */
export function loopOver(x: Float64Array, routines: Omit<Routines, "batch">): BatchRoutines {
  return {
    gemm(count, transposeA, transposeB, m, n, k, alpha, a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC) {
      for (let i = 0; i < count; i++) {
        const [pa, pb, pc] = [a + i * strideA, b + i * strideB, c + i * strideC];
        routines.gemm(transposeA, transposeB, m, n, k, alpha, pa, lda, pb, ldb, beta, pc, ldc);
      }
    },
    potrf(count, n, a, lda, stride, status) {
      let failures = 0;
      for (let i = 0; i < count; i++) {
        const failed = routines.potrf(n, a + i * stride, lda);
        if (failed !== 0) failures++;
        x[status + i] = failed;
      }
      return failures;
    },
    potri(count, n, l, ldl, stride) {
      for (let i = 0; i < count; i++) routines.potri(n, l + i * stride, ldl);
    },
    trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB) {
      for (let i = 0; i < count; i++) {
        routines.trsm(left, transpose, m, n, l + i * strideL, ldl, b + i * strideB, ldb);
      }
    },
    congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut) {
      for (let i = 0; i < count; i++) {
        const [pt, po] = [t + i * strideT, out + i * strideOut];
        routines.gemm(false, false, m, n, m, 1, q, ldq, pt, ldt, 0, work, n);
        routines.gemm(true, false, n, n, m, 1, pt, ldt, work, n, 0, po, ldout);
        routines.mirror(n, po, ldout);
      }
    },
  };
}
