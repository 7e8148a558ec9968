import { createRng, DataError, type Rng, ShapeError } from "@worstcase/core";
import fc from "fast-check";
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix, solve } from "ml-matrix";
import { afterEach, describe, expect, test, vi } from "vitest";
import { cholesky, multiply, solveSpd, symmetricEigen } from "./matrices.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

function random(rng: Rng, rows: number, columns: number): Matrix {
  const matrix = new Matrix(rows, columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) matrix.set(i, j, rng.normal());
  return matrix;
}

function randomSpd(rng: Rng, n: number): Matrix {
  const a = random(rng, n, n);
  return a.mmul(a.transpose()).add(Matrix.eye(n));
}

const distance = (a: Matrix, b: Matrix) => (a.rows * a.columns === 0 ? 0 : Matrix.sub(a, b).norm("frobenius"));
const size = fc.integer({ min: 0, max: 30 });

describe.each(["js", "wasm"])("matrices on %s", (backend) => {
  test("multiply equals ml-matrix and leaves its arguments alone", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    fc.assert(
      fc.property(size, size, size, fc.nat(), (m, k, n, seed) => {
        const rng = createRng(seed);
        const [a, b] = [random(rng, m, k), random(rng, k, n)];
        const [copyA, copyB] = [a.clone(), b.clone()];
        const product = multiply(a, b);
        expect([product.rows, product.columns]).toEqual([m, n]);
        if (k > 0) expect(distance(product, a.mmul(b))).toBeLessThan(1e-11);
        expect(distance(a, copyA) + distance(b, copyB)).toBe(0);
      }),
      { numRuns: 100 },
    );
    expect(multiply(new Matrix(2, 0), new Matrix(0, 3)).to2DArray()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  test("cholesky and solveSpd equal ml-matrix", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    for (const n of [1, 2, 10, 60]) {
      const rng = createRng(n);
      const a = randomSpd(rng, n);
      const b = random(rng, n, 3);
      const result = cholesky(a);
      const solved = solveSpd(a, b);
      if (result.status !== "ok" || solved.status !== "ok") throw new Error("a positive definite matrix was refused");
      expect(distance(result.factor, new CholeskyDecomposition(a).lowerTriangularMatrix)).toBeLessThan(1e-11 * n);
      expect(distance(solved.solution, solve(a, b))).toBeLessThan(1e-10 * n);
    }
  });

  test("a matrix that is not positive definite is a status, with its pivot", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    const a = Matrix.diag([1, 2, -3, 4]);
    expect(cholesky(a)).toEqual({ status: "not-positive-definite", pivot: 3 });
    expect(solveSpd(a, Matrix.eye(4))).toEqual({ status: "not-positive-definite", pivot: 3 });
    expect(cholesky(Matrix.zeros(1, 1))).toEqual({ status: "not-positive-definite", pivot: 1 });
  });

  test("symmetricEigen: ascending values, unit columns, A V = V diag(values)", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    for (const n of [1, 2, 9, 45, 70]) {
      const a = randomSpd(createRng(n), n);
      const { values, vectors } = symmetricEigen(a);
      const expected = Float64Array.from(new EigenvalueDecomposition(a).realEigenvalues).sort();
      expected.forEach((value, i) => {
        expect(Math.abs(values[i] - value)).toBeLessThan(1e-10 * n);
      });
      expect(distance(a.mmul(vectors), vectors.mmul(Matrix.diag([...values])))).toBeLessThan(1e-11 * n);
      expect(distance(vectors.transpose().mmul(vectors), Matrix.eye(n))).toBeLessThan(1e-12 * n);
    }
  });

  test("order 0 works", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    const empty = new Matrix(0, 0);
    expect(multiply(empty, empty).rows).toBe(0);
    expect(cholesky(empty).status).toBe("ok");
    expect(solveSpd(empty, new Matrix(0, 2)).status).toBe("ok");
    expect(symmetricEigen(empty).values.length).toBe(0);
  });

  test("wrong shapes and values that are not finite throw before any work", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    expect(() => multiply(new Matrix(2, 3), new Matrix(2, 3))).toThrow(ShapeError);
    for (const work of [cholesky, symmetricEigen, (a: Matrix) => solveSpd(a, a)]) {
      expect(() => work(new Matrix(2, 3))).toThrow(ShapeError);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const a = Matrix.eye(3);
        a.set(2, 1, bad);
        expect(() => work(a)).toThrow(DataError);
        expect(() => work(a)).toThrow(/a\[2, 1\]: expected a finite number/);
      }
    }
    expect(() => solveSpd(Matrix.eye(3), new Matrix(2, 2))).toThrow(ShapeError);
    const b = Matrix.eye(3);
    b.set(0, 0, Number.NEGATIVE_INFINITY);
    expect(() => multiply(Matrix.eye(3), b)).toThrow(/b\[0, 0\]/);
  });

  test("a call that throws leaves the kept workspace usable", () => {
    vi.stubEnv("WORSTCASE_BACKEND", backend);
    const bad = Matrix.eye(40);
    bad.set(39, 39, Number.NaN);
    for (let i = 0; i < 50; i++) expect(() => cholesky(bad)).toThrow(DataError);
    expect(cholesky(Matrix.eye(40)).status).toBe("ok");
  });
});
