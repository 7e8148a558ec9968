// Radii beyond every sample: the optimum is that over constants, which one gate that is always open makes a scalar problem with a known solution.

import { describe, expect, it } from "vitest";
import { gatesFromVectors } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import { type FitGatedReluOptions, fitGatedRegression, fitGatedRelu } from "./fitGatedRelu.js";

const { features, labels, rng } = clouds(4, 50, 4, 3);
const two = labels.map((label) => Math.min(label, 1)); // 17 of class 0, 33 of class 1
const always = gatesFromVectors(Float64Array.from([0, 0, 0, 0, 1]), features, true);
const share = 33 / 50;
const slope = 2 * share - 1;

describe("with one gate that is always open and every feature undone", () => {
  const beta = 0.05;
  const options = { gates: always, beta, tolerance: 1e-6 } as const;
  const cases = {
    // mean hinge: slope below the kinks is -(2 share - 1), so b = 1 as long as that exceeds beta
    hinge: 2 * (1 - share) + beta,
    // (share (b - 1)^2 + (1 - share) (b + 1)^2) / 2 + beta b is least at b = 2 share - 1 - beta
    squared: 0.5 - (slope - beta) ** 2 / 2,
  };
  for (const [loss, optimum] of Object.entries(cases)) {
    for (const norm of ["l1", "l2", "linf", 3] as const) {
      it(`two classes, ${loss}, ${norm}`, async () => {
        const settings = { ...options, norm, loss: loss as "hinge" | "squared" };
        for (const radius of [1e2, 1e9]) {
          const { status, objective, gap, model } = await fitGatedRelu(features, two, 2, { ...settings, radius });
          expect([status, gap <= 1e-6]).toEqual(["optimal", true]);
          expect(Math.abs(objective.total / optimum - 1)).toBeLessThan(1e-6);
          expect(model.weights.filter((_, k) => k % 5 < 4).every((weight) => weight === 0)).toBe(true);
        }
      });
    }
  }

  it("regression: the shrunken mean of every output", async () => {
    const data = Float64Array.from({ length: 100 }, (_, k) => (k % 2 === 0 ? 2 : -1) + rng.normal());
    const targets = { data, shape: [50, 2] };
    let optimum = 0;
    for (const o of [0, 1]) {
      const column = data.filter((_, k) => k % 2 === o);
      const mean = column.reduce((sum, t) => sum + t, 0) / 50;
      const squares = column.reduce((sum, t) => sum + t * t, 0) / 50;
      optimum += squares / 2 - Math.max(0, Math.abs(mean) - beta) ** 2 / 2;
    }
    const result = await fitGatedRegression(features, targets, { ...options, norm: "l2", radius: 50 });
    expect(result.status).toBe("optimal");
    expect(Math.abs(result.objective.total / optimum - 1)).toBeLessThan(1e-6);
  });
});

describe("with many gates", () => {
  const gates = sampleGates(features, { count: 30, rng });
  const fit = (radius: number, more: Partial<FitGatedReluOptions> = {}) =>
    fitGatedRelu(features, labels, 3, { gates, norm: "l2", radius, beta: 2e-3, tolerance: 1e-3, ...more });
  const most = Math.max(...Array.from({ length: 50 }, (_, i) => Math.hypot(...features.data.slice(4 * i, 4 * i + 4))));

  it.each([{}, { loss: "squared" }, { regulariser: "l1" }, { loss: "logistic" }] as const)(
    "the optimum grows up to the longest sample and stays there: %o",
    async (more) => {
      const ladder = await Promise.all([0.5, 0.9, 1.001, 1e6].map((factor) => fit(factor * most, more)));
      for (const { status } of ladder) expect(status).toBe("optimal");
      for (let k = 1; k < ladder.length; k++) {
        expect(ladder[k].objective.total).toBeGreaterThanOrEqual(ladder[k - 1].lowerBound);
      }
      expect(ladder[3].objective.total).toBe(ladder[2].objective.total);
      const { model } = ladder[1];
      const started = await fit(1e6, { ...more, start: model });
      expect(started.lowerBound).toBeLessThanOrEqual(ladder[3].objective.total);
      expect(ladder[3].lowerBound).toBeLessThanOrEqual(started.objective.total);
    },
  );

  it("without a constant zero is optimal", async () => {
    const result = await fit(1.001 * most, { bias: false, tolerance: 1e-9 });
    expect([result.status, result.objective.total, result.gap]).toEqual(["zero-optimal", 2, 0]);
  });
});
