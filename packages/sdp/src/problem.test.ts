import { expect, it } from "vitest";
import { checkProblem, type SdpProblem } from "./problem.js";

const entries = {
  matrix: Int32Array.of(1),
  row: Int32Array.of(0),
  column: Int32Array.of(1),
  value: Float64Array.of(1),
};
const good: SdpProblem = { objective: Float64Array.of(1), blocks: [{ kind: "psd", size: 2, entries }] };
const block = (change: object) => ({ ...good, blocks: [{ ...good.blocks[0], ...change }] });
const withEntries = (change: object) => block({ entries: { ...entries, ...change } });
const equalities = {
  row: Int32Array.of(0),
  variable: Int32Array.of(0),
  value: Float64Array.of(1),
  right: Float64Array.of(1),
};

it("accepts a well-formed problem", () => {
  expect(() => checkProblem(good)).not.toThrow();
  expect(() => checkProblem({ ...good, equalities })).not.toThrow();
});

it.each<[string, unknown, RegExp]>([
  ["nothing", undefined, /^problem: expected an SdpProblem/],
  ["a plain array as objective", { ...good, objective: [1] }, /problem\.objective: expected a Float64Array/],
  ["no blocks", { objective: Float64Array.of(1) }, /problem\.blocks: expected an array/],
  ["NaN", { ...good, objective: Float64Array.of(Number.NaN) }, /problem\.objective\[0\]: expected a finite number/],
  ["an infinite entry", withEntries({ value: Float64Array.of(Number.POSITIVE_INFINITY) }), /entries\.value\[0\]/],
  [
    "a matrix beyond the variables",
    withEntries({ matrix: Int32Array.of(2) }),
    /matrix\[0\]: expected an integer from 0 to 1/,
  ],
  ["an entry below the diagonal", withEntries({ row: Int32Array.of(1), column: Int32Array.of(0) }), /upper triangle/],
  ["an index out of range", withEntries({ column: Int32Array.of(2) }), /column\[0\]: expected an integer from 0 to 1/],
  ["arrays of unequal length", withEntries({ row: Int32Array.of(0, 0) }), /arrays of equal length/],
  ["entries as plain arrays", withEntries({ row: [0] }), /row: expected an Int32Array/],
  ["an unknown kind", block({ kind: "cone" }), /kind: expected psd or nonnegative/],
  ["a negative size", block({ size: -2 }), /size: expected an integer >= 0/],
  ["an off-diagonal entry of a vector", block({ kind: "nonnegative" }), /row = column in a nonnegative block/],
  ["a rank-one vector too short", block({ rankOne: [{ matrix: 1, weight: 1, vector: Float64Array.of(1) }] }), /vector/],
  [
    "an equality of no variable",
    { ...good, equalities: { ...equalities, variable: Int32Array.of(1) } },
    /variable\[0\]/,
  ],
  [
    "a missing right-hand side",
    { ...good, equalities: { ...equalities, right: undefined } },
    /right: expected a Float64Array/,
  ],
  ["names that do not fit", { ...good, names: { variables: ["a", "b"] } }, /names\.variables/],
])("refuses %s", (_, problem, message) => {
  expect(() => checkProblem(problem as SdpProblem)).toThrow(message);
});
