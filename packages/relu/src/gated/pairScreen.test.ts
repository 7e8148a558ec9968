import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { patternBits } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import { type HingeData, type HingeValue, RobustHinge } from "./robustHinge.js";

describe.each(["l1", "l2", "linf"] as const)("screening, %s", (norm) => {
  it("changes no value, gradient or centre along a path of small steps", () => {
    const { features, labels, rng } = clouds(41, 80, 4, 3);
    const gates = sampleGates(features, { count: 6, rng });
    const bits = patternBits(features, gates);
    const length = gates.count * 3 * 5;
    const data: HingeData = {
      features,
      labels,
      classCount: 3,
      bits,
      gateCount: gates.count,
      bias: true,
      norm,
      radius: 0.05,
    };
    const build = () => {
      const sizes = RobustHinge.sizes(80, gates.count, 15);
      const workspace = chooseKernels("js").workspace(workspaceSize(...sizes, length, length));
      const weights = workspace.float64(length);
      return { hinge: new RobustHinge(data, workspace), weights, gradient: workspace.float64(length) };
    };
    const screened = build();
    const value: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
    const other: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
    for (let k = 0; k < length; k++) screened.weights[k] = 0.6 * rng.normal();
    let skipped = 0;
    for (let step = 0; step < 40; step++) {
      for (let k = 0; k < length; k++) screened.weights[k] += 1e-3 * rng.normal();
      screened.hinge.evaluate(screened.weights, 0.5, 0.1, screened.gradient, value);
      skipped += 1 - screened.hinge.evaluatedShare;
      // A fresh evaluator has no reference yet and therefore evaluates every pair.
      const fresh = build();
      fresh.weights.set(screened.weights);
      fresh.hinge.evaluate(fresh.weights, 0.5, 0.1, fresh.gradient, other);
      expect(fresh.hinge.evaluatedShare).toBe(1);
      for (const key of ["smooth", "loss", "dualSum"] as const) expect(value[key]).toBeCloseTo(other[key], 12);
      for (let k = 0; k < length; k++) expect(screened.gradient[k]).toBeCloseTo(fresh.gradient[k], 12);
    }
    expect(skipped).toBeGreaterThan(1);
    const fresh = build();
    for (const { hinge, weights } of [screened, fresh]) {
      weights.set(screened.weights);
      hinge.recentre(weights, 0.5, 0.1);
    }
    for (let k = 0; k < length; k++) screened.weights[k] += 1e-2 * rng.normal();
    fresh.weights.set(screened.weights);
    screened.hinge.evaluate(screened.weights, 0.5, 0.1, screened.gradient, value);
    fresh.hinge.evaluate(fresh.weights, 0.5, 0.1, fresh.gradient, other);
    expect(value.smooth).toBeCloseTo(other.smooth, 12);
    for (let k = 0; k < length; k++) expect(screened.gradient[k]).toBeCloseTo(fresh.gradient[k], 12);
  });
});
