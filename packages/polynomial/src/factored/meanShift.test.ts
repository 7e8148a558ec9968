import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { lowerBound } from "../certificate.js";
import { shiftMeans } from "./meanShift.js";
import { everyRow } from "./rowSource.js";
import { prepareTrainingData } from "./trainingData.js";

const [n, d, k, radius] = [60, 9, 3, 0.4];
const rng = createRng(11);
const points = { data: normals(rng, n * d, 0.2), shape: [n, d] };
const labels = Float64Array.from({ length: n }, (_, i) => (i % 4 === 0 ? 1 : -1));
/** The first k features; attacks along two of them, on the sphere. */
const subspace = new Float64Array(k * d);
for (let j = 0; j < k; j++) subspace[j * d + j] = 1;
const basis = subspace.slice(0, 2 * d);
const coordinates = normals(rng, n * 2);
for (let i = 0; i < n; i++) {
  const length = Math.hypot(coordinates[2 * i], coordinates[2 * i + 1]) / radius;
  for (let l = 0; l < 2; l++) coordinates[2 * i + l] /= length;
}
const weights = Float64Array.from({ length: n }, (_, i) => (0.2 + (i % 5)) / (5 * n));
const problem = {
  data: prepareTrainingData(points),
  ...{ labels, radius, beta: 0.01, activation: paperActivation, hingeWeights: new Float64Array(n).fill(1 / n) },
};

/** sum_i p_i y_i (x_i + D_i), from the definition. */
function signedMean(parts: readonly { samples: Int32Array; weights: Float64Array; attack: typeof attack }[]) {
  const mean = new Float64Array(d);
  for (const { samples, weights, attack } of parts) {
    const rank = attack.basis.length / d;
    for (const [t, i] of samples.entries()) {
      for (let l = 0; l < d; l++) {
        let z = points.data[i * d + l];
        for (let m = 0; m < rank; m++) z += attack.coordinates[t * rank + m] * attack.basis[m * d + l];
        mean[l] += weights[t] * labels[i] * z;
      }
    }
  }
  return mean;
}
const attack = { coordinates, basis };

test("nothing of the classes' difference is left outside of the subspace, and the moves stay in the ball", () => {
  // Two attacks on the even samples: shares of their weights.
  const even = everyRow(n).filter((i) => i % 2 === 0);
  const half = { coordinates: new Float64Array(2 * even.length), basis };
  const parts = [
    { samples: everyRow(n), weights, attack },
    { samples: even, weights: new Float64Array(even.length).fill(1e-3), attack: half },
  ];
  const shifted = shiftMeans(problem, parts, subspace) as typeof parts;
  const before = signedMean(parts);
  const after = signedMean(shifted);
  expect(Math.hypot(...before.subarray(k))).toBeGreaterThan(0.01);
  for (let l = k; l < d; l++) expect(after[l]).toBeCloseTo(0, 14);
  for (const [p, { samples, weights, attack: own }] of shifted.entries()) {
    expect([samples, weights]).toEqual([parts[p].samples, parts[p].weights]);
    const rank = own.basis.length / d;
    expect(rank).toBe(3);
    for (let t = 0; t < samples.length; t++) {
      const length = Math.hypot(...own.coordinates.subarray(t * rank, (t + 1) * rank));
      expect(length).toBeLessThanOrEqual(radius * (1 + 1e-14));
    }
  }
});

test("the bound of classes that differ by their means outside of the subspace alone", () => {
  // Pairs of opposite labels at the same place but for the last feature: no network of the first k features tells them apart.
  const same = Float64Array.from(points.data, (_, p) => {
    const i = Math.floor(p / d);
    const l = p % d;
    return l < k ? points.data[(i - (i % 2)) * d + l] : l === d - 1 ? 0.02 * (i % 2) : 0;
  });
  const pairs = Float64Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1));
  const batch = { data: same, shape: [n, d] };
  const hingeWeights = new Float64Array(n).fill(1 / n);
  const given = { ...problem, data: prepareTrainingData(batch), labels: pairs, hingeWeights, beta: 1e-4 };
  const none = { coordinates: new Float64Array(0), basis: new Float64Array(0) };
  const parts = [{ samples: everyRow(n), weights: hingeWeights, attack: none }];
  const bound = ([part]: ReturnType<typeof shiftMeans>) =>
    lowerBound({ ...given, points: batch, attack: part.attack, weights: part.weights }).lowerBound;
  // Without the shift the bound is far below; with it the classes are one, and no network is better than none.
  expect(bound(parts)).toBeLessThan(0.1);
  expect(bound(shiftMeans(given, parts, subspace))).toBeGreaterThan(1 - 1e-9);
});

test("left alone: nothing outside, and a difference that would take much of the ball", () => {
  const parts = [{ samples: everyRow(n), weights, attack }];
  const all = new Float64Array(d * d);
  for (let l = 0; l < d; l++) all[l * d + l] = 1;
  expect(shiftMeans(problem, parts, all)).toBe(parts);
  expect(shiftMeans({ ...problem, radius: 1e-3 }, parts, subspace)).toBe(parts);
  expect(shiftMeans({ ...problem, radius: 0 }, parts, subspace)).toBe(parts);
});
