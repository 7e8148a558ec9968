import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, normals } from "../test/support.js";
import { prepareTrainingData } from "./factored/trainingData.js";
import { lossShape } from "./marginLoss.js";
import { bestConstant, combineClasses, fitClass, fitOneVersusAll } from "./oneVersusAll.js";
import { exactRobustAccuracy } from "./pairwise.js";

const classCount = 4;

function clusters(spread: number) {
  const rng = createRng(4);
  const [n, d] = [240, 6];
  const centres = normals(rng, classCount * d, 1);
  const labels = Int32Array.from({ length: n }, (_, i) => i % classCount);
  const data = Float64Array.from({ length: n * d }, (_, at) => {
    const i = Math.floor(at / d);
    return centres[labels[i] * d + (at % d)] + spread * rng.normal();
  });
  return { points: batch(data, d), labels };
}

test("sums of certificates, exact robust accuracy, and classes trained one by one give the same", () => {
  const { points, labels } = clusters(0.4);
  const options = { radius: 0.2, beta: 0.003 };
  const fit = fitOneVersusAll(points, labels, classCount, options);
  expect(fit.classes.map((one) => one.class)).toEqual([0, 1, 2, 3]);
  expect(fit.gap).toBeLessThanOrEqual(1e-2);
  expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective);
  expect(fit.warnings).toEqual([]);
  const clean = exactRobustAccuracy(fit.quadratics, points, labels, 0).accuracy;
  const robust = exactRobustAccuracy(fit.quadratics, points, labels, 0.2).accuracy;
  expect(clean).toBeGreaterThan(0.8);
  expect(robust).toBeLessThanOrEqual(clean);
  const data = prepareTrainingData(points);
  const separate = combineClasses([2, 0].map((c) => fitClass(data, labels, c, { ...options, classCount })));
  const only = fitOneVersusAll(points, labels, classCount, { ...options, onlyClasses: [2, 0] });
  expect(separate.objective).toBe(only.objective);
  expect(separate.classes[0].neurons).toEqual(fit.classes[2].neurons);
});

test("a radius that hides the classes is reported as collapsed", () => {
  const { points, labels } = clusters(0.4);
  const fit = fitOneVersusAll(points, labels, classCount, { radius: 20, beta: 1e-3, onlyClasses: [1] });
  expect(fit.classes[0].constantObjective).toBeCloseTo(0.5, 12);
  expect(fit.classes[0].collapsed).toBe(true);
  expect(fit.warnings.map((warning) => warning.code)).toContain("collapsed-class");
});

test("misuse and absent classes", () => {
  const { points, labels } = clusters(0.4);
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => fitOneVersusAll(points, labels, 3, { radius: 0.1 })).toThrow(code("data"));
  expect(() => fitOneVersusAll(points, labels, 1, { radius: 0.1 })).toThrow(code("setting"));
  expect(() => fitOneVersusAll(points, labels, 4, { radius: 0.1, onlyClasses: [7] })).toThrow(code("setting"));
  expect(() => fitOneVersusAll(points, labels, 4, { radius: 0.1, onlyClasses: [] })).toThrow(code("setting"));
  const absent = fitOneVersusAll(points, labels, 5, { radius: 0.1, onlyClasses: [4] });
  expect(absent.warnings.map((warning) => warning.code)).toContain("absent-class");
});

test("best constant of every loss against a fine grid", () => {
  const signs = Float64Array.of(1, 1, -1, -1, -1);
  for (const loss of ["hinge", "squared-hinge", "logistic"] as const) {
    const { value } = lossShape(loss);
    for (const weights of [Float64Array.of(0.1, 0.2, 0.3, 0.1, 0.3), Float64Array.of(2, 1, 0.5, 0.1, 0)]) {
      let least = Number.POSITIVE_INFINITY;
      for (let t = -6; t <= 6; t += 1e-4) {
        const total = weights.reduce((sum, w, i) => sum + w * value(1 - signs[i] * t), 0);
        least = Math.min(least, total);
      }
      expect(bestConstant(signs, weights, loss)).toBeCloseTo(least, 6);
    }
    expect(bestConstant(Float64Array.of(1, 1), Float64Array.of(1, 2), loss)).toBe(0);
  }
});
