// A semidefinite program by its own names: variables, affine constraints, an objective; values and duals by name.
// `solve` compiles to the canonical pair (compile.ts) and maps the result back.

import { SettingError, ShapeError } from "@worstcase/core";
import { type SolveOptions, solve, solveAsync } from "../solve.js";
import {
  type CompiledModel,
  compileModel,
  type ModelConstraint,
  type ModelForm,
  type ModelParts,
  type ModelVariable,
} from "./compile.js";
import { type Constant, collect, constant, Expression, toExpression } from "./expression.js";
import { type ModelSolution, readSolution } from "./solution.js";

export interface ModelOptions<S extends object = object> extends SolveOptions<S> {
  /** Which canonical form to solve; by default the one with the smaller linear system. The answer is the same. */
  readonly form?: ModelForm | undefined;
}

/** Builds one program. Methods that add return the new expression or nothing; names are unique over variables and constraints. */
export class Model {
  private readonly variables: ModelVariable[] = [];
  private readonly constraints: ModelConstraint[] = [];
  private readonly names = new Set<string>();
  private scalars = 0;
  private goal: { readonly sense: "minimise" | "maximise"; readonly expression: Expression } | undefined;

  /** A symmetric positive semidefinite matrix variable, [order, order]. */
  psdMatrix(name: string, order: number): Expression {
    return this.matrix(name, order, "psd");
  }

  /** A symmetric matrix variable without a sign, [order, order]. */
  symmetricMatrix(name: string, order: number): Expression {
    return this.matrix(name, order, "symmetric");
  }

  /** A column of scalars, [length, 1]. */
  vector(name: string, length: number, sign: "free" | "nonnegative" = "free"): Expression {
    if (sign !== "free" && sign !== "nonnegative") {
      throw new SettingError({ argument: "sign", expected: "free or nonnegative", received: sign });
    }
    const { from } = this.addVariable(name, sign, length, length);
    return new Expression(this, length, 1, {
      scalar: Array.from({ length }, (_, i) => from + i),
      place: Array.from({ length }, (_, i) => i),
      value: new Array<number>(length).fill(1),
    });
  }

  /** One number, [1, 1]. */
  scalar(name: string, sign: "free" | "nonnegative" = "free"): Expression {
    return this.vector(name, 1, sign);
  }

  /** The symmetric expression is positive semidefinite. Throws when it is not square and symmetric. */
  requirePsd(name: string, expression: Expression): void {
    if (expression.rows !== expression.columns) {
      const received = [expression.rows, expression.columns];
      throw new ShapeError({ argument: `constraint ${name}`, expected: "a square expression", received });
    }
    if (!isSymmetric(expression)) {
      const expected = "a symmetric expression";
      throw new SettingError({ argument: `constraint ${name}`, expected, received: "one that is not symmetric" });
    }
    this.addConstraint({ name, kind: "psd", expression, symmetric: true });
  }

  /** left = right entry by entry; of a symmetric difference only the upper triangle. `right` 0 stands for zeros. */
  requireEqual(name: string, left: Expression, right: Expression | Constant = 0): void {
    const expression = difference(left, right);
    const symmetric = expression.rows > 1 && expression.rows === expression.columns && isSymmetric(expression);
    this.addConstraint({ name, kind: "equal", expression, symmetric });
  }

  /** left >= right entry by entry. `right` 0 stands for zeros. */
  requireAtLeast(name: string, left: Expression, right: Expression | Constant = 0): void {
    this.addConstraint({ name, kind: "nonnegative", expression: difference(left, right), symmetric: false });
  }

  /** left <= right entry by entry. */
  requireAtMost(name: string, left: Expression, right: Expression | Constant = 0): void {
    this.addConstraint({ name, kind: "nonnegative", expression: difference(left, right).times(-1), symmetric: false });
  }

  /** Sets the objective, a 1 x 1 expression; the last call counts. */
  minimise(expression: Expression | number): void {
    this.setGoal("minimise", expression);
  }

  maximise(expression: Expression | number): void {
    this.setGoal("maximise", expression);
  }

  /** The canonical problem and where everything is in it; `solve` calls it. Without an objective, 0 is minimised. */
  compile(form?: ModelForm): CompiledModel {
    if (form !== undefined && form !== "entries" && form !== "dual") {
      throw new SettingError({ argument: "options.form", expected: "entries or dual", received: form });
    }
    return compileModel(this.parts(), form);
  }

  /** Solves in this thread; see `solve`. */
  solve<S extends object>(options: ModelOptions<S> = {}): ModelSolution {
    const { form, ...rest } = options;
    const compiled = this.compile(form);
    return readSolution(this.parts(), this.sense(), compiled, solve(compiled.problem, rest));
  }

  /** As `solve`, but lets the event loop run; see `solveAsync`. */
  async solveAsync<S extends object>(options: ModelOptions<S> = {}): Promise<ModelSolution> {
    const { form, ...rest } = options;
    const [parts, sense, compiled] = [this.parts(), this.sense(), this.compile(form)];
    return readSolution(parts, sense, compiled, await solveAsync(compiled.problem, rest));
  }

  private sense(): "minimise" | "maximise" {
    return this.goal?.sense ?? "minimise";
  }

  private parts(): ModelParts {
    const expression = this.goal?.expression ?? constant(0);
    return {
      variables: [...this.variables],
      constraints: [...this.constraints],
      objective: this.sense() === "maximise" ? expression.times(-1) : expression,
      scalars: this.scalars,
    };
  }

  private matrix(name: string, order: number, kind: "psd" | "symmetric"): Expression {
    const { from } = this.addVariable(name, kind, order, (order * (order + 1)) / 2);
    const terms = { scalar: [] as number[], place: [] as number[], value: [] as number[] };
    for (let i = 0; i < order; i++) {
      for (let j = 0; j < order; j++) {
        const [low, high] = i < j ? [i, j] : [j, i];
        terms.scalar.push(from + low * order - (low * (low - 1)) / 2 + high - low);
        terms.place.push(i * order + j);
        terms.value.push(1);
      }
    }
    return new Expression(this, order, order, terms);
  }

  private addVariable(name: string, kind: ModelVariable["kind"], size: number, count: number): ModelVariable {
    if (!Number.isSafeInteger(size) || size < 1 || size > 30_000) {
      throw new SettingError({ argument: `size of ${name}`, expected: "an integer from 1 to 30000", received: size });
    }
    this.claimName(name);
    const variable = { name, kind, size, from: this.scalars, count };
    this.variables.push(variable);
    this.scalars += count;
    return variable;
  }

  private addConstraint(constraint: ModelConstraint): void {
    this.checkOwner(constraint.expression, `constraint ${constraint.name}`);
    this.claimName(constraint.name);
    this.constraints.push(constraint);
  }

  private setGoal(sense: "minimise" | "maximise", given: Expression | number): void {
    const expression = toExpression(given);
    if (expression.rows !== 1 || expression.columns !== 1) {
      const received = [expression.rows, expression.columns];
      throw new ShapeError({ argument: "objective", expected: "a 1 x 1 expression", received });
    }
    this.checkOwner(expression, "objective");
    this.goal = { sense, expression };
  }

  private claimName(name: string): void {
    if (typeof name !== "string" || name === "") {
      throw new SettingError({ argument: "name", expected: "a text", received: name });
    }
    if (this.names.has(name)) {
      throw new SettingError({ argument: "name", expected: "a name not used before", received: name });
    }
    this.names.add(name);
  }

  private checkOwner({ owner }: Expression, argument: string): void {
    if (owner === undefined || owner === this) return;
    throw new SettingError({ argument, expected: "variables of this model", received: "variables of another model" });
  }
}

function difference(left: Expression, right: Expression | Constant): Expression {
  return right === 0 ? left : left.minus(right);
}

function isSymmetric(expression: Expression): boolean {
  const { rows } = expression;
  const terms = collect(expression);
  const key = (row: number, column: number, scalar: number) => (scalar + 1) * rows * rows + row * rows + column;
  const values = new Map(terms.map((t) => [key(Math.floor(t.place / rows), t.place % rows, t.scalar), t.value]));
  return terms.every(({ scalar, place, value }) => {
    const mirrored = values.get(key(place % rows, Math.floor(place / rows), scalar));
    return mirrored !== undefined && Math.abs(mirrored - value) <= 1e-12 * Math.abs(value);
  });
}
