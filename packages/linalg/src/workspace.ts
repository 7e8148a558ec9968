// A workspace over one fixed block of memory: a stack of aligned arrays, and argument checks in front of the routines.
// Shared by all implementations, so misuse is reported alike everywhere and the routines need no checks of their own.

import { ResourceError, SettingError, ShapeError } from "@worstcase/core";
import type { KernelName, Routines, Workspace } from "./kernels.js";

/** Arrays start at multiples of this many numbers (64 bytes, a cache line). */
const ALIGNMENT = 8;

const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/**
 * The number to pass to `kernels.workspace` so that one array of each of `lengths` fits at the same time. Alignment is
 * included; the scratch of the routines is not counted because the workspace reserves it in addition.
 * Throws SettingError unless every length is an integer >= 0.
 */
export function workspaceSize(...lengths: number[]): number {
  return lengths.reduce((sum, length, i) => sum + aligned(checkCount(length, `lengths[${i}]`)), 0);
}

/** Throws SettingError unless `count` is an integer >= 0. */
export function checkCount(count: number, argument: string): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new SettingError({ argument, expected: "an integer >= 0", received: count });
}

export class CheckedWorkspace implements Workspace {
  private top = 0;
  /** Positions of the arrays handed out; asking each array for its buffer and offset costs several times as much. */
  private readonly positions = new WeakMap<Float64Array, number>();

  /** `memory` begins with the `capacity` numbers handed out; what follows belongs to the routines. */
  constructor(
    readonly kernels: KernelName,
    readonly capacity: number,
    private readonly memory: Float64Array,
    private readonly routines: Routines,
  ) {}

  float64(length: number): Float64Array {
    checkCount(length, "length");
    if (length > this.capacity - this.top) {
      const expected = `at most ${this.capacity - this.top} numbers, the free part of ${this.capacity}`;
      const hint = "size the workspace with workspaceSize before the first step";
      throw new ResourceError({ argument: "length", expected, received: length, hint });
    }
    const array = this.memory.subarray(this.top, this.top + length);
    this.positions.set(array, this.top);
    this.top = Math.min(this.capacity, this.top + aligned(length));
    return array.fill(0);
  }

  mark(): number {
    return this.top;
  }

  release(mark: number): void {
    if (!Number.isInteger(mark) || mark < 0 || mark > this.top) {
      const expected = `a value of mark() not above the present level ${this.top}`;
      throw new SettingError({ argument: "mark", expected, received: mark, hint: "release in reverse order" });
    }
    this.top = mark;
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
    const pa = this.position(a, transposeA ? k : m, transposeA ? m : k, lda, "a");
    const pb = this.position(b, transposeB ? n : k, transposeB ? k : n, ldb, "b");
    const pc = this.position(c, m, n, ldc, "c");
    if (m === 0 || n === 0) return;
    if (k > 0 && (pc === pa || pc === pb)) throw overlap("c");
    this.routines.gemm(transposeA, transposeB, m, n, k, alpha, pa, lda, pb, ldb, beta, pc, ldc);
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
    const pa = this.position(a, transpose ? k : n, transpose ? n : k, lda, "a");
    const pc = this.position(c, n, n, ldc, "c");
    if (n === 0) return;
    if (k > 0 && pc === pa) throw overlap("c");
    this.routines.syrk(transpose, n, k, alpha, pa, lda, beta, pc, ldc);
  }

  potrf(n: number, a: Float64Array, lda: number): number {
    checkDimension(n, "n");
    const pa = this.position(a, n, n, lda, "a");
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
    const pl = this.position(l, order, order, ldl, "l");
    const pb = this.position(b, m, n, ldb, "b");
    if (m === 0 || n === 0) return;
    if (pl === pb) throw overlap("b");
    this.routines.trsm(side === "left", transpose, m, n, pl, ldl, pb, ldb);
  }

  trtri(n: number, l: Float64Array, ldl: number): void {
    checkDimension(n, "n");
    const pl = this.position(l, n, n, ldl, "l");
    if (n > 0) this.routines.trtri(n, pl, ldl);
  }

  potri(n: number, l: Float64Array, ldl: number): void {
    checkDimension(n, "n");
    const pl = this.position(l, n, n, ldl, "l");
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
    const pa = this.position(a, m, n, lda, "a");
    const px = this.position(x, 1, inputs, inputs, "x");
    const py = this.position(y, 1, outputs, outputs, "y");
    if (outputs === 0) return;
    if (inputs > 0 && alpha !== 0 && (py === pa || py === px)) throw overlap("y");
    if (inputs === 0 || alpha === 0) scaleVector(this.memory, py, outputs, beta);
    else this.routines.gemv(transpose, m, n, alpha, pa, lda, px, beta, py);
  }

  symv(n: number, alpha: number, a: Float64Array, lda: number, x: Float64Array, beta: number, y: Float64Array): void {
    checkDimension(n, "n");
    const pa = this.position(a, n, n, lda, "a");
    const px = this.position(x, 1, n, n, "x");
    const py = this.position(y, 1, n, n, "y");
    if (n === 0) return;
    if (alpha !== 0 && (py === pa || py === px)) throw overlap("y");
    if (alpha === 0) scaleVector(this.memory, py, n, beta);
    else this.routines.symv(n, alpha, pa, lda, px, beta, py);
  }

  trsv(transpose: boolean, n: number, l: Float64Array, ldl: number, x: Float64Array): void {
    checkDimension(n, "n");
    const pl = this.position(l, n, n, ldl, "l");
    const px = this.position(x, 1, n, n, "x");
    if (n === 0) return;
    if (pl === px) throw overlap("x");
    this.routines.trsv(transpose, n, pl, ldl, px);
  }

  syevd(n: number, a: Float64Array, lda: number, eigenvalues: Float64Array): number {
    checkDimension(n, "n");
    const pa = this.position(a, n, n, lda, "a");
    const pe = this.position(eigenvalues, 1, n, n, "eigenvalues");
    if (n === 0) return 0;
    if (pa === pe) throw overlap("eigenvalues");
    const scale = scaleLowerTriangle(n, this.memory, pa, lda);
    if (scale === 0) return 1;
    const status = this.routines.syevd(n, pa, lda, pe);
    if (scale !== 1) for (let i = 0; i < n; i++) eigenvalues[i] /= scale;
    return status;
  }

  /** Index of the array's first number in the memory, after checking origin, leading dimension and length. */
  private position(array: Float64Array, rows: number, columns: number, leading: number, argument: string): number {
    const position = this.positions.get(array) ?? this.subarrayPosition(array, argument);
    if (!Number.isInteger(leading) || leading < columns || leading > 0x7fffffff) {
      const expected = `a leading dimension of at least ${columns}, the length of a row`;
      throw new ShapeError({ argument: `ld${argument}`, expected, received: leading });
    }
    const needed = rows === 0 || columns === 0 ? 0 : (rows - 1) * leading + columns;
    if (array.length < needed) {
      const expected = `at least ${needed} numbers for [${rows}, ${columns}] with leading dimension ${leading}`;
      throw new ShapeError({ argument, expected, received: array.length });
    }
    return position;
  }

  private subarrayPosition(array: Float64Array, argument: string): number {
    if (array instanceof Float64Array && array.buffer === this.memory.buffer) return array.byteOffset / 8;
    const hint = "take it from workspace.float64 and copy the values into it";
    throw new SettingError({ argument, expected: "an array of this workspace", received: array, hint });
  }
}

function checkDimension(value: number, argument: string): void {
  if (Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return;
  throw new ShapeError({ argument, expected: "a dimension, an integer >= 0", received: value });
}

function overlap(argument: string): SettingError {
  const expected = "an output apart from the inputs";
  return new SettingError({ argument, expected, received: "an array that begins at an input", hint: "use a copy" });
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
