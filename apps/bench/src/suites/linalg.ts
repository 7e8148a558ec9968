// The float64 kernels in WebAssembly and JavaScript against ml-matrix. Counted operations: product 2 n^3, Cholesky n^3 / 3; the symmetric
// eigendecomposition with vectors is counted as 9 n^3, so its GF/s only compare.

import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from "ml-matrix";
import { type Case, compare } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const sizes = [64, 128, 256, 512, 1024];

export const linalg: Suite = {
  name: "linalg",
  summary: "matrix product, Cholesky and symmetric eigendecomposition in float64",
  async run(context) {
    for (const n of context.quick ? [64] : sizes) {
      await measure(context, n);
    }
  },
};

async function measure(context: SuiteContext, n: number): Promise<void> {
  const rng = createRng(n);
  const values = Float64Array.from({ length: n * n }, () => rng.normal());
  const general = toMatrix(values, n);
  const definite = general.mmul(general.transpose()).add(Matrix.eye(n).mul(n));
  const symmetric = Float64Array.from(definite.to1DArray());
  const implementations = (["js", "wasm"] as const).map((name) => workspaceCases(name, n, values, symmetric));
  const options = { repeats: context.quick ? 1 : 5, budgetSeconds: 40 };
  const group = async (what: string, flops: number, slow: () => unknown, key: "gemm" | "potrf" | "syevd") => {
    const own: Case[] = implementations.map((kernels) => ({ name: kernels.name, units: flops, run: kernels[key] }));
    const cases = [{ name: "ml-matrix", units: flops, run: slow }, ...own];
    const rows = await compare(cases, options);
    context.report({ title: `${what}, n = ${n}`, unit: unit.gigaflops, rows });
  };
  await group("matrix product", 2 * n ** 3, () => general.mmul(definite), "gemm");
  await group("Cholesky", n ** 3 / 3, () => new CholeskyDecomposition(definite), "potrf");
  await group(
    "symmetric eigendecomposition",
    9 * n ** 3,
    () => new EigenvalueDecomposition(definite, { assumeSymmetric: true }),
    "syevd",
  );
}

/** The routines on a workspace; each includes copying its input, because factorisations work in place. */
function workspaceCases(name: "js" | "wasm", n: number, values: Float64Array, symmetric: Float64Array) {
  const kernels = chooseKernels(name);
  const workspace = kernels.workspace(workspaceSize(n * n, n * n, n * n, n));
  const [a, b, c] = [0, 1, 2].map(() => workspace.float64(n * n));
  const eigenvalues = workspace.float64(n);
  a.set(values);
  b.set(symmetric);
  return {
    name: kernels.name,
    gemm: () => workspace.gemm(false, false, n, n, n, 1, a, n, b, n, 0, c, n),
    potrf: () => {
      c.set(symmetric);
      if (workspace.potrf(n, c, n) !== 0) throw new Error("the matrix was not positive definite");
    },
    syevd: () => {
      c.set(symmetric);
      if (workspace.syevd(n, c, n, eigenvalues) !== 0) throw new Error("the eigenvalue iteration did not converge");
    },
  };
}

function toMatrix(values: Float64Array, n: number): Matrix {
  return Matrix.from1DArray(n, n, Array.from(values));
}
