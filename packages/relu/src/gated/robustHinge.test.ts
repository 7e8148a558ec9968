import type { Norm } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { patternBits } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { largestGroupNorm, sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import { clouds } from "../testing/problems.js";
import { dualBound } from "./dualBound.js";
import { type HingeValue, RobustHinge } from "./robustHinge.js";

function build(norm: Norm, radius: number, bias: boolean) {
  const { features, labels, rng } = clouds(11, 45, 4, 3);
  const gates = sampleGates(features, { count: 7, rng, bias });
  const bits = patternBits(features, gates);
  const width = 4 + (bias ? 1 : 0);
  const length = gates.count * 3 * width;
  const sizes = RobustHinge.sizes(45, gates.count, 3 * width);
  const workspace = chooseKernels("js").workspace(workspaceSize(...sizes, length, length));
  const data = { features, labels, classCount: 3, bits, gateCount: gates.count, bias, norm, radius };
  const hinge = new RobustHinge(data, workspace);
  const value: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
  return { hinge, value, rng, width, length, weights: workspace.float64(length), gradient: workspace.float64(length) };
}

describe.each(["l1", "l2", "linf"] as const)("robust hinge, %s", (norm) => {
  it.each([true, false])("gradient by central differences, also after recentring (bias %s)", (bias) => {
    const { hinge, value, rng, weights, gradient, length } = build(norm, 0.3, bias);
    for (const round of [0, 1]) {
      for (let k = 0; k < length; k++) weights[k] = 0.3 * rng.normal();
      hinge.evaluate(weights, 1, 0.3, gradient, value);
      for (let probe = 0; probe < 12; probe++) {
        const k = rng.integer(length);
        const kept = weights[k];
        const at = (t: number) => {
          weights[k] = t;
          hinge.evaluate(weights, 1, 0.3, null, value);
          return value.smooth;
        };
        const slope = (at(kept + 1e-6) - at(kept - 1e-6)) / 2e-6;
        weights[k] = kept;
        expect(Math.abs(slope - gradient[k])).toBeLessThan(1e-6 + 1e-5 * Math.abs(slope) + (round === 1 ? 1e-6 : 0));
      }
      hinge.recentre(weights, 1, 0.3);
    }
  });

  it("smoothed value never above the true one; dual bounds never above any primal value", () => {
    const { hinge, value, rng, weights, gradient, length, width } = build(norm, 0.2, true);
    const beta = 0.05;
    let lowest = Number.POSITIVE_INFINITY;
    let highest = Number.NEGATIVE_INFINITY;
    for (let trial = 0; trial < 60; trial++) {
      const scale = 10 ** (-2 + 3 * rng.uniform());
      for (let k = 0; k < length; k++) weights[k] = scale * rng.normal();
      hinge.evaluate(weights, 0.5, 0.1, gradient, value);
      expect(value.smooth).toBeLessThanOrEqual(value.loss + 1e-12);
      lowest = Math.min(lowest, value.loss + beta * sumOfGroupNorms(weights, width));
      highest = Math.max(highest, dualBound(gradient, value.dualSum, width, beta));
      expect(largestGroupNorm(gradient, width)).toBeGreaterThan(0);
      if (trial % 10 === 9) hinge.recentre(weights, 0.5, 0.1);
    }
    expect(highest).toBeLessThanOrEqual(lowest);
    expect(highest).toBeGreaterThan(0);
  });
});
