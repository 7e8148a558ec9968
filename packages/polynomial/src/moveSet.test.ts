import { createRng, DataError, SettingError, ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic, randomSigns } from "../test/support.js";
import { flipDistances } from "./flipDistance.js";
import { metricMatrix, metricSquare, moveSetOf } from "./moveSet.js";
import { preparePairwise } from "./pairwise.js";
import { evaluateQuadratic, linearQuadratic } from "./quadratic.js";
import { worstCase } from "./worstCase/worstCase.js";

function lowerTriangular(seed: number, d: number): Float64Array {
  const rng = createRng(seed);
  const L = normals(rng, d * d, 0.4);
  for (let k = 0; k < d; k++) {
    L[k * d + k] = 0.5 + rng.uniform();
    for (let l = k + 1; l < d; l++) L[k * d + l] = 0;
  }
  return L;
}

/** ||L^-1 D|| by forward substitution. */
function metricLength(L: Float64Array, D: ArrayLike<number>, d: number): number {
  const z = new Float64Array(d);
  for (let k = 0; k < d; k++) {
    let rest = D[k];
    for (let l = 0; l < k; l++) rest -= L[k * d + l] * z[l];
    z[k] = rest / L[k * d + k];
  }
  return Math.hypot(...z);
}

describe("move sets", () => {
  it("worst cases in an ellipsoid with immutable features: admissible, attained, and below every sampled move", () => {
    const [d, samples] = [5, 8];
    const rng = createRng(5);
    const L = lowerTriangular(6, d);
    for (const immutable of [[], [1], [0, 3], [1, 2, 4]]) {
      for (const quadratic of [randomQuadratic(rng, d), randomNetwork(rng, 3, d)]) {
        const points = batch(normals(rng, samples * d), d);
        const labels = randomSigns(rng, samples);
        const radius = 0.7;
        const { values, perturbations } = worstCase(quadratic, points, labels, radius, { immutable, ellipsoid: L });
        const at = (i: number, D: ArrayLike<number>) =>
          labels[i] *
          evaluateQuadratic(
            quadratic,
            points.data.subarray(i * d, (i + 1) * d).map((x, k) => x + D[k]),
          );
        for (let i = 0; i < samples; i++) {
          const D = perturbations!.subarray(i * d, (i + 1) * d);
          for (const k of immutable) expect(D[k]).toBe(0);
          expect(metricLength(L, D, d)).toBeLessThanOrEqual(radius * (1 + 1e-9));
          expect(at(i, D)).toBeGreaterThanOrEqual(values[i]);
          expect(at(i, D)).toBeCloseTo(values[i], 8);
        }
        for (let trial = 0; trial < 400; trial++) {
          const D = normals(rng, d);
          for (const k of immutable) D[k] = 0;
          const scale = radius / metricLength(L, D, d);
          const i = trial % samples;
          expect(
            at(
              i,
              D.map((value) => scale * value),
            ),
          ).toBeGreaterThanOrEqual(values[i]);
        }
      }
    }
  });

  it("rows beyond one block: worst cases and flip distances of many rows are those of each row alone", () => {
    const [d, samples] = [3, 1100];
    const rng = createRng(21);
    const quadratic = randomQuadratic(rng, d);
    const points = batch(normals(rng, samples * d), d);
    const labels = randomSigns(rng, samples);
    for (const options of [{ immutable: [1] }, { ellipsoid: lowerTriangular(4, d) }]) {
      const all = worstCase(quadratic, points, labels, 0.4, options);
      const flips = flipDistances(quadratic, points, options);
      for (const i of [0, 255, 256, 511, 512, 1023, 1024, 1099]) {
        const one = batch(points.data.slice(i * d, (i + 1) * d) as Float64Array, d);
        const own = worstCase(quadratic, one, labels.slice(i, i + 1), 0.4, options);
        expect(all.values[i]).toBeCloseTo(own.values[0]!, 12);
        expect(all.multipliers[i]).toBeCloseTo(own.multipliers[0]!, 9);
        const moves = (D: Float64Array | undefined, row: number) => Array.from(D!.subarray(row * d, (row + 1) * d));
        moves(all.perturbations, i).forEach((move, k) => {
          expect(move).toBeCloseTo(own.perturbations![k]!, 9);
        });
        expect(flips.distances[i]).toBeCloseTo(flipDistances(quadratic, one, options).distances[0]!, 10);
      }
    }
  });

  it("flip distances: the witness is on the boundary, and the worst case changes sign just there", () => {
    const [d, samples] = [6, 40];
    const rng = createRng(11);
    const L = lowerTriangular(12, d);
    for (const options of [{ immutable: [2] }, { ellipsoid: L }, { immutable: [0, 4, 5], ellipsoid: L }]) {
      const quadratic = randomQuadratic(rng, d);
      const points = batch(normals(rng, samples * d), d);
      const { distances, witnesses } = flipDistances(quadratic, points, options);
      for (let i = 0; i < samples; i++) {
        const x = points.data.slice(i * d, (i + 1) * d);
        const own = evaluateQuadratic(quadratic, x);
        const label = [own > 0 ? 1 : -1];
        const worst = (radius: number) => worstCase(quadratic, batch(x, d), label, radius, options).values[0];
        if (distances[i] === Number.POSITIVE_INFINITY) {
          expect(worst(1e4)).toBeGreaterThan(0);
          continue;
        }
        expect(worst(distances[i] * (1 - 1e-6))).toBeGreaterThan(0);
        expect(worst(distances[i] * (1 + 1e-6))).toBeLessThan(0);
        const D = witnesses!.subarray(i * d, (i + 1) * d);
        for (const k of options.immutable ?? []) expect(D[k]).toBe(0);
        const length = "ellipsoid" in options ? metricLength(L, D, d) : Math.hypot(...D);
        expect(length).toBeCloseTo(distances[i], 8);
        const moved = evaluateQuadratic(
          quadratic,
          x.map((value, k) => value + D[k]),
        );
        expect(Math.abs(moved)).toBeLessThan(1e-9 * (1 + Math.abs(own) + distances[i] ** 2));
      }
    }
  });

  it("flip distances of a linear score are |f| / ||L' q|| over the moving features, and none exists where only fixed ones count", () => {
    const linear = linearQuadratic(Float64Array.of(3, -2, 4), 0.5);
    const x = batch(Float64Array.of(1, 1, 1), 3);
    expect(flipDistances(linear, x, { immutable: [1] }).distances[0]).toBeCloseTo(5.5 / 5, 12);
    const axes = Float64Array.of(2, 0, 0, 0, 1, 0, 0, 0, 0.5);
    expect(flipDistances(linear, x, { ellipsoid: axes }).distances[0]).toBeCloseTo(5.5 / Math.hypot(6, -2, 2), 12);
    const immutable = [1];
    expect(flipDistances(linear, x, { ellipsoid: axes, immutable }).distances[0]).toBeCloseTo(
      5.5 / Math.hypot(6, 2),
      12,
    );
    const only = linearQuadratic(Float64Array.of(0, 1, 0), 0);
    const { distances, witnesses } = flipDistances(only, x, { immutable });
    expect(distances[0]).toBe(Number.POSITIVE_INFINITY);
    expect(Array.from(witnesses!)).toEqual([0, 0, 0]);
    // x'x + 1 stays positive whatever moves
    const Q = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
    const bowl = { dimension: 3, Q, q: new Float64Array(3), s: 1 };
    expect(flipDistances(bowl, x, { immutable: [0] }).distances[0]).toBe(Number.POSITIVE_INFINITY);
    // x_0^2 + x_2^2 - 5 x_1 with x_1 = 1 fixed: from (1, ., 1) to the circle of radius sqrt 5
    const circle = { dimension: 3, Q: Float64Array.of(1, 0, 0, 0, 0, 0, 0, 0, 1), q: Float64Array.of(0, -5, 0), s: 0 };
    const [reach] = flipDistances(circle, x, { immutable }).distances;
    expect(reach).toBeCloseTo(Math.sqrt(5) - Math.SQRT2, 12);
  });

  it("argmax margins and radii with immutable features are those of the pairs of scores", () => {
    const rng = createRng(3);
    const d = 4;
    const scores = [0, 1, 2].map(() => randomQuadratic(rng, d));
    const points = batch(normals(rng, 12 * d), d);
    const labels = Int32Array.from({ length: 12 }, (_, i) => i % 3);
    for (const options of [{ immutable: [2] }, { immutable: [2], ellipsoid: lowerTriangular(4, d) }]) {
      const oracle = preparePairwise(scores, options);
      const { margins } = oracle.margins(points, labels, 0.3);
      const radii = oracle.robustRadii(points, labels);
      for (let i = 0; i < 12; i++) {
        const x = batch(points.data.slice(i * d, (i + 1) * d) as Float64Array, d);
        let least = Number.POSITIVE_INFINITY;
        for (let c = 0; c < 3; c++) {
          if (c === labels[i]) continue;
          const [one, two] = [scores[labels[i]], scores[c]];
          const Q = one.Q.map((value, k) => value - two.Q[k]);
          const difference = { dimension: d, Q, q: one.q.map((value, k) => value - two.q[k]), s: one.s - two.s };
          const [value] = worstCase(difference, x, [1], 0.3, options).values;
          expect(margins[i * 3 + c]).toBeCloseTo(value, 9);
          least = Math.min(least, flipDistances(difference, x, { ...options, labels: [1] }).distances[0]);
        }
        expect(radii[i]).toBeCloseTo(least, 8);
      }
    }
  });

  it("the metric of a section is that of the ellipsoid", () => {
    const d = 5;
    const L = lowerTriangular(21, d);
    const set = moveSetOf({ ellipsoid: L, immutable: [0, 3] }, d)!;
    const rng = createRng(2);
    const matrix = metricMatrix(set);
    for (let trial = 0; trial < 20; trial++) {
      const D = normals(rng, d);
      D[0] = 0;
      D[3] = 0;
      const square = metricSquare(set, D, 0, new Float64Array(d));
      expect(Math.sqrt(square)).toBeCloseTo(metricLength(L, D, d), 10);
      let form = 0;
      for (let k = 0; k < d; k++) for (let l = 0; l < d; l++) form += D[k] * matrix[k * d + l] * D[l];
      expect(form).toBeCloseTo(square, 10);
    }
  });

  it("refuses what is no set", () => {
    const quadratic = randomQuadratic(createRng(1), 3);
    const x = batch(new Float64Array(3), 3);
    for (const immutable of [[0, 1, 2], [3], [-1], [1, 1], [0.5], 2 as never, "a" as never]) {
      expect(() => flipDistances(quadratic, x, { immutable })).toThrow(SettingError);
    }
    expect(() => worstCase(quadratic, x, [1], 1, { ellipsoid: new Float64Array(4) })).toThrow(ShapeError);
    expect(() => worstCase(quadratic, x, [1], 1, { ellipsoid: new Float64Array(9) })).toThrow(DataError);
  });
});
