import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic } from "../test/support.js";
import { createPolynomialClassifier } from "./classifier.js";
import { evaluateQuadratic, linearQuadratic } from "./quadratic.js";

const rng = createRng(1);
const d = 5;
const quadratics = [
  randomQuadratic(rng, d),
  randomNetwork(rng, 3, d),
  linearQuadratic(normals(rng, d), 0.2),
  randomNetwork(rng, 9, d),
];
const classifier = createPolynomialClassifier({ quadratics, id: "test" });

test("logits are the quadratics, also across blocks of rows", async () => {
  const n = 300;
  const points = normals(rng, n * d);
  const logits = await classifier.logits(batch(points, d));
  expect(logits.shape).toEqual([n, 4]);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < 4; c++) {
      const expected = evaluateQuadratic(quadratics[c], points.subarray(i * d, (i + 1) * d));
      expect(logits.data[i * 4 + c]).toBeCloseTo(expected, 10);
    }
  }
});

test("gradients against central differences", async () => {
  const points = normals(rng, 6 * d);
  const labels = Int32Array.of(0, 1, 2, 3, 0, 1);
  for (const kind of ["cross-entropy", "margin"] as const) {
    const { loss, gradient, logits } = await classifier.lossGradient(batch(points, d), { kind, labels });
    expect(logits.data).toEqual((await classifier.logits(batch(points, d))).data);
    for (let i = 0; i < 6; i++) {
      for (let l = 0; l < d; l++) {
        const at = async (step: number) => {
          const moved = Float64Array.from(points);
          moved[i * d + l] += step;
          return (await classifier.lossGradient(batch(moved, d), { kind, labels })).loss[i];
        };
        const difference = ((await at(1e-6)) - (await at(-1e-6))) / 2e-6;
        expect(gradient.data[i * d + l]).toBeCloseTo(difference, 6);
      }
    }
    expect(loss.every(Number.isFinite)).toBe(true);
  }
});

test("misuse is refused", async () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => createPolynomialClassifier({ quadratics: [quadratics[0]], id: "one" })).toThrow(code("shape"));
  expect(() => createPolynomialClassifier({ quadratics, id: "" })).toThrow(code("setting"));
  await expect(classifier.logits(batch(Float64Array.of(1, 2), 2))).rejects.toThrow(code("shape"));
  await expect(classifier.logits(batch(new Float64Array(d).fill(Number.NaN), d))).rejects.toThrow(code("data"));
});
