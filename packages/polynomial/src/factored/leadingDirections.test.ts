import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { type FitEvent, fitPolynomial } from "../fit.js";
import { coordinates, lifted, padded } from "./subspace.js";

const [n, d, inside] = [420, 256, 16];
const options = { radius: 0.2, beta: 3e-3, tolerance: 1e-2, method: "factored" } as const;

/** Orthonormal rows `[count, d]`. */
function randomBasis(count: number): Float64Array {
  const rows = normals(createRng(3), count * d);
  for (let j = 0; j < count; j++) {
    const row = rows.subarray(j * d, (j + 1) * d);
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < j; k++) {
        const other = rows.subarray(k * d, (k + 1) * d);
        const product = row.reduce((sum, value, l) => sum + value * other[l], 0);
        for (let l = 0; l < d; l++) row[l] -= product * other[l];
      }
    }
    const length = Math.hypot(...row);
    for (let l = 0; l < d; l++) row[l] /= length;
  }
  return rows;
}

/** Two classes that differ by spread in a few features, and by `shift` in the last. */
function classes(shift: number, last: number) {
  const rng = createRng(5);
  const labels = Float64Array.from({ length: n }, (_, i) => (i % 3 === 0 ? 1 : -1));
  const small = normals(rng, n * inside, 0.25);
  for (let i = 0; i < n; i++) {
    if (labels[i] > 0) for (let l = 0; l < 5; l++) small[i * inside + l] *= 2.2;
    small[i * inside + inside - 1] = last * small[i * inside + inside - 1] + shift * labels[i];
  }
  return { small: { data: small, shape: [n, inside] }, labels };
}

const basis = randomBasis(inside);

/** The same samples among all features, with `noise` in every direction. */
function spread({ data }: { data: Float64Array }, noise: number) {
  const wide = lifted(data, basis, d);
  const rest = normals(createRng(8), n * d, noise);
  return { data: wide.map((value, p) => value + rest[p]), shape: [n, d] };
}

describe("training in leading directions", () => {
  test("samples within a subspace: the interval meets that of a fit in its coordinates", () => {
    const { small, labels } = classes(0.1, 1);
    const low = fitPolynomial(small, labels, options);
    const events: FitEvent[] = [];
    const wide = fitPolynomial(spread(small, 0), labels, { ...options, onEvent: (event) => events.push(event) });
    expect([wide.status, wide.method]).toEqual(["optimal", "factored"]);
    expect(wide.gap).toBeLessThanOrEqual(1e-2);
    expect(wide.lowerBound).toBeLessThanOrEqual(low.objective.total);
    expect(low.lowerBound).toBeLessThanOrEqual(wide.objective.total);
    // One event for each look at all features.
    expect(events.length).toBe(wide.iterations);
    expect(wide.iterations).toBeLessThanOrEqual(4);
  });

  test("a difference of the classes that leading directions hardly see", () => {
    // In one of 256 directions, with a hundredth of the variance of a leading one.
    const { small, labels } = classes(0.6, 0.02);
    const points = spread(small, 0.01);
    const found = fitPolynomial(points, labels, options);
    expect(found.status).toBe("optimal");
    expect(found.gap).toBeLessThanOrEqual(1e-2);
    // Without the last feature of the subspace the classes overlap.
    const without = small.data.filter((_, p) => p % inside !== inside - 1);
    const blind = fitPolynomial({ data: without, shape: [n, inside - 1] }, labels, options);
    expect(found.objective.total).toBeLessThan(0.7 * blind.lowerBound);
  });

  test("the same network again, and from an earlier fit along the radius", () => {
    const { small, labels } = classes(0.5, 1);
    const points = spread(small, 0.02);
    const one = fitPolynomial(points, labels, options);
    expect(fitPolynomial(points, labels, options).quadratic).toEqual(one.quadratic);
    const cold = fitPolynomial(points, labels, { ...options, radius: 0.22 });
    const warm = fitPolynomial(points, labels, { ...options, radius: 0.22, warmStart: one });
    expect([warm.warmStart, warm.status]).toEqual(["used", "optimal"]);
    expect(warm.lowerBound).toBeLessThanOrEqual(cold.objective.total);
    expect(cold.lowerBound).toBeLessThanOrEqual(warm.objective.total);
  });

  test("fewer neurons than leading directions, and limits that end early", () => {
    const { small, labels } = classes(0.1, 1);
    const points = spread(small, 0.02);
    const few = fitPolynomial(points, labels, { ...options, maxNeurons: 12 });
    expect(few.neurons.weights.length).toBeLessThanOrEqual(12);
    expect(few.gap).toBeLessThanOrEqual(1e-2);
    const ended = fitPolynomial(points, labels, { ...options, tolerance: 1e-5, maxEvaluations: 40 });
    expect(ended.status).not.toBe("optimal");
    expect(ended.lowerBound).toBeLessThanOrEqual(few.objective.total);
    expect(few.lowerBound).toBeLessThanOrEqual(ended.objective.total);
    const controller = new AbortController();
    controller.abort();
    expect(() => fitPolynomial(points, labels, { ...options, signal: controller.signal })).toThrow(/abort/i);
  });

  test("coordinates: there and back, with zeros for further directions", () => {
    const rows = normals(createRng(2), 3 * inside);
    const back = coordinates(lifted(rows, basis, d), basis, d);
    for (const [p, value] of back.entries()) expect(value).toBeCloseTo(rows[p], 12);
    expect(Array.from(padded(Float64Array.of(1, 2, 3, 4), 2, 3))).toEqual([1, 2, 0, 3, 4, 0]);
  });
});
