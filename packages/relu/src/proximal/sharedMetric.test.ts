import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { PlainMetric, SharedMetric } from "./sharedMetric.js";

const [P, C, D] = [5, 2, 3];

function randomProblem(seed: number) {
  const rng = createRng(seed);
  const vector = () => Float64Array.from({ length: P * C * D }, () => rng.normal());
  const root = Float64Array.from({ length: D * D }, () => rng.normal());
  const shared = new Float64Array(D * D);
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < D; j++) for (let k = 0; k < D; k++) shared[i * D + j] += root[i * D + k] * root[j * D + k];
    shared[i * (D + 1)] += 0.1;
  }
  return {
    metric: new SharedMetric(
      P,
      C,
      D,
      0.4,
      shared,
      chooseKernels().workspace(workspaceSize(...SharedMetric.sizes(P, D))),
    ),
    y: vector(),
    gradient: vector(),
    rng,
  };
}

it("the proximal step satisfies the optimality condition of its definition", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { metric, y, gradient } = randomProblem(seed);
    const [curvature, beta] = [1.7, 0.8];
    const out = new Float64Array(y.length);
    const image = new Float64Array(y.length);
    metric.proximal(y, gradient, curvature, beta, out);
    metric.apply(
      out.map((t, k) => t - y[k]),
      image,
    );
    for (let from = 0; from < y.length; from += D) {
      const residual = [0, 1, 2].map((k) => gradient[from + k] + curvature * image[from + k]);
      const size = Math.hypot(out[from], out[from + 1], out[from + 2]);
      if (size === 0) expect(Math.hypot(...residual)).toBeLessThanOrEqual(beta + 1e-7);
      else for (const [k, r] of residual.entries()) expect(r + (beta * out[from + k]) / size).toBeCloseTo(0, 6);
    }
  }
});

it("the plain metric is the group soft threshold", () => {
  const metric = new PlainMetric(2);
  const out = new Float64Array(4);
  metric.proximal(Float64Array.from([3, 4, 0.1, 0]), new Float64Array(4), 2, 2, out);
  expect([...out]).toEqual([3 * 0.8, 4 * 0.8, 0, 0]);
});
