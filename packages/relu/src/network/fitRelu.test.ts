import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { certifiedMargins } from "../certificates/certifiedMargins.js";
import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import { gatesFromVectors, patternBits } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, pointInBall, referenceCases } from "../testing/problems.js";
import { fitRelu, type ReluResult } from "./fitRelu.js";
import { networkFromJson, networkScores, networkToJson } from "./reluNetwork.js";

describe("against an independent conic solver", () => {
  const cases = referenceCases().filter((c) => c.kind === "relu");
  it.each(cases.map((c) => [`${c.norm} ${c.classCount} classes r=${c.radius}`, c] as const))("%s", async (_, c) => {
    const features = { data: Float64Array.from(c.features), shape: [c.samples, c.featureCount] };
    const labels = Int32Array.from(c.labels);
    const gates = gatesFromVectors(Float64Array.from(c.gates), features, c.bias);
    const options = { radius: c.radius, norm: c.norm, beta: c.beta, gates, tolerance: 3e-3, maximumIterations: 4000 };
    const result = await fitRelu(features, labels, c.classCount, options);
    expect(result.status).toBe("optimal");
    expect(result.lowerBound).toBeLessThanOrEqual(c.objective * (1 + 1e-6));
    expect(result.objective.total).toBeGreaterThanOrEqual(c.objective * (1 - 1e-6));
    expect(result.objective.total).toBeLessThanOrEqual(c.objective * 1.004);
    expect(result.repairedViolation.maximum).toBeLessThan(1e-12);
    const gated = await fitGatedRelu(features, labels, c.classCount, { ...options, tolerance: 1e-2 });
    expect(gated.lowerBound).toBeLessThanOrEqual(c.objective);

    // math.md 23 item 10: robust cone satisfied => gates of active neurons constant on 10^4 points of the ball.
    checkGatesConstant(result, c.norm, c.radius, Float64Array.from(c.features), c.samples, c.featureCount);
    // The network equals the convex model on the training points, and its certificate is the linear margin.
    const scores = networkScores(result.network, features).data;
    const bits = patternBits(features, gates);
    const width = c.featureCount + (c.bias ? 1 : 0);
    const half = result.pieces.length / 2;
    for (let i = 0; i < c.samples; i++) {
      for (let k = 0; k < c.classCount; k++) {
        let expected = 0;
        for (let p = 0; p < gates.count; p++) {
          if (bits[i * gates.count + p] === 0) continue;
          const from = (p * c.classCount + k) * width;
          for (let j = 0; j < width; j++) {
            const x = j < c.featureCount ? c.features[i * c.featureCount + j] : 1;
            expected += x * (result.pieces[from + j] - result.pieces[half + from + j]);
          }
        }
        expect(Math.abs(scores[i * c.classCount + k] - expected)).toBeLessThan(1e-10);
      }
    }
    const margins = certifiedMargins(result.network, features, labels, c);
    const hinge = margins.reduce((sum, m) => sum + Math.max(0, 1 - m), 0) / c.samples;
    if (c.classCount === 2) expect(hinge).toBeLessThanOrEqual(result.objective.loss + 1e-9);
  });
});

function checkGatesConstant(
  { network }: ReluResult,
  norm: "l1" | "l2" | "linf",
  radius: number,
  data: Float64Array,
  samples: number,
  featureCount: number,
) {
  const rng = createRng(1);
  const width = featureCount + (network.bias ? 1 : 0);
  let flips = 0;
  for (let trial = 0; trial < 10_000; trial++) {
    const i = rng.integer(samples);
    const z = pointInBall(rng, featureCount, norm, radius);
    for (let j = 0; j < network.neurons; j++) {
      let centre = network.bias ? network.first[j * width + featureCount] : 0;
      let moved = centre;
      for (let k = 0; k < featureCount; k++) {
        centre += network.first[j * width + k] * data[i * featureCount + k];
        moved += network.first[j * width + k] * (data[i * featureCount + k] + z[k]);
      }
      if (centre * moved < 0 && Math.abs(moved) > 1e-12) flips++;
    }
  }
  expect(network.neurons).toBeGreaterThan(0);
  expect(flips).toBe(0);
}

it("a radius that closes the cones gives the zero network, a warning and an honest status", async () => {
  const { features, labels } = clouds(5, 60, 2, 2);
  const gates = sampleGates(features, { count: 6, rng: createRng(3), bias: false });
  const options = { norm: "l2", radius: 5, beta: 0.01, gates, maximumIterations: 60 } as const;
  const result = await fitRelu(features, labels, 2, options);
  expect(result.openCones).toBe(0);
  expect(result.network.neurons).toBe(0);
  expect(result.objective.total).toBe(1);
  expect(result.warnings.map((w) => w.code)).toContain("closed-cones");
  expect(result.lowerBound).toBeLessThanOrEqual(1);
  expect(networkScores(result.network, features).data.every((score) => score === 0)).toBe(true);
});

it("stopped early it says so and still returns a feasible network", async () => {
  const { features, labels } = clouds(6, 15, 3, 2);
  const gates = sampleGates(features, { count: 8, rng: createRng(3) });
  const options = { norm: "linf", radius: 0.01, beta: 0.01, gates, tolerance: 1e-9, maximumIterations: 20 } as const;
  const result = await fitRelu(features, labels, 2, options);
  expect(result.status).toBe("iteration-limit");
  expect(result.repairedViolation.maximum).toBeLessThan(1e-12);
  expect(result.constraintViolation.maximum).toBeGreaterThan(0);
  expect(result.iterate.neurons).toBeGreaterThan(0);
  const back = networkFromJson(JSON.parse(JSON.stringify(networkToJson(result.network))));
  expect(back).toEqual(result.network);
  expect(() => networkFromJson({ ...networkToJson(result.network), first: [1] })).toThrow(
    result.network.neurons > 0 ? /json.first/ : /json/,
  );
});
