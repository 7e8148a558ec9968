import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batch, normals, randomNeurons, randomSigns, syntheticClasses } from "../test/support.js";
import { paperActivation } from "./activation.js";
import { createCertifier, lowerBound } from "./certificate.js";
import { everyRow } from "./factored/rowSource.js";
import { fitPolynomial } from "./fit.js";
import { hingeWeights } from "./hingeWeights.js";
import { quadraticFromNeurons } from "./quadratic.js";
import { robustObjective } from "./robustObjective.js";

test("never exceeds the objective of any network (property: random networks, weights, attacks, spreads)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 30 }),
      (seed, d, n) => {
        const rng = createRng(seed);
        const points = batch(normals(rng, n * d, 1 + rng.uniform()), d);
        const labels = randomSigns(rng, n);
        const radius = rng.uniform() < 0.2 ? 0 : 2 * rng.uniform();
        const beta = 10 ** (-3 * rng.uniform());
        const kappa = Float64Array.from({ length: n }, () => rng.uniform());
        // Weights and moves also outside of what is allowed: the certificate must clip them.
        const weights = kappa.map((weight) => weight * 1.5 * rng.uniform());
        const rank = 1 + rng.integer(d);
        const attack =
          rng.uniform() < 0.5
            ? { coordinates: normals(rng, n * d, radius) }
            : {
                coordinates: normals(rng, n * rank, radius / 2),
                basis: randomNeurons(rng, rank, d).directions,
                variances: normals(rng, n * rank, radius / 2).map((value) => value * value),
              };
        const certificate = lowerBound({
          points,
          labels,
          radius,
          attack,
          weights,
          hingeWeights: kappa,
          beta,
          activation: paperActivation,
        });
        expect(certificate.lowerBound).toBeGreaterThanOrEqual(0);
        const zero = kappa.reduce((sum, weight) => sum + weight, 0);
        expect(certificate.lowerBound).toBeLessThanOrEqual(zero * (1 + 1e-12));
        for (let trial = 0; trial < 4; trial++) {
          const network = randomNeurons(rng, 1 + rng.integer(4), d);
          const scale = 10 ** (-2 * rng.uniform());
          const neurons = { ...network, weights: network.weights.map((weight) => weight * scale) };
          const { total } = robustObjective(quadraticFromNeurons(neurons, d), points, labels, radius, kappa, beta);
          expect(certificate.lowerBound).toBeLessThanOrEqual(total);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("stays below networks trained on the same problem, for any attack", () => {
  const rng = createRng(2);
  const { points, labels } = syntheticClasses(4, 60, 3);
  const options = { radius: 0.3, beta: 0.01 };
  const fit = fitPolynomial(points, labels, options);
  const kappa = hingeWeights(labels, {});
  for (let trial = 0; trial < 100; trial++) {
    const weights = kappa.map((weight) => weight * rng.uniform());
    const attack = { coordinates: normals(rng, 60 * 3, 0.3) };
    const input = { points, labels, attack, weights, hingeWeights: kappa, activation: paperActivation, ...options };
    expect(lowerBound(input).lowerBound).toBeLessThanOrEqual(fit.objective.total);
  }
});

describe("closed forms", () => {
  const base = { radius: 0, beta: 1, activation: paperActivation };

  test("one sample, one dimension: h(u) = sigma(u x), bound min(1, beta / max)", () => {
    const points = batch(Float64Array.of(2), 1);
    const weight = Float64Array.of(1);
    const attack = { coordinates: Float64Array.of(0) };
    const found = lowerBound({ ...base, points, labels: [1], attack, weights: weight, hingeWeights: weight });
    // sigma(2) = 0.36 + 1 + 0.47, sigma(-2) = 0.36 - 1 + 0.47
    expect(found.largest).toBeCloseTo(1.83, 12);
    expect(found.largestNegative).toBeCloseTo(0.17, 12);
    expect(found.lowerBound).toBeCloseTo(1 / 1.83, 12);
  });

  test("equal points with opposite labels: the whole weight is certified, zero is optimal", () => {
    const points = batch(Float64Array.of(1, 2, 1, 2), 2);
    const weights = Float64Array.of(0.5, 0.5);
    const attack = { coordinates: new Float64Array(4) };
    const input = { ...base, beta: 1e-6, points, labels: [1, -1], attack, weights, hingeWeights: weights };
    expect(lowerBound(input).lowerBound).toBeCloseTo(1, 12);
  });
});

test("misuse is refused with typed errors", () => {
  const input = {
    points: batch(Float64Array.of(1, 2), 2),
    labels: [1],
    radius: 1,
    attack: { coordinates: new Float64Array(2) },
    weights: Float64Array.of(1),
    hingeWeights: Float64Array.of(1),
    beta: 1,
    activation: paperActivation,
  };
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => lowerBound({ ...input, beta: 0 })).toThrow(code("setting"));
  expect(() => lowerBound({ ...input, radius: Number.NaN })).toThrow(code("setting"));
  expect(() => lowerBound({ ...input, weights: Float64Array.of(1, 1) })).toThrow(code("shape"));
  expect(() => lowerBound({ ...input, weights: Float64Array.of(Number.NaN) })).toThrow(code("data"));
  expect(() => lowerBound({ ...input, attack: { coordinates: new Float64Array(3) } })).toThrow(code("shape"));
  const variances = { coordinates: new Float64Array(2), variances: new Float64Array(2) };
  expect(() => lowerBound({ ...input, attack: variances })).toThrow(code("shape"));
});

test("several attacks on a sample share its weight: never above any network, and the mixture of a hard case closes the gap", () => {
  const rng = createRng(21);
  const n = 30;
  const d = 3;
  const points = batch(normals(rng, n * d), d);
  const labels = randomSigns(rng, n);
  const [radius, beta] = [0.5, 0.02];
  const kappa = new Float64Array(n).fill(1 / n);
  const certifier = createCertifier(d, chooseKernels());
  const common = { points, labels, radius, hingeWeights: kappa, beta, activation: paperActivation };
  for (let trial = 0; trial < 20; trial++) {
    const parts = [0, 1, 2].map(() => ({
      samples: everyRow(n).filter(() => rng.uniform() < 0.7),
      weights: Float64Array.from({ length: n }, () => (1.5 * rng.uniform()) / n),
      attack: { coordinates: normals(rng, n * d, radius) },
    }));
    const { lowerBound: bound, weightSum } = certifier.certify({ ...common, parts });
    expect(weightSum).toBeLessThanOrEqual(1 + 1e-12);
    for (let other = 0; other < 5; other++) {
      const network = randomNeurons(rng, 2, d);
      const scale = 10 ** (-2 * rng.uniform());
      const neurons = { ...network, weights: network.weights.map((weight) => weight * scale) };
      const { total } = robustObjective(quadraticFromNeurons(neurons, d), points, labels, radius, kappa, beta);
      expect(bound).toBeLessThanOrEqual(total);
    }
  }
  // One point at 0 with f = -x^2 type scores: moves to +r and -r are both worst, their mixture cancels the linear part.
  const single = { points: batch(Float64Array.of(0), 1), labels: [1], radius: 1, hingeWeights: Float64Array.of(1) };
  const half = (move: number) => {
    const attack = { coordinates: Float64Array.of(move) };
    return { samples: Int32Array.of(0), weights: Float64Array.of(0.5), attack };
  };
  const one = createCertifier(1, chooseKernels());
  const rest = { ...single, beta: 0.1, activation: paperActivation };
  const { largest } = one.certify({ ...rest, parts: [half(1), half(-1)] });
  expect(largest).toBeCloseTo(0.09 + 0.47, 12);
  expect(one.certify({ ...rest, parts: [half(1), half(1)] }).largest).toBeCloseTo(0.09 + 0.5 + 0.47, 12);
});
