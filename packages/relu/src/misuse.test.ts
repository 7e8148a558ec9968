// Every public function given nothing, or something else, in the place of any argument: a typed error that names it.

import { createRng, isWorstcaseError } from "@worstcase/core";
import { expect, it } from "vitest";
import * as relu from "./index.js";

const rng = createRng(1);
const features = { data: Float64Array.from({ length: 24 }, () => rng.normal()), shape: [12, 2] };
const labels = Int32Array.from({ length: 12 }, (_, i) => i % 2);
const targets = { data: Float64Array.from(labels), shape: [12, 1] };
const gates = relu.sampleGates(features, { count: 4, rng });
const rows = relu.rowsInMemory(features);
const options = { gates, norm: "l2", radius: 0.01, beta: 1e-2, rng } as const;
const answers = { kind: "classes", labels, classCount: 2 } as const;
const points = [{ radius: 0, beta: 1 }];
const { model } = await relu.fitGatedRelu(features, labels, 2, options);
const { network } = await relu.fitRelu(features, labels, 2, options);

const calls: Record<string, readonly unknown[]> = {
  sampleGates: [features, { count: 4, rng }],
  enumerateGates: [features, {}],
  gatesFromVectors: [Float64Array.of(1, 1, 1), features],
  patternBits: [features, gates],
  trainingBits: [features, gates],
  generateGates: [features, answers, options],
  unseenMassBound: [{ draws: 10, unseenMass: 0.1 }, 0.1],
  scenarioGateCount: [0.1, { dualVariables: 3, psi: 0.1 }],
  scenarioImprovementProbability: [10, { dualVariables: 3, psi: 0.1 }],
  fitGatedRelu: [features, labels, 2, options],
  fitGatedRegression: [features, targets, options],
  fitGatedLarge: [rows, labels, 2, options],
  fitGatedPath: [features, { labels, classCount: 2 }, points, options],
  fitGatedLargePath: [rows, labels, 2, points, options],
  fitRelu: [features, labels, 2, options],
  fitReluRegression: [features, targets, options],
  fitReluPath: [features, { labels, classCount: 2 }, points, options],
  fitReluByPenalty: [features, labels, 2, options],
  fitKernelView: [features, answers, { gates, beta: 1 }],
  refineNetwork: [network, features, labels, options],
  inspectLandscape: [network, features, answers, { loss: "hinge", beta: 1e-2 }],
  rowsInMemory: [features],
  rowsInFile: ["features.f32", { samples: 1, featureCount: 1 }],
  takeRows: [rows, Int32Array.of(0)],
  createGatedClassifier: [model, { gradient: "exact" }],
  createReluNetworkClassifier: [network],
  certifiedMargins: [model, features, labels, options],
  certifiedRobustAccuracy: [model, features, labels, options],
  worstMargins: [network, features, labels, options],
  certifiedRadii: [network, features, labels, { norm: "l2", maximumRadius: 1 }],
  recoverNetwork: [model, features, {}],
  pruneNetwork: [network, features, { tolerance: 1 }],
  networkToSafetensors: [network],
  networkFromSafetensors: [relu.networkToSafetensors(network)],
  gatedScores: [model, features],
  networkScores: [network, features],
  gatedModelOfNetwork: [network],
  gatedModelToJson: [model],
  gatedModelFromJson: [relu.gatedModelToJson(model)],
  networkToJson: [network],
  networkFromJson: [relu.networkToJson(network)],
};

it("covers every function", () => {
  const exported = Object.entries(relu).filter(([, value]) => typeof value === "function");
  expect(Object.keys(calls).sort()).toEqual(exported.map(([name]) => name).sort());
});

const functions = new Map(Object.entries(relu) as [string, (...given: unknown[]) => unknown][]);

it.each(Object.keys(calls))("%s", async (name) => {
  const call = functions.get(name)!;
  for (let k = 0; k < calls[name].length; k++) {
    for (const value of [null, "none", () => 0]) {
      const given = calls[name].with(k, value);
      let error: unknown = null;
      try {
        await call(...given);
      } catch (thrown) {
        error = thrown;
      }
      expect(isWorstcaseError(error), `argument ${k} = ${String(value)}: ${error}`).toBe(true);
    }
  }
});
