import { createRng, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { type GatedReluModel, gatedScores } from "../gatedModel.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, pointInBall } from "../testing/problems.js";
import { certifiedMargins, certifiedRobustAccuracy } from "./certifiedMargins.js";

function randomModel(seed: number): { model: GatedReluModel; features: NumericBatch; labels: Int32Array } {
  const { features, labels, rng } = clouds(seed, 25, 4, 3);
  const gates = sampleGates(features, { count: 6, rng });
  const weights = Float64Array.from({ length: 6 * 3 * 5 }, () => rng.normal());
  return {
    model: { kind: "gated-relu", gates, featureCount: 4, classCount: 3, bias: true, weights },
    features,
    labels,
  };
}

function margin(scores: ArrayLike<number>, label: number): number {
  return Math.min(...[0, 1, 2].filter((c) => c !== label).map((c) => scores[label] - scores[c]));
}

describe.each(["l1", "l2", "linf"] as const)("certified margins, %s", (norm) => {
  it.each([0, 0.05, 0.4])("are never above any of many attacks, radius %s", (radius) => {
    const { model, features, labels } = randomModel(21);
    const certified = certifiedMargins(model, features, labels, { norm, radius });
    const rng = createRng(8);
    for (let i = 0; i < 25; i++) {
      let worst = Number.POSITIVE_INFINITY;
      const data = new Float64Array(400 * 4);
      for (let trial = 0; trial < 400; trial++) {
        const z = pointInBall(rng, 4, norm, radius);
        for (let k = 0; k < 4; k++) data[trial * 4 + k] = features.data[i * 4 + k] + z[k];
      }
      const scores = gatedScores(model, { data, shape: [400, 4] }).data;
      for (let t = 0; t < 400; t++) worst = Math.min(worst, margin(scores.subarray(t * 3, t * 3 + 3), labels[i]));
      expect(certified[i]).toBeLessThanOrEqual(worst + 1e-10);
      if (radius === 0) expect(certified[i]).toBeCloseTo(worst, 10);
    }
  });

  it("are exact for one gate that stays open", () => {
    const { features, labels, rng } = clouds(2, 10, 4, 3);
    const gates = {
      gates: Float64Array.from([0, 0, 0, 0, 1]),
      count: 1,
      featureCount: 4,
      bias: true,
      scales: Float64Array.of(1),
    };
    const weights = Float64Array.from({ length: 15 }, () => rng.normal());
    const model: GatedReluModel = { kind: "gated-relu", gates, featureCount: 4, classCount: 3, bias: true, weights };
    const certified = certifiedMargins(model, features, labels, { norm, radius: 0.3 });
    const clean = gatedScores(model, features).data;
    for (let i = 0; i < 10; i++) {
      const expected = [0, 1, 2]
        .filter((c) => c !== labels[i])
        .map((c) => {
          const a = [0, 1, 2, 3].map((k) => Math.abs(weights[labels[i] * 5 + k] - weights[c * 5 + k]));
          const size = norm === "l1" ? Math.max(...a) : norm === "l2" ? Math.hypot(...a) : a.reduce((s, t) => s + t, 0);
          return clean[i * 3 + labels[i]] - clean[i * 3 + c] - 0.3 * size;
        });
      expect(certified[i]).toBeCloseTo(Math.min(...expected), 10);
    }
  });
});

it("a ReLU network is certified through its own gates, below all random attacks", () => {
  const { features, labels, rng } = clouds(4, 15, 4, 3);
  const first = Float64Array.from({ length: 7 * 5 }, () => rng.normal());
  const second = Float64Array.from({ length: 3 * 7 }, () => rng.normal());
  const network: ReluNetwork = {
    kind: "relu-network",
    featureCount: 4,
    classCount: 3,
    neurons: 7,
    bias: true,
    first,
    second,
  };
  const certified = certifiedMargins(network, features, labels, { norm: "linf", radius: 0.2 });
  for (let i = 0; i < 15; i++) {
    for (let trial = 0; trial < 300; trial++) {
      const z = pointInBall(rng, 4, "linf", 0.2);
      const data = Float64Array.from({ length: 4 }, (_, k) => features.data[i * 4 + k] + z[k]);
      const scores = networkScores(network, { data, shape: [1, 4] }).data;
      expect(certified[i]).toBeLessThanOrEqual(margin(scores, labels[i]) + 1e-10);
    }
  }
});

it("certified accuracy falls with the radius and starts at clean accuracy", () => {
  const { model, features, labels } = randomModel(5);
  const scores = gatedScores(model, features).data;
  const clean = labels.filter((label, i) => margin(scores.subarray(i * 3, i * 3 + 3), label) > 0).length / 25;
  let last = certifiedRobustAccuracy(model, features, labels, { norm: "l2", radius: 0 });
  expect(last).toBe(clean);
  for (const radius of [0.01, 0.1, 1]) {
    const next = certifiedRobustAccuracy(model, features, labels, { norm: "l2", radius });
    expect(next).toBeLessThanOrEqual(last);
    last = next;
  }
  expect(() => certifiedMargins(model, features, labels, { norm: "l2", radius: -1 })).toThrow(/options.radius/);
});
