// Kernels on a BLAS and LAPACK of the machine. Row-major is served without copies: CBLAS takes the order as an argument,
// and to LAPACK, which is column-major, the lower triangle of a row-major matrix is the upper one.

import { ballMinima } from "../js/ballMinima.js";
import { bitProduct } from "../js/bitProduct.js";
import { allocate } from "../js/jsKernels.js";
import { loopOver } from "../js/loopOver.js";
import { rowLengths } from "../js/matrixVector.js";
import { clearUpper, mirrorLower } from "../js/triangles.js";
import type { KernelName, Kernels, Routines } from "../kernels.js";
import { checkCount } from "../memory.js";
import { wasmMemory } from "../wasm/wasmKernels.js";
import { CheckedWorkspace } from "../workspace.js";
import { bySize, LARGEST_SMALL_EIGENPROBLEM } from "./bySize.js";
import type { ForeignHost } from "./foreign.js";
import type { NativeFunctions } from "./functions.js";

const name: KernelName = "native";

// CBLAS enumerations
const ROW_MAJOR = 101;
const PLAIN = 111;
const TRANSPOSED = 112;
const LOWER = 122;
const NON_UNIT = 131;
const LEFT = 141;
const RIGHT = 142;

/** Kernels on bound functions. Small sizes go to WebAssembly where it is present, unless `everything` is set. */
export function nativeKernels(
  host: ForeignHost,
  functions: NativeFunctions,
  description: string,
  everything = false,
): Kernels {
  return {
    name,
    description,
    workspace(float64Count) {
      checkCount(float64Count, "float64Count");
      const small = everything ? undefined : wasmMemory(float64Count, LARGEST_SMALL_EIGENPROBLEM);
      const values = small?.values ?? allocate(float64Count);
      const native = routinesOn(host, functions, values, small?.routines);
      const routines = small ? bySize(native, small.routines, small.build === "wasm-fma") : native;
      return new CheckedWorkspace(name, float64Count, values, routines, small?.giveBack);
    },
    bytes(float64Count, order = 0) {
      const eigen = eigenLengths(checkCount(order, "largestEigenproblem"));
      return 8 * (checkCount(float64Count, "float64Count") + eigen.work + eigen.integers);
    },
  };
}

/** Scratch that dsyevd asks for at order n; integers are given 8 bytes each, whatever their width. */
function eigenLengths(n: number) {
  return { work: 1 + 6 * n + 2 * n * n, integers: 3 + 5 * n };
}

/** `portable`: WebAssembly routines on the same memory, for what BLAS does not offer. */
function routinesOn(host: ForeignHost, functions: NativeFunctions, x: Float64Array, portable?: Routines): Routines {
  const { cells, dgemm, dsyrk, dtrsm, dgemv, dsymv, dtrsv, dpotrf, dtrtri, dpotri, dsyevd } = functions;
  const start = x.length > 0 ? host.address(x) : 0;
  const at = (position: number) => start + 8 * position;
  const flag = (transpose: boolean) => (transpose ? TRANSPOSED : PLAIN);
  const mirror = portable?.mirror ?? ((n: number, a: number, lda: number) => mirrorLower(x, n, a, lda));
  let work: Float64Array = new Float64Array(0);
  const routines: Omit<Routines, "batch"> = {
    gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      const [opA, opB] = [flag(transposeA), flag(transposeB)];
      // leading dimensions of empty factors may be 0 here; CBLAS wants at least 1
      dgemm(ROW_MAJOR, opA, opB, m, n, k, alpha, at(a), lda || 1, at(b), ldb || 1, beta, at(c), ldc);
    },
    gemmBits(transpose, m, n, k, alpha, d, ldd, b, ldb, beta, c, ldc) {
      bitProduct(x, transpose, m, n, k, alpha, d, ldd, b, ldb, beta, c, ldc);
    },
    syrk(transpose, n, k, alpha, a, lda, beta, c, ldc) {
      dsyrk(ROW_MAJOR, LOWER, flag(transpose), n, k, alpha, at(a), lda || 1, beta, at(c), ldc);
      mirror(n, c, ldc);
    },
    ballMinima: portable?.ballMinima ?? ((problem) => ballMinima(x, problem)),
    rowLengths: portable?.rowLengths ?? ((m, n, a, lda, lengths) => rowLengths(x, m, n, a, lda, lengths)),
    mirror,
    potrf(n, a, lda) {
      cells.prepare(n, lda);
      dpotrf(cells.upper, cells.order, at(a), cells.leading, cells.info, 1);
      const failed = cells.readInfo();
      if (failed !== 0) return Math.abs(failed);
      // not every LAPACK notices NaN and infinities
      for (let i = 0; i < n; i++) if (!(x[a + i * lda + i] < Number.POSITIVE_INFINITY)) return i + 1;
      clearUpper(x, n, a, lda);
      return 0;
    },
    trsm(left, transpose, m, n, l, ldl, b, ldb) {
      const side = left ? LEFT : RIGHT;
      dtrsm(ROW_MAJOR, side, LOWER, flag(transpose), NON_UNIT, m, n, 1, at(l), ldl, at(b), ldb);
    },
    trtri(n, l, ldl) {
      cells.prepare(n, ldl);
      dtrtri(cells.upper, cells.nonUnit, cells.order, at(l), cells.leading, cells.info, 1, 1);
      if (cells.readInfo() !== 0) spoil(x, n, l, ldl);
      clearUpper(x, n, l, ldl);
    },
    potri(n, l, ldl) {
      cells.prepare(n, ldl);
      dpotri(cells.upper, cells.order, at(l), cells.leading, cells.info, 1);
      if (cells.readInfo() !== 0) spoil(x, n, l, ldl);
      mirror(n, l, ldl);
    },
    gemv(transpose, m, n, alpha, a, lda, v, beta, y) {
      // some versions multiply NaN by a zero beta
      if (beta === 0) x.fill(0, y, y + (transpose ? n : m));
      dgemv(ROW_MAJOR, flag(transpose), m, n, alpha, at(a), lda, at(v), 1, beta, at(y), 1);
    },
    symv(n, alpha, a, lda, v, beta, y) {
      if (beta === 0) x.fill(0, y, y + n);
      dsymv(ROW_MAJOR, LOWER, n, alpha, at(a), lda, at(v), 1, beta, at(y), 1);
    },
    trsv(transpose, n, l, ldl, v) {
      dtrsv(ROW_MAJOR, LOWER, flag(transpose), NON_UNIT, n, at(l), ldl, at(v), 1);
    },
    syevd(n, a, lda, eigenvalues) {
      const lengths = eigenLengths(n);
      if (work.length < lengths.work + lengths.integers) work = allocate(lengths.work + lengths.integers);
      const scratch = host.address(work);
      cells.prepare(n, lda);
      cells.setWorkLengths(lengths.work, lengths.integers);
      const { vectors, upper, order, leading, workLength, integerWorkLength, info } = cells;
      const integers = scratch + 8 * lengths.work;
      dsyevd(
        vectors,
        upper,
        order,
        at(a),
        leading,
        at(eigenvalues),
        scratch,
        workLength,
        integers,
        integerWorkLength,
        info,
        1,
        1,
      );
      return Math.abs(cells.readInfo());
    },
  };
  return { ...routines, batch: loopOver(x, routines) };
}

/** What a zero on the diagonal leaves: nothing that could pass for a result. */
function spoil(x: Float64Array, n: number, at: number, leading: number): void {
  for (let i = 0; i < n; i++) x.fill(Number.NaN, at + i * leading, at + i * leading + i + 1);
}
