// Cross-validation: every row is held out once, folds keep class shares, and the choice follows the stated order.

import { PolynomialModel } from "@worstcase/polynomial";
import { expect, it } from "vitest";
import { crossValidate, type Setting } from "./crossValidate.js";

/** Points 0 .. 19 on a line; class 1 from 12 on. */
const inputs = { data: Float64Array.from({ length: 20 }, (_, i) => i), shape: [20, 1] };
const labels = Int32Array.from({ length: 20 }, (_, i) => (i >= 12 ? 1 : 0));
/** f(x) = x - threshold. */
const threshold = (value: number) =>
  new PolynomialModel({
    quadratics: [{ dimension: 1, Q: new Float64Array(1), q: Float64Array.of(1), s: -value }],
  });
const common = { folds: 4, seed: 1, evaluationRadius: 2, classes: ["low", "high"] };

it("holds every row out once, by class", () => {
  const seen: number[][] = [];
  const { path } = crossValidate(inputs, labels, {
    ...common,
    settings: [{ radius: 1, beta: 0.1 }],
    train: (part, rows) => {
      seen.push(Array.from(part.data));
      expect(Array.from(rows)).toEqual(Array.from(part.data, (x) => (x >= 12 ? 1 : 0)));
      return { model: threshold(11.5), gap: seen.length * 1e-3 };
    },
  });
  expect(seen).toHaveLength(4);
  for (let i = 0; i < 20; i++) expect(seen.filter((rows) => rows.includes(i))).toHaveLength(3);
  // 12 and 8 members over 4 folds: 3 and 2 held out each time
  for (const rows of seen) expect([rows.length, rows.filter((x) => x >= 12).length]).toEqual([15, 6]);
  // all right; 10, 11, 12 and 13 are within 2 of 11.5
  expect([path[0]!.accuracy.correct, path[0]!.robustAccuracy.correct, path[0]!.worstGap]).toEqual([20, 16, 4e-3]);
});

it("chooses by robust accuracy, then accuracy, then the larger beta", () => {
  const choose = (thresholds: Record<number, number>) => {
    const settings: Setting[] = [0.1, 0.2, 0.3].map((beta) => ({ radius: 1, beta }));
    const train = (_: unknown, __: unknown, { beta }: Setting) => ({ model: threshold(thresholds[beta]!), gap: 0 });
    return crossValidate(inputs, labels, { ...common, settings, train }).chosen.beta;
  };
  expect(choose({ 0.1: 11.5, 0.2: 14.5, 0.3: 4.5 })).toBe(0.1);
  expect(choose({ 0.1: 11.5, 0.2: 11.5, 0.3: 13.5 })).toBe(0.2);
  expect(choose({ 0.1: 30, 0.2: 30, 0.3: 30 })).toBe(0.3);
});

it("the same seed gives the same folds", () => {
  const folds = (seed: number) => {
    const seen: string[] = [];
    const train = (part: { data: ArrayLike<number> }) => {
      seen.push(Array.from(part.data).join());
      return { model: threshold(11.5), gap: 0 };
    };
    crossValidate(inputs, labels, { ...common, seed, settings: [{ radius: 1, beta: 1 }], train });
    return seen.join(";");
  };
  expect(folds(3)).toBe(folds(3));
  expect(folds(3)).not.toBe(folds(4));
});

it("refuses more folds than rows, and a class of one row", () => {
  const settings = [{ radius: 1, beta: 1 }];
  const train = () => ({ model: threshold(0), gap: 0 });
  const run = (rows: Int32Array, folds: number) => crossValidate(inputs, rows, { ...common, folds, settings, train });
  expect(() => run(labels, 21)).toThrow(/--folds: expected at most 20/);
  const lonely = Int32Array.from({ length: 20 }, (_, i) => (i === 7 ? 1 : 0));
  expect(() => run(lonely, 4)).toThrow(/at least two rows of class high, got 1/);
});
