import { createRng, type NumericBatch, SettingError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import { fitRelu } from "../network/fitRelu.js";
import { clouds } from "../testing/problems.js";
import { patternCoverage, unseenMassBound } from "./coverage.js";
import { enumerateGates } from "./enumerateGates.js";
import { gatesFromVectors, patternBits, trainingBits } from "./gateSet.js";
import { type SampleGatesOptions, sampleGates } from "./sampleGates.js";
import { scenarioGateCount, scenarioImprovementProbability } from "./scenarioBound.js";

const { features } = clouds(3, 40, 6, 2);

const kinds = [
  { kind: "gaussian" },
  { kind: "difference" },
  { kind: "geometric-algebra" },
  { kind: "feature-sparse", support: 2 },
  { kind: "convolutional", image: [1, 3, 2], patch: [1, 2] },
  { kind: "perturbed-data", epsilon: 0.3 },
] as const;

describe.each(kinds)("$kind gates", (kind) => {
  it.each([true, false])("are distinct, seeded and have the bits they say, bias %s", (bias) => {
    const make = (seed: number) =>
      sampleGates(features, { ...kind, count: 30, rng: createRng(seed), bias } as SampleGatesOptions);
    const set = make(1);
    expect(set).toEqual(make(1));
    expect(set.gates).not.toEqual(make(2).gates);
    expect(set.count).toBeGreaterThan(10);
    expect(set.draws).toBe(set.count + set.duplicates + set.silent);
    const bits = trainingBits(features, set);
    const columns = Array.from({ length: set.count }, (_, p) =>
      Array.from({ length: 40 }, (_, i) => bits[i * set.count + p]).join(""),
    );
    expect(new Set(columns).size).toBe(set.count);
    if (kind.kind !== "perturbed-data") expect(bits).toEqual(patternBits(features, set));
  });
});

const same = { data: Float64Array.from({ length: 12 }, (_, k) => 1 + (k % 3)), shape: [4, 3] };
const one = { data: Float64Array.of(1, -2, 3), shape: [1, 3] };
it.each(kinds.filter(({ kind }) => kind !== "convolutional"))(
  "$kind: one sample, equal samples, zero features",
  (kind) => {
    for (const data of [one, same, { data: new Float64Array(12), shape: [4, 3] }]) {
      for (const bias of [true, false]) {
        const set = sampleGates(data, { ...kind, count: 3, rng: createRng(0), bias } as SampleGatesOptions);
        expect(set.gates.every(Number.isFinite)).toBe(true);
        expect(set.count).toBeGreaterThan(0);
        if (kind.kind !== "perturbed-data") expect(set.count).toBe(1); // all on; the all-off one is silent
      }
    }
  },
);

it("geometric-algebra gates turn about rank - 1 samples, and reach every cell of a small arrangement", () => {
  const { features: small } = clouds(9, 9, 3, 1);
  const all = enumerateGates(small, { bias: false });
  const set = sampleGates(small, { kind: "geometric-algebra", count: 1000, rng: createRng(4), bias: false });
  const texts = (patterns: Uint32Array) => [...patterns].sort((a, b) => a - b);
  expect(texts(set.patterns)).toEqual(texts(all.patterns));
  const biased = enumerateGates(small);
  const affine = sampleGates(small, {
    kind: "geometric-algebra",
    count: 1000,
    rng: createRng(4),
    maximumDraws: 20_000,
  });
  expect(texts(affine.patterns)).toEqual(texts(biased.patterns));
});

it("difference gates with a bias pass halfway between the two samples", () => {
  const two: NumericBatch = { data: Float64Array.of(0, 0, 2, 4), shape: [2, 2] };
  const set = sampleGates(two, { kind: "difference", count: 2, rng: createRng(0), maximumDraws: 100 });
  for (let p = 0; p < set.count; p++) {
    const [a, b, c] = set.gates.subarray(3 * p, 3 * p + 3);
    if (a !== 0 || b !== 0) expect(a * 1 + b * 2 + c).toBe(0);
  }
});

it("sparse and convolutional gates vanish off their support", () => {
  const sparse = sampleGates(features, { kind: "feature-sparse", support: 2, count: 20, rng: createRng(5) });
  for (let p = 0; p < sparse.count; p++) {
    expect(sparse.gates.subarray(p * 7, p * 7 + 6).filter((value) => value !== 0).length).toBe(2);
  }
  const image: NumericBatch = {
    data: Float64Array.from({ length: 20 * 24 }, () => createRng(1).normal()),
    shape: [20, 24],
  };
  const options = { kind: "convolutional", image: [3, 4, 2], patch: [2, 2], count: 60, bias: false } as const;
  const patches = sampleGates(image, { ...options, rng: createRng(5), maximumDraws: 60 });
  const corners = new Set<number>();
  for (let p = 0; p < patches.count; p++) {
    const on = [...patches.gates.subarray(p * 24, (p + 1) * 24).keys()].filter((k) => patches.gates[p * 24 + k] !== 0);
    const corner = on[0];
    corners.add(corner);
    expect(on).toEqual([0, 1, 2, 3, 8, 9, 10, 11].map((k) => corner + k)); // two rows of 4 pixels x 2 channels, 8 apart
    expect((corner / 2) % 4).toBeLessThanOrEqual(2);
  }
  expect(patches.count).toBeGreaterThan(0);
});

describe("patterns on perturbed data", () => {
  it("without perturbation are the Gaussian patterns", () => {
    const moved = sampleGates(features, { kind: "perturbed-data", epsilon: 0, count: 10, rng: createRng(2) });
    expect(trainingBits(features, moved)).toEqual(patternBits(features, moved));
  });

  it("differ from the clean signs only where |g'x| is at most epsilon times the l1 length of g", () => {
    const set = sampleGates(features, { kind: "perturbed-data", epsilon: 0.2, count: 40, rng: createRng(2) });
    const clean = patternBits(features, set);
    const bits = trainingBits(features, set);
    let differ = 0;
    for (let p = 0; p < 40; p++) {
      const g = set.gates.subarray(p * 7, p * 7 + 7);
      const reach = 0.2 * g.subarray(0, 6).reduce((sum, value) => sum + Math.abs(value), 0);
      for (let i = 0; i < 40; i++) {
        if (bits[i * 40 + p] === clean[i * 40 + p]) continue;
        differ++;
        let opening = g[6];
        for (let k = 0; k < 6; k++) opening += g[k] * features.data[i * 6 + k];
        expect(Math.abs(opening)).toBeLessThanOrEqual(reach * (1 + 1e-12));
      }
    }
    expect(differ).toBeGreaterThan(20);
    expect(() => trainingBits({ data: new Float64Array(600), shape: [100, 6] }, set)).toThrow(/trainingPatterns/);
  });
});

it("programs with cones train on perturbed patterns, gated models refuse them", async () => {
  const { features: data, labels } = clouds(4, 16, 3, 2);
  const common = { norm: "linf", radius: 0.02, beta: 0.01, tolerance: 1e-4 } as const;
  const moved = sampleGates(data, { kind: "perturbed-data", epsilon: 0.4, count: 30, rng: createRng(3) });
  const more = await fitRelu(data, labels, 2, { ...common, gates: moved });
  expect(more.status).toBe("optimal");
  expect(more.constraintViolation.maximum).toBe(0);
  // the clean pattern of every vector is among the perturbed ones: this program is contained in that one
  const shared = gatesFromVectors(moved.gates, data, true);
  const signs = await fitRelu(data, labels, 2, { ...common, gates: shared });
  expect(more.objective.total).toBeLessThanOrEqual(signs.objective.total * (1 + 2e-4));
  await expect(fitGatedRelu(data, labels, 2, { ...common, gates: moved })).rejects.toThrow(/gates/);
});

describe("coverage", () => {
  it("counts what was seen once and when it came", () => {
    const coverage = patternCoverage([3, 1, 1, 5], [0, 1, 9, 5], 10);
    expect([coverage.distinct, coverage.seenOnce, coverage.unseenMass]).toEqual([4, 2, 0.2]);
    expect([...coverage.newPerTenth]).toEqual([1, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
  });

  it("the bound covers the true unseen mass in at least 1 - psi of 500 runs of a known law, the estimate is unbiased", () => {
    const rng = createRng(8);
    const kindsOfLaw = 60;
    const law = Float64Array.from({ length: kindsOfLaw }, (_, k) => 1 / (k + 1));
    const mass = law.reduce((sum, share) => sum + share, 0);
    let covered = 0;
    let bias = 0;
    for (let run = 0; run < 500; run++) {
      const seen = new Array<number>(kindsOfLaw).fill(0);
      for (let draw = 0; draw < 50; draw++) {
        let left = rng.uniform() * mass;
        let pick = 0;
        while (pick < kindsOfLaw - 1 && left >= law[pick]) left -= law[pick++];
        seen[pick]++;
      }
      const found = seen.filter((times) => times > 0);
      const coverage = patternCoverage(
        found,
        found.map(() => 0),
        50,
      );
      const unseen = seen.reduce((sum, times, k) => sum + (times === 0 ? law[k] / mass : 0), 0);
      if (unseen <= unseenMassBound(coverage, 0.3)) covered++;
      bias += (coverage.unseenMass - unseen) / 500;
    }
    expect(covered).toBeGreaterThanOrEqual(350);
    expect(Math.abs(bias)).toBeLessThan(0.02);
    expect(() => unseenMassBound(patternCoverage([1], [0], 1), 1)).toThrow(SettingError);
  });

  it("a sample that has every pattern reports almost no unseen mass", () => {
    const { features: small } = clouds(2, 5, 2, 1);
    const set = sampleGates(small, { count: 1000, rng: createRng(0), bias: false, maximumDraws: 4000 });
    expect(set.count).toBe(enumerateGates(small, { bias: false }).count);
    expect(set.coverage.unseenMass).toBeLessThan(0.002);
    expect(set.coverage.newPerTenth[9]).toBe(0);
  });
});

describe("scenario bound", () => {
  it("is the binomial condition, and never above the closed form", () => {
    const log = (n: number) => {
      let sum = 0;
      for (let j = 2; j <= n; j++) sum += Math.log(j);
      return sum;
    };
    for (const [D, psi, xi] of [
      [1, 0.01, 0.1],
      [5, 1e-3, 0.05],
      [40, 1e-6, 0.2],
    ]) {
      const P = scenarioGateCount(xi, { dualVariables: D, psi });
      expect(P).toBeLessThanOrEqual(Math.ceil((2 / xi) * (Math.log(1 / psi) + D)));
      const tail = (gates: number) => {
        let sum = 0;
        for (let i = 0; i < D; i++) {
          sum += Math.exp(log(gates) - log(i) - log(gates - i) + i * Math.log(xi) + (gates - i) * Math.log1p(-xi));
        }
        return sum;
      };
      expect(tail(P)).toBeLessThanOrEqual(psi * (1 + 1e-9));
      expect(tail(P - 1)).toBeGreaterThan(psi);
      const back = scenarioImprovementProbability(P, { dualVariables: D, psi });
      expect(back).toBeLessThanOrEqual(xi * (1 + 1e-9));
      expect(scenarioImprovementProbability(P - 1, { dualVariables: D, psi })).toBeGreaterThan(xi);
    }
    expect(scenarioImprovementProbability(10, { dualVariables: 20, psi: 0.1 })).toBe(1);
  });

  it("one variable: 1 - psi^(1/P)", () => {
    expect(scenarioImprovementProbability(500, { dualVariables: 1, psi: 1e-3 })).toBeCloseTo(1 - 1e-3 ** (1 / 500), 12);
    expect(() => scenarioGateCount(0, { dualVariables: 1, psi: 0.1 })).toThrow(/xi/);
    expect(() => scenarioGateCount(0.1, { dualVariables: 0, psi: 0.1 })).toThrow(/dualVariables/);
    expect(() => scenarioImprovementProbability(10, { dualVariables: 1, psi: 1 })).toThrow(/psi/);
  });
});

it("bad options name themselves", () => {
  const rng = createRng(0);
  const sample = (kind: object) => () => sampleGates(features, { count: 2, rng, ...kind } as SampleGatesOptions);
  expect(sample({ kind: "uniform" })).toThrow(/options.kind/);
  expect(sample({ kind: "feature-sparse", support: 7 })).toThrow(/options.support/);
  expect(sample({ kind: "convolutional", image: [2, 2, 2], patch: [1, 1] })).toThrow(/options.image/);
  expect(sample({ kind: "convolutional", image: [1, 3, 2], patch: [2, 1] })).toThrow(/options.patch\[0\]/);
  expect(sample({ kind: "convolutional" })).toThrow(/options.image/);
  expect(sample({ kind: "convolutional", image: [1.5, 4, 1], patch: [1, 1] })).toThrow(/options.image/);
  expect(sample({ kind: "perturbed-data", epsilon: Number.NaN })).toThrow(/options.epsilon/);
  expect(sample({ kind: "perturbed-data", epsilon: 1, perturbations: 0 })).toThrow(/options.perturbations/);
});
