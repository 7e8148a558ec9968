// Minima of separable quadratics over balls, checked by their optimality conditions (math.md 6), which need no second solver:
//   ||D|| <= r,  lambda >= 0,  y h_k + lambda >= 0,  (y h_k + lambda) D_k = -y (h_k x_k + l_k / 2),  lambda (r - ||D||) = 0
// and value = y f(x + D). Near-hard rows, long and short ones, scales apart, and the closed forms of one coordinate and of radius 0.

import { createRng, type Rng, SettingError, ShapeError } from "@worstcase/core";
import { expect, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { workspaceSize } from "../workspace.js";

interface Problem {
  readonly n: number;
  readonly x: Float64Array;
  readonly h: Float64Array;
  readonly l: Float64Array;
  readonly constants: Float64Array;
  readonly signs: Float64Array;
  readonly radius: number;
}

function solve(kernels: Kernels, problem: Problem, tolerance: number, wanted = true, perSample = false) {
  const { n, signs, radius } = problem;
  const rows = signs.length;
  const [ldx, ldm] = [n + 2, n + 1];
  const workspace = kernels.workspace(
    workspaceSize(rows * ldx, n, perSample ? rows * n : n, rows, rows, 3 * n + 24, rows, rows, rows * ldm),
  );
  const take = (values: Float64Array) => {
    const array = workspace.float64(values.length);
    array.set(values);
    return array;
  };
  const x = workspace.float64(rows * ldx);
  for (let i = 0; i < rows; i++) x.set(problem.x.subarray(i * n, (i + 1) * n), i * ldx);
  const [h, l, constants, y] = [problem.h, problem.l, problem.constants, signs].map(take);
  const [work, values, multipliers, moves] = [3 * n + 24, rows, rows, rows * ldm].map((size) =>
    workspace.float64(size),
  );
  workspace.ballMinima({
    ...{ rows, n, x, ldx, h, l, ldl: perSample ? n : 0, constants, perSampleConstants: perSample, signs: y, radius },
    ...{ tolerance, work, values, multipliers, moves: wanted ? moves : undefined, ldm },
  });
  const D = new Float64Array(rows * n);
  for (let i = 0; i < rows; i++) D.set(moves.subarray(i * ldm, i * ldm + n), i * n);
  return { values: values.slice(), multipliers: multipliers.slice(), D };
}

function random(rng: Rng, n: number, rows: number, radius: number): Problem {
  const normals = (count: number) => Float64Array.from({ length: count }, () => rng.normal());
  return {
    ...{ n, radius, x: normals(rows * n), h: normals(n).sort(), l: normals(n), constants: normals(1) },
    signs: Float64Array.from({ length: rows }, () => (rng.uniform() < 0.5 ? 1 : -1)),
  };
}

/** The largest violation of the optimality conditions over all rows, relative to the sizes of their terms. */
function violation(
  { n, x, h, l, constants, signs, radius }: Problem,
  found: ReturnType<typeof solve>,
  perSample = false,
): number {
  let worst = 0;
  for (let i = 0; i < signs.length; i++) {
    const [y, lambda] = [signs[i], found.multipliers[i]];
    let [value, size, norm2] = [constants[perSample ? i : 0], Math.abs(constants[perSample ? i : 0]), 0];
    for (let k = 0; k < n; k++) {
      const slope = l[perSample ? i * n + k : k];
      const [D, t] = [found.D[i * n + k], x[i * n + k] + found.D[i * n + k]];
      value += (h[k] * t + slope) * t;
      const a = h[k] * x[i * n + k] + 0.5 * slope;
      size += (Math.abs(h[k]) * (Math.abs(t) + Math.abs(D)) + Math.abs(slope)) * (Math.abs(t) + Math.abs(D));
      size += lambda * radius * radius;
      norm2 += D * D;
      const scale = Math.abs(a) + (Math.abs(h[k]) + lambda) * radius + Number.MIN_VALUE;
      worst = Math.max(
        worst,
        Math.abs((y * h[k] + lambda) * D + y * a) / scale,
        -(y * h[k] + lambda) / (Math.abs(h[k]) + lambda + 1e-300),
      );
    }
    const length = Math.sqrt(norm2);
    worst = Math.max(worst, length / radius - 1, -lambda, lambda > 0 ? Math.abs(length / radius - 1) : 0);
    worst = Math.max(worst, Math.abs(y * value - found.values[i]) / size);
    expect(Number.isFinite(worst)).toBe(true);
  }
  return worst;
}

export function describeBallMinima(kernels: Kernels): void {
  test.each([1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 129])(
    "minima over balls of %i coordinates meet the optimality conditions",
    (n) => {
      const rng = createRng(n);
      for (const radius of [1e-6, 0.01, 0.3, 2, 50, 1e5]) {
        const problem = random(rng, n, 20, radius);
        const found = solve(kernels, problem, 1e-13);
        expect(violation(problem, found)).toBeLessThan(1e-11);
        // values alone, with a rough root: never above, and short of it by rounding only
        const rough = solve(kernels, problem, 1e-5, false);
        found.values.forEach((value, i) => {
          const scale = Math.abs(value) + found.multipliers[i] * radius * radius + n;
          expect(Math.abs(rough.values[i] - value) / scale).toBeLessThan(1e-13);
        });
        expect(rough.D.every((d) => d === 0)).toBe(true);
      }
    },
  );

  test("rows with slopes and constants of their own", () => {
    const rng = createRng(5);
    const problem = random(rng, 21, 12, 0.7);
    const own = {
      ...problem,
      l: Float64Array.from({ length: 12 * 21 }, () => rng.normal()),
      constants: Float64Array.from({ length: 12 }, () => rng.normal()),
    };
    expect(violation(own, solve(kernels, own, 1e-13, true, true), true)).toBeLessThan(1e-11);
  });

  test.each([12, 40])("the hard case and its neighbourhood, %i coordinates", (n) => {
    const rng = createRng(9);
    for (const small of [0, 1e-300, 1e-14, 1e-9, 1e-4]) {
      const problem = random(rng, n, 8, 3);
      // y (h_k x_k + l_k / 2) = small at either end of the curvatures: the multiplier is at its lower end, or nearly
      for (let i = 0; i < 8; i++) {
        for (const k of [0, n - 1]) problem.x[i * n + k] = (small - 0.5 * problem.l[k]) / problem.h[k];
      }
      expect(violation(problem, solve(kernels, problem, 1e-13))).toBeLessThan(1e-8);
    }
    // equal curvatures, and a start exactly at the stationary point
    const flat = { ...random(rng, n, 6, 1.5), h: new Float64Array(n).fill(-2), l: new Float64Array(n) };
    expect(violation(flat, solve(kernels, flat, 1e-13))).toBeLessThan(1e-11);
    const still = { ...flat, x: new Float64Array(6 * n) };
    expect(violation(still, solve(kernels, still, 1e-13))).toBeLessThan(1e-11);
  });

  test("scaling the problem scales the answer", () => {
    const rng = createRng(3);
    const problem = random(rng, 33, 10, 0.4);
    const plain = solve(kernels, problem, 1e-13);
    for (const s of [2 ** -300, 2 ** -100, 2 ** 60, 2 ** 200]) {
      const by = (array: Float64Array, factor: number) => array.map((value) => value * factor);
      // x and r by t, h by s: l by s t, c by s t^2
      for (const t of [1, 2 ** -60, 2 ** 40]) {
        const scaled = {
          ...problem,
          ...{ x: by(problem.x, t), h: by(problem.h, s), l: by(problem.l, s * t), radius: problem.radius * t },
          constants: by(problem.constants, s * t * t),
        };
        const found = solve(kernels, scaled, 1e-13);
        found.values.forEach((value, i) => {
          expect(Math.abs(value / (s * t * t) - plain.values[i])).toBeLessThan(1e-11 * (1 + Math.abs(plain.values[i])));
        });
      }
    }
  });

  test("closed forms: one coordinate, radius 0, no coordinates", () => {
    // min over |D| <= 1 of 2 (3 + D)^2 + 4 (3 + D) + 1 is at D = -1; of its negative at D = 1
    const one = {
      ...{
        n: 1,
        x: Float64Array.of(3, 3),
        h: Float64Array.of(2),
        l: Float64Array.of(4),
        constants: Float64Array.of(1),
      },
      ...{ signs: Float64Array.of(1, -1), radius: 1 },
    };
    expect([...solve(kernels, one, 1e-13).values]).toEqual([17, -49].map((value) => expect.closeTo(value, 12)));
    expect([...solve(kernels, one, 1e-13).D]).toEqual([-1, 1].map((value) => expect.closeTo(value, 12)));
    const zero = solve(kernels, { ...one, radius: 0 }, 1e-13);
    expect([...zero.values, ...zero.multipliers, ...zero.D]).toEqual(
      [31, -31, 0, 0, 0, 0].map((v) => expect.closeTo(v, 12)),
    );
    const none = { ...one, n: 0, x: new Float64Array(0), h: new Float64Array(0), l: new Float64Array(0) };
    expect([...solve(kernels, none, 1e-13).values]).toEqual([1, -1]);
  });

  test("NaN stays in its row; misuse is named", () => {
    const problem = random(createRng(1), 20, 3, 1);
    const clean = solve(kernels, problem, 1e-13);
    const spoiled = { ...problem, x: problem.x.slice() };
    spoiled.x[25] = Number.NaN;
    const found = solve(kernels, spoiled, 1e-13);
    expect(found.values[1]).toBeNaN();
    expect([found.values[0], found.values[2]]).toEqual([clean.values[0], clean.values[2]]);
    expect(() => solve(kernels, { ...problem, radius: -1 }, 1e-13)).toThrow(SettingError);
    expect(() => solve(kernels, { ...problem, radius: Number.NaN }, 1e-13)).toThrow(SettingError);
    expect(() => solve(kernels, problem, 0)).toThrow(SettingError);
    expect(() => solve(kernels, { ...problem, h: problem.h.subarray(1) }, 1e-13)).toThrow(ShapeError);
  });
}
