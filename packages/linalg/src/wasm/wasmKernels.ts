// WebAssembly kernels, compiled once per process on first use; one instance with its own memory per workspace in use. Two builds: plain SIMD, and relaxed SIMD whose fused multiply-add is faster and differs in the last bits.

import { ResourceError } from "@worstcase/core";
import type { BatchRoutines, Kernels, Routines } from "../kernels.js";
import { checkCount } from "../memory.js";
import { checkFits, formatBytes, needs } from "../memoryLimit.js";
import { CheckedWorkspace } from "../workspace.js";
import { engine, type WasmMemory } from "./engine.js";
import { type Instance, Instances, PAGE } from "./instances.js";
import { fmaModule, simdModule } from "./kernels.generated.js";

export type WasmBuild = "wasm-simd" | "wasm-fma";

const descriptions: Record<WasmBuild, string> = {
  "wasm-simd": "WebAssembly, two-lane SIMD",
  "wasm-fma": "WebAssembly, two-lane SIMD with fused multiply-add",
};

/** WebAssembly addresses 65536 pages of 64 KiB; half of that is for the workspace, the rest for scratch. */
export const MOST_NUMBERS = (65536 * PAGE) / 16;
/** Packed panels, pieces of vectors and tables of subset sums. */
const SCRATCH_NUMBERS = 82_000;
/** Eigenproblems above this order would need scratch out of proportion. */
const LARGEST_ORDER = 8192;

/** An address no array has: the last bytes of the address space. */
const NOWHERE = 0xffffffff;

interface Exports {
  readonly memory: WasmMemory;
  scratchBytes(order: number): number;
  setScratch(at: number): void;
  gemm(...values: number[]): void;
  gemmBits(...values: number[]): void;
  syrk(...values: number[]): void;
  mirror(...values: number[]): void;
  potrf(...values: number[]): number;
  trsm(...values: number[]): void;
  trtri(...values: number[]): void;
  potri(...values: number[]): void;
  gemv(...values: number[]): void;
  symv(...values: number[]): void;
  rowLengths(...values: number[]): void;
  trsv(...values: number[]): void;
  batchGemm(...values: number[]): void;
  batchPotrf(...values: number[]): number;
  batchPotri(...values: number[]): void;
  batchTrsm(...values: number[]): void;
  batchCongruence(...values: number[]): void;
  syevd(...values: number[]): number;
  ballMinima(...values: number[]): void;
}

const builds = new Map<WasmBuild, Instances<Exports> | undefined>();
const known = new Map<WasmBuild, Kernels>();

/** The fastest build this engine accepts, or undefined when it has no WebAssembly SIMD. */
export function wasmKernels(): Kernels | undefined {
  return wasmBuild("wasm-fma") ?? wasmBuild("wasm-simd");
}

/** One build, or undefined when this engine cannot run it. */
export function wasmBuild(name: WasmBuild): Kernels | undefined {
  const instances = compiled(name);
  if (instances && !known.has(name)) {
    known.set(name, {
      name,
      description: descriptions[name],
      workspace(float64Count) {
        // the matrix and its eigenvalues must fit into the workspace, which bounds the order of an eigenproblem
        const order = Math.min(LARGEST_ORDER, Math.floor(Math.sqrt(checkCount(float64Count, "float64Count"))));
        const { values, routines, giveBack } = instantiate(instances, float64Count, order);
        return new CheckedWorkspace(name, float64Count, values, routines, giveBack);
      },
      bytes(float64Count, order = 0) {
        checkCount(order, "largestEigenproblem");
        return 8 * (checkCount(float64Count, "float64Count") + SCRATCH_NUMBERS + 3 * order ** 2 + 107 * order);
      },
    });
  }
  return known.get(name);
}

/**
 * Memory for `float64Count` numbers with routines on it, eigenproblems up to `largestOrder`; for the native kernels,
 * which leave small sizes to WebAssembly. Undefined without WebAssembly SIMD or when the memory does not fit.
 */
export function wasmMemory(float64Count: number, largestOrder: number): ({ build: WasmBuild } & Portable) | undefined {
  const build = compiled("wasm-fma") ? "wasm-fma" : "wasm-simd";
  const instances = compiled(build);
  if (!instances || float64Count > MOST_NUMBERS) return undefined;
  try {
    return { build, ...instantiate(instances, float64Count, largestOrder) };
  } catch (error) {
    if (error instanceof ResourceError) return undefined;
    throw error;
  }
}

function compiled(name: WasmBuild): Instances<Exports> | undefined {
  if (!builds.has(name)) builds.set(name, compile(name));
  return builds.get(name);
}

function compile(name: WasmBuild): Instances<Exports> | undefined {
  if (!engine) return undefined;
  const bytes = Uint8Array.from(atob(name === "wasm-fma" ? fmaModule : simdModule), (letter) => letter.charCodeAt(0));
  return engine.validate(bytes) ? new Instances(new engine.Module(bytes)) : undefined;
}

interface Portable {
  /** The memory, from its first number on; longer than asked for. */
  readonly values: Float64Array;
  readonly routines: Routines;
  /** To be called once, when nothing uses the memory any more. */
  giveBack(): void;
}

function instantiate(instances: Instances<Exports>, float64Count: number, largestOrder: number): Portable {
  const start = Math.ceil(float64Count / 8) * 64;
  checkFits(start, float64Count);
  if (float64Count > MOST_NUMBERS) throw tooLarge(float64Count);
  let instance: Instance<Exports>;
  try {
    instance = instances.take((exports) => start + exports.scratchBytes(largestOrder));
  } catch (cause) {
    throw tooLarge(float64Count, cause);
  }
  const { exports, values } = instance;
  exports.setScratch(start);
  return { values, routines: routinesOf(exports, largestOrder), giveBack: () => instances.give(instance) };
}

function tooLarge(received: number, cause?: unknown): ResourceError {
  const expected = `at most ${MOST_NUMBERS} numbers (${formatBytes(8 * MOST_NUMBERS)}) of WebAssembly memory, if the system has it`;
  const hint = `${needs(8 * received)}; drop workspaces no longer needed, or use the js or native kernels`;
  return new ResourceError({ argument: "float64Count", expected, received, hint }, { cause });
}

function routinesOf(exports: Exports, largestOrder: number): Routines {
  const { gemm, gemmBits, syrk, mirror, potrf, trsm, trtri, potri, gemv, symv, trsv, syevd, ballMinima, rowLengths } =
    exports;
  return {
    gemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      gemm(+transposeA, +transposeB, m, n, k, alpha, a * 8, lda, b * 8, ldb, beta, c * 8, ldc);
    },
    gemmBits(transpose, m, n, k, alpha, d, ldd, b, ldb, beta, c, ldc) {
      gemmBits(+transpose, m, n, k, alpha, d * 8, ldd, b * 8, ldb, beta, c * 8, ldc);
    },
    syrk(transpose, n, k, alpha, a, lda, beta, c, ldc) {
      syrk(+transpose, n, k, alpha, a * 8, lda, beta, c * 8, ldc);
    },
    mirror: (n, a, lda) => mirror(n, a * 8, lda),
    potrf: (n, a, lda) => potrf(n, a * 8, lda),
    trsm(left, transpose, m, n, l, ldl, b, ldb) {
      trsm(+left, +transpose, m, n, l * 8, ldl, b * 8, ldb);
    },
    trtri: (n, l, ldl) => trtri(n, l * 8, ldl),
    potri: (n, l, ldl) => potri(n, l * 8, ldl),
    gemv(transpose, m, n, alpha, a, lda, x, beta, y) {
      gemv(+transpose, m, n, alpha, a * 8, lda, x * 8, beta, y * 8);
    },
    rowLengths: (m, n, a, lda, lengths) => rowLengths(m, n, a * 8, lda, lengths * 8),
    symv: (n, alpha, a, lda, x, beta, y) => symv(n, alpha, a * 8, lda, x * 8, beta, y * 8),
    trsv: (transpose, n, l, ldl, x) => trsv(+transpose, n, l * 8, ldl, x * 8),
    syevd(n, a, lda, eigenvalues) {
      if (n > largestOrder) {
        const expected = `an order of at most ${largestOrder} in this workspace`;
        throw new ResourceError({ argument: "n", expected, received: n, hint: "use the js kernels" });
      }
      return syevd(n, a * 8, lda, eigenvalues * 8);
    },
    ballMinima({ rows, n, x, ldx, h, l, ldl, constants, perSampleConstants, signs, radius, tolerance, ...to }) {
      const [px, ph, pl, pc, ps] = [x * 8, h * 8, l * 8, constants * 8, signs * 8];
      const [pw, pv, pm] = [to.work * 8, to.values * 8, to.multipliers * 8];
      // position 0 is a place like any other in a workspace, so "no moves" has a flag of its own
      const moves = to.moves === undefined ? NOWHERE : to.moves * 8;
      const step = +perSampleConstants;
      ballMinima(rows, n, px, ldx, ph, pl, ldl, pc, step, ps, radius, tolerance, pw, pv, pm, moves, to.ldm);
    },
    batch: batchOf(exports),
  };
}

function batchOf({ batchGemm, batchPotrf, batchPotri, batchTrsm, batchCongruence }: Exports): BatchRoutines {
  return {
    gemm(count, transposeA, transposeB, m, n, k, alpha, a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC) {
      const [at, bt] = [+transposeA, +transposeB];
      const [pa, pb, pc] = [a * 8, b * 8, c * 8];
      batchGemm(count, at, bt, m, n, k, alpha, pa, lda, strideA, pb, ldb, strideB, beta, pc, ldc, strideC);
    },
    potrf: (count, n, a, lda, stride, status) => batchPotrf(count, n, a * 8, lda, stride, status * 8),
    potri: (count, n, l, ldl, stride) => batchPotri(count, n, l * 8, ldl, stride),
    trsm(count, left, transpose, m, n, l, ldl, strideL, b, ldb, strideB) {
      batchTrsm(count, +left, +transpose, m, n, l * 8, ldl, strideL, b * 8, ldb, strideB);
    },
    congruence(count, m, n, t, ldt, strideT, q, ldq, work, out, ldout, strideOut) {
      batchCongruence(count, m, n, t * 8, ldt, strideT, q * 8, ldq, work * 8, out * 8, ldout, strideOut);
    },
  };
}
