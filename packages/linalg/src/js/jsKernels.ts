// The reference implementation: plain TypeScript on a Float64Array, always present.

import { ResourceError } from "@worstcase/core";
import type { Kernels, Routines } from "../kernels.js";
import { checkCount } from "../memory.js";
import { checkFits, needs } from "../memoryLimit.js";
import { CheckedWorkspace } from "../workspace.js";
import { ballMinima } from "./ballMinima.js";
import { bitProduct } from "./bitProduct.js";
import { factorCholesky } from "./cholesky.js";
import { PACKED_NUMBERS, type PackingScratch, packingScratch, product, strided, symmetricProduct } from "./gemm.js";
import { invertLower, symmetricInverse } from "./inverse.js";
import { loopOver } from "./loopOver.js";
import { matrixVector, rowLengths, solveVector, symmetricVector } from "./matrixVector.js";
import { decomposeSymmetric } from "./symmetricEigen.js";
import { mirrorLower } from "./triangles.js";
import { solveTriangular } from "./triangularSolve.js";

export const jsKernels: Kernels = {
  name: "js",
  description: "TypeScript loops on Float64Array",
  workspace(float64Count) {
    const memory = allocate(checkCount(float64Count, "float64Count"));
    return new CheckedWorkspace("js", float64Count, memory, routinesOn(memory));
  },
  bytes: (float64Count, order = 0) =>
    8 * (checkCount(float64Count, "float64Count") + PACKED_NUMBERS + checkCount(order, "largestEigenproblem")),
};

/** Zero-filled memory; throws ResourceError when it exceeds the memory there is or what the engine can give. */
export function allocate(count: number): Float64Array {
  checkFits(8 * count, count);
  try {
    return new Float64Array(count);
  } catch (cause) {
    const expected = "a size this JavaScript engine can allocate";
    const details = { argument: "float64Count", expected, received: count, hint: needs(8 * count) };
    throw new ResourceError(details, { cause });
  }
}

/** Half a megabyte, made on first use and shared: the routines are synchronous and never run inside one another. */
let shared: PackingScratch | undefined;

function routinesOn(x: Float64Array): Routines {
  const scratch = (shared ??= packingScratch());
  const routines: Omit<Routines, "batch"> = {
    gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      const left = strided(a, lda, transposeA);
      product(x, scratch, m, n, k, alpha, left, strided(b, ldb, transposeB), beta, c, ldc);
    },
    gemmBits(transpose, m, n, k, alpha, d, ldd, b, ldb, beta, c, ldc) {
      bitProduct(x, transpose, m, n, k, alpha, d, ldd, b, ldb, beta, c, ldc);
    },
    syrk(transpose, n, k, alpha, a, lda, beta, c, ldc) {
      symmetricProduct(x, scratch, n, k, alpha, strided(a, lda, transpose), beta, c, ldc);
    },
    ballMinima: (problem) => ballMinima(x, problem),
    rowLengths: (m, n, a, lda, lengths) => rowLengths(x, m, n, a, lda, lengths),
    mirror: (n, a, lda) => mirrorLower(x, n, a, lda),
    potrf: (n, a, lda) => factorCholesky(x, scratch, n, a, lda),
    trsm(left, transpose, m, n, l, ldl, b, ldb) {
      solveTriangular(x, scratch, left, transpose, m, n, l, ldl, b, ldb);
    },
    trtri: (n, l, ldl) => invertLower(x, scratch, n, l, ldl),
    potri: (n, l, ldl) => symmetricInverse(x, scratch, n, l, ldl),
    gemv: (transpose, m, n, alpha, a, lda, v, beta, y) => matrixVector(x, transpose, m, n, alpha, a, lda, v, beta, y),
    symv: (n, alpha, a, lda, v, beta, y) => symmetricVector(x, n, alpha, a, lda, v, beta, y),
    trsv: (transpose, n, l, ldl, v) => solveVector(x, transpose, n, l, ldl, v),
    syevd: (n, a, lda, eigenvalues) => decomposeSymmetric(x, n, a, lda, eigenvalues),
  };
  return { ...routines, batch: loopOver(x, routines) };
}
