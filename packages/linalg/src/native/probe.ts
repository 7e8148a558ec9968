// Known answers a BLAS must give before it is used. Values are integers, so that results are exact in any order of
// operations, and small enough that a wrong answer cannot come from rounding. Padding around every matrix must survive.

import type { Kernels, Workspace } from "../kernels.js";

const GUARD = -987654.25;
const SLACK = 64;

/** The name of the first routine that answered wrongly, or null when all are right. */
export function probe(kernels: Kernels): string | null {
  // 3: by hand; 70: beyond the block sizes of the libraries
  for (const n of [3, 70]) {
    const wrong = probeOrder(kernels, n);
    if (wrong) return wrong;
  }
  return null;
}

function probeOrder(kernels: Kernels, n: number): string | null {
  const leading = n + 5;
  const length = n * leading + SLACK;
  const workspace = kernels.workspace(8 * (length + 8));
  const ones = (i: number, j: number) => (j <= i ? 1 : 0); // L
  const least = (i: number, j: number) => Math.min(i, j) + 1; // A = L L'
  const second = (i: number, j: number) => (i === j ? (i === n - 1 ? 1 : 2) : Math.abs(i - j) === 1 ? -1 : 0); // A^-1
  const first = (i: number, j: number) => (i === j ? 1 : j === i - 1 ? -1 : 0); // L^-1
  const vector = (i: number) => (i % 3) - 1;

  const matrix = (entry: Entry) => fillGuarded(workspace, n, n, leading, entry);
  const column = (entry: (i: number) => number) => fillGuarded(workspace, n, 1, 1, entry);
  const checks: [name: string, run: () => boolean][] = [
    [
      "gemm",
      () => {
        const [a, b, c] = [matrix(least), matrix(second), matrix(least)];
        workspace.gemm(false, false, n, n, n, 2, a, leading, b, leading, -1, c, leading);
        return holds(c, n, n, leading, (i, j) => (i === j ? 2 : 0) - least(i, j));
      },
    ],
    [
      "gemm, transposed",
      () => {
        const [a, b, c] = [matrix(ones), matrix(first), matrix(least)];
        workspace.gemm(true, true, n, n, n, 1, a, leading, b, leading, 0, c, leading);
        return holds(c, n, n, leading, (i, j) => (i === j ? 1 : 0));
      },
    ],
    [
      "syrk",
      () => {
        const [a, c] = [matrix(ones), matrix(second)];
        workspace.syrk(false, n, n, 1, a, leading, 0, c, leading);
        return holds(c, n, n, leading, least);
      },
    ],
    [
      "potrf",
      () => {
        const a = matrix((i, j) => (j <= i ? least(i, j) : 77));
        return workspace.potrf(n, a, leading) === 0 && holds(a, n, n, leading, ones);
      },
    ],
    [
      "potrf, failing pivot",
      () =>
        workspace.potrf(
          n,
          matrix((i, j) => (i === j && i === n - 1 ? -1 : least(i, j))),
          leading,
        ) === n,
    ],
    [
      "trsm",
      () => {
        const [l, b] = [matrix(ones), matrix(least)];
        workspace.trsm("left", false, n, n, l, leading, b, leading);
        if (!holds(b, n, n, leading, (i, j) => ones(j, i))) return false;
        workspace.trsm("right", true, n, n, l, leading, b, leading);
        return holds(b, n, n, leading, (i, j) => (i === j ? 1 : 0));
      },
    ],
    [
      "trtri",
      () => {
        const l = matrix((i, j) => (j <= i ? 1 : 77));
        workspace.trtri(n, l, leading);
        return holds(l, n, n, leading, first);
      },
    ],
    [
      "potri",
      () => {
        const l = matrix((i, j) => (j <= i ? 1 : 77));
        workspace.potri(n, l, leading);
        return holds(l, n, n, leading, second);
      },
    ],
    [
      "gemv and symv",
      () => {
        const [a, v, y, z] = [matrix(second), column(vector), column(() => 3), column(() => 3)];
        workspace.gemv(true, n, n, 2, a, leading, v, 1, y);
        workspace.symv(n, 2, a, leading, v, 1, z);
        const expected = (i: number) => {
          let sum = 3;
          for (let j = 0; j < n; j++) sum += 2 * second(i, j) * vector(j);
          return sum;
        };
        return holds(y, n, 1, 1, expected) && holds(z, n, 1, 1, expected);
      },
    ],
    [
      "trsv",
      () => {
        const [l, v] = [matrix(ones), column((i) => i + 1)];
        workspace.trsv(false, n, l, leading, v);
        return holds(v, n, 1, 1, () => 1);
      },
    ],
    [
      "syevd",
      () => {
        const a = matrix(second);
        const values = column(() => 0);
        const size = (k: number) => 2 - 2 * Math.cos(((2 * k + 1) * Math.PI) / (2 * n + 1));
        if (workspace.syevd(n, a, leading, values) !== 0) return false;
        if (!holds(values, n, 1, 1, size, 1e-12)) return false;
        // row k is proportional to sin((2 k + 1) (i + 1) pi / (2 n + 1))
        return holds(
          a,
          n,
          n,
          leading,
          (k, i) => {
            const wave = (j: number) => Math.sin(((2 * k + 1) * (j + 1) * Math.PI) / (2 * n + 1));
            return (Math.sign(wave(0)) * Math.sign(a[k * leading]) * wave(i) * 2) / Math.sqrt(2 * n + 1);
          },
          1e-11,
        );
      },
    ],
  ];
  for (const [name, run] of checks) {
    const mark = workspace.mark();
    if (!run()) return `${name} of order ${n}`;
    workspace.release(mark);
  }
  return null;
}

type Entry = (row: number, column: number) => number;

function fillGuarded(workspace: Workspace, rows: number, columns: number, leading: number, entry: Entry): Float64Array {
  const array = workspace.float64(rows * leading + SLACK).fill(GUARD);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) array[i * leading + j] = entry(i, j);
  return array;
}

function holds(
  array: Float64Array,
  rows: number,
  columns: number,
  leading: number,
  entry: Entry,
  allowed = 0,
): boolean {
  for (let p = 0; p < array.length; p++) {
    const [i, j] = [Math.floor(p / leading), p % leading];
    if (i >= rows || j >= columns) {
      if (array[p] !== GUARD) return false;
    } else if (!(Math.abs(array[p] - entry(i, j)) <= allowed)) return false;
  }
  return true;
}
