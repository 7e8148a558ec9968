import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { batch, dataFile, normals, randomNetwork, syntheticClasses } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { fitPairwise } from "../multiclass/fitPairwise.js";
import { evaluateQuadratic, quadraticFromNeurons } from "../quadratic.js";
import { modelFromSafetensors, modelToSafetensors } from "./modelFile.js";
import { PolynomialModel } from "./polynomialModel.js";

/** Three classes on features of very different units. */
function table(seed: number, n: number) {
  const rng = createRng(seed);
  const labels = Int32Array.from({ length: n }, (_, i) => i % 3);
  const data = new Float64Array(n * 4);
  labels.forEach((label, i) => {
    data.set(
      [1e4 * (label + 0.3 * rng.normal()), 1e-3 * ((label === 1 ? 2 : 0) + 0.4 * rng.normal()), 7, rng.normal()],
      i * 4,
    );
  });
  return { points: batch(data, 4), labels };
}

test("fit, predict, score; the standardisation is the model's own", () => {
  const { points, labels } = table(1, 90);
  const model = PolynomialModel.fit(points, labels, { radius: 0.1, beta: 1e-3 });
  expect(model.classCount).toBe(3);
  expect(model.score(points, labels)).toBeGreaterThan(0.95);
  const held = table(2, 60);
  const accuracy = model.predict(held.points).filter((c, i) => c === held.labels[i]).length / 60;
  expect(model.score(held.points, held.labels)).toBe(accuracy);
  const scales = model.standardisation?.scales as Float64Array;
  // The constant feature is centred, not blown up.
  expect(scales[2]).toBe(1);
  const radii = model.robustRadii(held.points, held.labels);
  for (const r of [0.05, 0.2, 0.5]) {
    expect(model.score(held.points, held.labels, r)).toBe(radii.filter((radius) => radius > r).length / 60);
  }
  const scores = model.decision(held.points);
  const z = Float64Array.from({ length: 4 }, (_, k) => {
    return (held.points.data[k] - (model.standardisation?.means[k] ?? 0)) / scales[k];
  });
  expect(scores[1]).toBe(evaluateQuadratic(model.quadratics[1], z));
});

test("JSON and safetensors give back the same bits, with and without networks behind the scores", () => {
  const { points, labels } = table(3, 45);
  const held = table(4, 30).points;
  const rng = createRng(5);
  const ellipsoid = Float64Array.of(1, 0, 0, 0, 0.5, 2, 0, 0, 0, 0, 1, 0, 0.1, 0, 0, 3);
  for (const model of [
    PolynomialModel.fit(points, labels, { radius: 0.1 }),
    PolynomialModel.fit(points, labels, { radius: 0.1, bias: 1, standardise: "none" }),
    new PolynomialModel({ quadratics: [randomNetwork(rng, 3, 4)], details: { note: "single" } }),
    PolynomialModel.fit(points, labels, { radius: 0.1, immutable: [3, 0] }),
    new PolynomialModel({ quadratics: [randomNetwork(rng, 3, 4)], moves: { ellipsoid, immutable: [1] } }),
  ]) {
    const copies = [
      PolynomialModel.fromJSON(JSON.stringify(model)),
      PolynomialModel.fromJSON(model.toJSON()),
      modelFromSafetensors(modelToSafetensors(model)),
    ];
    for (const copy of copies) {
      expect(copy.decision(held)).toEqual(model.decision(held));
      expect(copy.details).toEqual(model.details);
      expect(copy.standardisation).toEqual(model.standardisation);
      expect(JSON.stringify(copy)).toBe(JSON.stringify(model));
    }
  }
});

test("a bias helps where the activation has no constant, and the adversary does not move it", () => {
  // One class near the origin, one around it: t^2 alone cannot have a threshold.
  const rng = createRng(6);
  const n = 60;
  const labels = Int32Array.from({ length: n }, (_, i) => i % 2);
  const data = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const angle = 2 * Math.PI * rng.uniform();
    const length = labels[i] ? 2.2 + 0.2 * rng.normal() : 0.5 * rng.uniform();
    data.set([length * Math.cos(angle), length * Math.sin(angle)], 2 * i);
  }
  const points = batch(data, 2);
  const options = { radius: 0.2, beta: 1e-3, activation: { a: 1, b: 0, c: 0 } };
  const plain = fitPairwise(points, labels, 2, options);
  const biased = fitPairwise(points, labels, 2, { ...options, bias: 1 });
  expect(biased.objective.total).toBeLessThan(0.5 * plain.objective.total);
  expect(biased.gap).toBeLessThan(1e-2);
  const [zero, one] = biased.networks.map((network) => quadraticFromNeurons(network, 3));
  for (let i = 0; i < 10; i++) {
    const x = data.slice(2 * i, 2 * i + 2);
    const extended = Float64Array.of(...x, 1);
    expect(evaluateQuadratic(biased.quadratics[0], x)).toBeCloseTo(evaluateQuadratic(zero, extended), 11);
    expect(evaluateQuadratic(biased.quadratics[1], x)).toBeCloseTo(evaluateQuadratic(one, extended), 11);
  }
});

test("two jointly trained classes have the optimum of one score (the gauges of f and 0)", () => {
  const { points, labels } = syntheticClasses(7, 60, 3);
  const classes = Int32Array.from(labels, (label) => (label > 0 ? 1 : 0));
  const options = { radius: 0.15, beta: 5e-3, tolerance: 3e-3 };
  const one = fitPolynomial(points, labels, options);
  const two = fitPairwise(points, classes, 2, options);
  expect(two.lowerBound).toBeLessThanOrEqual(one.objective.total);
  expect(one.lowerBound).toBeLessThanOrEqual(two.objective.total);
  expect(Math.abs(two.objective.total - one.objective.total)).toBeLessThan(6e-3 * one.objective.total);
});

const file = dataFile("uci/ionosphere.data");

test.skipIf(!file)(`Ionosphere with its constant feature${file ? "" : " (skipped: no data)"}`, () => {
  const rows = readFileSync(file as string, "utf8")
    .trim()
    .split("\n");
  const labels = Int32Array.from(rows, (row) => (row.endsWith("g") ? 1 : 0));
  const data = Float64Array.from(rows.flatMap((row) => row.split(",").slice(0, 34).map(Number)));
  const order = createRng(1).permutation(351);
  const pick = (part: Int32Array) => ({
    points: batch(
      Float64Array.from(Array.from(part).flatMap((i) => Array.from(data.subarray(34 * i, 34 * i + 34)))),
      34,
    ),
    labels: Int32Array.from(part, (i) => labels[i]),
  });
  const [train, held] = [pick(order.subarray(0, 240)), pick(order.subarray(240))];
  const model = PolynomialModel.fit(train.points, train.labels, { radius: 0.5, beta: 1e-2, tolerance: 5e-2 });
  expect(model.fit.gap).toBeLessThan(5e-2);
  // Majority class: 64 %. Quadratic classifiers reach about 90 % on this set.
  expect(model.score(held.points, held.labels)).toBeGreaterThan(0.85);
});

test("damaged files and misuse are refused", () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  const rng = createRng(8);
  const model = new PolynomialModel({ quadratics: [randomNetwork(rng, 2, 3), randomNetwork(rng, 2, 3)] });
  const text = JSON.stringify(model);
  expect(() => PolynomialModel.fromJSON("{")).toThrow(code("format"));
  expect(() => PolynomialModel.fromJSON("{}")).toThrow(code("format"));
  expect(() => PolynomialModel.fromJSON(text.replace(/\[-?0\.(\d)/, "[0.9$1"))).toThrow(code("format"));
  const bytes = modelToSafetensors(model);
  expect(() => modelFromSafetensors(bytes.subarray(0, bytes.length - 8))).toThrow(code("format"));
  expect(() => modelFromSafetensors(new Uint8Array(4))).toThrow(code("format"));
  expect(() => new PolynomialModel({ quadratics: [] })).toThrow(code("shape"));
  expect(() => model.predict(batch(normals(rng, 4), 2))).toThrow(code("shape"));
  expect(() => model.score(batch(normals(rng, 3), 3), Int32Array.of(5))).toThrow(code("data"));
  expect(() => PolynomialModel.fit(batch(normals(rng, 3), 3), Int32Array.of(0, 1), { radius: 0 })).toThrow(
    code("shape"),
  );
});
