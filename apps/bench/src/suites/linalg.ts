// The float64 kernels against OpenBLAS (or whatever BLAS this machine has) and ml-matrix, in one table of ratios.
// Counted operations: product 2 n^3, symmetric product and triangular solve n^3, Cholesky n^3 / 3, inverse from the
// factor 2 n^3 / 3; the symmetric eigendecomposition with vectors is counted as 9 n^3, so its GF/s only compare.
// Then products with a packed matrix of zeros and ones against the same product of numbers, and batches of small blocks
// against loops of single calls. Everything runs on one thread, and processor seconds are
// counted, so that other work on the machine disturbs less.

import { setFlagsFromString } from "node:v8";
import { createRng } from "@worstcase/core";
import { chooseKernels, findNative, type KernelName, type Kernels, workspaceSize } from "@worstcase/linalg";
import { CholeskyDecomposition, EigenvalueDecomposition, inverse, Matrix } from "ml-matrix";
import { type Case, compare, type Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const sizes = [64, 128, 256, 512, 1024];
const names: readonly KernelName[] = ["native", "wasm-fma", "wasm-simd", "js"];
const blockOrders = [4, 8, 16, 32, 64];
const blockCount = 200;

const operations = {
  gemm: { title: "matrix product", flops: (n: number) => 2 * n ** 3 },
  syrk: { title: "symmetric product", flops: (n: number) => n ** 3 },
  potrf: { title: "Cholesky", flops: (n: number) => n ** 3 / 3 },
  potri: { title: "inverse from the Cholesky factor", flops: (n: number) => (2 * n ** 3) / 3 },
  trsm: { title: "triangular solve", flops: (n: number) => n ** 3 },
  syevd: { title: "symmetric eigendecomposition", flops: (n: number) => 9 * n ** 3 },
} as const;
type Operation = keyof typeof operations;

function clock(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export const linalg: Suite = {
  name: "linalg",
  summary:
    "dense float64 kernels: products, Cholesky, inverse, triangular solve, eigendecomposition, batches of blocks",
  async run(context) {
    const kernels = available(context);
    const overview: string[][] = [];
    for (const n of context.quick ? [64] : sizes) {
      for (const [operation, rows] of await measure(context, kernels, n)) {
        overview.push([operation, String(n), ...columns(kernels, rows)]);
      }
    }
    const header = ["", "n", ...kernels.map(({ name }) => name), "ml-matrix"];
    overview.sort((a, b) => order(a[0]) - order(b[0]));
    const against = kernels[0].name === "native" ? kernels[0].description : kernels[0].name;
    console.log(`Speed relative to ${against}\n\n${aligned([header, ...overview])}\n`);
    for (const rows of context.quick ? [256] : [2500, 10_000]) await measureBits(context, kernels, rows);
    for (const own of kernels) {
      for (const n of context.quick ? [8] : blockOrders) await measureBatches(context, own, n);
    }
  },
};

const order = (operation: string) => Object.keys(operations).indexOf(operation);

function available(context: SuiteContext): Kernels[] {
  // Node 20 knows relaxed SIMD but asks for a flag; this process is ours
  if (process.versions.node.startsWith("20.")) setFlagsFromString("--experimental-wasm-relaxed-simd");
  const { attempts } = findNative();
  for (const { library, outcome, detail } of attempts) if (outcome === "refused") context.skip(library, detail);
  return names.flatMap((name) => {
    try {
      return [chooseKernels(name)];
    } catch (error) {
      context.skip(`the kernels ${name}`, (error as Error).message);
      return [];
    }
  });
}

async function measure(context: SuiteContext, kernels: Kernels[], n: number): Promise<Map<Operation, Row[]>> {
  const rng = createRng(n);
  const values = Float64Array.from({ length: n * n }, () => rng.normal());
  const general = toMatrix(values, n);
  const definite = general.mmul(general.transpose()).add(Matrix.eye(n).mul(n));
  const symmetric = Float64Array.from(definite.to1DArray());
  const own = kernels.map((each) => ({ name: each.name, runs: workspaceRuns(each, n, values, symmetric) }));
  // ml-matrix inverts without a given factor and has no triangular solve
  const slow: Partial<Record<Operation, () => unknown>> = {
    gemm: () => general.mmul(definite),
    syrk: () => general.mmul(general.transpose()),
    potrf: () => new CholeskyDecomposition(definite),
    potri: () => inverse(definite),
    syevd: () => new EigenvalueDecomposition(definite, { assumeSymmetric: true }),
  };
  const results = new Map<Operation, Row[]>();
  for (const operation of Object.keys(operations) as Operation[]) {
    const { title, flops } = operations[operation];
    const cases: Case[] = own.map(({ name, runs }) => ({ name, units: flops(n), run: runs[operation] }));
    const other = slow[operation];
    if (other) cases.push({ name: "ml-matrix", units: flops(n), run: other });
    const options = {
      repeats: context.quick ? 1 : 5,
      leastSeconds: context.quick ? 0.01 : 0.05,
      budgetSeconds: 20,
      clock,
    };
    const rows = await compare(cases, options);
    const notes = Object.fromEntries(kernels.map(({ name, description }) => [name, description]));
    context.report({
      title: `${title}, n = ${n}`,
      unit: unit.gigaflops,
      rows,
      ...(operation === "gemm" ? { notes } : {}),
    });
    results.set(operation, rows);
  }
  return results;
}

/** The routines on a workspace; those that work in place include copying their input. */
function workspaceRuns(kernels: Kernels, n: number, values: Float64Array, symmetric: Float64Array) {
  const square = n * n;
  const workspace = kernels.workspace(workspaceSize(square, square, square, square, n));
  const [a, b, c, l] = [0, 1, 2, 3].map(() => workspace.float64(square));
  const eigenvalues = workspace.float64(n);
  a.set(values);
  b.set(symmetric);
  l.set(symmetric);
  if (workspace.potrf(n, l, n) !== 0) throw new Error("the matrix was not positive definite");
  return {
    gemm: () => workspace.gemm(false, false, n, n, n, 1, a, n, b, n, 0, c, n),
    syrk: () => workspace.syrk(false, n, n, 1, a, n, 0, c, n),
    potrf: () => {
      c.set(symmetric);
      workspace.potrf(n, c, n);
    },
    potri: () => {
      c.set(l);
      workspace.potri(n, c, n);
    },
    trsm: () => {
      c.set(values);
      workspace.trsm("left", false, n, n, l, n, c, n);
    },
    syevd: () => {
      c.set(symmetric);
      if (workspace.syevd(n, c, n, eigenvalues) !== 0) throw new Error("the eigenvalue iteration did not converge");
    },
  };
}

/** Speeds relative to the first implementation. */
function columns(kernels: readonly Kernels[], rows: readonly Row[]): string[] {
  return [...kernels.map(({ name }) => name as string), "ml-matrix"].map((name) => {
    const row = rows.find((each) => each.name === name);
    return row ? row.ratio.toFixed(row.ratio < 0.1 ? 3 : 2) : "-";
  });
}

/** D B and D'B with D `[rows, gates]` of zeros and ones, as in gated networks: 500 gates, 64 columns. */
async function measureBits(context: SuiteContext, kernels: readonly Kernels[], m: number): Promise<void> {
  const [k, n] = context.quick ? [64, 16] : [500, 64];
  const words = Math.ceil(k / 64);
  const rng = createRng(m);
  const flags = Uint8Array.from({ length: m * k }, () => (rng.uniform() < 0.5 ? 1 : 0));
  for (const transpose of [false, true]) {
    const [outer, inner] = transpose ? [k, m] : [m, k];
    const cases: Case[] = kernels.flatMap((own) => {
      const workspace = own.workspace(workspaceSize(m * k, m * words, inner * n, outer * n));
      const dense = workspace.float64(m * k);
      const bits = workspace.float64(m * words);
      const [b, c] = [workspace.float64(inner * n), workspace.float64(outer * n)];
      const bytes = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
      flags.forEach((flag, e) => {
        const [i, j] = [Math.floor(e / k), e % k];
        dense[e] = flag;
        if (flag) bytes[i * words * 8 + (j >> 3)] |= 1 << (j & 7);
      });
      for (let e = 0; e < b.length; e++) b[e] = Math.sin(e);
      const units = 2 * m * k * n;
      return [
        {
          name: `${own.name} numbers`,
          units,
          run: () => workspace.gemm(transpose, false, outer, n, inner, 1, dense, k, b, n, 0, c, n),
        },
        {
          name: `${own.name} bits`,
          units,
          run: () => workspace.gemmBits(transpose, outer, n, inner, 1, bits, words, b, n, 0, c, n),
        },
      ];
    });
    const options = { repeats: 5, leastSeconds: context.quick ? 0.005 : 0.1, budgetSeconds: 20, clock };
    const rows = await compare(cases, options);
    const title = `${transpose ? "D'B" : "D B"} with D of zeros and ones [${m}, ${k}], ${n} columns`;
    context.report({ title, unit: unit.gigaflops, rows });
  }
}

async function measureBatches(context: SuiteContext, kernels: Kernels, n: number): Promise<void> {
  const stride = n * n;
  const length = blockCount * stride;
  const workspace = kernels.workspace(workspaceSize(length, length, length, length, length, stride, blockCount));
  const [a, b, c, l, definite] = [0, 1, 2, 3, 4].map(() => workspace.float64(length));
  const [work, status] = [workspace.float64(stride), workspace.float64(blockCount)];
  const rng = createRng(n);
  for (let p = 0; p < length; p++) {
    a[p] = rng.normal();
    b[p] = rng.normal();
  }
  workspace.batch.gemm(blockCount, false, true, n, n, n, 1, a, n, stride, a, n, stride, 0, definite, n, stride);
  for (let i = 0; i < blockCount; i++) for (let k = 0; k < n; k++) definite[i * stride + k * n + k] += n;
  l.set(definite);
  if (workspace.batch.potrf(blockCount, n, l, n, stride, status) !== 0) throw new Error("a block was not definite");
  const blocksOf = (x: Float64Array) =>
    Array.from({ length: blockCount }, (_, i) => x.subarray(i * stride, (i + 1) * stride));
  const [as, bs, cs, ls] = [a, b, c, l].map(blocksOf);
  const each = (run: (i: number) => unknown) => () => {
    for (let i = 0; i < blockCount; i++) run(i);
  };
  const { batch } = workspace;
  const pairs: Record<string, [single: () => unknown, batch: () => unknown]> = {
    gemm: [
      each((i) => workspace.gemm(false, false, n, n, n, 1, as[i], n, bs[i], n, 0, cs[i], n)),
      () => batch.gemm(blockCount, false, false, n, n, n, 1, a, n, stride, b, n, stride, 0, c, n, stride),
    ],
    potrf: [
      () => {
        c.set(definite);
        for (const block of cs) workspace.potrf(n, block, n);
      },
      () => {
        c.set(definite);
        batch.potrf(blockCount, n, c, n, stride, status);
      },
    ],
    trsm: [
      () => {
        c.set(b);
        each((i) => workspace.trsm("left", false, n, n, ls[i], n, cs[i], n))();
      },
      () => {
        c.set(b);
        batch.trsm(blockCount, "left", false, n, n, l, n, stride, c, n, stride);
      },
    ],
    congruence: [
      each((i) => {
        workspace.gemm(false, false, n, n, n, 1, definite, n, as[i], n, 0, work, n);
        workspace.gemm(true, false, n, n, n, 1, as[i], n, work, n, 0, cs[i], n);
      }),
      () => batch.congruence(blockCount, n, n, a, n, stride, definite, n, work, c, n, stride),
    ],
  };
  for (const [name, [single, batched]] of Object.entries(pairs)) {
    const cases = [
      { name: "single calls", units: blockCount, run: single },
      { name: "batch", units: blockCount, run: batched },
    ];
    const options = {
      repeats: context.quick ? 1 : 5,
      leastSeconds: context.quick ? 0.005 : 0.02,
      budgetSeconds: 5,
      clock,
    };
    const rows = await compare(cases, options);
    context.report({ title: `${name} of blocks of order ${n}, ${kernels.name}`, unit: unit.microseconds, rows });
  }
}

function aligned(table: readonly (readonly string[])[]): string {
  const widths = table[0].map((_, k) => Math.max(...table.map((row) => row[k].length)));
  const cells = (row: readonly string[]) =>
    row.map((cell, k) => (k === 0 ? cell.padEnd(widths[k]) : cell.padStart(widths[k])));
  return table.map((row) => `  ${cells(row).join("  ")}`.trimEnd()).join("\n");
}

function toMatrix(values: Float64Array, n: number): Matrix {
  return Matrix.from1DArray(n, n, Array.from(values));
}
