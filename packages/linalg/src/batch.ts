// Many small problems of one shape in one call. The checks are made once for all blocks, and blocks that share a factor
// and follow each other without gaps are one large product or solve.

import { SettingError, ShapeError } from "@worstcase/core";
import type { Batch, Routines } from "./kernels.js";
import { checkDimension, type Memory, overlap } from "./memory.js";

/** Up to this many numbers in the shared factor; kernels for small matrices win beyond (`linalg` suite of apps/bench). */
const STACKED = 24 * 24;

export class CheckedBatch implements Batch {
  constructor(
    private readonly memory: Memory,
    private readonly routines: Routines,
  ) {}

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
  ): void {
    checkDimension(count, "count");
    checkDimension(m, "m");
    checkDimension(n, "n");
    checkDimension(k, "k");
    const pa = this.read(count, a, transposeA ? k : m, transposeA ? m : k, lda, strideA, "a");
    const pb = this.read(count, b, transposeB ? n : k, transposeB ? k : n, ldb, strideB, "b");
    const pc = this.write(count, c, m, n, ldc, strideC, "c");
    if (count === 0 || m === 0 || n === 0) return;
    if (k > 0 && (pc === pa || pc === pb)) throw overlap("c");
    const stacked = strideB === 0 && k * n <= STACKED && !transposeA && strideA === m * lda && strideC === m * ldc;
    if (stacked) {
      this.routines.gemm(false, transposeB, count * m, n, k, alpha, pa, lda, pb, ldb, beta, pc, ldc);
      return;
    }
    const { batch } = this.routines;
    batch.gemm(
      count,
      transposeA,
      transposeB,
      m,
      n,
      k,
      alpha,
      pa,
      lda,
      strideA,
      pb,
      ldb,
      strideB,
      beta,
      pc,
      ldc,
      strideC,
    );
  }

  potrf(count: number, n: number, a: Float64Array, lda: number, stride: number, status: Float64Array): number {
    checkDimension(count, "count");
    checkDimension(n, "n");
    const pa = this.write(count, a, n, n, lda, stride, "a");
    const ps = this.memory.position(status, 1, count, count, "status");
    if (count === 0) return 0;
    if (n > 0 && ps === pa) throw overlap("status");
    if (n > 0) return this.routines.batch.potrf(count, n, pa, lda, stride, ps);
    status.fill(0, 0, count);
    return 0;
  }

  potri(count: number, n: number, l: Float64Array, ldl: number, stride: number): void {
    checkDimension(count, "count");
    checkDimension(n, "n");
    const pl = this.write(count, l, n, n, ldl, stride, "l");
    if (count > 0 && n > 0) this.routines.batch.potri(count, n, pl, ldl, stride);
  }

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
  ): void {
    if (side !== "left" && side !== "right") {
      throw new SettingError({ argument: "side", expected: "left or right", received: side });
    }
    checkDimension(count, "count");
    checkDimension(m, "m");
    checkDimension(n, "n");
    const left = side === "left";
    const order = left ? m : n;
    const pl = this.read(count, l, order, order, ldl, strideL, "l");
    const pb = this.write(count, b, m, n, ldb, strideB, "b");
    if (count === 0 || m === 0 || n === 0) return;
    if (pl === pb) throw overlap("b");
    if (!left && strideL === 0 && strideB === m * ldb) {
      this.routines.trsm(false, transpose, count * m, n, pl, ldl, pb, ldb);
      return;
    }
    this.routines.batch.trsm(count, left, transpose, m, n, pl, ldl, strideL, pb, ldb, strideB);
  }

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
  ): void {
    checkDimension(count, "count");
    checkDimension(m, "m");
    checkDimension(n, "n");
    const pt = this.read(count, t, m, n, ldt, strideT, "t");
    const pq = this.memory.position(q, m, m, ldq, "q");
    const pw = this.memory.position(work, m, n, n, "work");
    const po = this.write(count, out, n, n, ldout, strideOut, "out");
    if (count === 0 || n === 0) return;
    if (m > 0 && (po === pt || po === pq || po === pw)) throw overlap("out");
    if (m > 0 && (pw === pt || pw === pq)) throw overlap("work");
    this.routines.batch.congruence(count, m, n, pt, ldt, strideT, pq, ldq, pw, po, ldout, strideOut);
  }

  /** Position of blocks that are only read: they may overlap, and a stride of 0 is one block for all. */
  private read(
    count: number,
    array: Float64Array,
    rows: number,
    columns: number,
    leading: number,
    stride: number,
    argument: string,
  ): number {
    checkDimension(stride, `stride of ${argument}`);
    return this.memory.position(array, rows, columns, leading, argument, count, stride);
  }

  /** Position of blocks that are written: they must not overlap. */
  private write(
    count: number,
    array: Float64Array,
    rows: number,
    columns: number,
    leading: number,
    stride: number,
    argument: string,
  ): number {
    const block = rows === 0 || columns === 0 ? 0 : (rows - 1) * leading + columns;
    if (count > 1 && !(stride >= block)) {
      const expected = `at least ${block} numbers from block to block`;
      throw new ShapeError({ argument: `stride of ${argument}`, expected, received: stride });
    }
    return this.read(count, array, rows, columns, leading, stride, argument);
  }
}
