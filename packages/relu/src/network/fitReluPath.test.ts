// Paths against fits from zero: both certify the same optimum, so each bound is below the other's objective.

import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import { fitRelu, fitReluRegression, type ReluResult } from "./fitRelu.js";
import { fitReluPath } from "./fitReluPath.js";

const { features, labels } = clouds(5, 40, 5, 3);
const two = labels.map((label) => Math.min(label, 1));
const gates = sampleGates(features, { count: 24, rng: createRng(3) });

function sameOptimum(warm: ReluResult, cold: ReluResult, tolerance: number): void {
  for (const { status, gap, constraintViolation } of [warm, cold]) {
    expect(["optimal", "zero-optimal"]).toContain(status);
    expect(gap).toBeLessThanOrEqual(tolerance);
    expect(constraintViolation.maximum).toBe(0);
  }
  expect(warm.lowerBound).toBeLessThanOrEqual(cold.objective.total * (1 + 1e-12));
  expect(cold.lowerBound).toBeLessThanOrEqual(warm.objective.total * (1 + 1e-12));
  expect(warm.cones).toEqual(cold.cones);
}

describe("a path of fitRelu", () => {
  const ladders = {
    "radii up": [0, 0.01, 0.03, 0.1, 0.3, 1].map((radius) => ({ radius, beta: 2e-3 })),
    "radii down": [1, 0.1, 0.03, 0.01, 0].map((radius) => ({ radius, beta: 2e-3 })),
    "betas down, then up": [0.3, 0.03, 0.01, 0.003, 0.01, 10].map((beta) => ({ radius: 0.02, beta })),
  };
  const programs = [
    { norm: "l2", loss: "hinge", regulariser: "group", classes: 2 },
    { norm: "linf", loss: "logistic", regulariser: "group", classes: 3 },
    { norm: "l1", loss: "squared", regulariser: "l1", classes: 2 },
  ] as const;
  for (const [name, points] of Object.entries(ladders)) {
    for (const { classes, ...settings } of programs) {
      it(`${name}, ${classes} classes, ${settings.norm}, ${settings.loss}, ${settings.regulariser}`, async () => {
        const answers = classes === 2 ? two : labels;
        const options = { ...settings, gates, tolerance: 1e-4 };
        const path = await fitReluPath(features, { labels: answers, classCount: classes }, points, options);
        expect(path.map(({ radius, beta }) => ({ radius, beta }))).toEqual(points);
        for (const { radius, beta, result } of path) {
          sameOptimum(result, await fitRelu(features, answers, classes, { ...options, radius, beta }), 1e-4);
        }
      });
    }
  }

  it("with targets, and by first-order methods", async () => {
    const targets = { data: Float64Array.from(labels, (label) => label - 1), shape: [40, 1] };
    const points = [0.1, 0.05, 0.02].map((beta) => ({ radius: 0.01, beta }));
    const options = { norm: "l2", loss: "squared", gates } as const;
    const exact = await fitReluPath(features, { targets }, points, { ...options, tolerance: 1e-5 });
    for (const { radius, beta, result } of exact) {
      const cold = await fitReluRegression(features, targets, { ...options, radius, beta, tolerance: 1e-5 });
      sameOptimum(result, cold, 1e-5);
    }
    for (const method of ["admm", "augmented-lagrangian"] as const) {
      const path = await fitReluPath(features, { targets }, points, { ...options, method, tolerance: 5e-2 });
      path.forEach(({ result }, k) => {
        sameOptimum(result, exact[k].result, 5e-2);
      });
    }
  });

  it("a point given twice costs nothing the second time", async () => {
    const point = { radius: 0.02, beta: 3e-3 };
    const options = { norm: "l2", gates, tolerance: 1e-4 } as const;
    const [first, again] = await fitReluPath(features, { labels: two, classCount: 2 }, [point, point], options);
    expect(first.result.iterations).toBeGreaterThan(5);
    expect(again.result.iterations).toBe(0);
    sameOptimum(again.result, first.result, 1e-4);
  });

  it("is solved on fewer gates than a fit from zero", async () => {
    const points = [0.003, 0.0035].map((beta) => ({ radius: 0.02, beta }));
    const options = { norm: "l2", gates, tolerance: 1e-4 } as const;
    const [first, second] = await fitReluPath(features, { labels: two, classCount: 2 }, points, options);
    expect(first.result.workingSet).toBe(first.result.cones.open);
    expect(second.result.workingSet).toBeLessThan(first.result.workingSet);
  });

  it("needs a point", async () => {
    const answers = { labels: two, classCount: 2 };
    await expect(fitReluPath(features, answers, [], { norm: "l2", gates })).rejects.toThrow(/points/);
  });
});
