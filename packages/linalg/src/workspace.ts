// A workspace over one fixed block of memory: argument checks in front of the routines of an implementation.
// Shared by all implementations, so misuse is reported alike everywhere and the routines need no checks of their own.

import { SettingError } from "@worstcase/core";
import { CheckedBatch } from "./batch.js";
import type { BallMinima, Batch, KernelName, Routines, Workspace } from "./kernels.js";
import { aligned, checkCount, checkDimension, Memory, overlap } from "./memory.js";

/**
 * The number to pass to `kernels.workspace` so that one array of each of `lengths` fits at the same time. Alignment is
 * included; the scratch of the routines is not counted because the workspace reserves it in addition.
 * Throws SettingError unless every length is an integer >= 0.
 */
export function workspaceSize(...lengths: number[]): number {
  return lengths.reduce((sum, length, i) => sum + aligned(checkCount(length, `lengths[${i}]`)), 0);
}

export class CheckedWorkspace implements Workspace {
  readonly batch: Batch;
  private readonly memory: Memory;

  /** `values` begins with the `capacity` numbers handed out; what follows belongs to the routines. */
  constructor(
    readonly kernels: KernelName,
    readonly capacity: number,
    values: Float64Array,
    private readonly routines: Routines,
    private giveBack?: () => void,
  ) {
    this.memory = new Memory(capacity, values);
    this.batch = new CheckedBatch(this.memory, routines);
  }

  float64(length: number): Float64Array {
    return this.memory.float64(length);
  }

  mark(): number {
    return this.memory.mark();
  }

  release(mark: number): void {
    this.memory.release(mark);
  }

  dispose(): void {
    this.memory.close();
    this.giveBack?.();
    this.giveBack = undefined;
  }

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
  ): void {
    checkDimension(m, "m");
    checkDimension(n, "n");
    checkDimension(k, "k");
    const pa = this.memory.position(a, transposeA ? k : m, transposeA ? m : k, lda, "a");
    const pb = this.memory.position(b, transposeB ? n : k, transposeB ? k : n, ldb, "b");
    const pc = this.memory.position(c, m, n, ldc, "c");
    if (m === 0 || n === 0) return;
    if (k > 0 && (pc === pa || pc === pb)) throw overlap("c");
    this.routines.gemm(transposeA, transposeB, m, n, k, alpha, pa, lda, pb, ldb, beta, pc, ldc);
  }

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
  ): void {
    checkDimension(m, "m");
    checkDimension(n, "n");
    checkDimension(k, "k");
    const words = (bits: number) => Math.ceil(bits / 64);
    const pd = this.memory.position(d, transpose ? k : m, words(transpose ? m : k), ldd, "d");
    const pb = this.memory.position(b, k, n, ldb, "b");
    const pc = this.memory.position(c, m, n, ldc, "c");
    if (m === 0 || n === 0) return;
    if (k > 0 && (pc === pd || pc === pb)) throw overlap("c");
    this.routines.gemmBits(transpose, m, n, k, alpha, pd, ldd, pb, ldb, beta, pc, ldc);
  }

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
  ): void {
    checkDimension(n, "n");
    checkDimension(k, "k");
    const pa = this.memory.position(a, transpose ? k : n, transpose ? n : k, lda, "a");
    const pc = this.memory.position(c, n, n, ldc, "c");
    if (n === 0) return;
    if (k > 0 && pc === pa) throw overlap("c");
    this.routines.syrk(transpose, n, k, alpha, pa, lda, beta, pc, ldc);
  }

  potrf(n: number, a: Float64Array, lda: number): number {
    checkDimension(n, "n");
    const pa = this.memory.position(a, n, n, lda, "a");
    return n === 0 ? 0 : this.routines.potrf(n, pa, lda);
  }

  trsm(
    side: "left" | "right",
    transpose: boolean,
    m: number,
    n: number,
    l: Float64Array,
    ldl: number,
    b: Float64Array,
    ldb: number,
  ): void {
    if (side !== "left" && side !== "right") {
      throw new SettingError({ argument: "side", expected: "left or right", received: side });
    }
    checkDimension(m, "m");
    checkDimension(n, "n");
    const order = side === "left" ? m : n;
    const pl = this.memory.position(l, order, order, ldl, "l");
    const pb = this.memory.position(b, m, n, ldb, "b");
    if (m === 0 || n === 0) return;
    if (pl === pb) throw overlap("b");
    this.routines.trsm(side === "left", transpose, m, n, pl, ldl, pb, ldb);
  }

  trtri(n: number, l: Float64Array, ldl: number): void {
    checkDimension(n, "n");
    const pl = this.memory.position(l, n, n, ldl, "l");
    if (n > 0) this.routines.trtri(n, pl, ldl);
  }

  potri(n: number, l: Float64Array, ldl: number): void {
    checkDimension(n, "n");
    const pl = this.memory.position(l, n, n, ldl, "l");
    if (n > 0) this.routines.potri(n, pl, ldl);
  }

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
  ): void {
    checkDimension(m, "m");
    checkDimension(n, "n");
    const [inputs, outputs] = transpose ? [m, n] : [n, m];
    const pa = this.memory.position(a, m, n, lda, "a");
    const px = this.memory.position(x, 1, inputs, inputs, "x");
    const py = this.memory.position(y, 1, outputs, outputs, "y");
    if (outputs === 0) return;
    if (inputs > 0 && alpha !== 0 && (py === pa || py === px)) throw overlap("y");
    if (inputs === 0 || alpha === 0) scaleVector(this.memory.values, py, outputs, beta);
    else this.routines.gemv(transpose, m, n, alpha, pa, lda, px, beta, py);
  }

  symv(n: number, alpha: number, a: Float64Array, lda: number, x: Float64Array, beta: number, y: Float64Array): void {
    checkDimension(n, "n");
    const pa = this.memory.position(a, n, n, lda, "a");
    const px = this.memory.position(x, 1, n, n, "x");
    const py = this.memory.position(y, 1, n, n, "y");
    if (n === 0) return;
    if (alpha !== 0 && (py === pa || py === px)) throw overlap("y");
    if (alpha === 0) scaleVector(this.memory.values, py, n, beta);
    else this.routines.symv(n, alpha, pa, lda, px, beta, py);
  }

  trsv(transpose: boolean, n: number, l: Float64Array, ldl: number, x: Float64Array): void {
    checkDimension(n, "n");
    const pl = this.memory.position(l, n, n, ldl, "l");
    const px = this.memory.position(x, 1, n, n, "x");
    if (n === 0) return;
    if (pl === px) throw overlap("x");
    this.routines.trsv(transpose, n, pl, ldl, px);
  }

  syevd(n: number, a: Float64Array, lda: number, eigenvalues: Float64Array): number {
    checkDimension(n, "n");
    const pa = this.memory.position(a, n, n, lda, "a");
    const pe = this.memory.position(eigenvalues, 1, n, n, "eigenvalues");
    if (n === 0) return 0;
    if (pa === pe) throw overlap("eigenvalues");
    const scale = scaleLowerTriangle(n, this.memory.values, pa, lda);
    if (scale === 0) return 1;
    const status = this.routines.syevd(n, pa, lda, pe);
    if (scale !== 1) for (let i = 0; i < n; i++) eigenvalues[i] /= scale;
    return status;
  }

  rowLengths(m: number, n: number, a: Float64Array, lda: number, lengths: Float64Array): void {
    checkDimension(m, "m");
    checkDimension(n, "n");
    const pa = this.memory.position(a, m, n, lda, "a");
    const to = this.memory.position(lengths, 1, m, m, "lengths");
    if (m === 0) return;
    if (n > 0 && pa === to) throw overlap("lengths");
    if (n === 0) scaleVector(this.memory.values, to, m, 0);
    else this.routines.rowLengths(m, n, pa, lda, to);
  }

  ballMinima(problem: BallMinima<Float64Array>): void {
    const { rows, n, ldx, ldl, ldm, radius, tolerance, perSampleConstants, moves } = problem;
    checkDimension(rows, "rows");
    checkDimension(n, "n");
    if (!(radius >= 0 && radius < Number.POSITIVE_INFINITY)) {
      throw new SettingError({ argument: "radius", expected: "a finite number >= 0", received: radius });
    }
    if (!(tolerance > 0 && tolerance < 1)) {
      throw new SettingError({ argument: "tolerance", expected: "a number between 0 and 1", received: tolerance });
    }
    const place = (name: "h" | "constants" | "signs" | "work" | "values" | "multipliers", length: number) =>
      this.memory.position(problem[name], 1, length, length, name);
    const shared = {
      ...{ rows, n, ldx, ldl, ldm, radius, tolerance, perSampleConstants },
      x: this.memory.position(problem.x, rows, n, ldx, "x"),
      h: place("h", n),
      l: this.memory.position(problem.l, ldl === 0 ? 1 : rows, n, ldl === 0 ? n : ldl, "l"),
      constants: place("constants", perSampleConstants ? rows : 1),
      signs: place("signs", rows),
      work: place("work", 3 * n + 24),
      values: place("values", rows),
      multipliers: place("multipliers", rows),
      moves: moves && this.memory.position(moves, rows, n, ldm, "moves"),
    };
    if (rows === 0) return;
    if (n > 0) this.routines.ballMinima(shared);
    for (let i = 0; n === 0 && i < rows; i++) {
      const constant = problem.constants[perSampleConstants ? i : 0];
      problem.values[i] = problem.signs[i] > 0 ? constant : -constant;
      problem.multipliers[i] = 0;
    }
  }
}

function scaleVector(memory: Float64Array, at: number, n: number, factor: number): void {
  for (let p = at; p < at + n; p++) memory[p] = factor === 0 ? 0 : factor * memory[p];
}

/**
 * Multiplies the lower triangle by a power of two when its largest entry is far from 1, so that squares of what
 * matters neither overflow nor underflow. Returns that power (1 when nothing was done), or 0 when an entry is NaN or infinite.
 */
function scaleLowerTriangle(n: number, memory: Float64Array, a: number, lda: number): number {
  let largest = 0;
  for (let i = 0; i < n; i++) {
    for (let p = a + i * lda, end = p + i; p <= end; p++) {
      const size = Math.abs(memory[p]);
      if (!(size <= Number.MAX_VALUE)) return 0;
      if (size > largest) largest = size;
    }
  }
  if (largest === 0 || (largest > 1e-9 && largest < 1e9)) return 1;
  const scale = 2 ** Math.max(-1022, Math.min(1022, -Math.floor(Math.log2(largest))));
  for (let i = 0; i < n; i++) for (let p = a + i * lda, end = p + i; p <= end; p++) memory[p] *= scale;
  return scale;
}
