// Random semidefinite programs with a known solution, by construction from a complementary pair:
//   S* = Q diag(s) Q',  Y* = Q diag(y) Q',  s y = 0,  Q orthogonal     per block (s, y >= 0 themselves where nonnegative)
//   F_0 = sum x*_k F_k - S*,   c_k = <F_k, Y*> + (A'u*)_k,   b = A x*
// so that (x*, S*) and (Y*, u*) are feasible with <S*, Y*> = 0 and the optimal value is c'x*.
// Both sides are strictly feasible: the F_k have trace 0 together, so Y* + t I is feasible, and F_1 is positive on the
// null space of S*, so x* + t e_1 is strictly feasible for small t (x_1 is in no equality).

import { type Rng, SettingError } from "@worstcase/core";
import type { Block, BlockMatrix, SdpProblem } from "../problem.js";
import type { Point } from "../result.js";
import { type Entry, entriesFrom } from "./knownProblems.js";

export interface RandomProblemOptions {
  readonly blocks: readonly { readonly kind: Block["kind"]; readonly size: number }[];
  readonly variables: number;
  /** Fewer than `variables`. Default 0. */
  readonly equalities?: number;
  /** With gaps, some eigenvalues are 0 in S* and in Y*: strict complementarity fails. Default false. */
  readonly degenerate?: boolean;
  /** Share of the entries of F_2.. that are not 0. Default 1. */
  readonly density?: number;
}

export interface RandomProblem {
  readonly problem: SdpProblem;
  readonly optimum: number;
  /** One solution (x*, S*, Y*, u*). */
  readonly solution: Point;
}

/** Throws SettingError on fewer than one variable, as many equalities as variables, or a cone of total order below 2. */
export function randomProblem(rng: Rng, options: RandomProblemOptions): RandomProblem {
  const { blocks, variables, equalities = 0, degenerate = false, density = 1 } = options;
  const total = blocks.reduce((sum, { size }) => sum + size, 0);
  if (variables < 1) throw new SettingError({ argument: "variables", expected: "at least 1", received: variables });
  if (equalities >= variables) {
    throw new SettingError({ argument: "equalities", expected: `fewer than ${variables}`, received: equalities });
  }
  if (total < 2)
    throw new SettingError({ argument: "blocks", expected: "a total order of 2 or more", received: total });

  const spectra = chooseSpectra(rng, total, degenerate);
  const x = Float64Array.from({ length: variables }, () => rng.normal());
  const u = Float64Array.from({ length: equalities }, () => rng.normal());
  const slack: Float64Array[] = [];
  const dual: Float64Array[] = [];
  const objective = new Float64Array(variables);
  let from = 0;
  const written = blocks.map(({ kind, size }): Block => {
    const [s, y, first] = [spectra.slack, spectra.dual, spectra.direction].map((v) => v.subarray(from, from + size));
    from += size;
    const basis = kind === "psd" ? randomOrthogonal(rng, size) : undefined;
    const [slackBlock, dualBlock, firstBlock] = [s, y, first].map((values) => compose(basis, values));
    slack.push(slackBlock);
    dual.push(dualBlock);
    const list: Entry[] = [];
    const constant = slackBlock.map((value) => -value);
    const add = (k: number, i: number, j: number, value: number) => {
      if (value === 0) return;
      list.push([k, i, j, value]);
      constant[at(i, j)] += x[k - 1] * value;
      objective[k - 1] += dualBlock[at(i, j)] * value * (i === j ? 1 : 2);
    };
    const at = (i: number, j: number) => (kind === "psd" ? i * size + j : i);
    const places = kind === "psd" ? upperTriangle(size) : Array.from({ length: size }, (_, i) => [i, i] as const);
    for (let k = 1; k <= variables; k++) {
      if (k === 1) for (const [i, j] of places) add(1, i, j, firstBlock[at(i, j)]);
      else for (const [i, j] of places) if (i !== j && rng.uniform() < density) add(k, i, j, rng.normal());
    }
    spectra.diagonals.forEach((values, k) => {
      for (let i = 0; i < size; i++) add(k + 2, i, i, values[from - size + i]);
    });
    for (const [i, j] of places) if (constant[at(i, j)] !== 0) list.push([0, i, j, constant[at(i, j)]]);
    return { kind, size, entries: entriesFrom(list) };
  });

  const row = Int32Array.from({ length: equalities * (variables - 1) }, (_, e) => Math.floor(e / (variables - 1)));
  const variable = row.map((_, e) => 1 + (e % (variables - 1)));
  const value = Float64Array.from(row, () => rng.normal());
  const right = new Float64Array(equalities);
  value.forEach((a, e) => {
    right[row[e]] += a * x[variable[e]];
    objective[variable[e]] += a * u[row[e]];
  });
  const optimum = objective.reduce((sum, c, k) => sum + c * x[k], 0);
  const problem = {
    objective,
    blocks: written,
    ...(equalities ? { equalities: { row, variable, value, right } } : {}),
  };
  return { problem, optimum, solution: { x, slack: slack as BlockMatrix, dual: dual as BlockMatrix, multipliers: u } };

  function chooseSpectra(stream: Rng, length: number, gaps: boolean) {
    const s = new Float64Array(length);
    const y = new Float64Array(length);
    const order = stream.permutation(length);
    // the first place belongs to S*, so that the direction below can be balanced
    order.forEach((place, i) => {
      const side = i === 0 ? 0 : stream.uniform();
      const size = 0.2 + 2 * stream.uniform();
      if (side < (gaps ? 0.35 : 0.5)) s[place] = size;
      else if (side < (gaps ? 0.7 : 1)) y[place] = size;
    });
    const empty = s.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
    const direction = s.map((value) => (value === 0 ? 1 : empty === 0 ? 0 : -empty / (length - empty)));
    if (empty === 0) for (let i = 0; i < length; i++) direction[i] = i === 0 ? length - 1 : -1;
    const diagonals = Array.from({ length: variables - 1 }, () => traceless(stream, length));
    return { slack: s, dual: y, direction, diagonals };
  }
}

function traceless(rng: Rng, length: number): Float64Array {
  const values = Float64Array.from({ length }, () => rng.normal());
  const mean = values.reduce((sum, value) => sum + value, 0) / length;
  return values.map((value) => value - mean);
}

function upperTriangle(size: number): (readonly [number, number])[] {
  return Array.from({ length: size }, (_, i) =>
    Array.from({ length: size - i }, (_u, d) => [i, i + d] as const),
  ).flat();
}

/** Q diag(values) Q' row-major, or the values themselves without a basis. */
function compose(basis: Float64Array | undefined, values: Float64Array): Float64Array {
  if (!basis) return values.slice();
  const n = values.length;
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += basis[k * n + i] * values[k] * basis[k * n + j];
      result[i * n + j] = sum;
      result[j * n + i] = sum;
    }
  }
  return result;
}

/** Orthonormal rows by modified Gram-Schmidt, twice, on a Gaussian matrix. */
function randomOrthogonal(rng: Rng, n: number): Float64Array {
  const rows = Float64Array.from({ length: n * n }, () => rng.normal());
  for (let i = 0; i < n; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < i; k++) {
        let dot = 0;
        for (let j = 0; j < n; j++) dot += rows[i * n + j] * rows[k * n + j];
        for (let j = 0; j < n; j++) rows[i * n + j] -= dot * rows[k * n + j];
      }
      let norm = 0;
      for (let j = 0; j < n; j++) norm += rows[i * n + j] ** 2;
      for (let j = 0; j < n; j++) rows[i * n + j] /= Math.sqrt(norm);
    }
  }
  return rows;
}
