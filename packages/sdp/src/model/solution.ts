// Results of a model: the canonical result with values and duals under the model's names.
// In the dual form the model's own problem is the Y-problem, so the two infeasibilities change places.

import { SettingError } from "@worstcase/core";
import type { Point, SdpResult } from "../result.js";
import type { CompiledModel, ModelForm, ModelParts, ModelVariable } from "./compile.js";
import { rowPlaces } from "./compile.js";

export interface ModelPoint {
  /** Value of the objective at the returned variables, in the model's own sense. */
  readonly objective: number;
  /** Value of the dual problem: the optimum lies between the two, up to the accuracy of the point. */
  readonly bound: number;
  /** A variable by name: a number for a scalar, `[length]` for a vector, `[order * order]` row-major for a matrix. */
  value(name: string): number | Float64Array;
  /**
   * The multiplier of a constraint or of a variable's cone by name, in the shape of the constraint's expression.
   * equal: derivative of the optimum with respect to the right side. psd, nonnegative: in the cone; its inner product with
   * a small tightening of the constraint is what the optimum loses.
   */
  dual(name: string): number | Float64Array;
}

interface SolutionBase {
  /** Which canonical form was solved. */
  readonly form: ModelForm;
  /** What the solver returned for that form: accuracy, checks, iterations, certificates. */
  readonly result: SdpResult;
}

export type ModelSolution = SolutionBase &
  (
    | ({ readonly status: "optimal"; readonly accuracy: "full" | "reduced" } & ModelPoint)
    /** No values satisfy the constraints, or (unbounded) the objective improves for ever from any that do; see `result`. */
    | { readonly status: "infeasible" | "unbounded" }
    | {
        readonly status: "iteration-limit" | "time-limit" | "aborted" | "stalled";
        /** The best point seen; it satisfies the constraints only as far as `result.check` says. */
        readonly best: ModelPoint | undefined;
      }
  );

export function readSolution(
  parts: ModelParts,
  sense: "minimise" | "maximise",
  compiled: CompiledModel,
  result: SdpResult,
): ModelSolution {
  const base = { form: compiled.form, result };
  if (result.status === "optimal") {
    const { status, accuracy, point } = result;
    return { ...base, status, accuracy, ...readPoint(parts, sense, compiled, result.check.objective, point) };
  }
  if ("certificate" in result) {
    const own = compiled.form === "entries" ? "primal-infeasible" : "dual-infeasible";
    return { ...base, status: result.status === own ? "infeasible" : "unbounded" };
  }
  const { point, check } = result;
  const best = point && check && readPoint(parts, sense, compiled, check.objective, point);
  return { ...base, status: result.status, best };
}

function readPoint(
  { variables, constraints }: ModelParts,
  sense: "minimise" | "maximise",
  { form, locations, cones, offset }: CompiledModel,
  objective: { readonly primal: number; readonly dual: number },
  point: Point,
): ModelPoint {
  const turn = sense === "maximise" ? -1 : 1;
  // entries: minimise c'x. dual: minimise -(<F_0, Y> + b'u).
  const own = form === "entries" ? objective.primal : -objective.dual;
  const other = form === "entries" ? objective.dual : -objective.primal;
  const valueBlocks = form === "entries" ? point.slack : point.dual;
  const dualBlocks = form === "entries" ? point.dual : point.slack;

  function value(name: string): number | Float64Array {
    const variable = variables.find((v) => v.name === name);
    if (!variable) throw unknown(name, "a variable", variables);
    const location = locations.get(name)!;
    if (location.in === "block") return shaped(valueBlocks[location.block].slice());
    const list = (location.in === "x" ? point.x : point.multipliers).slice(
      location.from,
      location.from + variable.count,
    );
    return variable.kind === "psd" || variable.kind === "symmetric" ? unfold(variable, list) : shaped(list);
  }

  function dual(name: string): number | Float64Array {
    const cone = cones.get(name);
    if (cone !== undefined) return shaped(dualBlocks[cone].slice());
    const constraint = constraints.find((c) => c.name === name);
    if (!constraint) {
      const inCones = variables.filter((v) => cones.has(v.name));
      throw unknown(name, "a constraint or a variable in a cone", [...constraints, ...inCones]);
    }
    const location = locations.get(name)!;
    if (location.in === "block") return shaped(dualBlocks[location.block].slice());
    const { rows, columns } = constraint.expression;
    const places = rowPlaces(constraint);
    const list = location.in === "x" ? point.x : point.multipliers;
    // d optimum / d right is u in the entries form and -x in the dual form, for a minimum
    const sign = turn * (form === "entries" ? 1 : -1);
    const matrix = new Float64Array(rows * columns);
    places.forEach((p, i) => {
      const [row, column] = [Math.floor(p / columns), p % columns];
      const multiplier = sign * list[location.from + i];
      if (constraint.symmetric && row !== column) {
        matrix[p] = matrix[column * columns + row] = multiplier / 2;
      } else matrix[p] = multiplier;
    });
    return shaped(matrix);
  }

  return { objective: turn * (own + offset), bound: turn * (other + offset), value, dual };
}

function shaped(values: Float64Array): number | Float64Array {
  return values.length === 1 ? values[0] : values;
}

/** The full matrix from its upper triangle by rows. */
function unfold({ size }: ModelVariable, triangle: Float64Array): number | Float64Array {
  const matrix = new Float64Array(size * size);
  let k = 0;
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) {
      matrix[i * size + j] = matrix[j * size + i] = triangle[k++];
    }
  }
  return shaped(matrix);
}

function unknown(name: string, what: string, known: readonly { readonly name: string }[]): SettingError {
  const names = known.map((part) => part.name).join(", ");
  return new SettingError({ argument: "name", expected: `${what}: ${names}`, received: name });
}
