import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { batch, normals } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { fitPolynomial } from "../fit.js";
import { constantPair } from "./constantPair.js";
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
  expect(constantPair({ ...problem, radius: 0.1 }).attack).toBeNull();
  expect(constantPair({ ...problem, radius: 0 }).attack).toBeNull();
  const matched = constantPair({ ...problem, radius: 1.5 }).attack;
  expect(matched).not.toBeNull();
  const { coordinates, basis = new Float64Array(0) } = matched?.attack ?? { coordinates: new Float64Array(0) };
  const rank = basis.length / 4;
  for (let i = 0; i < 200; i++) {
    expect(Math.hypot(...coordinates.subarray(i * rank, (i + 1) * rank))).toBeLessThanOrEqual(1.5 * (1 + 1e-12));
  }
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
