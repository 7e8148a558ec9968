// The contract of the float64 kernels: dense, row-major, explicit leading dimensions, results written in place.
// Element (i, j) of a matrix x with leading dimension ldx is x[i * ldx + j]. op(X) is X or its transpose.

/** Which implementation to use; see `chooseKernels`. `wasm` is `wasm-fma` where the engine has it, else `wasm-simd`. */
export type KernelRequest = "auto" | "wasm" | KernelName;

/** What `auto` needs to know to choose between implementations. */
export interface WorkPlan {
  /** Order of the largest matrix that is factored or multiplied. */
  readonly largestOrder: number;
  /** Floating-point operations of the whole work, roughly: 2 m n k for a product, n^3 / 3 for a Cholesky factor. */
  readonly flops: number;
  /** Numbers the workspace will hold; `auto` then leaves out what cannot address them. Default 0. */
  readonly float64Count?: number;
}

export type KernelName = "js" | "wasm-simd" | "wasm-fma" | "native";

/** One implementation of the dense float64 routines. Get one from `chooseKernels`. */
export interface Kernels {
  readonly name: KernelName;
  /** One line for reports, for example `WebAssembly SIMD, two lanes, fused multiply-add`. */
  readonly description: string;
  /**
   * Memory for `float64Count` numbers plus the kernels' own scratch, sized once: it never grows, so views stay valid.
   * Compute the count with `workspaceSize`. Throws SettingError on a count that is not an integer >= 0 and ResourceError,
   * naming the predicted bytes and the limit, when the memory cannot be had.
   */
  workspace(float64Count: number): Workspace;
  /**
   * Predicted bytes of such a workspace once all of it is used, scratch included; `largestEigenproblem` is the order of
   * the largest matrix given to `syevd`, default 0 for none. Allocates nothing.
   */
  bytes(float64Count: number, largestEigenproblem?: number): number;
}

/**
 * Memory and the routines that work on it. Every array argument of a routine must come from `float64` of this same
 * workspace, or be a subarray of such an array; anything else throws SettingError, and an array too short for its
 * matrix or a leading dimension smaller than a row throws ShapeError. The output must not overlap the inputs.
 * A dimension of 0 is allowed everywhere. NaN and infinities follow IEEE arithmetic.
 */
export interface Workspace {
  readonly kernels: KernelName;
  /** Numbers that fit, as asked for. */
  readonly capacity: number;
  /** A zero-filled array of `length` numbers, aligned to 64 bytes. Throws ResourceError when it does not fit. */
  float64(length: number): Float64Array;
  /** The routines on many blocks of one shape. */
  readonly batch: Batch;
  /** The present fill level, for `release`. */
  mark(): number;
  /** Gives back everything taken since `mark`; arrays taken since then must not be used any more. */
  release(mark: number): void;
  /**
   * Hands the memory back, so that the next workspace need not be made anew; without it the collector does so in its own time.
   * Arrays of this workspace must not be used any more, and its methods throw SettingError. A second call does nothing.
   */
  dispose(): void;
  /**
   * C <- alpha op(A) op(B) + beta C with op(A) [m, k], op(B) [k, n], C [m, n].
   * A transposed is stored [k, m], B transposed [n, k]. With beta = 0, C is overwritten whatever it held, also NaN.
   */
  gemm(
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: Float64Array,
    lda: number,
    b: Float64Array,
    ldb: number,
    beta: number,
    c: Float64Array,
    ldc: number,
  ): void;
  /**
   * C <- alpha op(D) B + beta C with D of zeros and ones, B [k, n], C [m, n]. D is stored [m, k], or [k, m] when `transpose`, 64 entries
   * to a number: seen as bytes, bit j of byte b of a row is column 8 b + j, and `ldd` counts the numbers from row to row. Write D
   * through a Uint8Array or Uint32Array on the same memory: copying such numbers one by one may change their bits.
   */
  gemmBits(
    transpose: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    d: Float64Array,
    ldd: number,
    b: Float64Array,
    ldb: number,
    beta: number,
    c: Float64Array,
    ldc: number,
  ): void;
  /**
   * C <- alpha A A' + beta C with A [n, k], or alpha A' A + beta C with A [k, n] when `transpose`; C [n, n].
   * The lower triangle of C is read, both triangles are written.
   */
  syrk(
    transpose: boolean,
    n: number,
    k: number,
    alpha: number,
    a: Float64Array,
    lda: number,
    beta: number,
    c: Float64Array,
    ldc: number,
  ): void;
  /**
   * Cholesky A = L L' in place: reads the lower triangle of A [n, n], leaves L there and zeros above.
   * Returns 0, or the 1-based index of the first pivot that is not positive and finite; A is then spoiled.
   */
  potrf(n: number, a: Float64Array, lda: number): number;
  /** B <- op(L)^-1 B (left, L [m, m]) or B op(L)^-1 (right, L [n, n]) with B [m, n]; reads the lower triangle of L. */
  trsm(
    side: "left" | "right",
    transpose: boolean,
    m: number,
    n: number,
    l: Float64Array,
    ldl: number,
    b: Float64Array,
    ldb: number,
  ): void;
  /** L <- L^-1 in place for lower-triangular L [n, n]: reads the lower triangle, writes zeros above. */
  trtri(n: number, l: Float64Array, ldl: number): void;
  /**
   * From the Cholesky factor L [n, n] (lower triangle read) to the symmetric inverse (L L')^-1 in place, both triangles
   * written; 2/3 n^3 flops.
   */
  potri(n: number, l: Float64Array, ldl: number): void;
  /** y <- alpha op(A) x + beta y with A [m, n] as stored; x [n], y [m], or x [m], y [n] when `transpose`. Steps are 1. */
  gemv(
    transpose: boolean,
    m: number,
    n: number,
    alpha: number,
    a: Float64Array,
    lda: number,
    x: Float64Array,
    beta: number,
    y: Float64Array,
  ): void;
  /** y <- alpha A x + beta y with symmetric A [n, n]; only the lower triangle of A is read. */
  symv(n: number, alpha: number, a: Float64Array, lda: number, x: Float64Array, beta: number, y: Float64Array): void;
  /** x <- op(L)^-1 x in place for lower-triangular L [n, n]. */
  trsv(transpose: boolean, n: number, l: Float64Array, ldl: number, x: Float64Array): void;
  /**
   * A = sum_k eigenvalue_k v_k v_k' of a symmetric A [n, n]; reads the lower triangle. Eigenvalues ascend; ROW k of A
   * becomes the unit eigenvector v_k. Returns 0, or a positive number when A holds NaN or infinities or the iteration
   * did not converge; A is then spoiled.
   */
  syevd(n: number, a: Float64Array, lda: number, eigenvalues: Float64Array): number;
  /** lengths_i <- Euclidean length of row i of A [m, n]; not finite where the sum of squares is not. */
  rowLengths(m: number, n: number, a: Float64Array, lda: number, lengths: Float64Array): void;
  /** Minima of separable quadratics over balls; see {@link BallMinima}. Throws SettingError or ShapeError on misuse. */
  ballMinima(problem: BallMinima<Float64Array>): void;
}

/**
 * For row i of X [rows, n] and sign y_i the minimum over ||D|| <= r of y_i f_i(x_i + D), f_i(t) = c_i + sum_k (h_k t_k + l_ik) t_k.
 * Values come from the dual side: never above the minimum but for the rounding of the row's own arithmetic. A multiplier is that of the
 * ball, 0 where the minimum lies inside. `tolerance` bounds the relative error of ||D|| = r where the ball is filled; the value's
 * relative error is about its cube. NaN in a row stays in that row.
 */
export interface BallMinima<Place> {
  readonly rows: number;
  readonly n: number;
  readonly x: Place;
  readonly ldx: number;
  /** Curvatures, ascending, `[n]`. */
  readonly h: Place;
  /** Slopes `[rows, n]` with leading dimension `ldl`, or `[n]` for all rows when `ldl` is 0. */
  readonly l: Place;
  readonly ldl: number;
  /** c `[rows]`, or one number for all unless `perSampleConstants`. */
  readonly constants: Place;
  readonly perSampleConstants: boolean;
  /** `[rows]`: above 0 for y = 1, else y = -1. */
  readonly signs: Place;
  /** >= 0 */
  readonly radius: number;
  readonly tolerance: number;
  /** Scratch: 3 n + 24 numbers. */
  readonly work: Place;
  /** Written, `[rows]` each. */
  readonly values: Place;
  readonly multipliers: Place;
  /** The minimisers' D, `[rows, n]` with leading dimension `ldm`, where they are wanted. */
  readonly moves?: Place | undefined;
  readonly ldm: number;
}

/**
 * The routines of a `Workspace` on `count` blocks of one shape in one call: block i begins i times the stride after the
 * first. Blocks that are only read may overlap, and a stride of 0 is one block for all; blocks that are written must
 * not overlap (ShapeError). Faster than a loop of single calls, the more the smaller the blocks (measured in README.md),
 * and most where small blocks without gaps share a factor: products with one B, and solves from the right with one L,
 * are then done as one.
 */
export interface Batch {
  /** C_i <- alpha op(A_i) op(B_i) + beta C_i. */
  gemm(
    count: number,
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: Float64Array,
    lda: number,
    strideA: number,
    b: Float64Array,
    ldb: number,
    strideB: number,
    beta: number,
    c: Float64Array,
    ldc: number,
    strideC: number,
  ): void;
  /**
   * Cholesky factors in place. status [count] becomes 0, or the 1-based failing pivot, of each block; returns how many
   * failed. A failed block is spoiled, the others are factored.
   */
  potrf(count: number, n: number, a: Float64Array, lda: number, stride: number, status: Float64Array): number;
  /** Symmetric inverses from Cholesky factors, in place. */
  potri(count: number, n: number, l: Float64Array, ldl: number, stride: number): void;
  /** B_i <- op(L_i)^-1 B_i or B_i op(L_i)^-1 with B_i [m, n]. */
  trsm(
    count: number,
    side: "left" | "right",
    transpose: boolean,
    m: number,
    n: number,
    l: Float64Array,
    ldl: number,
    strideL: number,
    b: Float64Array,
    ldb: number,
    strideB: number,
  ): void;
  /**
   * out_i [n, n] <- T_i' Q T_i with T_i [m, n] and one symmetric Q [m, m], both triangles of which are read; both
   * triangles of out_i are written. work: m n numbers.
   */
  congruence(
    count: number,
    m: number,
    n: number,
    t: Float64Array,
    ldt: number,
    strideT: number,
    q: Float64Array,
    ldq: number,
    work: Float64Array,
    out: Float64Array,
    ldout: number,
    strideOut: number,
  ): void;
}

/**
 * The routines on plain positions, as an implementation provides them: a, b, c, l are indices of float64 numbers in the
 * memory of one workspace, all arguments are checked, no dimension is 0, `alpha` is not 0 in matrix-vector products, and the entries given to `syevd` have a
 * largest absolute value between 1e-9 and 1e9, or are all zero.
 */
export interface Routines {
  gemm(
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: number,
    lda: number,
    b: number,
    ldb: number,
    beta: number,
    c: number,
    ldc: number,
  ): void;
  gemmBits(
    transpose: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    d: number,
    ldd: number,
    b: number,
    ldb: number,
    beta: number,
    c: number,
    ldc: number,
  ): void;
  syrk(
    transpose: boolean,
    n: number,
    k: number,
    alpha: number,
    a: number,
    lda: number,
    beta: number,
    c: number,
    ldc: number,
  ): void;
  /** Copies the lower triangle to the upper one. */
  mirror(n: number, a: number, lda: number): void;
  potrf(n: number, a: number, lda: number): number;
  trsm(left: boolean, transpose: boolean, m: number, n: number, l: number, ldl: number, b: number, ldb: number): void;
  trtri(n: number, l: number, ldl: number): void;
  potri(n: number, l: number, ldl: number): void;
  gemv(
    transpose: boolean,
    m: number,
    n: number,
    alpha: number,
    a: number,
    lda: number,
    x: number,
    beta: number,
    y: number,
  ): void;
  symv(n: number, alpha: number, a: number, lda: number, x: number, beta: number, y: number): void;
  trsv(transpose: boolean, n: number, l: number, ldl: number, x: number): void;
  syevd(n: number, a: number, lda: number, eigenvalues: number): number;
  ballMinima(problem: BallMinima<number>): void;
  rowLengths(m: number, n: number, a: number, lda: number, lengths: number): void;
  readonly batch: BatchRoutines;
}

/** `Batch` on plain positions; neither a count nor a dimension is 0, but `m` in `congruence` and `k` in `gemm` may be. */
export interface BatchRoutines {
  gemm(
    count: number,
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: number,
    lda: number,
    strideA: number,
    b: number,
    ldb: number,
    strideB: number,
    beta: number,
    c: number,
    ldc: number,
    strideC: number,
  ): void;
  potrf(count: number, n: number, a: number, lda: number, stride: number, status: number): number;
  potri(count: number, n: number, l: number, ldl: number, stride: number): void;
  trsm(
    count: number,
    left: boolean,
    transpose: boolean,
    m: number,
    n: number,
    l: number,
    ldl: number,
    strideL: number,
    b: number,
    ldb: number,
    strideB: number,
  ): void;
  congruence(
    count: number,
    m: number,
    n: number,
    t: number,
    ldt: number,
    strideT: number,
    q: number,
    ldq: number,
    work: number,
    out: number,
    ldout: number,
    strideOut: number,
  ): void;
}
