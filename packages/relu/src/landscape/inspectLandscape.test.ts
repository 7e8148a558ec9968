import { createRng, type NumericBatch, UnsupportedError } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { followPath } from "../gated/newton/pathFollowing.js";
import { fitReluRegression } from "../network/fitRelu.js";
import type { ReluNetwork } from "../network/reluNetwork.js";
import { enumerateGates } from "../patterns/enumerateGates.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { type Answers, createProgram, type ProgramLoss } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { inspectLandscape } from "./inspectLandscape.js";

/** Plain gradient descent on the training problem, one output, no bias; hinge by subgradients. */
function descend(
  features: NumericBatch,
  targets: ArrayLike<number>,
  loss: ProgramLoss,
  beta: number,
  neurons: number,
  steps: number,
  rate: number,
): ReluNetwork {
  const [n, d] = features.shape as [number, number];
  const rng = createRng(11);
  const first = Float64Array.from({ length: neurons * d }, () => 0.5 * rng.normal());
  const second = Float64Array.from({ length: neurons }, () => 0.5 * rng.normal());
  for (let step = 0; step < steps; step++) {
    const du = first.map((value) => beta * value);
    const da = second.map((value) => beta * value);
    for (let i = 0; i < n; i++) {
      const x = features.data.subarray(i * d, (i + 1) * d);
      const h = Float64Array.from({ length: neurons }, (_, j) => {
        let sum = 0;
        for (let k = 0; k < d; k++) sum += first[j * d + k] * x[k];
        return Math.max(0, sum);
      });
      const f = h.reduce((sum, value, j) => sum + value * second[j], 0);
      const margin = f * targets[i];
      const v =
        loss === "squared"
          ? f - targets[i]
          : loss === "logistic"
            ? -targets[i] / (1 + Math.exp(margin))
            : margin < 1
              ? -targets[i]
              : 0;
      for (let j = 0; j < neurons; j++) {
        if (h[j] === 0) continue;
        da[j] += (v * h[j]) / n;
        for (let k = 0; k < d; k++) du[j * d + k] += (v * second[j] * x[k]) / n;
      }
    }
    const now = loss === "hinge" ? rate / (1 + step / 2000) : rate;
    for (let k = 0; k < first.length; k++) first[k] -= now * du[k];
    for (let j = 0; j < neurons; j++) second[j] -= now * da[j];
  }
  return { kind: "relu-network", featureCount: d, classCount: 1, neurons, bias: false, first, second };
}

const { features, labels } = clouds(21, 12, 2, 2);
const signs = Float64Array.from(labels, (label) => (label === 1 ? 1 : -1));
const classes: Answers = { kind: "classes", labels, classCount: 2 };
const targets = Float64Array.from(
  { length: 12 },
  (_, i) => Math.sin(3 * features.data[2 * i]) + features.data[2 * i + 1],
);
const regression = { kind: "regression", targets: { data: targets, shape: [12, 1] } } as const;

describe("wide networks trained by gradient descent", () => {
  it.each([
    ["squared", regression, targets, 0.04],
    ["logistic", classes, signs, 0.2],
  ] as const)(
    "%s: at rest, and within the reported share of the optimum over ALL patterns",
    async (loss, answers, y, rate) => {
      const beta = 0.02;
      const network = descend(features, y, loss, beta, 30, loss === "squared" ? 30_000 : 10_000, rate);
      const extraGates = enumerateGates(features, { bias: false });
      const result = await inspectLandscape(network, features, answers, {
        loss,
        beta,
        extraGates,
        tolerance: 5e-2,
        negligible: 1e-4,
      });
      expect(result.patterns).toBe(extraGates.count); // neurons bring no pattern that enumeration misses
      expect(result.imbalance).toBeLessThan(1e-2);
      expect(result.status).not.toBe("not-stationary");
      expect(result.balancedTotal).toBeLessThanOrEqual(result.objective.total + 1e-12);
      // width 30 is enough here: descent with a finite step chatters around the optimum of the convex program, and the bound proves it
      expect(result.gap).toBeLessThan(6e-3);
      expect(result.gap).toBeGreaterThanOrEqual(0);
      expect(result.pull).toBeLessThan(1.03);
      // an independent lower bound of the same program: its gated relaxation
      const program = createProgram(features, answers, { gates: extraGates, radius: 0, norm: "l2", beta, loss });
      const relaxed = await followPath(program, chooseKernels(), {
        tolerance: 1e-7,
        maximumIterations: 500,
        where: "test",
      });
      expect(result.lowerBound).toBeGreaterThanOrEqual(relaxed.lowerBound - 1e-6);
    },
  );

  it("hinge: kinks are settled, the bound holds", async () => {
    const beta = 0.03;
    const network = descend(features, signs, "hinge", beta, 12, 20_000, 0.05);
    const extraGates = enumerateGates(features, { bias: false });
    const result = await inspectLandscape(network, features, classes, {
      loss: "hinge",
      beta,
      extraGates,
      tolerance: 0.05,
    });
    expect(result.lowerBound).toBeLessThanOrEqual(result.objective.total);
    expect(result.gap).toBeLessThan(0.02);
    expect(result.pull).toBeLessThan(1.1);
  });

  it("a network of the convex trainer is optimal among all patterns, and a little less after a push", async () => {
    const beta = 0.02;
    const gates = enumerateGates(features, { bias: false });
    const common = { gates, beta, radius: 0, norm: "l2", tolerance: 1e-8 } as const;
    const { network, objective } = await fitReluRegression(features, regression.targets, common);
    const options = { loss: "squared", beta, extraGates: gates, tolerance: 1e-2, negligible: 1e-5 } as const;
    const result = await inspectLandscape(network, features, regression, options);
    expect(result.status).toBe("optimal");
    expect(result.objective.total).toBeCloseTo(objective.total, 9);
    expect(result.gap).toBeLessThan(1e-6);
    const pushed = { ...network, second: network.second.map((value) => 1.1 * value) };
    const moved = await inspectLandscape(pushed, features, regression, options);
    expect(moved.status).toBe("not-stationary");
    expect(moved.gap).toBeGreaterThan(result.gap + 1e-4);
  });

  it("half-trained and narrow networks are told apart", async () => {
    const beta = 0.02;
    const early = descend(features, targets, "squared", beta, 30, 20, 0.04);
    const first = await inspectLandscape(early, features, regression, { loss: "squared", beta });
    expect(first.status).toBe("not-stationary");
    expect(first.gap).toBeGreaterThan(0.05);
    const narrow = descend(features, targets, "squared", beta, 1, 20_000, 0.04);
    const extraGates = enumerateGates(features, { bias: false });
    const second = await inspectLandscape(narrow, features, regression, { loss: "squared", beta, extraGates });
    expect(second.status).toBe("stationary"); // its own neuron is at rest, others would help
    expect(second.pull).toBeGreaterThan(1.05);
    expect(second.gap).toBeGreaterThan(0.01);
  });
});

describe("closed forms", () => {
  // One sample, squared loss: f = s ||x||, 1/2 (s ||x|| - y)^2 + beta s, so s = (||x|| y - beta) / ||x||^2.
  const one: NumericBatch = { data: Float64Array.of(3, 4), shape: [1, 2] };
  const answers: Answers = { kind: "regression", targets: { data: Float64Array.of(2), shape: [1, 1] } };
  const s = (5 * 2 - 0.5) / 25;
  const optimal: ReluNetwork = {
    ...{ kind: "relu-network", featureCount: 2, classCount: 1, neurons: 1, bias: false },
    first: Float64Array.of(0.6 * Math.sqrt(s), 0.8 * Math.sqrt(s)),
    second: Float64Array.of(Math.sqrt(s)),
  };

  it("one sample: the optimal network has gap 0 and pull 1", async () => {
    const result = await inspectLandscape(optimal, one, answers, { loss: "squared", beta: 0.5, tolerance: 1e-9 });
    expect(result.status).toBe("optimal");
    expect(result.objective.total).toBeCloseTo((5 * s - 2) ** 2 / 2 + 0.5 * s, 12);
    expect(result.lowerBound).toBeCloseTo(result.objective.total, 9);
    expect(result.pull).toBeCloseTo(1, 9);
    const longer = {
      ...optimal,
      first: optimal.first.map((value) => 2 * value),
      second: optimal.second.map((v) => v / 2),
    };
    const other = await inspectLandscape(longer, one, answers, { loss: "squared", beta: 0.5 });
    expect([other.status, other.imbalance]).toEqual(["not-stationary", 0.75]);
    expect(other.balancedTotal).toBeCloseTo(result.objective.total, 12);
    expect(other.gap).toBeGreaterThan(0.1);
  });

  it("two outputs share neurons: the balanced optimum of one sample again", async () => {
    // f = s ||x|| a with unit a = y / ||y||: the same with y = ||target||
    const both: Answers = { kind: "regression", targets: { data: Float64Array.of(1.2, 1.6), shape: [1, 2] } };
    const network = { ...optimal, classCount: 2, second: Float64Array.of(0.6 * Math.sqrt(s), 0.8 * Math.sqrt(s)) };
    const result = await inspectLandscape(network, one, both, { loss: "squared", beta: 0.5, tolerance: 1e-6 });
    expect(result.status).toBe("optimal");
    expect(result.lowerBound / result.objective.total).toBeCloseTo(1, 6);
  });

  it("two outputs, far from rest: the bound of separate outputs at beta / sqrt(2), closed form, below the optimum", async () => {
    const both: Answers = { kind: "regression", targets: { data: Float64Array.of(1.2, 1.6), shape: [1, 2] } };
    const astray = { ...optimal, classCount: 2, second: Float64Array.of(3, -5) };
    const options = { loss: "squared", beta: 0.5 } as const;
    const optimum = (5 * s - 2) ** 2 / 2 + 0.5 * s;
    const weight = 0.5 / Math.SQRT2;
    const separate = [1.2, 1.6].map((y) => (weight / 5) ** 2 / 2 + (weight * (5 * y - weight)) / 25);
    const { status, lowerBound } = await inspectLandscape(astray, one, both, options);
    expect(status).toBe("not-stationary");
    expect(lowerBound).toBeLessThanOrEqual(optimum);
    expect(lowerBound).toBeGreaterThan((separate[0] + separate[1]) * (1 - 1.1e-3));
    const rough = await inspectLandscape(astray, one, both, { ...options, refine: false });
    expect(rough.lowerBound).toBeLessThan(0.9 * lowerBound);
  });

  it("three classes: the zero network is optimal when beta is large, and not when small; no bound above the objective", async () => {
    const { features: cloud, labels: three } = clouds(4, 10, 3, 3);
    const zero: ReluNetwork = {
      ...{ kind: "relu-network", featureCount: 3, classCount: 3, neurons: 0, bias: true },
      first: new Float64Array(0),
      second: new Float64Array(0),
    };
    const problem: Answers = { kind: "classes", labels: three, classCount: 3 };
    const extraGates = enumerateGates(cloud);
    const large = await inspectLandscape(zero, cloud, problem, { loss: "hinge", beta: 10, extraGates });
    expect([large.status, large.objective.total]).toEqual(["optimal", 2]);
    expect(large.lowerBound).toBeCloseTo(2, 9);
    const small = await inspectLandscape(zero, cloud, problem, { loss: "hinge", beta: 0.01, extraGates });
    expect(small.status).toBe("stationary");
    expect(small.pull).toBeGreaterThan(1);
    expect(small.lowerBound).toBeLessThan(2);
  });

  it("edges and misuse", async () => {
    const options = { loss: "squared", beta: 0.5 } as const;
    const idle = { ...optimal, first: optimal.first.map((value) => -value) }; // fires nowhere, only decayed
    expect((await inspectLandscape(idle, one, answers, options)).residuals[0]).toBe(1);
    const nothing = { ...optimal, first: new Float64Array(2), second: new Float64Array(1) };
    expect((await inspectLandscape(nothing, one, answers, options)).imbalance).toBe(0);
    await expect(
      inspectLandscape(optimal, one, { kind: "classes", labels: Int32Array.of(0), classCount: 3 }, options),
    ).rejects.toThrow(/outputs/);
    await expect(inspectLandscape({ ...optimal, neurons: 2 }, one, answers, options)).rejects.toThrow(/network/);
    const broken = { ...optimal, first: Float64Array.of(Number.NaN, 1) };
    await expect(inspectLandscape(broken, one, answers, options)).rejects.toThrow(/finite/);
    await expect(inspectLandscape(optimal, one, answers, { ...options, beta: 0 })).rejects.toThrow(/beta/);
    await expect(inspectLandscape(optimal, one, answers, { ...options, tolerance: 2 })).rejects.toThrow(/tolerance/);
    for (const foreign of [{ radius: 0.1 }, { regulariser: "l1" }]) {
      await expect(inspectLandscape(optimal, one, answers, { ...options, ...foreign })).rejects.toThrow(
        UnsupportedError,
      );
    }
    const moved = sampleGates(one, { kind: "perturbed-data", epsilon: 1, count: 2, bias: false, rng: createRng(1) });
    await expect(inspectLandscape(optimal, one, answers, { ...options, extraGates: moved })).rejects.toThrow(
      /trainingPatterns/,
    );
    const gates = enumerateGates(one);
    await expect(inspectLandscape(optimal, one, answers, { ...options, extraGates: gates })).rejects.toThrow(
      /extraGates/,
    );
  });
});
