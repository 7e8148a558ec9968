import { createRng, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { type GatedReluModel, gatedScores } from "../gatedModel.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, pointInBall } from "../testing/problems.js";
import { certifiedMargins } from "./certifiedMargins.js";
import { certifiedRadii } from "./certifiedRadii.js";
import { margins, worstMargins } from "./worstMargins.js";

const norms: PerturbationNorm[] = ["l1", "l2", "linf", 1.5, 3];

function gatedModel(seed: number, d: number, classCount: number, gateCount: number) {
  const { features, labels, rng } = clouds(seed, 6, d, classCount);
  const gates = sampleGates(features, { count: gateCount, rng, maximumDraws: 4000 });
  const weights = Float64Array.from({ length: gates.count * classCount * (d + 1) }, () => rng.normal());
  const model: GatedReluModel = { kind: "gated-relu", gates, featureCount: d, classCount, bias: true, weights };
  return { model, features, labels };
}

function network(seed: number, d: number, classCount: number, neurons: number) {
  const { features, labels, rng } = clouds(seed, 6, d, classCount);
  const first = Float64Array.from({ length: neurons * (d + 1) }, () => rng.normal());
  const second = Float64Array.from({ length: classCount * neurons }, () => rng.normal());
  const model: ReluNetwork = { kind: "relu-network", featureCount: d, classCount, neurons, bias: true, first, second };
  return { model, features, labels };
}

/** l_q lengths of the perturbations, `[n]`. */
function distances(from: NumericBatch, to: NumericBatch, norm: PerturbationNorm): number[] {
  const [n, d] = from.shape as [number, number];
  const difference = Float64Array.from(to.data, (value, k) => value - from.data[k]);
  return Array.from({ length: n }, (_, i) => lengthOf(difference, i * d, d, normExponent(norm)));
}

/** Least margin over a fine grid of the ball in the plane. */
function gridWorst(
  subject: GatedReluModel | ReluNetwork,
  x: Float64Array,
  label: number,
  norm: PerturbationNorm,
  radius: number,
) {
  const steps = 80;
  const data: number[] = [];
  for (let a = -steps; a <= steps; a++) {
    for (let b = -steps; b <= steps; b++) {
      const z = [(radius * a) / steps, (radius * b) / steps];
      const size = lengthOf(z, 0, 2, normExponent(norm));
      if (size <= radius) data.push(x[0] + z[0], x[1] + z[1]);
    }
  }
  const features: NumericBatch = { data: Float64Array.from(data), shape: [data.length / 2, 2] };
  return margins(subject, features, new Int32Array(data.length / 2).fill(label)).reduce((a, b) => Math.min(a, b));
}

describe.each(norms)("%s ball", (norm) => {
  it.each(["gated-as-trained", "true-relu"] as const)(
    "%s, in the plane: the grid minimum, and exact",
    async (reading) => {
      for (const seed of [1, 2]) {
        const { model, features, labels } =
          reading === "true-relu" ? network(seed, 2, 3, 6) : gatedModel(seed, 2, 3, 6);
        const radius = 0.6;
        const result = await worstMargins(model, features, labels, { norm, radius });
        expect(result.reading).toBe(reading);
        expect(result.status).toEqual(Array(6).fill("exact"));
        expect(Math.max(...distances(features, result.points, norm))).toBeLessThanOrEqual(radius * (1 + 1e-12));
        const closed = certifiedMargins(model, features, labels, { norm, radius });
        for (let i = 0; i < 6; i++) {
          const grid = gridWorst(
            model,
            Float64Array.from(features.data.subarray(2 * i, 2 * i + 2)),
            labels[i],
            norm,
            radius,
          );
          expect(result.lower[i]).toBeLessThanOrEqual(grid + 1e-9);
          expect(result.upper[i]).toBeLessThanOrEqual(grid + 1e-5);
          expect(grid - result.lower[i]).toBeLessThan(0.3); // 160 steps across, pieces of size about 10
          expect(closed[i]).toBeLessThanOrEqual(result.lower[i] + 1e-9);
        }
      }
    },
  );

  it.each([
    ["gated-as-trained", 3, 8],
    ["true-relu", 3, 8],
    ["true-relu", 8, 20],
    ["gated-as-trained", 10, 12],
  ] as const)("%s, %i features, %i gates: never above random points, met by its own", async (reading, d, count) => {
    const { model, features, labels } = reading === "true-relu" ? network(7, d, 3, count) : gatedModel(7, d, 3, count);
    const radius = 0.4;
    const { status, lower, upper, points } = await worstMargins(model, features, labels, { norm, radius });
    expect(status).toEqual(Array(6).fill("exact"));
    const rng = createRng(3);
    for (let i = 0; i < 6; i++) {
      const data = new Float64Array(2000 * d);
      for (let t = 0; t < 2000; t++) {
        pointInBall(rng, d, norm, radius).forEach((z, k) => {
          data[t * d + k] = features.data[i * d + k] + z;
        });
      }
      const tried = margins(model, { data, shape: [2000, d] }, new Int32Array(2000).fill(labels[i]));
      expect(lower[i]).toBeLessThanOrEqual(Math.min(...tried));
      expect(upper[i]).toBeLessThanOrEqual(Math.min(...tried) + 1e-5);
    }
    expect(margins(model, points, labels)).toEqual(upper);
  });

  it("a node limit of zero still brackets, and more nodes only tighten", async () => {
    const { model, features, labels } = gatedModel(4, 6, 3, 25);
    let last: { lower: Float64Array; upper: Float64Array } = {
      lower: new Float64Array(6).fill(-1e9),
      upper: new Float64Array(6).fill(1e9),
    };
    for (const maximumNodes of [0, 10, 200]) {
      const next = await worstMargins(model, features, labels, { norm, radius: 0.5, maximumNodes });
      for (let i = 0; i < 6; i++) {
        expect(next.lower[i]).toBeLessThanOrEqual(next.upper[i]);
        expect(next.lower[i]).toBeGreaterThanOrEqual(last.lower[i] - 1e-7 * Math.abs(last.lower[i]));
        expect(next.upper[i]).toBeLessThanOrEqual(last.upper[i] + 1e-9);
      }
      last = next;
    }
  });

  it("radii: the class holds on random points inside, changes at the point outside, and the two are close", async () => {
    const { model, features, labels } = network(5, 4, 3, 10);
    const predicted = Int32Array.from(labels, (_, i) => {
      const row = networkScores(model, features).data.slice(3 * i, 3 * i + 3);
      return row.indexOf(Math.max(...row));
    });
    const options = { norm, maximumRadius: 3 };
    const { lower, upper, points } = await certifiedRadii(model, features, predicted, options);
    const cheap = await certifiedRadii(model, features, predicted, { ...options, method: "closed-form" });
    const rng = createRng(6);
    const moved = distances(features, points, norm);
    for (let i = 0; i < 6; i++) {
      expect(cheap.lower[i]).toBeLessThanOrEqual(lower[i] * 1.002);
      expect(cheap.upper[i]).toBeGreaterThanOrEqual(lower[i]);
      if (upper[i] < Number.POSITIVE_INFINITY) {
        expect(lower[i]).toBeGreaterThan(upper[i] * 0.995);
        expect(moved[i]).toBeCloseTo(upper[i], 10);
        const row = networkScores(model, points).data.slice(3 * i, 3 * i + 3);
        expect(row[predicted[i]]).toBeLessThanOrEqual(Math.max(...row.filter((_, c) => c !== predicted[i])) + 1e-9);
      } else expect(lower[i]).toBe(3);
      for (let t = 0; t < 300; t++) {
        const z = pointInBall(rng, 4, norm, lower[i]);
        const data = z.map((value, k) => value + features.data[4 * i + k]);
        expect(margins(model, { data, shape: [1, 4] }, predicted.slice(i, i + 1))[0]).toBeGreaterThan(-1e-9);
      }
    }
  });
});

it("one neuron per class, closed form: kappa max(0, h + g'z) is worst at an end of its interval", async () => {
  const model: ReluNetwork = {
    kind: "relu-network",
    featureCount: 3,
    classCount: 2,
    neurons: 1,
    bias: false,
    first: Float64Array.of(1, -2, 2),
    second: Float64Array.of(0, 1.5),
  };
  const features: NumericBatch = { data: Float64Array.of(0.5, 0, 0.1, -1, 0, 0), shape: [2, 3] };
  const labels = Int32Array.of(0, 1);
  // f_0 - f_1 = -1.5 max(0, h + g'z), h = 0.7, |g'z| <= 0.4 * 3; f_1 - f_0 = 1.5 max(0, -1 + g'z), least value 0
  const { lower, upper, status } = await worstMargins(model, features, labels, { norm: "l2", radius: 0.4 });
  expect(status).toEqual(["exact", "exact"]);
  expect(lower[0]).toBeCloseTo(-1.5 * (0.7 + 1.2), 5);
  expect(upper[0]).toBeCloseTo(-1.5 * (0.7 + 1.2), 5);
  expect(lower[1]).toBeCloseTo(0, 6);
  expect(upper[1]).toBe(0);
});

it("a network with one output has no margins", async () => {
  const features = { data: Float64Array.of(1, 2), shape: [1, 2] };
  const network: ReluNetwork = {
    ...{ kind: "relu-network", featureCount: 2, classCount: 1, neurons: 1, bias: false },
    first: Float64Array.of(1, 1),
    second: Float64Array.of(1),
  };
  const labels = Int32Array.of(0);
  const options = { norm: "l2", radius: 0.1, maximumRadius: 1 } as const;
  expect(() => certifiedMargins(network, features, labels, options)).toThrow(/classCount/);
  await expect(worstMargins(network, features, labels, options)).rejects.toThrow(/classCount/);
  await expect(certifiedRadii(network, features, labels, options)).rejects.toThrow(/classCount/);
});

it("edges: radius 0, an empty network, the zero model, bad options, abort", async () => {
  const { model, features, labels } = gatedModel(8, 3, 2, 4);
  const clean = await worstMargins(model, features, labels, { norm: "l2", radius: 0 });
  expect(clean.upper).toEqual(margins(model, features, labels));
  expect(clean.status.every((status) => status === "exact")).toBe(true);
  const zero = { ...model, weights: new Float64Array(model.weights.length) };
  const flat = await worstMargins(zero, features, labels, { norm: "linf", radius: 1 });
  expect([...flat.lower, ...flat.upper].every((value) => value === 0)).toBe(true);
  const none: ReluNetwork = {
    ...{ kind: "relu-network", featureCount: 3, classCount: 2, neurons: 0, bias: false },
    first: new Float64Array(0),
    second: new Float64Array(0),
  };
  expect((await worstMargins(none, features, labels, { norm: "l1", radius: 1 })).status[0]).toBe("exact");
  const radii = await certifiedRadii(none, features, labels, { norm: "l1", maximumRadius: 1 });
  expect([...radii.lower, ...radii.upper].every((value) => value === 0)).toBe(true);
  const options = { norm: "l2", radius: 1 } as const;
  await expect(worstMargins(model, features, labels, { ...options, radius: Number.NaN })).rejects.toThrow(/radius/);
  await expect(worstMargins(model, features, labels, { ...options, tolerance: 0 })).rejects.toThrow(/tolerance/);
  await expect(worstMargins(model, features, labels, { ...options, maximumNodes: -1 })).rejects.toThrow(/maximumNodes/);
  await expect(worstMargins(model, features, labels.slice(1), options)).rejects.toThrow(/labels/);
  await expect(certifiedRadii(model, features, labels, { norm: "l2", maximumRadius: 0 })).rejects.toThrow(
    /maximumRadius/,
  );
  const signal = AbortSignal.abort();
  await expect(worstMargins(model, features, labels, { ...options, signal })).rejects.toThrow(/abort/);
  expect(gatedScores(model, features).shape).toEqual([6, 2]);
});

it("q = 1, 2, Infinity as numbers are the balls of those names; q < 1 is refused", async () => {
  const { model, features, labels } = network(9, 4, 3, 8);
  for (const [name, q] of [
    ["l1", 1],
    ["l2", 2],
    ["linf", Number.POSITIVE_INFINITY],
  ] as const) {
    const named = await worstMargins(model, features, labels, { norm: name, radius: 0.3 });
    expect((await worstMargins(model, features, labels, { norm: q, radius: 0.3 })).lower).toEqual(named.lower);
  }
  await expect(worstMargins(model, features, labels, { norm: 0.5, radius: 0.3 })).rejects.toThrow(/options.norm/);
});
