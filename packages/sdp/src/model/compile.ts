// From a model to a canonical problem, in one of two forms, the one with the smaller linear system by default.
//   entries  the scalars of the model are x: a matrix variable of order n is n(n + 1)/2 of them, every constraint is a block.
//            Size: number of scalars + number of equality rows.
//   dual     psd and nonnegative variables are blocks of Y, free ones are multipliers u; every equality is one x; a psd
//            constraint E(...) psd becomes E(...) = Y_E entry by entry with a new block. Size: number of rows + free scalars.
// A program in one psd matrix with few equalities (max-cut, theta) is small in the dual form, one with few scalars and large
// linear matrix inequalities in the entries form.

import type { Block, Entries, Equalities, SdpProblem } from "../problem.js";
import { CONSTANT, collect, type Expression } from "./expression.js";

export interface ModelVariable {
  readonly name: string;
  readonly kind: "psd" | "symmetric" | "free" | "nonnegative";
  /** Order of a matrix, length of a vector. */
  readonly size: number;
  /** Scalars from .. from + count - 1 are its upper triangle by rows, or its entries. */
  readonly from: number;
  readonly count: number;
}

export interface ModelConstraint {
  readonly name: string;
  readonly kind: "psd" | "equal" | "nonnegative";
  /** psd: E psd. equal: E = 0. nonnegative: E >= 0 entrywise. */
  readonly expression: Expression;
  /** For `equal`: only places on and above the diagonal are rows, because E is symmetric. */
  readonly symmetric: boolean;
}

export interface ModelParts {
  readonly variables: readonly ModelVariable[];
  readonly constraints: readonly ModelConstraint[];
  /** Minimised (1 x 1). */
  readonly objective: Expression;
  readonly scalars: number;
}

export type ModelForm = "entries" | "dual";

/** Where a variable or constraint is in the problem and in its result. */
export type Location =
  | { readonly in: "x" | "multipliers"; readonly from: number }
  | { readonly in: "block"; readonly block: number };

export interface CompiledModel {
  readonly problem: SdpProblem;
  readonly form: ModelForm;
  readonly locations: ReadonlyMap<string, Location>;
  /** Block of every variable in a cone, for its dual value; in both forms. */
  readonly cones: ReadonlyMap<string, number>;
  /** Constant of the (minimised) objective. */
  readonly offset: number;
}

/** Order of the linear systems of both forms, as described above. */
function formSizes({ variables, constraints, scalars }: ModelParts): Record<ModelForm, number> {
  let [equal, other, free] = [0, 0, 0];
  for (const constraint of constraints) {
    if (constraint.kind === "equal") equal += rowPlaces(constraint).length;
    else other += rowPlaces(constraint).length;
  }
  for (const { kind, count } of variables) if (kind === "free" || kind === "symmetric") free += count;
  return { entries: scalars + equal, dual: equal + other + free };
}

export function compileModel(model: ModelParts, form?: ModelForm): CompiledModel {
  const sizes = formSizes(model);
  const chosen = form ?? (sizes.dual < sizes.entries ? "dual" : "entries");
  return chosen === "entries" ? compileEntries(model) : compileDual(model);
}

/** Places of an expression that make rows: a symmetric one above and on the diagonal only. */
export function rowPlaces({ expression, kind, symmetric }: ModelConstraint): number[] {
  const { rows, columns } = expression;
  const places = Array.from({ length: rows * columns }, (_, p) => p);
  return kind === "psd" || symmetric ? places.filter((p) => Math.floor(p / columns) <= p % columns) : places;
}

/** Row and column in the upper triangle of a matrix variable of order n, by index of the scalar: row by row. */
function trianglePlaces(order: number): [row: number, column: number][] {
  return Array.from({ length: order }, (_, i) =>
    Array.from({ length: order - i }, (_u, d): [number, number] => [i, i + d]),
  ).flat();
}

/** Growing lists of entries of one block. */
class BlockBuilder {
  private readonly matrix: number[] = [];
  private readonly row: number[] = [];
  private readonly column: number[] = [];
  private readonly value: number[] = [];

  constructor(
    private readonly kind: Block["kind"],
    private readonly size: number,
  ) {}

  add(matrix: number, row: number, column: number, value: number): void {
    this.matrix.push(matrix);
    this.row.push(row);
    this.column.push(column);
    this.value.push(value);
  }

  block(): Block {
    const entries: Entries = {
      matrix: Int32Array.from(this.matrix),
      row: Int32Array.from(this.row),
      column: Int32Array.from(this.column),
      value: Float64Array.from(this.value),
    };
    return { kind: this.kind, size: this.size, entries };
  }
}

class EqualityBuilder {
  private readonly row: number[] = [];
  private readonly variable: number[] = [];
  private readonly value: number[] = [];
  readonly right: number[] = [];

  add(row: number, variable: number, value: number): void {
    this.row.push(row);
    this.variable.push(variable);
    this.value.push(value);
  }

  equalities(): { equalities?: Equalities } {
    if (this.right.length === 0) return {};
    const [row, variable] = [Int32Array.from(this.row), Int32Array.from(this.variable)];
    return {
      equalities: { row, variable, value: Float64Array.from(this.value), right: Float64Array.from(this.right) },
    };
  }
}

function compileEntries({ variables, constraints, objective, scalars }: ModelParts): CompiledModel {
  const locations = new Map<string, Location>();
  const cones = new Map<string, number>();
  const names: string[] = [];
  const builders: BlockBuilder[] = [];
  const equalities = new EqualityBuilder();
  const open = (name: string, kind: Block["kind"], size: number) => {
    names.push(name);
    builders.push(new BlockBuilder(kind, size));
    return builders[builders.length - 1];
  };
  for (const { name, kind, size, from } of variables) {
    locations.set(name, { in: "x", from });
    if (kind === "free" || kind === "symmetric") continue;
    cones.set(name, builders.length);
    const places = kind === "psd" ? trianglePlaces(size) : Array.from({ length: size }, (_, i) => [i, i]);
    const builder = open(name, kind, size);
    for (const [k, [i, j]] of places.entries()) builder.add(from + k + 1, i, j, 1);
  }
  for (const constraint of constraints) {
    const { name, kind, expression } = constraint;
    const { columns } = expression;
    if (kind === "equal") {
      locations.set(name, { in: "multipliers", from: equalities.right.length });
      const rowOf = new Map(rowPlaces(constraint).map((p, i) => [p, equalities.right.length + i]));
      for (const _ of rowOf) equalities.right.push(0);
      for (const { scalar, place, value } of collect(expression)) {
        const row = rowOf.get(place);
        if (row === undefined) continue;
        if (scalar === CONSTANT) equalities.right[row] -= value;
        else equalities.add(row, scalar, value);
      }
      continue;
    }
    locations.set(name, { in: "block", block: builders.length });
    const builder = open(name, kind, kind === "psd" ? columns : expression.rows * columns);
    for (const { scalar, place, value } of collect(expression)) {
      const [i, j] = kind === "psd" ? [Math.floor(place / columns), place % columns] : [place, place];
      // S = sum x_k F_k - F_0, so the constant goes in with its sign turned
      if (i <= j) builder.add(scalar + 1, i, j, scalar === CONSTANT ? -value : value);
    }
  }
  const cost = new Float64Array(scalars);
  let offset = 0;
  for (const { scalar, value } of collect(objective)) {
    if (scalar === CONSTANT) offset += value;
    else cost[scalar] += value;
  }
  const problem: SdpProblem = {
    objective: cost,
    blocks: builders.map((builder) => builder.block()),
    ...equalities.equalities(),
    names: { blocks: names },
  };
  return { problem, form: "entries", locations, cones, offset };
}

function compileDual({ variables, constraints, objective, scalars }: ModelParts): CompiledModel {
  const locations = new Map<string, Location>();
  const cones = new Map<string, number>();
  const names: string[] = [];
  const builders: BlockBuilder[] = [];
  const equalities = new EqualityBuilder();
  /** Where scalar s enters: a place of a block of Y (value halved off the diagonal, where <F, Y> counts twice), or u. */
  const add: ((k: number, value: number) => void)[] = new Array(scalars);
  for (const { name, kind, size, from, count } of variables) {
    if (kind === "free" || kind === "symmetric") {
      const row = equalities.right.length;
      locations.set(name, { in: "multipliers", from: row });
      for (let i = 0; i < count; i++) {
        equalities.right.push(0);
        add[from + i] = (k, value) => {
          if (k === 0) equalities.right[row + i] += value;
          else equalities.add(row + i, k - 1, value);
        };
      }
      continue;
    }
    const builder = new BlockBuilder(kind, size);
    locations.set(name, { in: "block", block: builders.length });
    cones.set(name, builders.length);
    names.push(name);
    builders.push(builder);
    const places = kind === "psd" ? trianglePlaces(size) : Array.from({ length: size }, (_, i) => [i, i]);
    for (const [s, [i, j]] of places.entries()) {
      add[from + s] = (k, value) => builder.add(k, i, j, i === j ? value : value / 2);
    }
  }
  const costs: number[] = [];
  for (const constraint of constraints) {
    const { name, kind, expression } = constraint;
    const { columns } = expression;
    const rowOf = new Map(rowPlaces(constraint).map((p, i) => [p, costs.length + i]));
    if (kind === "equal") locations.set(name, { in: "x", from: costs.length });
    else {
      locations.set(name, { in: "block", block: builders.length });
      const builder = new BlockBuilder(kind, kind === "psd" ? columns : expression.rows * columns);
      for (const [place, row] of rowOf) {
        const [i, j] = kind === "psd" ? [Math.floor(place / columns), place % columns] : [place, place];
        builder.add(row + 1, i, j, i === j ? -1 : -0.5);
      }
      names.push(name);
      builders.push(builder);
    }
    for (const _ of rowOf) costs.push(0);
    for (const { scalar, place, value } of collect(expression)) {
      const row = rowOf.get(place);
      if (row === undefined) continue;
      if (scalar === CONSTANT) costs[row] -= value;
      else add[scalar](row + 1, value);
    }
  }
  let offset = 0;
  // maximise <F_0, Y> + b'u = -(objective)
  for (const { scalar, value } of collect(objective)) {
    if (scalar === CONSTANT) offset += value;
    else add[scalar](0, -value);
  }
  const problem: SdpProblem = {
    objective: Float64Array.from(costs),
    blocks: builders.map((builder) => builder.block()),
    ...equalities.equalities(),
    names: { blocks: names },
  };
  return { problem, form: "dual", locations, cones, offset };
}
