// Solves M x = r with M_kl = <column k, column l> (columns F_k with their part of A), once factored, many times solved.
// Variables that share no place of the cone are independent, so M is block diagonal over the connected components of
// "shares a place": components of one variable are a division (theta and max-cut problems), others a dense Cholesky factor.
// delta = 1e-12 on the diagonal (columns have unit length) keeps the factor of dependent columns finite.

import { type Workspace, workspaceSize } from "@worstcase/linalg/kernels";
import type { Columns, ScaledProblem } from "./scaledProblem.js";

const DELTA = 1e-12;

export interface NormalEquations {
  /** x = M^-1 r; x and r `[variables]`, may be the same array. */
  solve(r: Float64Array, x: Float64Array): void;
}

/** Components of the variables, largest first, as lists of variables. */
export function components({ columns, variables, length }: ScaledProblem): Int32Array[] {
  const { start, place } = columns;
  const parent = Int32Array.from({ length: variables }, (_, k) => k);
  const root = (k: number) => {
    let r = k;
    while (parent[r] !== r) r = parent[r] = parent[parent[r]];
    return r;
  };
  const owner = new Int32Array(length).fill(-1);
  for (let k = 0; k < variables; k++) {
    for (let e = start[k + 1]; e < start[k + 2]; e++) {
      const other = owner[place[e]];
      if (other < 0) owner[place[e]] = k;
      else parent[root(k)] = root(other);
    }
  }
  const groups = new Map<number, number[]>();
  for (let k = 0; k < variables; k++) {
    const r = root(k);
    const group = groups.get(r);
    if (group) group.push(k);
    else groups.set(r, [k]);
  }
  return [...groups.values()].sort((a, b) => b.length - a.length).map((group) => Int32Array.from(group));
}

/** Numbers the factors take in the workspace. */
export function factorSize(groups: readonly Int32Array[]): number {
  const dense = groups.filter(({ length }) => length > 1);
  return workspaceSize(...dense.map(({ length }) => length * length), ...dense.map(({ length }) => length));
}

/** Forms and factors M. Returns undefined when a factor fails (overflow in the data). */
export function factorNormalEquations(
  problem: ScaledProblem,
  groups: readonly Int32Array[],
  workspace: Workspace,
): NormalEquations | undefined {
  const { variables, columns } = problem;
  const position = new Int32Array(variables);
  for (const group of groups) for (let i = 0; i < group.length; i++) position[group[i]] = i;
  const single = groups.filter(({ length }) => length === 1).map(([k]) => k);
  const dense = groups
    .filter(({ length }) => length > 1)
    .map((group) => {
      const matrix = workspace.float64(group.length * group.length);
      return { group, matrix, right: workspace.float64(group.length) };
    });
  const matrixOf: (Float64Array | undefined)[] = new Array(variables);
  for (const { group, matrix } of dense) for (const k of group) matrixOf[k] = matrix;
  const diagonal = new Float64Array(variables).fill(DELTA);
  const orderOf = new Int32Array(variables);
  for (const group of groups) for (const k of group) orderOf[k] = group.length;
  addProducts(columns, problem.length, variables, (k, l, product) => {
    const matrix = matrixOf[k];
    if (matrix) matrix[position[k] * orderOf[k] + position[l]] += product;
    else diagonal[k] += product;
  });
  for (const { group, matrix } of dense) {
    for (let i = 0; i < group.length; i++) matrix[i * group.length + i] += DELTA;
    if (workspace.potrf(group.length, matrix, group.length) !== 0) return undefined;
  }
  return {
    solve(r, x) {
      for (let s = 0; s < single.length; s++) x[single[s]] = r[single[s]] / diagonal[single[s]];
      for (let d = 0; d < dense.length; d++) {
        const { group, matrix, right } = dense[d];
        const n = group.length;
        for (let i = 0; i < n; i++) right[i] = r[group[i]];
        workspace.trsv(false, n, matrix, n, right);
        workspace.trsv(true, n, matrix, n, right);
        for (let i = 0; i < n; i++) x[group[i]] = right[i];
      }
    },
  };
}

/** Calls add(k, l, product) for every place and every pair k >= l of columns with an entry there. */
function addProducts(
  columns: Columns,
  length: number,
  variables: number,
  add: (k: number, l: number, product: number) => void,
): void {
  const { start, place, mirror, value } = columns;
  const first = new Int32Array(length + 1);
  for (let e = start[1]; e < place.length; e++) first[place[e] + 1]++;
  for (let p = 0; p < length; p++) first[p + 1] += first[p];
  const fill = first.slice(0, length);
  const variable = new Int32Array(place.length - start[1]);
  const entry = new Int32Array(place.length - start[1]);
  for (let k = 0; k < variables; k++) {
    for (let e = start[k + 1]; e < start[k + 2]; e++) {
      variable[fill[place[e]]] = k;
      entry[fill[place[e]]++] = e;
    }
  }
  for (let p = 0; p < length; p++) {
    for (let a = first[p]; a < first[p + 1]; a++) {
      const weighted = value[entry[a]] * (mirror[entry[a]] === p ? 1 : 2);
      for (let b = first[p]; b <= a; b++) add(variable[a], variable[b], weighted * value[entry[b]]);
    }
  }
}
