import { createRng, DataError, SettingError, ShapeError, UnsupportedError } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { fitRelu } from "../network/fitRelu.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { NeuronState, type Points } from "./neuronState.js";
import { refineNetwork } from "./refineNetwork.js";

const empty: ReluNetwork = {
  kind: "relu-network",
  featureCount: 2,
  classCount: 2,
  neurons: 0,
  bias: false,
  first: new Float64Array(0),
  second: new Float64Array(0),
};

/** Two interleaved arcs: no line separates them. */
function arcs(count: number, seed: number) {
  const rng = createRng(seed);
  const data = new Float64Array(2 * count);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % 2;
    const angle = Math.PI * rng.uniform();
    const [x, y] = labels[i] === 0 ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    data[2 * i] = 2 * (x - 0.5) + 0.1 * rng.normal();
    data[2 * i + 1] = 2 * (y - 0.25) + 0.1 * rng.normal();
  }
  return { features: { data, shape: [count, 2] }, labels };
}

/** Worst margin over a fine grid of the l2 ball in the plane. */
function gridMargin(network: ReluNetwork, x: number[], label: number, radius: number): number {
  let worst = Number.POSITIVE_INFINITY;
  for (let ring = 0; ring <= 40; ring++) {
    for (let step = 0; step < 240; step++) {
      const [r, angle] = [(radius * ring) / 40, (2 * Math.PI * step) / 240];
      const point = { data: Float64Array.of(x[0] + r * Math.cos(angle), x[1] + r * Math.sin(angle)), shape: [1, 2] };
      const scores = networkScores(network, point).data;
      worst = Math.min(worst, (2 * label - 1) * (scores[1] - scores[0]));
    }
  }
  return worst;
}

describe("refineNetwork", () => {
  it.each([0, 0.5, 1])("finds the optimum of one sample, radius %s", async (radius) => {
    // one neuron along x with ||u|| |a| = t has the margin t (||x|| - r), so the optimum is beta / (||x|| - r)
    const features = { data: Float64Array.of(1.2, 1.6), shape: [1, 2] };
    const settings = { norm: "l2", radius, beta: 0.01, rng: createRng(3), extraNeurons: 4 } as const;
    const { status, after, network } = await refineNetwork(empty, features, Int32Array.of(1), settings);
    const optimum = 0.01 / (2 - radius);
    expect(status).toBe("improved");
    expect(after.upper).toBeGreaterThanOrEqual(optimum * (1 - 1e-9));
    expect(after.upper).toBeLessThan(optimum * 1.02);
    expect(network.neurons).toBeGreaterThan(0);
  });

  it("starts from the objective of the convex program and certifies a smaller one", async () => {
    const { features, labels } = arcs(60, 1);
    const radius = 0.15;
    const gates = sampleGates(features, { count: 30, rng: createRng(2) });
    const fit = await fitRelu(features, labels, 2, { norm: "l2", radius, beta: 1e-3, gates });
    const given = JSON.stringify([[...fit.network.first], [...features.data]]);
    const options = { norm: "l2", radius, beta: 1e-3, rng: createRng(4), rounds: 20 } as const;
    const refined = await refineNetwork(fit.network, features, labels, { ...options });
    expect(refined.before.upper).toBeCloseTo(fit.objective.total, 3);
    expect(refined.before.lower).toBeLessThanOrEqual(refined.before.upper);
    expect(refined.status).toBe("improved");
    expect(refined.after.upper).toBeLessThan(0.8 * fit.objective.total);
    expect(JSON.stringify([[...fit.network.first], [...features.data]])).toBe(given);
    // the same objective by brute force
    const { network } = refined;
    let total = 0;
    for (let i = 0; i < labels.length; i++) {
      const x = [features.data[2 * i], features.data[2 * i + 1]];
      total += Math.max(0, 1 - gridMargin(network, x, labels[i], radius)) / labels.length;
    }
    const { first, second, neurons, bias } = network;
    const width = bias ? 3 : 2;
    for (let j = 0; j < neurons; j++) {
      const size = Math.hypot(...first.subarray(j * width, (j + 1) * width));
      total += 1e-3 * size * Math.abs(second[neurons + j] - second[j]);
    }
    expect(total).toBeLessThanOrEqual(refined.after.upper + 1e-9);
    expect(total).toBeGreaterThan(refined.after.lower - 5e-3);
    const again = await refineNetwork(fit.network, features, labels, { ...options, rng: createRng(4) });
    expect([...again.network.first]).toEqual([...network.first]);
  });

  it("gives the network back where nothing better is found", async () => {
    // a network that is already optimal: t = 1 / (||x|| - r)
    const network = { ...empty, neurons: 1, first: Float64Array.of(0.6, 0.8), second: Float64Array.of(-0.5, 0.5) };
    const features = { data: Float64Array.of(1.2, 1.6), shape: [1, 2] };
    const settings = { norm: "l2", radius: 1, beta: 0.01, rng: createRng(1), rounds: 2 } as const;
    const result = await refineNetwork(network, features, Int32Array.of(1), settings);
    expect(result.status).toBe("unchanged");
    expect(result.network).toBe(network);
    expect(result.after).toEqual(result.before);
    expect(result.after.upper).toBeCloseTo(0.01, 6);
  });

  it("measures the logistic loss by its definition", async () => {
    const features = { data: Float64Array.of(3, 4), shape: [1, 2] };
    const network = { ...empty, neurons: 1, first: Float64Array.of(0.6, 0.8), second: Float64Array.of(0, 1) };
    const settings = { norm: "l2", radius: 2, beta: 0.5, loss: "logistic", rng: createRng(1), rounds: 1 } as const;
    const { before } = await refineNetwork(network, features, Int32Array.of(0), settings);
    // label 0: the margin is minus the score, at worst -(5 + 2); ||u|| |a| = 1
    expect(before.upper).toBeCloseTo(Math.log1p(Math.exp(7)) + 0.5, 3);
  });

  it("refuses what it cannot do before work starts", async () => {
    const { features, labels } = arcs(6, 1);
    const options = { norm: "l2", radius: 0.1, beta: 0.1, rng: createRng(1) } as const;
    const run = (network: ReluNetwork, changes: object = {}, y = labels) =>
      refineNetwork(network, features, y, { ...options, ...changes });
    await expect(run({ ...empty, classCount: 3 })).rejects.toThrow(SettingError);
    await expect(run({ ...empty, featureCount: 5 })).rejects.toThrow(ShapeError);
    await expect(run(empty, { extraNeurons: 0 })).rejects.toThrow(/extraNeurons/);
    await expect(run(empty, { extraNeurons: Number.NaN })).rejects.toThrow(/extraNeurons/);
    await expect(run(empty, { beta: 0 })).rejects.toThrow(/beta/);
    await expect(run(empty, { loss: "squared" })).rejects.toThrow(/loss/);
    await expect(run(empty, { regulariser: "l1" })).rejects.toThrow(UnsupportedError);
    await expect(run(empty, { radius: -1 })).rejects.toThrow(/radius/);
    await expect(run(empty, { rounds: 0 })).rejects.toThrow(/rounds/);
    await expect(run(empty, {}, Int32Array.of(0, 1))).rejects.toThrow();
    const broken = { data: features.data.map((v, k) => (k === 3 ? Number.NaN : v)), shape: features.shape };
    await expect(refineNetwork(empty, broken, labels, options)).rejects.toThrow(DataError);
    const controller = new AbortController();
    controller.abort();
    await expect(run(empty, { signal: controller.signal })).rejects.toThrow(/abort/i);
  });
});

describe("NeuronState", () => {
  it.each(["hinge", "logistic"] as const)("has the gradient of its objective, %s", (loss) => {
    const rng = createRng(5);
    const [slots, samples, width, neurons] = [3, 7, 4, 5];
    const inputs = Float64Array.from({ length: slots * samples * width }, () => rng.normal());
    const targets = Float64Array.from({ length: samples }, (_, i) => (i % 2 === 0 ? 1 : -1));
    const points: Points = { slots, samples, width, inputs, targets };
    const workspace = chooseKernels("js").workspace(workspaceSize(...NeuronState.sizes(neurons, points)));
    const state = new NeuronState(points, neurons, 0.3, loss, workspace);
    for (let k = 0; k < state.parameters.length; k++) state.parameters[k] = rng.normal();
    // the regulariser of the descent is beta / 2 (sum of squares); the value returned has its product form
    const value = () => {
      const total = state.evaluate() - state.regulariser();
      return total + 0.15 * state.parameters.reduce((sum, p) => sum + p * p, 0);
    };
    value();
    const gradient = state.gradient.slice();
    for (let k = 0; k < gradient.length; k++) {
      const kept = state.parameters[k];
      state.parameters[k] = kept + 1e-6;
      const above = value();
      state.parameters[k] = kept - 1e-6;
      const below = value();
      state.parameters[k] = kept;
      expect(gradient[k]).toBeCloseTo((above - below) / 2e-6, 5);
    }
  });
});
