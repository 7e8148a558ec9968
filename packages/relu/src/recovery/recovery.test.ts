import { createRng, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import type { GatedReluModel } from "../gatedModel.js";
import { networkFromJson, networkScores, networkToJson, type ReluNetwork } from "../network/reluNetwork.js";
import { gatesFromVectors, patternBits } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, pointInBall } from "../testing/problems.js";
import { networkFromSafetensors, networkToSafetensors } from "./networkFile.js";
import { pruneNetwork } from "./pruneNetwork.js";
import { recoverNetwork } from "./recoverNetwork.js";

/** Scores of the gated model at x_i + z with the gates of x_i. */
function fixedScores(model: GatedReluModel, bits: Uint8Array, i: number, x: Float64Array): Float64Array {
  const { gates, classCount, featureCount, weights } = model;
  const width = featureCount + (model.bias ? 1 : 0);
  const scores = new Float64Array(classCount);
  for (let p = 0; p < gates.count; p++) {
    if (bits[i * gates.count + p] === 0) continue;
    for (let c = 0; c < classCount; c++) {
      const from = (p * classCount + c) * width;
      for (let k = 0; k < featureCount; k++) scores[c] += weights[from + k] * x[k];
      if (model.bias) scores[c] += weights[from + featureCount];
    }
  }
  return scores;
}

/** Two clouds and gates that keep off the samples, so that cones with a radius have an interior. */
function separated(seed: number, radius: number) {
  const { features, labels } = clouds(seed, 20, 3, 3);
  const all = sampleGates(features, { count: 400, rng: createRng(seed) });
  const wide = Array.from({ length: all.count }, (_, p) => all.gates.slice(p * 4, (p + 1) * 4)).filter((g) => {
    const size = Math.hypot(g[0], g[1], g[2]);
    for (let i = 0; i < 20; i++) {
      const opening = g[3] + [0, 1, 2].reduce((sum, k) => sum + g[k] * features.data[i * 3 + k], 0);
      if (Math.abs(opening) < 1.2 * radius * size) return false;
    }
    return true;
  });
  const vectors = Float64Array.from(wide.slice(0, 6).flatMap((gate) => [...gate]));
  return { features, labels, gates: gatesFromVectors(vectors, features, true) };
}

describe.each(["l1", "l2", "linf"] as const)("the network recovered from a trained gated model, %s", (norm) => {
  it.each([0, 0.05])("equals it on the balls of radius %s around the training samples", async (radius) => {
    const { features, labels, gates } = separated(3, Math.max(radius * 2, 0.05));
    expect(gates.count).toBeGreaterThan(2);
    const options = { norm, radius, beta: 0.005, gates, tolerance: 0.02 };
    const { model } = await fitGatedRelu(features, labels, 3, options);
    const recovered = await recoverNetwork(model, features, { norm, radius });
    expect([recovered.status, recovered.largestShortfall, recovered.approximatePieces]).toEqual(["exact", 0, 0]);
    expect(recovered.normGrowth).toBeGreaterThanOrEqual(1);
    const bits = patternBits(features, gates);
    const rng = createRng(4);
    for (let i = 0; i < 20; i++) {
      for (let trial = 0; trial < 30; trial++) {
        const x = pointInBall(rng, 3, norm, radius).map((z, k) => z + features.data[i * 3 + k]);
        const scores = networkScores(recovered.network, { data: x, shape: [1, 3] }).data;
        const expected = fixedScores(model, bits, i, x);
        for (let c = 0; c < 3; c++) expect(scores[c]).toBeCloseTo(expected[c], 9);
      }
    }
    const again = networkFromSafetensors(networkToSafetensors(recovered.network));
    expect(again).toEqual(recovered.network);
  });
});

it("approximate splits: scores differ by no more than the shortfalls allow, and less with a larger penalty", async () => {
  const { features, gates } = separated(5, 0.02);
  const rng = createRng(5);
  const weights = Float64Array.from({ length: gates.count * 3 * 4 }, () => rng.normal());
  const model: GatedReluModel = { kind: "gated-relu", gates, featureCount: 3, classCount: 3, bias: true, weights };
  const bits = patternBits(features, gates);
  let last = Number.POSITIVE_INFINITY;
  for (const penalty of [10, 1000, 1e6]) {
    const { status, network, largestShortfall } = await recoverNetwork(model, features, { exact: false, penalty });
    expect(status).toBe("approximate");
    const scores = networkScores(network, features).data;
    for (let i = 0; i < 20; i++) {
      const expected = fixedScores(model, bits, i, Float64Array.from(features.data.subarray(i * 3, (i + 1) * 3)));
      for (let c = 0; c < 3; c++) {
        expect(Math.abs(scores[i * 3 + c] - expected[c])).toBeLessThanOrEqual(
          2 * gates.count * largestShortfall + 1e-9,
        );
      }
    }
    expect(largestShortfall).toBeLessThan(last);
    last = largestShortfall;
  }
});

describe("pruning", () => {
  const { features, labels, rng } = clouds(6, 15, 4, 3);
  const width = 5;
  const neurons = 30;
  const first = Float64Array.from({ length: neurons * width }, () => rng.normal());
  first.copyWithin(width, 0, width); // neuron 1 is neuron 0 twice as long
  for (let k = width; k < 2 * width; k++) first[k] *= 2;
  first.fill(0, 2 * width, 3 * width); // neuron 2 never fires
  const second = Float64Array.from({ length: 3 * neurons }, (_, k) => rng.normal() * 10 ** (-(k % neurons) / 6));
  const network: ReluNetwork = {
    kind: "relu-network",
    featureCount: 4,
    classCount: 3,
    neurons,
    bias: true,
    first,
    second,
  };

  it("tolerance 0 only merges; the function stays", () => {
    const pruned = pruneNetwork(network, features, { tolerance: 0 });
    expect([pruned.merged, pruned.scoreChange]).toEqual([2, 0]); // neurons that fire on no sample may go as well
    const before = networkScores(network, features).data;
    networkScores(pruned.network, features).data.forEach((score, k) => {
      expect(score).toBeCloseTo(before[k], 10);
    });
  });

  it.each([0.01, 0.1, 1])(
    "tolerance %s: scores on the balls and the loss change by no more than reported",
    (tolerance) => {
      const pruned = pruneNetwork(network, features, { tolerance, norm: "linf", radius: 0.1, labels });
      expect(pruned.removed).toBeGreaterThan(0);
      expect(pruned.scoreChange).toBeLessThanOrEqual(tolerance);
      expect(pruned.normDecrease).toBeGreaterThan(0);
      const sampler = createRng(2);
      const data = Float64Array.from({ length: 15 * 40 * 4 }, () => 0);
      for (let row = 0; row < 600; row++) {
        pointInBall(sampler, 4, "linf", 0.1).forEach((z, k) => {
          data[row * 4 + k] = features.data[Math.floor(row / 40) * 4 + k] + z;
        });
      }
      const points: NumericBatch = { data, shape: [600, 4] };
      const before = networkScores(network, points).data;
      const after = networkScores(pruned.network, points).data;
      let change = 0;
      before.forEach((score, k) => {
        change = Math.max(change, Math.abs(score - after[k]));
      });
      expect(change).toBeLessThanOrEqual(pruned.scoreChange + 1e-12);
      const hinge = (scores: ArrayLike<number>) => {
        let total = 0;
        for (let row = 0; row < 600; row += 40) {
          const label = labels[row / 40];
          for (let c = 0; c < 3; c++) {
            if (c !== label) total += Math.max(0, 1 - scores[row * 3 + label] + scores[row * 3 + c]) / 15;
          }
        }
        return total;
      };
      expect(Math.abs(hinge(after) - hinge(before))).toBeLessThanOrEqual((pruned.lossChange ?? 0) + 1e-12);
    },
  );

  it("a tolerance above everything leaves the empty network; bad options name themselves", () => {
    expect(pruneNetwork(network, features, { tolerance: 1e9 }).network.neurons).toBe(0);
    expect(() => pruneNetwork(network, features, { tolerance: Number.NaN })).toThrow(/tolerance/);
    expect(() => pruneNetwork(network, features, { tolerance: 1, labels: Int32Array.of(0) })).toThrow(/labels/);
  });
});

describe("edges", () => {
  it("the zero model, one sample, duplicate samples, zero features", async () => {
    const one: NumericBatch = { data: Float64Array.of(1, -2), shape: [1, 2] };
    const gates = sampleGates(one, { count: 1, rng: createRng(0) });
    const zero: GatedReluModel = {
      ...{ kind: "gated-relu", gates, featureCount: 2, classCount: 2, bias: true },
      weights: new Float64Array(6),
    };
    const empty = await recoverNetwork(zero, one);
    expect([empty.network.neurons, empty.normGrowth, empty.status]).toEqual([0, 0, "exact"]);
    const model = { ...zero, weights: Float64Array.of(1, 2, 3, -1, 0, 2) };
    for (const features of [
      one,
      { data: Float64Array.of(1, -2, 1, -2, 1, -2), shape: [3, 2] },
      { data: new Float64Array(4), shape: [2, 2] },
    ]) {
      const set = sampleGates(features, { count: 1, rng: createRng(1) });
      const { network, status } = await recoverNetwork({ ...model, gates: set }, features);
      expect(status).toBe("exact");
      const [a, b] = features.data;
      const scores = networkScores(network, features).data;
      expect(scores[0]).toBeCloseTo(a + 2 * b + 3, 9);
      expect(scores[1]).toBeCloseTo(-a + 2, 9);
    }
    await expect(recoverNetwork(model, one, { radius: -1 })).rejects.toThrow(/radius/);
    await expect(recoverNetwork(model, one, { penalty: 0 })).rejects.toThrow(/penalty/);
    await expect(recoverNetwork(model, { data: Float64Array.of(Number.NaN, 1), shape: [1, 2] })).rejects.toThrow(
      /features/,
    );
  });

  it("reports its way and can be aborted on it", async () => {
    const { features, labels } = clouds(3, 40, 6, 2);
    const gates = sampleGates(features, { count: 20, rng: createRng(1) });
    const { model } = await fitGatedRelu(features, labels, 2, { gates, norm: "l2", radius: 0, beta: 1e-3 });
    const seen: number[] = [];
    await recoverNetwork(model, features, { onEvent: ({ done, total }) => seen.push(done / (total ?? 0)) });
    expect(seen).toEqual(Array.from({ length: 40 }, (_, k) => k / 40));
    const controller = new AbortController();
    const running = recoverNetwork(model, features, {
      signal: controller.signal,
      onEvent: ({ done }) => done === 10 && controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "aborted" });
  });

  it("safetensors: float32 rounds, broken files are refused", () => {
    const network: ReluNetwork = {
      ...{ kind: "relu-network", featureCount: 2, classCount: 2, neurons: 1, bias: false },
      first: Float64Array.of(0.1, 0.2),
      second: Float64Array.of(0.3, -0.4),
    };
    const back = networkFromSafetensors(networkToSafetensors(network, "F32"));
    expect(back.first[0]).toBe(Math.fround(0.1));
    expect(networkFromSafetensors(networkToSafetensors(network))).toEqual(network);
    const single = { ...network, classCount: 1, second: Float64Array.of(0.3) }; // a regression
    expect(networkFromSafetensors(networkToSafetensors(single))).toEqual(single);
    expect(networkFromJson(JSON.parse(JSON.stringify(networkToJson(single))))).toEqual(single);
    const bytes = networkToSafetensors(network);
    expect(() => networkFromSafetensors(bytes.subarray(0, bytes.length - 4))).toThrow();
    expect(() => networkFromSafetensors(new Uint8Array(3))).toThrow();
    expect(() => networkToSafetensors(network, "F16" as "F32")).toThrow(/type/);
  });
});
