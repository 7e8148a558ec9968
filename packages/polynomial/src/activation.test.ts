import { expect, test } from "vitest";
import { paperActivation, quadraticActivation, reluFit } from "./activation.js";

test("reluFit(5) has the coefficients of math.md 2", () => {
  const { a, b, c } = reluFit(5);
  expect([a, b, c]).toEqual([0.09375, 0.5, 0.46875]);
  expect(paperActivation).toEqual({ a: 0.09, b: 0.5, c: 0.47 });
  expect(quadraticActivation).toEqual({ a: 1, b: 0, c: 0 });
});

test("reluFit solves the normal equations of the least-squares fit", () => {
  for (const width of [0.5, 3, 7]) {
    const { a, b, c } = reluFit(width);
    const steps = 20_000;
    const moments = [0, 0, 0];
    for (let i = 0; i < steps; i++) {
      const t = -width + (2 * width * (i + 0.5)) / steps;
      const residual = a * t * t + b * t + c - Math.max(0, t);
      for (let power = 0; power < 3; power++) moments[power] += residual * t ** power * (1 / steps);
    }
    for (const moment of moments) expect(Math.abs(moment)).toBeLessThan(1e-6 * width ** 3 + 1e-8);
  }
});

test("reluFit refuses widths that are not positive and finite", () => {
  for (const width of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => reluFit(width)).toThrow(expect.objectContaining({ code: "setting" }));
  }
});
