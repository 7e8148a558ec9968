import { DataError, SettingError, ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { splitting } from "../splitting/splitting.js";
import type { ModelForm } from "./compile.js";
import { blocks, constant, diagonal, type Expression } from "./expression.js";
import { Model } from "./model.js";

const forms = ["entries", "dual"] as const;

/** Lovasz theta of the cycle of five: max <J, X>, trace X = 1, X_ij = 0 on edges; sqrt(5), X psd. */
function theta() {
  const model = new Model();
  const x = model.psdMatrix("X", 5);
  model.requireEqual("trace", x.trace(), 1);
  for (let i = 0; i < 5; i++) model.requireEqual(`edge ${i}`, x.at(i, (i + 1) % 5));
  model.maximise(x.sum());
  return model;
}

function solved(model: Model, form?: ModelForm) {
  const solution = model.solve({ form });
  if (solution.status !== "optimal") throw new Error(solution.status);
  expect(solution.accuracy).toBe("full");
  expect(solution.form).toBe(form ?? solution.form);
  return solution;
}

describe.each(forms)("a model in the form %s", (form) => {
  it("maximises over a psd matrix: theta of the cycle of five", () => {
    const { objective, bound, value, dual } = solved(theta(), form);
    expect(objective).toBeCloseTo(Math.sqrt(5), 6);
    expect(bound).toBeCloseTo(Math.sqrt(5), 6);
    const x = value("X") as Float64Array;
    expect(x.length).toBe(25);
    expect(x[1]).toBeCloseTo(0, 6);
    expect(x[0] + x[6] + x[12] + x[18] + x[24]).toBeCloseTo(1, 6);
    // scaling the trace scales the optimum: its derivative is the optimum
    expect(dual("trace")).toBeCloseTo(Math.sqrt(5), 5);
  });

  it("minimises the largest eigenvalue, with the eigenvector's outer product as dual", () => {
    const model = new Model();
    const t = model.scalar("t");
    const matrix = [
      [2, 1],
      [1, 2],
    ];
    model.requirePsd("above", diagonal(blocks([[t], [t]])).minus(matrix));
    model.minimise(t.plus(10));
    const { objective, value, dual } = solved(model, form);
    expect(objective).toBeCloseTo(13, 6);
    expect(value("t")).toBeCloseTo(3, 6);
    for (const entry of dual("above") as Float64Array) expect(entry).toBeCloseTo(0.5, 5);
  });

  it("gives derivatives as duals: a linear program with every kind of constraint", () => {
    // max 3 x + 2 y + z, x + y <= 4, y >= 0 (sign), x - z = 1, z <= 2: x = 3, y = 1, z = 2
    const build = (right: number, tie: number) => {
      const model = new Model();
      const [x, z] = [model.scalar("x"), model.scalar("z")];
      const y = model.scalar("y", "nonnegative");
      model.requireAtMost("sum", x.plus(y), right);
      model.requireEqual("tie", x.minus(z), tie);
      model.requireAtMost("cap", z, 2);
      model.maximise(x.times(3).plus(y.times(2)).plus(z));
      return model;
    };
    const { objective, value, dual } = solved(build(4, 1), form);
    const at = (right: number, tie: number) => solved(build(right, tie), form).objective;
    expect(objective).toBeCloseTo(9 + 2 + 2, 6);
    expect([value("x"), value("y"), value("z")].map((v) => Math.round((v as number) * 1e5) / 1e5)).toEqual([3, 1, 2]);
    expect(dual("sum")).toBeCloseTo(at(5, 1) - objective, 5);
    expect(dual("tie")).toBeCloseTo(at(4, 1.5) / 0.5 - objective / 0.5, 5);
    expect(dual("y")).toBeCloseTo(0, 5);
  });

  it("takes vectors, free symmetric matrices and matrix equalities", () => {
    // nearest trace: S = diag(v) + J fixed by an equality, v >= (1, 2), min sum v
    const model = new Model();
    const s = model.symmetricMatrix("S", 2);
    const v = model.vector("v", 2);
    model.requireEqual(
      "shape",
      s,
      diagonal(v).plus([
        [1, 1],
        [1, 1],
      ]),
    );
    model.requireAtLeast("low", v, [1, 2]);
    model.minimise(v.sum());
    const { objective, value, dual } = solved(model, form);
    expect(objective).toBeCloseTo(3, 6);
    expect([...(value("S") as Float64Array)].map((x) => Math.round(x * 1e5) / 1e5)).toEqual([2, 1, 1, 3]);
    expect((value("v") as Float64Array)[1]).toBeCloseTo(2, 6);
    for (const multiplier of dual("low") as Float64Array) expect(multiplier).toBeCloseTo(1, 6);
  });

  it("tells infeasible from unbounded", () => {
    const infeasible = new Model();
    const x = infeasible.psdMatrix("X", 2);
    infeasible.requireEqual("trace", x.trace(), -1);
    expect(infeasible.solve({ form }).status).toBe("infeasible");
    const unbounded = new Model();
    unbounded.maximise(unbounded.psdMatrix("X", 2).trace());
    unbounded.requireEqual("off", unbounded.scalar("t"), 1);
    const solution = unbounded.solve({ form });
    expect(solution.status).toBe("unbounded");
    expect("certificate" in solution.result).toBe(true);
  });

  it("returns the best point at a limit, and solves asynchronously with the other solver", async () => {
    const stopped = theta().solve({ form, maximumIterations: 2 });
    expect(stopped.status).toBe("iteration-limit");
    if (stopped.status !== "iteration-limit" || !stopped.best) throw new Error("no point after two iterations");
    expect((stopped.best.value("X") as Float64Array).length).toBe(25);
    const solution = await theta().solveAsync({ form, solver: splitting, tolerance: 1e-6 });
    expect(solution.status === "optimal" && Math.abs(solution.objective - Math.sqrt(5))).toBeLessThan(1e-4);
  });
});

describe("the choice of form", () => {
  it("keeps a psd program with few equalities small: order 60 is not 1830 variables", () => {
    const model = new Model();
    const x = model.psdMatrix("X", 60);
    for (let i = 0; i < 60; i++) model.requireEqual(`diagonal ${i}`, x.at(i, i), 1);
    model.minimise(x.at(0, 1).plus(x.at(2, 3)));
    const { problem, form } = model.compile();
    expect(form).toBe("dual");
    expect(problem.objective.length).toBe(60);
    expect(solved(model).objective).toBeCloseTo(-2, 6);
  });

  it("takes the entries when there are few scalars and a large inequality", () => {
    const model = new Model();
    const t = model.scalar("t");
    model.requirePsd(
      "large",
      diagonal(blocks(Array.from({ length: 30 }, () => [t]))).minus(diagonal(Array(30).fill(2))),
    );
    model.minimise(t);
    expect(model.compile().form).toBe("entries");
    expect(solved(model).objective).toBeCloseTo(2, 6);
  });
});

describe("expressions", () => {
  const model = new Model();
  const v = model.vector("v", 3);
  const s = model.symmetricMatrix("S", 2);
  const point = [2, -1, 5, 10, 20, 30];
  /** The matrix of an expression at scalars v = (2, -1, 5), S = [[10, 20], [20, 30]]. */
  const evaluate = ({ rows, columns, terms }: Expression) => {
    const matrix = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
    terms.place.forEach((p, t) => {
      const scalar = terms.scalar[t];
      matrix[Math.floor(p / columns)][p % columns] += terms.value[t] * (scalar < 0 ? 1 : point[scalar]);
    });
    return matrix;
  };

  it("follow matrix arithmetic", () => {
    expect(evaluate(v.plus([1, 1, 1]).times(2))).toEqual([[6], [0], [12]]);
    expect(
      evaluate(
        s.premultiply([
          [1, 2],
          [0, 1],
          [3, 0],
        ]),
      ),
    ).toEqual([
      [50, 80],
      [20, 30],
      [30, 60],
    ]);
    expect(evaluate(s.multiply([1, 2]))).toEqual([[50], [80]]);
    expect(evaluate(v.transpose())).toEqual([[2, -1, 5]]);
    expect(evaluate(s.trace())).toEqual([[40]]);
    expect(
      evaluate(
        s.inner([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([[10 + 40 + 60 + 120]]);
    expect(
      evaluate(
        v.at(2).times([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([
      [5, 10],
      [15, 20],
    ]);
    expect(evaluate(s.part(0, 2, 1, 2).minus(v.part(0, 2)))).toEqual([[18], [31]]);
    expect(
      evaluate(
        blocks([
          [s, v.part(0, 2)],
          [[[7, 8]], v.at(2)],
        ]),
      ),
    ).toEqual([
      [10, 20, 2],
      [20, 30, -1],
      [7, 8, 5],
    ]);
    expect(evaluate(diagonal(v))).toEqual([
      [2, 0, 0],
      [0, -1, 0],
      [0, 0, 5],
    ]);
  });

  it("refuse what does not fit", () => {
    expect(() => v.plus([1, 2])).toThrow(ShapeError);
    expect(() => s.multiply([1, 2, 3])).toThrow(ShapeError);
    expect(() => v.times([1, 2])).toThrow(ShapeError);
    expect(() => v.at(3)).toThrow(SettingError);
    expect(() => v.trace()).toThrow(ShapeError);
    expect(() => constant([[1, 2], [3]])).toThrow(ShapeError);
    expect(() => constant([Number.NaN])).toThrow(DataError);
    expect(() => s.times(Number.POSITIVE_INFINITY)).toThrow(DataError);
    expect(() => blocks([[s, v]])).toThrow(ShapeError);
    expect(() => blocks([])).toThrow(ShapeError);
    expect(() => s.plus(new Model().symmetricMatrix("T", 2))).toThrow(/one model/);
  });
});

describe("a model refuses misuse", () => {
  it("names, sizes, shapes, symmetry, foreign variables", () => {
    const model = new Model();
    const x = model.psdMatrix("X", 2);
    expect(() => model.scalar("X")).toThrow(/not used before/);
    expect(() => model.vector("empty", 0)).toThrow(SettingError);
    expect(() => model.vector("sign", 2, "positive" as never)).toThrow(/free or nonnegative/);
    expect(() => model.requirePsd("wide", x.part(0, 1, 0, 2))).toThrow(ShapeError);
    expect(() =>
      model.requirePsd(
        "skew",
        x.plus([
          [0, 1],
          [0, 0],
        ]),
      ),
    ).toThrow(/symmetric/);
    expect(() => model.minimise(x)).toThrow(ShapeError);
    expect(() => model.minimise(new Model().scalar("t"))).toThrow(/this model/);
    expect(() => model.compile("other" as never)).toThrow(/entries or dual/);
    model.requireEqual("trace", x.trace(), 1);
    const solution = model.solve();
    if (solution.status !== "optimal") throw new Error(solution.status);
    expect(() => solution.value("Y")).toThrow(/X/);
    expect(() => solution.dual("Y")).toThrow(/trace/);
  });
});
