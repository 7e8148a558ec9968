import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { batch, normals } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { createCertifier } from "../certificate.js";
import { fitPolynomial } from "../fit.js";
import { clampToSum } from "./clampToSum.js";
import { constantPair } from "./constantPair.js";
import { unmatched } from "./matchClasses.js";
import { everyRow, rowsOf, spreadIndices } from "./rowSource.js";
import { prepareTrainingData } from "./trainingData.js";

/** One positive in five, around a mean one unit away. */
function unbalanced(n: number, d: number, spread = 0.5) {
  const rng = createRng(12);
  const data = normals(rng, n * d, spread);
  const labels = Float64Array.from({ length: n }, (_, i) => (i % 5 === 0 ? 1 : -1));
  for (let i = 0; i < n; i++) if (labels[i] > 0) data[i * d] += 1;
  return { points: batch(data, d), labels };
}

test("a collapsed problem is certified without training, and the exact trainer agrees", () => {
  const { points, labels } = unbalanced(200, 10, 0.2);
  const settings = { radius: 0.7, beta: 1e-2, tolerance: 5e-2 };
  const large = fitPolynomial(points, labels, { ...settings, method: "factored" });
  expect(large.status).toBe("optimal");
  expect(large.evaluations).toBeLessThan(5);
  // The constant -1 has hinge 2/5.
  expect(large.objective.total).toBeGreaterThan(0.36);
  const exact = fitPolynomial(points, labels, { ...settings, method: "exact", tolerance: 1e-6 });
  expect(exact.gap).toBeLessThan(1e-6);
  expect(large.lowerBound).toBeLessThanOrEqual(exact.objective.total);
  expect(large.objective.total).toBeGreaterThanOrEqual(exact.lowerBound);
});

test("no match where the ball is too small, none at radius 0", () => {
  const { points, labels } = unbalanced(200, 4);
  const data = prepareTrainingData(points);
  const hingeWeights = new Float64Array(200).fill(1 / 200);
  const problem = { data, labels, hingeWeights, beta: 1e-3, activation: paperActivation };
  expect(constantPair({ ...problem, radius: 0.1 }).match()).toBeNull();
  expect(constantPair({ ...problem, radius: 0 }).match()).toBeNull();
  const matched = constantPair({ ...problem, radius: 1.5 }).match();
  expect(matched).not.toBeNull();
  const { coordinates, basis = new Float64Array(0) } = matched?.attack ?? { coordinates: new Float64Array(0) };
  const rank = basis.length / 4;
  for (let i = 0; i < 200; i++) {
    expect(Math.hypot(...coordinates.subarray(i * rank, (i + 1) * rank))).toBeLessThanOrEqual(1.5 * (1 + 1e-12));
  }
});

/** One positive in ten inside a ball of negatives, and as many negatives far away as near. */
function overlapping(n: number, d: number) {
  const rng = createRng(5);
  const data = normals(rng, n * d, 0.15);
  const labels = Float64Array.from({ length: n }, (_, i) => (i % 10 === 0 ? 1 : -1));
  for (let i = 0; i < n; i++) {
    data[i * d] += labels[i] > 0 ? 0.3 : 0;
    if (labels[i] < 0 && i % 2 === 1) data[i * d + 1] += 2;
  }
  return { points: batch(data, d), labels };
}

test("far samples of the heavier class leave a match, and a few samples start one of many", () => {
  const settings = { radius: 0.4, beta: 1e-3, tolerance: 2e-2, method: "factored" } as const;
  for (const n of [300, 5000]) {
    const { points, labels } = overlapping(n, 6);
    const fit = fitPolynomial(points, labels, settings);
    expect(fit.status).toBe("optimal");
    expect(fit.evaluations).toBeLessThan(5);
    // The constant -1 has hinge 2/10.
    expect(fit.lowerBound).toBeGreaterThan(0.196);
    expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective.total);
  }
  const { points, labels } = overlapping(300, 6);
  const data = prepareTrainingData(points);
  const hingeWeights = new Float64Array(300).fill(1 / 300);
  const match = constantPair({
    ...{ data, labels, hingeWeights, radius: 0.4, beta: 1e-3, activation: paperActivation },
  }).match();
  let [light, near, far] = [0, 0, 0];
  match?.samples.forEach((i, t) => {
    const p = match.weights[t];
    expect(p).toBeGreaterThanOrEqual(0);
    expect(p).toBeLessThanOrEqual(1 / 300 + 1e-15);
    if (labels[i] > 0) light += p;
    else if (i % 2 === 1) far += p;
    else near += p;
  });
  expect(light).toBeCloseTo(0.1, 12);
  expect(near + far).toBeGreaterThan(0.1);
  expect(far).toBeLessThan(0.1 * near);
});

test("clamping keeps the total: the nearest point of the box with that sum", () => {
  const values = Float64Array.of(5, 1, -2, 0.5);
  clampToSum(values, Float64Array.of(1, 1, 1, 1), 1.5);
  // Shift 0.5: 1 (its most), 0.5, 0, 0.
  expect(Array.from(values)).toEqual([1, expect.closeTo(0.5, 12), 0, expect.closeTo(0, 12)]);
  const full = Float64Array.of(0, 3);
  clampToSum(full, Float64Array.of(1, 2), 3);
  expect(full[0]).toBeCloseTo(1, 12);
  expect(full[1]).toBeCloseTo(2, 12);
  const none = Float64Array.of(0, 3);
  clampToSum(none, Float64Array.of(1, 2), 0);
  expect(none[0] + none[1]).toBeLessThan(1e-12);
});

describe("rows", () => {
  test("gathers runs and single rows", () => {
    const rows = rowsOf(
      batch(
        Float64Array.from({ length: 20 }, (_, p) => p),
        2,
      ),
    );
    const target = new Float64Array(8);
    rows.gather(Int32Array.of(0, 1, 4, 5, 9), 1, 4, target);
    expect(Array.from(target)).toEqual([2, 3, 8, 9, 10, 11, 18, 19]);
  });

  test("the indices of a sample ascend, differ and cover periodic data evenly", () => {
    const indices = spreadIndices(20_000, 2500);
    const byResidue = new Array(8).fill(0);
    indices.forEach((value, t) => {
      if (t > 0) expect(value).toBeGreaterThan(indices[t - 1]);
      byResidue[value % 8]++;
    });
    expect(indices[2499]).toBeLessThan(20_000);
    for (const count of byResidue) expect(Math.abs(count - 312.5)).toBeLessThan(30);
    expect(spreadIndices(5, 5)).toEqual(everyRow(5));
  });
});

test("directions that a certificate finds unmatched join a match that started in few", () => {
  const [n, d, beta, radius] = [600, 24, 2e-3, 1.6];
  const data = normals(createRng(3), n * d, 0.3);
  const labels = Float64Array.from({ length: n }, (_, i) => (i % 4 === 0 ? 1 : -1));
  // The classes differ in 11 directions, the first match has 9.
  for (let i = 0; i < n; i++) for (let l = 0; l < 11; l++) if (labels[i] > 0) data[i * d + l] *= 2;
  const trainingData = prepareTrainingData(batch(data, d), { maxNeurons: 12 });
  const hingeWeights = new Float64Array(n).fill(1 / n);
  const problem = { data: trainingData, labels, hingeWeights, radius, beta, activation: paperActivation };
  const certifier = createCertifier(d, trainingData.kernels);
  const norms: number[] = [];
  const ranks: number[] = [];
  const match = constantPair(problem).match((part) => {
    const certificate = certifier.certify({ ...problem, points: batch(data, d), parts: [part] });
    const norm = Math.max(certificate.largest, certificate.largestNegative) / beta;
    norms.push(norm);
    ranks.push((part.attack.basis?.length ?? 0) / d);
    return { enough: norm < 1, missing: unmatched(certificate, beta, 1) };
  });
  expect(match).not.toBeNull();
  expect(ranks[0]).toBe(9);
  expect(ranks.at(-1)).toBeGreaterThanOrEqual(11);
  expect(norms[0]).toBeGreaterThan(1.2);
  expect(norms.at(-1)).toBeLessThan(0.9 * norms[0]);
});
