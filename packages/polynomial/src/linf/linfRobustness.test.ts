import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, breastCancer, dataFile, normals, randomNetwork, randomQuadratic } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { evaluateQuadratic } from "../quadratic.js";
import { linfLowerBounds } from "./linfBounds.js";
import { linfArgmaxRobustness, linfRobustness } from "./linfRobustness.js";

const file = dataFile("uci/breast-cancer-wisconsin.data");

test.skipIf(!file)(
  `Breast Cancer, r = 1.5: the certified accuracies of math.md 12.1${file ? "" : " (skipped: no data)"}`,
  () => {
    const { points, labels, test: held, testLabels } = breastCancer(file as string);
    const { quadratic } = fitPolynomial(points, labels, { radius: 1.5, beta: 0.01, tolerance: 1e-3 });
    for (const [epsilon, accuracy, ball] of [
      [0.2, 0.9929, 0.9929],
      [0.4, 0.9643, 0.9571],
      [0.6, 0.8929, 0.8857],
      [0.8, 0.6929, 0.5786],
    ]) {
      const { lowerBounds } = linfLowerBounds(quadratic, held, testLabels, epsilon);
      const relaxed = lowerBounds.filter((bound) => bound > 0).length / 140;
      // To one test row: the table's model was solved to 1e-6, this one to 1e-3.
      expect(Math.abs(relaxed - accuracy)).toBeLessThan(1.01 / 140);
      const { certified, unbroken, stages, verdicts } = linfRobustness(quadratic, held, testLabels, epsilon);
      expect(verdicts).not.toContain("unknown");
      expect(certified).toBe(unbroken);
      expect(Math.abs(certified - accuracy)).toBeLessThan(1.01 / 140);
      expect(Math.abs(stages.ball / 140 - ball)).toBeLessThan(1.01 / 140);
      expect(stages.ball + stages.relaxation + stages.attack + stages.exact).toBe(140);
    }
  },
);

test("argmax: robust verdicts survive sampling, and two classes agree with the single score", () => {
  const rng = createRng(2);
  const [d, n, epsilon] = [5, 60, 0.15];
  const scores = [randomQuadratic(rng, d), randomNetwork(rng, 3, d), randomNetwork(rng, 2, d)];
  const data = normals(rng, n * d);
  const best = (x: Float64Array) => {
    const values = scores.map((score) => evaluateQuadratic(score, x));
    return values.indexOf(Math.max(...values));
  };
  const labels = Int32Array.from({ length: n }, (_, i) => best(data.subarray(i * d, (i + 1) * d)));
  const { verdicts, certified } = linfArgmaxRobustness(scores, batch(data, d), labels, epsilon);
  expect(certified).toBeGreaterThan(0.1);
  expect(certified).toBeLessThan(1);
  verdicts.forEach((verdict, i) => {
    if (verdict !== "robust") return;
    for (let trial = 0; trial < 200; trial++) {
      const x = Float64Array.from({ length: d }, (_, k) => {
        return data[i * d + k] + epsilon * (trial % 2 ? Math.sign(rng.normal()) : 2 * rng.uniform() - 1);
      });
      expect(best(x)).toBe(labels[i]);
    }
  });
  const zero = { dimension: d, Q: new Float64Array(d * d), q: new Float64Array(d), s: 0 };
  const classes = Int32Array.from({ length: n }, (_, i) => i % 2);
  const signs = Float64Array.from(classes, (c) => (c === 0 ? 1 : -1));
  const pair = linfArgmaxRobustness([scores[0], zero], batch(data, d), classes, epsilon);
  expect(pair.verdicts).toEqual(linfRobustness(scores[0], batch(data, d), signs, epsilon).verdicts);
});
