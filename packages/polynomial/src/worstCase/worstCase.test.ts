import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import fc from "fast-check";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic, randomSigns } from "../../test/support.js";
import { evaluateQuadratic, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { prepareWorstCase, worstCase } from "./worstCase.js";

/** Largest w with the matrix of math.md 4.2 positive semidefinite for some lambda, by nested search; `flip` flips b. */
function marginByLmi(f: Quadratic, x: Float64Array, y: number, r: number, flip = false): number {
  const d = f.dimension;
  const smallest = (lambda: number, w: number) => {
    const M = Matrix.zeros(d + 1, d + 1);
    for (let k = 0; k < d; k++) {
      let cross = (flip ? -0.5 : 0.5) * f.q[k];
      for (let l = 0; l < d; l++) {
        M.set(k, l, y * f.Q[k * d + l] + (k === l ? lambda : 0));
        cross += f.Q[k * d + l] * x[l];
      }
      M.set(k, d, y * cross);
      M.set(d, k, y * cross);
    }
    M.set(d, d, y * evaluateQuadratic(f, x) - w - lambda * r * r);
    return Math.min(...new EigenvalueDecomposition(M, { assumeSymmetric: true }).realEigenvalues);
  };
  // For fixed w the smallest eigenvalue is concave in lambda: golden-section maximum.
  const best = (w: number) => {
    let [low, high] = [0, 200];
    const ratio = (Math.sqrt(5) - 1) / 2;
    for (let step = 0; step < 90; step++) {
      const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
      if (smallest(a, w) > smallest(b, w)) high = b;
      else low = a;
    }
    return smallest((low + high) / 2, w);
  };
  let [low, high] = [-200, 200];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (best(middle) >= -1e-13) low = middle;
    else high = middle;
  }
  return low;
}

describe("closed forms of math.md 23.2", () => {
  const square: Quadratic = { dimension: 1, Q: Float64Array.of(1), q: Float64Array.of(0), s: 0 };

  test("one dimension, both labels", () => {
    const { values, multipliers, perturbations } = worstCase(square, batch(Float64Array.of(2, 2), 1), [1, -1], 1);
    expect(values[0]).toBeCloseTo(1, 11);
    expect(values[1]).toBeCloseTo(-9, 11);
    expect(Array.from(multipliers)).toEqual([1, 3]);
    expect(Array.from(perturbations ?? [])).toEqual([-1, 1]);
  });

  test("hard case: saddle at the centre", () => {
    const saddle = { dimension: 2, Q: Float64Array.of(-0.09, 0, 0, 0.09), q: new Float64Array(2), s: 0 };
    const found = worstCase(saddle, batch(new Float64Array(2), 2), [1], 1.5);
    expect(found.values[0]).toBeCloseTo(-0.09 * 1.5 ** 2, 13);
    expect(found.multipliers[0]).toBeCloseTo(0.09, 14);
    expect(Math.abs(found.perturbations?.[0] ?? 0)).toBeCloseTo(1.5, 12);
    expect(found.perturbations?.[1]).toBeCloseTo(0, 12);
  });

  test("hard case: repeated lowest eigenvalue, gradient only in the other direction", () => {
    // f = -x1^2 - x2^2 + x3^2 + x3 at 0: rest of the ball is filled in the first two, D3 = -1 / (2 (1 + 1)).
    const Q = Float64Array.of(-1, 0, 0, 0, -1, 0, 0, 0, 1);
    const f = { dimension: 3, Q, q: Float64Array.of(0, 0, 1), s: 0 };
    const r = 2;
    const { values, multipliers, perturbations } = worstCase(f, batch(new Float64Array(3), 3), [1], r);
    expect(values[0]).toBeCloseTo(-r * r - 1 / 8, 12);
    expect(multipliers[0]).toBeCloseTo(1, 13);
    expect(Math.hypot(...(perturbations ?? []))).toBeCloseTo(r, 12);
    expect(evaluateQuadratic(f, perturbations ?? [])).toBeCloseTo(-r * r - 1 / 8, 12);
  });

  test("interior minimum", () => {
    const f = { dimension: 2, Q: Float64Array.of(2, 0, 0, 1), q: Float64Array.of(-2, 1), s: 1 };
    const { values, multipliers } = worstCase(f, batch(new Float64Array(2), 2), [1], 10);
    expect(values[0]).toBeCloseTo(1 - 0.5 - 0.25, 10);
    expect(multipliers[0]).toBe(0);
  });

  test("linear score: y f(x) - r ||q||", () => {
    const f = { dimension: 2, Q: new Float64Array(4), q: Float64Array.of(3, 4), s: 1 };
    const { values } = worstCase(f, batch(Float64Array.of(1, 0, 1, 0), 2), [1, -1], 0.5);
    expect(values[0]).toBeCloseTo(4 - 2.5, 12);
    expect(values[1]).toBeCloseTo(-4 - 2.5, 12);
  });
});

test("equals the largest margin of the matrix inequality, and not with the sign of b flipped (math.md 23.1)", () => {
  const rng = createRng(11);
  let flippedDiffers = 0;
  for (let round = 0; round < 4; round++) {
    const d = 2 + (round % 3);
    const f = randomNetwork(rng, 2 * d, d);
    const x = normals(rng, d);
    const y = round % 2 ? 1 : -1;
    const r = 0.3 + rng.uniform();
    const [value] = worstCase(f, batch(x, d), [y], r).values;
    const size = 1 + Math.abs(value);
    expect(Math.abs(marginByLmi(f, x, y, r) - value)).toBeLessThan(1e-9 * size);
    if (Math.abs(marginByLmi(f, x, y, r, true) - value) > 1e-3 * size) flippedDiffers++;
  }
  expect(flippedDiffers).toBe(4);
});

test("never above any point of the ball, and attained at the perturbation (property)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 8 }),
      fc.double({ min: 0, max: 5, noNaN: true }),
      (seed, d, r) => {
        const rng = createRng(seed);
        const f = rng.uniform() < 0.5 ? randomQuadratic(rng, d) : randomNetwork(rng, 1 + rng.integer(2 * d), d);
        const n = 6;
        const points = normals(rng, n * d);
        const labels = randomSigns(rng, n);
        const { values, perturbations = new Float64Array(0) } = worstCase(f, batch(points, d), labels, r);
        for (let i = 0; i < n; i++) {
          const x = points.subarray(i * d, (i + 1) * d);
          const move = perturbations.subarray(i * d, (i + 1) * d);
          const scale = 1 + Math.abs(values[i]);
          expect(Math.hypot(...move)).toBeLessThanOrEqual(r * (1 + 1e-12));
          const attained =
            labels[i] *
            evaluateQuadratic(
              f,
              x.map((value, l) => value + move[l]),
            );
          expect(values[i]).toBeLessThanOrEqual(attained);
          expect(attained - values[i]).toBeLessThan(1e-9 * scale);
          for (let trial = 0; trial < 50; trial++) {
            const direction = normals(rng, d);
            const length = Math.hypot(...direction);
            const t = (r * (trial % 2 ? 1 : rng.uniform())) / length;
            const other =
              labels[i] *
              evaluateQuadratic(
                f,
                x.map((value, l) => value + t * direction[l]),
              );
            expect(values[i]).toBeLessThanOrEqual(other + 1e-12 * scale);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("dense sampling of the circle and the sphere comes as close as its spacing allows", () => {
  const rng = createRng(5);
  for (const d of [2, 3]) {
    const f = randomQuadratic(rng, d);
    const x = normals(rng, d);
    const r = 0.8;
    const [value] = worstCase(f, batch(x, d), [-1], r).values;
    let sampled = Number.POSITIVE_INFINITY;
    const steps = d === 2 ? 4000 : 250_000;
    for (let t = 0; t < steps; t++) {
      const height = d === 2 ? 0 : 1 - (2 * (t + 0.5)) / steps;
      const angle = d === 2 ? (2 * Math.PI * t) / steps : t * 2.399963229728653;
      const flat = Math.sqrt(1 - height * height);
      const u = [flat * Math.cos(angle), flat * Math.sin(angle), height].slice(0, d);
      for (const part of [1, 0.75, 0.5, 0.25]) {
        sampled = Math.min(
          sampled,
          -evaluateQuadratic(
            f,
            x.map((v, l) => v + part * r * u[l]),
          ),
        );
      }
    }
    expect(sampled).toBeGreaterThanOrEqual(value);
    expect(sampled - value).toBeLessThan(0.02);
  }
});

test("span form and dense form agree; both kernels agree", () => {
  const rng = createRng(6);
  const d = 20;
  const network = randomNetwork(rng, 5, d);
  const { neurons: _, ...dense } = network;
  const points = batch(normals(rng, 40 * d), d);
  const labels = randomSigns(rng, 40);
  expect(prepareWorstCase(network).form.rank).toBe(5);
  expect(prepareWorstCase(dense).form.rank).toBe(20);
  const one = worstCase(network, points, labels, 0.7);
  const two = worstCase(dense, points, labels, 0.7);
  const three = worstCase(network, points, labels, 0.7, { kernels: chooseKernels("js") });
  for (let i = 0; i < 40; i++) {
    expect(Math.abs(one.values[i] - two.values[i])).toBeLessThan(1e-10);
    expect(Math.abs(one.values[i] - three.values[i])).toBeLessThan(1e-10);
  }
});

test("duplicated and opposite neurons in the span form", () => {
  const rng = createRng(7);
  const base = normals(rng, 6);
  const length = Math.hypot(...base);
  const unit = base.map((value) => value / length);
  const neurons = {
    directions: Float64Array.of(...unit, ...unit, ...unit.map((value) => -value)),
    weights: Float64Array.of(1, 2, -1.5),
    activation: { a: 0.09, b: 0.5, c: 0.47 },
  };
  const oracle = prepareWorstCase(quadraticFromNeurons(neurons, 6));
  expect(oracle.form.rank).toBe(1);
  const x = normals(rng, 6);
  const [value] = oracle.solve(batch(x, 6), [1], 0).values;
  expect(value).toBeCloseTo(evaluateQuadratic(oracle.quadratic, x), 10);
});

test("nonincreasing in the radius, continuous at 0 (math.md 23.8, 23.11)", () => {
  const rng = createRng(8);
  const f = randomQuadratic(rng, 7);
  const points = batch(normals(rng, 30 * 7), 7);
  const labels = randomSigns(rng, 30);
  const oracle = prepareWorstCase(f);
  let previous = oracle.solve(points, labels, 0).values;
  for (let i = 0; i < 30; i++) {
    const exact = labels[i] * evaluateQuadratic(f, points.data.subarray(i * 7, (i + 1) * 7));
    expect(previous[i]).toBeCloseTo(exact, 11);
  }
  for (const r of [1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 1, 5, 1e3, 1e6]) {
    const { values } = oracle.solve(points, labels, r);
    for (let i = 0; i < 30; i++) expect(values[i]).toBeLessThanOrEqual(previous[i] + 1e-10 * (1 + Math.abs(values[i])));
    if (r < 1e-8) for (let i = 0; i < 30; i++) expect(Math.abs(values[i] - previous[i])).toBeLessThan(1e-6);
    previous = values;
  }
});

test("misuse is refused with typed errors", () => {
  const f = randomQuadratic(createRng(9), 3);
  const good = batch(Float64Array.of(1, 2, 3), 3);
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => worstCase(f, batch(Float64Array.of(1, Number.NaN, 3), 3), [1], 1)).toThrow(code("data"));
  expect(() => worstCase(f, batch(Float64Array.of(1, 2), 2), [1], 1)).toThrow(code("shape"));
  expect(() => worstCase(f, good, [1, 1], 1)).toThrow(code("shape"));
  expect(() => worstCase(f, good, [0], 1)).toThrow(code("data"));
  expect(() => worstCase(f, good, [1], -1)).toThrow(code("setting"));
  expect(() => worstCase(f, good, [1], Number.POSITIVE_INFINITY)).toThrow(code("setting"));
  expect(() => worstCase(f, good, [1], { space: "feature", norm: "linf", value: 1 })).toThrow(code("setting"));
  expect(() => worstCase({ ...f, Q: Float64Array.of(1, 2, 3) }, good, [1], 1)).toThrow(code("shape"));
  const skew = { ...f, Q: Float64Array.from(f.Q, (value, i) => (i === 1 ? value + 1 : value)) };
  expect(() => worstCase(skew, good, [1], 1)).toThrow(code("data"));
  expect(() => worstCase(f, { data: new Float64Array(0), shape: [0, 3] }, [], 1)).toThrow(code("data"));
});
