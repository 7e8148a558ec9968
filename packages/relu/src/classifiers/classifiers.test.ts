import { type DifferentiableClassifier, evaluateLoss, type Loss, type NumericBatch } from "@worstcase/core";
import { expect, it } from "vitest";
import { type GatedReluModel, gatedScores } from "../gatedModel.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import { createGatedClassifier } from "./gatedClassifier.js";
import { createReluNetworkClassifier } from "./reluNetworkClassifier.js";

const [n, d, C, P] = [300, 4, 3, 6];

function setting(bias: boolean, gateBias: boolean) {
  const { features, labels, rng } = clouds(31, n, d, C);
  const gates = sampleGates(features, { count: P, rng, bias: gateBias });
  const weights = Float64Array.from({ length: gates.count * C * (d + (bias ? 1 : 0)) }, () => rng.normal());
  const model: GatedReluModel = { kind: "gated-relu", gates, featureCount: d, classCount: C, bias, weights };
  const width = d + (bias ? 1 : 0);
  const first = Float64Array.from({ length: 9 * width }, () => rng.normal());
  const second = Float64Array.from({ length: C * 9 }, () => rng.normal());
  const network: ReluNetwork = {
    kind: "relu-network",
    featureCount: d,
    classCount: C,
    neurons: 9,
    bias,
    first,
    second,
  };
  return { features, labels, model, network };
}

// Central differences of `total`, skipping samples whose piece changes within the step.
async function checkGradient(classifier: DifferentiableClassifier, features: NumericBatch, loss: Loss) {
  const { gradient, loss: values } = await classifier.lossGradient(features, loss);
  const h = 1e-6;
  let checked = 0;
  for (let k = 0; k < d; k++) {
    const shift = (by: number) => ({
      data: Float64Array.from(features.data, (t, j) => (j % d === k ? t + by : t)),
      shape: features.shape,
    });
    const up = (await classifier.lossGradient(shift(h), loss)).loss;
    const down = (await classifier.lossGradient(shift(-h), loss)).loss;
    for (let i = 0; i < n; i++) {
      if (Math.abs(up[i] + down[i] - 2 * values[i]) > 1e-9) continue;
      expect(gradient.data[i * d + k]).toBeCloseTo((up[i] - down[i]) / (2 * h), 4);
      checked++;
    }
  }
  expect(checked).toBeGreaterThan(0.9 * n * d);
}

it.each([
  [true, true],
  [true, false],
  [false, true],
])("gated, exact: scores and gradients (bias %s, gate bias %s)", async (bias, gateBias) => {
  const { features, labels, model } = setting(bias, gateBias);
  const classifier = createGatedClassifier(model, { gradient: "exact" });
  const logits = await classifier.logits(features);
  const plain = gatedScores(model, features).data;
  for (let k = 0; k < plain.length; k++) expect(logits.data[k]).toBeCloseTo(plain[k], 10);
  await checkGradient(classifier, features, { kind: "cross-entropy", labels });
  await checkGradient(classifier, features, { kind: "margin", labels });
});

it.each([true, false])("ReLU network: scores and gradients (bias %s)", async (bias) => {
  const { features, labels, network } = setting(bias, true);
  const classifier = createReluNetworkClassifier(network);
  const plain = networkScores(network, features).data;
  const logits = await classifier.logits(features);
  for (let k = 0; k < plain.length; k++) expect(logits.data[k]).toBeCloseTo(plain[k], 10);
  await checkGradient(classifier, features, { kind: "cross-entropy", labels });
});

it("straight-through: hard scores, gradient of the sigmoid model by central differences", async () => {
  const { features, labels, model } = setting(true, true);
  const slope = 4;
  const classifier = createGatedClassifier(model, { gradient: "straight-through" });
  const hard = createGatedClassifier(model, { gradient: "exact" });
  const loss: Loss = { kind: "cross-entropy", labels };
  const { gradient, logits } = await classifier.lossGradient(features, loss);
  expect(logits.data).toEqual((await hard.logits(features)).data);
  const outer = evaluateLoss(logits, loss).gradient;
  const soft = (i: number, x: Float64Array) => {
    let total = 0;
    for (let p = 0; p < model.gates.count; p++) {
      let r = model.gates.gates[p * (d + 1) + d];
      for (let k = 0; k < d; k++) r += model.gates.gates[p * (d + 1) + k] * x[k];
      const open = 1 / (1 + Math.exp((-slope * r) / model.gates.scales[p]));
      for (let c = 0; c < C; c++) {
        const from = (p * C + c) * (d + 1);
        let s = model.weights[from + d];
        for (let k = 0; k < d; k++) s += model.weights[from + k] * x[k];
        total += open * outer[i * C + c] * s;
      }
    }
    return total;
  };
  for (let i = 0; i < n; i += 7) {
    const x = Float64Array.from(features.data.subarray(i * d, (i + 1) * d));
    for (let k = 0; k < d; k++) {
      const up = x.slice();
      const down = x.slice();
      up[k] += 1e-5;
      down[k] -= 1e-5;
      expect(gradient.data[i * d + k]).toBeCloseTo((soft(i, up) - soft(i, down)) / 2e-5, 5);
    }
  }
});

it("a network without neurons scores zero; wrong options and inputs throw typed errors", async () => {
  const { features, labels, model } = setting(true, true);
  const empty: ReluNetwork = {
    kind: "relu-network",
    featureCount: d,
    classCount: C,
    neurons: 0,
    bias: true,
    first: new Float64Array(0),
    second: new Float64Array(0),
  };
  const classifier = createReluNetworkClassifier(empty);
  const { gradient, logits } = await classifier.lossGradient(features, { kind: "cross-entropy", labels });
  expect(logits.data.every((t) => t === 0)).toBe(true);
  expect(gradient.data.every((t) => t === 0)).toBe(true);
  expect(() => createGatedClassifier(model, { gradient: "soft" as "exact" })).toThrow(/options.gradient/);
  expect(() => createGatedClassifier(model, { gradient: "straight-through", slope: 0 })).toThrow(/options.slope/);
  const narrow = { data: new Float64Array(6), shape: [2, 3] };
  await expect(createGatedClassifier(model, { gradient: "exact" }).logits(narrow)).rejects.toMatchObject({
    code: "shape",
  });
  await expect(classifier.lossGradient(features, { kind: "margin", labels: labels.slice(1) })).rejects.toThrow(
    /labels/,
  );
});

it("targeted losses cover more samples than one chunk of rows", async () => {
  const { features, labels, model } = setting(true, true);
  const targets = labels.map((label) => (label + 1) % C);
  const loss: Loss = { kind: "margin", labels, targets };
  const classifier = createGatedClassifier(model, { gradient: "exact" });
  const { logits, loss: values } = await classifier.lossGradient(features, loss);
  expect(n).toBeGreaterThan(256);
  labels.forEach((label, i) => {
    expect(values[i]).toBeCloseTo(logits.data[i * C + targets[i]] - logits.data[i * C + label], 9);
  });
});
