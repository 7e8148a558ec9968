// Semidefinite programs whose optimal value or infeasibility is known in closed form.
//   minimise c'x subject to S = sum x_k F_k - F_0 in K, A x = b

import type { Block, Entries, SdpProblem } from "../problem.js";

export interface KnownOptimum {
  readonly title: string;
  readonly problem: SdpProblem;
  /** c'x at the solution. */
  readonly optimum: number;
}

export interface KnownInfeasibility {
  readonly title: string;
  readonly problem: SdpProblem;
  readonly status: "primal-infeasible" | "dual-infeasible";
}

/** One entry: which F_k (0 for F_0), row, column (row <= column), value. */
export type Entry = readonly [matrix: number, row: number, column: number, value: number];

/** Entries written one by one, as the parallel arrays of a block. */
export function entriesFrom(list: readonly Entry[]): Entries {
  return {
    matrix: Int32Array.from(list, (entry) => entry[0]),
    row: Int32Array.from(list, (entry) => entry[1]),
    column: Int32Array.from(list, (entry) => entry[2]),
    value: Float64Array.from(list, (entry) => entry[3]),
  };
}

export function psdBlock(size: number, list: readonly Entry[]): Block {
  return { kind: "psd", size, entries: entriesFrom(list) };
}

function nonnegativeBlock(size: number, list: readonly (readonly [number, number, number])[]): Block {
  return { kind: "nonnegative", size, entries: entriesFrom(list.map(([k, i, value]) => [k, i, i, value])) };
}

/** A x = b from the rows of a dense A. */
function denseEqualities(rows: readonly (readonly number[])[], right: readonly number[]) {
  const cells = rows.flatMap((row, i) => row.map((value, j) => [i, j, value] as const)).filter((cell) => cell[2] !== 0);
  return {
    row: Int32Array.from(cells, (cell) => cell[0]),
    variable: Int32Array.from(cells, (cell) => cell[1]),
    value: Float64Array.from(cells, (cell) => cell[2]),
    right: Float64Array.from(right),
  };
}

const range = (length: number) => Array.from({ length }, (_, i) => i);
const identity = (matrix: number, size: number, value = 1) => range(size).map((i): Entry => [matrix, i, i, value]);

/** The second difference matrix (2 on the diagonal, -1 beside it): eigenvalues 2 - 2 cos(k pi / (n + 1)). */
const secondDifference = (matrix: number, n: number, scale = 1): Entry[] => [
  ...identity(matrix, n, 2 * scale),
  ...range(n - 1).map((i): Entry => [matrix, i, i + 1, -scale]),
];

/** minimise -t, M - t I psd: minus the smallest eigenvalue of the second difference matrix. */
export function smallestEigenvalue(n: number): KnownOptimum {
  return {
    title: `smallest eigenvalue of order ${n}`,
    problem: {
      objective: Float64Array.of(-1),
      blocks: [psdBlock(n, [...secondDifference(0, n, -1), ...identity(1, n, -1)])],
    },
    optimum: -(2 - 2 * Math.cos(Math.PI / (n + 1))),
  };
}

/** minimise t, t I + sum over edges x_ij E_ij - J psd: Lovasz theta; of an odd cycle n cos(pi/n) / (1 + cos(pi/n)). */
export function thetaOfOddCycle(n: number): KnownOptimum {
  const edges = range(n).map((i): Entry => [i + 2, Math.min(i, (i + 1) % n), Math.max(i, (i + 1) % n), 1]);
  const ones = range(n).flatMap((i) => range(n - i).map((d): Entry => [0, i, i + d, 1]));
  const cosine = Math.cos(Math.PI / n);
  return {
    title: `theta of the cycle of ${n} (sqrt(5) for 5)`,
    problem: {
      objective: Float64Array.from([1, ...range(n).map(() => 0)]),
      blocks: [psdBlock(n, [...identity(1, n), ...edges, ...ones])],
    },
    optimum: (n * cosine) / (1 + cosine),
  };
}

/** minimise trace(X), X - M psd and X psd: the sum of the positive eigenvalues of M = second difference - 2 I. */
function leastTraceAbove(n: number): KnownOptimum {
  const places = range(n).flatMap((i) => range(n - i).map((d) => [i, i + d] as const));
  const written = places.map(([i, j], k): Entry => [k + 1, i, j, 1]);
  return {
    title: `least trace above a matrix of order ${n}`,
    problem: {
      objective: Float64Array.from(places, ([i, j]) => (i === j ? 1 : 0)),
      blocks: [psdBlock(n, [...written, ...range(n - 1).map((i): Entry => [0, i, i + 1, -1])]), psdBlock(n, written)],
    },
    optimum: range(n).reduce((sum, k) => sum + Math.max(0, -2 * Math.cos(((k + 1) * Math.PI) / (n + 1))), 0),
  };
}

/** minimise x1 + x2, [[x1, 1], [1, x2]] psd (optimum 2), with a free x3 tied to x1 and a bound written as order 1. */
function geometricMean(): KnownOptimum {
  return {
    title: "least x1 + x2 with x1 x2 >= 1, a free x3 = 3 x1 - 1, x3 >= 5",
    problem: {
      objective: Float64Array.of(1, 1, 0),
      blocks: [
        psdBlock(2, [
          [1, 0, 0, 1],
          [2, 1, 1, 1],
          [0, 0, 1, -1],
        ]),
        psdBlock(1, [
          [3, 0, 0, 1],
          [0, 0, 0, 5],
        ]),
      ],
      equalities: denseEqualities([[3, 0, -1]], [1]),
    },
    optimum: 2.5,
  };
}

/** Known optima of the shapes a solver meets: several kinds of blocks, size 0 and 1, free variables, no variables. */
export function knownOptima(): KnownOptimum[] {
  const eigenvalue = smallestEigenvalue(6);
  return [
    eigenvalue,
    smallestEigenvalue(40),
    thetaOfOddCycle(5),
    thetaOfOddCycle(9),
    leastTraceAbove(5),
    geometricMean(),
    {
      title: "order 1: x >= 3",
      problem: {
        objective: Float64Array.of(1),
        blocks: [
          psdBlock(1, [
            [1, 0, 0, 1],
            [0, 0, 0, 3],
          ]),
        ],
      },
      optimum: 3,
    },
    {
      title: "a linear program: 1 <= x1, x2 <= 4, x1 + x2 <= 6, maximise x1 + 2 x2",
      problem: {
        objective: Float64Array.of(-1, -2),
        blocks: [
          nonnegativeBlock(3, [
            [1, 0, 1],
            [0, 0, 1],
            [2, 1, -1],
            [0, 1, -4],
            [1, 2, -1],
            [2, 2, -1],
            [0, 2, -6],
          ]),
        ],
      },
      optimum: -10,
    },
    {
      title: "empty blocks beside a full one",
      problem: {
        ...eigenvalue.problem,
        blocks: [psdBlock(0, []), ...eigenvalue.problem.blocks, nonnegativeBlock(0, [])],
      },
      optimum: eigenvalue.optimum,
    },
    {
      title: "no variables, F_0 negative definite",
      problem: {
        objective: new Float64Array(0),
        blocks: [
          psdBlock(2, [
            [0, 0, 0, -2],
            [0, 0, 1, 1],
            [0, 1, 1, -2],
          ]),
        ],
      },
      optimum: 0,
    },
    {
      title: "no blocks: x1 + x2 = 3, minimise 2 x1 + 2 x2",
      problem: { objective: Float64Array.of(2, 2), blocks: [], equalities: denseEqualities([[1, 1]], [3]) },
      optimum: 6,
    },
    {
      title: "a free variable apart from the cone: x1 - x2 = 1, x1 >= 3, minimise x2",
      problem: {
        objective: Float64Array.of(0, 1),
        blocks: [
          nonnegativeBlock(1, [
            [1, 0, 1],
            [0, 0, 3],
          ]),
        ],
        equalities: denseEqualities([[1, -1]], [1]),
      },
      optimum: 2,
    },
  ];
}

/** Solvable, but without unique solutions, strict complementarity or independent data. */
export function degenerateOptima(): KnownOptimum[] {
  const { problem, optimum } = smallestEigenvalue(5);
  const [block] = problem.blocks;
  return [
    { title: "the same block three times", problem: { ...problem, blocks: [block, block, block] }, optimum },
    {
      title: "two variables with the same matrix and cost",
      problem: {
        objective: Float64Array.of(-1, -1),
        blocks: [psdBlock(5, [...secondDifference(0, 5, -1), ...identity(1, 5, -1), ...identity(2, 5, -1)])],
      },
      optimum,
    },
    {
      title: "the same equality twice",
      problem: {
        objective: Float64Array.of(1, 3),
        blocks: [
          nonnegativeBlock(2, [
            [1, 0, 1],
            [2, 1, 1],
          ]),
        ],
        equalities: denseEqualities(
          [
            [1, 1],
            [2, 2],
          ],
          [1, 2],
        ),
      },
      optimum: 1,
    },
    {
      title: "a face of solutions: minimise x1 with x1 >= 0 and 0 <= x2 <= 1",
      problem: {
        objective: Float64Array.of(1, 0),
        blocks: [
          nonnegativeBlock(3, [
            [1, 0, 1],
            [2, 1, 1],
            [2, 2, -1],
            [0, 2, -1],
          ]),
        ],
      },
      optimum: 0,
    },
  ];
}

/** Infeasible with a certificate. */
export function knownInfeasibilities(): KnownInfeasibility[] {
  return [
    {
      title: "x >= 1 and x <= 0",
      status: "primal-infeasible",
      problem: {
        objective: Float64Array.of(1),
        blocks: [
          nonnegativeBlock(2, [
            [1, 0, 1],
            [0, 0, 1],
            [1, 1, -1],
          ]),
        ],
      },
    },
    {
      title: "[[x1, 2], [2, x2]] psd with x1 <= 1, x2 <= 1",
      status: "primal-infeasible",
      problem: {
        objective: Float64Array.of(1, -1),
        blocks: [
          psdBlock(2, [
            [1, 0, 0, 1],
            [2, 1, 1, 1],
            [0, 0, 1, -2],
          ]),
          nonnegativeBlock(2, [
            [1, 0, -1],
            [0, 0, -1],
            [2, 1, -1],
            [0, 1, -1],
          ]),
        ],
      },
    },
    {
      title: "contradicting equalities",
      status: "primal-infeasible",
      problem: {
        objective: Float64Array.of(1, 1),
        blocks: [
          nonnegativeBlock(2, [
            [1, 0, 1],
            [2, 1, 1],
          ]),
        ],
        equalities: denseEqualities(
          [
            [1, 1],
            [1, 1],
          ],
          [1, 2],
        ),
      },
    },
    {
      title: "no variables, F_0 indefinite",
      status: "primal-infeasible",
      problem: {
        objective: new Float64Array(0),
        blocks: [
          psdBlock(2, [
            [0, 0, 0, -1],
            [0, 1, 1, 1],
          ]),
        ],
      },
    },
    {
      title: "minimise -x with x >= 0",
      status: "dual-infeasible",
      problem: {
        objective: Float64Array.of(-1),
        blocks: [nonnegativeBlock(1, [[1, 0, 1]])],
      },
    },
    {
      title: "minimise -trace over psd matrices of order 3 with two entries equal",
      status: "dual-infeasible",
      problem: {
        objective: Float64Array.of(-1, 0, 0, -1, 0, -1),
        blocks: [
          psdBlock(3, [
            [1, 0, 0, 1],
            [2, 0, 1, 1],
            [3, 0, 2, 1],
            [4, 1, 1, 1],
            [5, 1, 2, 1],
            [6, 2, 2, 1],
          ]),
        ],
        equalities: denseEqualities([[0, 1, 0, 0, -1, 0]], [0]),
      },
    },
    {
      title: "a free variable with a cost and no constraint",
      status: "dual-infeasible",
      problem: {
        objective: Float64Array.of(1, 1),
        blocks: [nonnegativeBlock(1, [[1, 0, 1]])],
      },
    },
  ];
}

/**
 * minimise x subject to [[x, 1], [1, 0]] psd: no point is feasible, yet points come as close as one likes (weak
 * infeasibility), while the dual is feasible and unbounded. No certificate of exactly zero residual exists.
 */
export function weaklyInfeasible(): SdpProblem {
  return {
    objective: Float64Array.of(1),
    blocks: [
      psdBlock(2, [
        [1, 0, 0, 1],
        [0, 0, 1, -1],
      ]),
    ],
  };
}
