// The robust program in the smallest conic form we know, as an SDPA problem (solvers.md 1.1, the same as `direct` of peersScript.ts):
//   variables x = [Q upper (N1), q (d), Z'1 upper (N1), Z'2 (d), lambda (n), xi (n)],  z4' = tr Z'1,  s = (c / a) tr Q,  w = 1 - xi
//   minimise (beta / a) tr Q + 2 beta tr Z'1 + mean xi
//   blocks: Z', Z = lift^-1(Q, q) + Z', and M_i of math.md 4.2 for every sample, all of order d + 1;  lambda, xi >= 0

import type { SdpProblem } from "@worstcase/sdp";
import type { Instance } from "./instances.js";

export const activation = { a: 0.09, b: 0.5, c: 0.47 };

/** Collects F_k[row, column] = value of one block. */
function collector() {
  const [matrix, row, column, value]: number[][] = [[], [], [], []];
  return {
    add(variable: number, r: number, c: number, v: number): void {
      if (v === 0) return;
      matrix.push(variable + 1);
      row.push(Math.min(r, c));
      column.push(Math.max(r, c));
      value.push(v);
    },
    /** F_0, which is subtracted. */
    constant(r: number, v: number): void {
      matrix.push(0);
      row.push(r);
      column.push(r);
      value.push(v);
    },
    entries: () => ({
      matrix: Int32Array.from(matrix),
      row: Int32Array.from(row),
      column: Int32Array.from(column),
      value: Float64Array.from(value),
    }),
  };
}

export function directProgram({ points, labels, radius, beta }: Instance): SdpProblem {
  const [n, d] = points.shape as [number, number];
  const { a, b, c } = activation;
  const upper: [number, number][] = [];
  for (let k = 0; k < d; k++) for (let l = k; l < d; l++) upper.push([k, l]);
  const N1 = upper.length;
  const [linear, weights, weightsLinear] = [N1, N1 + d, 2 * N1 + d];
  const [multiplier, slack] = [2 * (N1 + d), 2 * (N1 + d) + n];
  const objective = new Float64Array(slack + n);
  upper.forEach(([k, l], u) => {
    if (k !== l) return;
    objective[u] = beta / a;
    objective[weights + u] = 2 * beta;
  });
  objective.fill(1 / n, slack);
  const block = (fill: (to: ReturnType<typeof collector>) => void) => {
    const to = collector();
    fill(to);
    return { kind: "psd" as const, size: d + 1, entries: to.entries() };
  };
  const addWeights = (to: ReturnType<typeof collector>) => {
    upper.forEach(([k, l], u) => {
      to.add(weights + u, k, l, 1);
      if (k === l) to.add(weights + u, d, d, 1);
    });
    for (let k = 0; k < d; k++) to.add(weightsLinear + k, k, d, 1);
  };
  const blocks = [
    block(addWeights),
    block((to) => {
      addWeights(to);
      upper.forEach(([k, l], u) => {
        to.add(u, k, l, 1 / a);
        if (k === l) to.add(u, d, d, 1 / a);
      });
      for (let k = 0; k < d; k++) to.add(linear + k, k, d, 1 / b);
    }),
    ...Array.from({ length: n }, (_, i) =>
      block((to) => {
        const y = labels[i];
        const x = (k: number) => points.data[i * d + k];
        upper.forEach(([k, l], u) => {
          to.add(u, k, l, y);
          to.add(u, k, d, y * x(l));
          if (k !== l) to.add(u, l, d, y * x(k));
          to.add(u, d, d, y * x(k) * x(l) * (k === l ? 1 : 2) + (k === l ? (y * c) / a : 0));
        });
        for (let k = 0; k < d; k++) {
          to.add(linear + k, k, d, 0.5 * y);
          to.add(linear + k, d, d, y * x(k));
          to.add(multiplier + i, k, k, 1);
        }
        to.add(multiplier + i, d, d, -radius * radius);
        to.add(slack + i, d, d, 1);
        to.constant(d, 1);
      }),
    ),
  ];
  const signs = collector();
  for (let i = 0; i < 2 * n; i++) signs.add(multiplier + i, i, i, 1);
  return { objective, blocks: [...blocks, { kind: "nonnegative", size: 2 * n, entries: signs.entries() }] };
}

/** Z and Z' of a point, `[d + 1, d + 1]` each. */
export function weightMatrices(x: ArrayLike<number>, d: number): { positive: number[]; negative: number[] } {
  const p = d + 1;
  const N1 = (d * (d + 1)) / 2;
  const { a, b } = activation;
  const [positive, negative] = [new Array<number>(p * p).fill(0), new Array<number>(p * p).fill(0)];
  const put = (matrix: number[], k: number, l: number, value: number) => {
    matrix[k * p + l] = value;
    matrix[l * p + k] = value;
  };
  for (let k = 0, u = 0; k < d; k++) {
    for (let l = k; l < d; l++, u++) {
      put(negative, k, l, x[N1 + d + u]);
      put(positive, k, l, x[u] / a + x[N1 + d + u]);
    }
    put(negative, k, d, x[2 * N1 + d + k]);
    put(positive, k, d, x[N1 + k] / b + x[2 * N1 + d + k]);
  }
  for (const matrix of [positive, negative]) {
    let trace = 0;
    for (let k = 0; k < d; k++) trace += matrix[k * (p + 1)];
    matrix[p * p - 1] = trace;
  }
  return { positive, negative };
}
