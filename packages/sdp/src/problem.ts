// The canonical semidefinite program, the pair that SDPA files and linear matrix inequalities are written in:
//
//   primal   minimise  c'x              subject to  S = sum_k x_k F_k - F_0 in K,   A x = b
//   dual     maximise  <F_0, Y> + b'u   subject to  <F_k, Y> + (A'u)_k = c_k for every k,   Y in K
//
// x has m entries (k = 1..m); K is a product of blocks, each the positive semidefinite matrices of some order or the
// nonnegative vectors of some length; x is free; u are the multipliers of the equalities. "Primal" always means the x-problem.

import { DataError, SettingError, ShapeError } from "@worstcase/core";

export interface SdpProblem {
  /** c, `[variables]`. */
  readonly objective: Float64Array;
  readonly blocks: readonly Block[];
  /** A x = b. */
  readonly equalities?: Equalities | undefined;
  /** Shown in certificates and read back by name. */
  readonly names?: { readonly variables?: readonly string[]; readonly blocks?: readonly string[] } | undefined;
}

/** One factor of the cone K with the parts of F_0..F_m that lie in it. */
export interface Block {
  /** `psd`: symmetric positive semidefinite matrices of order `size`. `nonnegative`: vectors of length `size`. */
  readonly kind: "psd" | "nonnegative";
  readonly size: number;
  readonly entries: Entries;
  /** Terms added to the entries: F_matrix += weight vector vector'. Only in `psd` blocks. */
  readonly rankOne?: readonly RankOneTerm[] | undefined;
}

/**
 * Entries of F_0..F_m in one block, as parallel arrays of equal length. Indices of rows and columns begin at 0 and
 * row <= column: the entry below the diagonal is implied. In a nonnegative block row = column. The order is free; an
 * entry given twice is summed.
 */
export interface Entries {
  /** Which matrix: 0 for F_0, k for F_k, the matrix of variable x[k - 1]. */
  readonly matrix: Int32Array;
  readonly row: Int32Array;
  readonly column: Int32Array;
  readonly value: Float64Array;
}

export interface RankOneTerm {
  /** 0 for F_0, k for F_k. */
  readonly matrix: number;
  readonly weight: number;
  /** `[size]`. */
  readonly vector: Float64Array;
}

/** A x = b in coordinates: parallel arrays of equal length; repeated entries are summed. */
export interface Equalities {
  /** Which equality, from 0. */
  readonly row: Int32Array;
  /** Which variable, from 0 (x[0] is the variable of F_1). */
  readonly variable: Int32Array;
  readonly value: Float64Array;
  /** b, `[equalities]`. */
  readonly right: Float64Array;
}

/** One array per block: `[size * size]`, row-major with both triangles, for `psd`; `[size]` for `nonnegative`. */
export type BlockMatrix = readonly Float64Array[];

/** Zeros in the shape of the problem's cone. */
export function blockZeros(blocks: readonly Block[]): Float64Array[] {
  return blocks.map(({ kind, size }) => new Float64Array(kind === "psd" ? size * size : size));
}

/**
 * Throws unless the problem is well formed: ShapeError on lengths that do not fit, SettingError on indices out of range,
 * DataError on NaN or infinities. Every solver door calls it before work starts.
 */
export function checkProblem(problem: SdpProblem): void {
  checkTypes(problem);
  const variables = problem.objective.length;
  checkNumbers(problem.objective, "problem.objective");
  problem.blocks.forEach((block, b) => {
    checkBlock(block, variables, `problem.blocks[${b}]`);
  });
  const { equalities, names } = problem;
  if (equalities) {
    const { row, variable, value, right } = equalities;
    checkLengths([row, variable, value], "problem.equalities");
    checkNumbers(value, "problem.equalities.value");
    checkNumbers(right, "problem.equalities.right");
    checkIndices(row, 0, right.length - 1, "problem.equalities.row");
    checkIndices(variable, 0, variables - 1, "problem.equalities.variable");
  }
  if (names?.variables && names.variables.length !== variables) {
    const expected = `${variables} names, one per variable`;
    throw new ShapeError({ argument: "problem.names.variables", expected, received: names.variables.length });
  }
  if (names?.blocks && names.blocks.length !== problem.blocks.length) {
    const expected = `${problem.blocks.length} names, one per block`;
    throw new ShapeError({ argument: "problem.names.blocks", expected, received: names.blocks.length });
  }
}

/** The types that TypeScript would have checked: callers in plain JavaScript have only this. */
function checkTypes(problem: SdpProblem | undefined): void {
  const require = (right: boolean, argument: string, expected: string, received: unknown) => {
    if (!right) throw new ShapeError({ argument, expected, received });
  };
  require(typeof problem === "object" && problem !== null, "problem", "an SdpProblem", problem);
  const { objective, blocks, equalities } = problem as SdpProblem;
  require(objective instanceof Float64Array, "problem.objective", "a Float64Array", objective);
  require(Array.isArray(blocks), "problem.blocks", "an array of blocks", blocks);
  for (const [b, block] of blocks.entries()) {
    const at = `problem.blocks[${b}].entries`;
    const { matrix, row, column, value } = block?.entries ?? {};
    for (const [name, array] of Object.entries({ matrix, row, column })) {
      require(array instanceof Int32Array, `${at}.${name}`, "an Int32Array", array);
    }
    require(value instanceof Float64Array, `${at}.value`, "a Float64Array", value);
    for (const [t, term] of (block.rankOne ?? []).entries()) {
      require(term?.vector instanceof
        Float64Array, `problem.blocks[${b}].rankOne[${t}].vector`, "a Float64Array", term?.vector);
    }
  }
  if (equalities === undefined) return;
  for (const name of ["row", "variable"] as const) {
    require(equalities[name] instanceof Int32Array, `problem.equalities.${name}`, "an Int32Array", equalities[name]);
  }
  for (const name of ["value", "right"] as const) {
    require(equalities[name] instanceof Float64Array, `problem.equalities.${name}`, "a Float64Array", equalities[name]);
  }
}

function checkBlock({ kind, size, entries, rankOne }: Block, variables: number, argument: string): void {
  if (kind !== "psd" && kind !== "nonnegative") {
    throw new SettingError({ argument: `${argument}.kind`, expected: "psd or nonnegative", received: kind });
  }
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new SettingError({ argument: `${argument}.size`, expected: "an integer >= 0", received: size });
  }
  const { matrix, row, column, value } = entries;
  checkLengths([matrix, row, column, value], `${argument}.entries`);
  checkNumbers(value, `${argument}.entries.value`);
  checkIndices(matrix, 0, variables, `${argument}.entries.matrix`);
  checkIndices(row, 0, size - 1, `${argument}.entries.row`);
  checkIndices(column, 0, size - 1, `${argument}.entries.column`);
  for (let i = 0; i < row.length; i++) {
    if (kind === "psd" ? row[i] <= column[i] : row[i] === column[i]) continue;
    const expected = kind === "psd" ? "row <= column (the upper triangle)" : "row = column in a nonnegative block";
    const received = `row ${row[i]}, column ${column[i]}`;
    throw new SettingError({ argument: `${argument}.entries, entry ${i}`, expected, received });
  }
  rankOne?.forEach((term, t) => {
    const at = `${argument}.rankOne[${t}]`;
    if (kind !== "psd") throw new SettingError({ argument: at, expected: "no terms in this block", received: kind });
    checkIndices([term.matrix], 0, variables, `${at}.matrix`);
    checkNumbers([term.weight], `${at}.weight`);
    checkNumbers(term.vector, `${at}.vector`);
    if (term.vector.length === size) return;
    throw new ShapeError({ argument: `${at}.vector`, expected: `${size} numbers`, received: term.vector.length });
  });
}

function checkLengths(arrays: readonly { readonly length: number }[], argument: string): void {
  const [first, ...others] = arrays.map(({ length }) => length);
  if (others.every((length) => length === first)) return;
  throw new ShapeError({ argument, expected: "arrays of equal length", received: arrays.map((a) => a.length) });
}

function checkNumbers(values: ArrayLike<number>, argument: string): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new DataError({ argument: `${argument}[${i}]`, expected: "a finite number", received: values[i] });
  }
}

function checkIndices(values: ArrayLike<number>, lowest: number, highest: number, argument: string): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isInteger(values[i]) && values[i] >= lowest && values[i] <= highest) continue;
    const expected = highest < lowest ? "no index (the dimension is 0)" : `an integer from ${lowest} to ${highest}`;
    throw new SettingError({ argument: `${argument}[${i}]`, expected, received: values[i] });
  }
}
