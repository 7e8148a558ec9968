import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, test } from "vitest";
import { batch, normals } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { createBoxAdversary } from "../linf/boxProblem.js";
import { createLinfAdversary } from "../linf/linfAdversary.js";
import type { Adversary, AttackSmoothing } from "./adversary.js";
import { wholeSphere } from "./directionSets.js";
import { createJointObjective } from "./jointObjective.js";
import { createPairAdversary } from "./pairAdversary.js";
import type { RowLoss } from "./rowLoss.js";

const kernels = chooseKernels();

/** Largest difference of the gradient from central differences, relative to its size. */
function gradientError(adversary: Adversary, loss: RowLoss, smoothing: AttackSmoothing | null, step: number): number {
  const applied = gradientErrorOf(adversary, loss, smoothing, step, true);
  return Math.max(applied, gradientErrorOf(adversary, loss, smoothing, step, false));
}

/** With second moments applied to the neurons, or formed. */
function gradientErrorOf(
  adversary: Adversary,
  loss: RowLoss,
  smoothing: AttackSmoothing | null,
  step: number,
  applied: boolean,
): number {
  const rng = createRng(5);
  const { dimension: d, blocks, samples } = adversary;
  const count = 2 * blocks;
  const kappa = Float64Array.from({ length: samples }, () => rng.uniform() / samples);
  const network = {
    vectors: normals(rng, count * d, 0.8),
    signs: Float64Array.from({ length: count }, (_, j) => (j % 2 ? 1 : -1)),
    blocks: Int32Array.from({ length: count }, (_, j) => j % blocks),
    count,
  };
  adversary.activate(null);
  const objective = createJointObjective(adversary, wholeSphere(d, kernels), loss, kappa, 0.01, applied);
  const gradient = new Float64Array(count * d);
  objective.evaluate(network, 0.3, smoothing, gradient);
  let worst = 0;
  for (let i = 0; i < count * d; i++) {
    const at = (by: number) => {
      const vectors = network.vectors.slice();
      vectors[i] += by;
      return objective.evaluate({ ...network, vectors }, 0.3, smoothing, null);
    };
    worst = Math.max(worst, Math.abs((at(step) - at(-step)) / (2 * step) - gradient[i]));
  }
  return worst / Math.max(...gradient.map(Math.abs));
}

test("the gradient is the derivative: pairs, both losses, with and without bias and smoothing", () => {
  const rng = createRng(1);
  const labels = Int32Array.from({ length: 12 }, (_, i) => i % 3);
  const points = batch(normals(rng, 48), 4);
  for (const bias of [0, 1.3]) {
    for (const smoothing of [null, { mu: 0.02, rho: 0.7 }]) {
      for (const loss of ["sum", "max"] as const) {
        const adversary = createPairAdversary(points, labels, 3, 0.3, paperActivation, 4, bias, kernels);
        expect(gradientError(adversary, loss, smoothing, 1e-5)).toBeLessThan(1e-5);
      }
    }
  }
});

test("the gradient is the derivative: l-infinity relaxations", () => {
  const rng = createRng(2);
  const points = batch(normals(rng, 24), 3);
  const labels = Float64Array.from({ length: 8 }, (_, i) => (i % 2 ? 1 : -1));
  const adversary = createLinfAdversary(points, labels, createBoxAdversary(3, 0.2, {}), paperActivation, kernels);
  expect(gradientError(adversary, "sum", null, 1e-3)).toBeLessThan(1e-3);
});
