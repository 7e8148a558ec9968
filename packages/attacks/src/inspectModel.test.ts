import { createRng, type DifferentiableClassifier, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "./evaluateAttack.js";
import { inspectModel } from "./inspectModel.js";
import { pgd } from "./pgd/pgd.js";
import { withStraightThrough } from "./surrogate.js";
import { linearMargin, linearToy, quantisedToy } from "./testing/toyClassifiers.js";

const smooth = linearToy(
  [
    [1, -0.5, 0.2, 0.1],
    [-0.4, 0.9, 0, 0.3],
  ],
  [0, 0],
  { lower: 0, upper: 1 },
);
const rng = createRng(3);
const inputs = { data: Float64Array.from({ length: 160 }, () => rng.uniform()), shape: [40, 4] };
const labels = Int32Array.from({ length: 40 }, (_, i) =>
  linearMargin(smooth, inputs.data.subarray(4 * i, 4 * i + 4), 0) <= 0 ? 0 : 1,
);
const batch = { inputs, labels, indices: Int32Array.from({ length: 40 }, (_, i) => i) };
const inspect = async (model: DifferentiableClassifier, epsilon = 0.1) =>
  (await inspectModel(model, batch, { budget: { norm: "linf", epsilon }, rng: createRng(1) })).map(({ code }) => code);

/** The model with its logits changed, gradients as they were. */
function changed(map: (logits: NumericBatch) => NumericBatch): DifferentiableClassifier {
  return { ...smooth, id: "changed", logits: async (x) => map(await smooth.logits(x)) };
}

describe("inspectModel", () => {
  it("finds nothing to say about a plain model", async () => {
    expect(await inspect(smooth)).toEqual([]);
    expect(await inspect(smooth, 0)).toEqual([]);
  });

  it("sees randomised models", async () => {
    const noise = createRng(8);
    const random = changed(({ data, shape }) => ({ data: data.map((v) => v + 0.01 * noise.normal()), shape }));
    expect(await inspect(random)).toContain("randomised-model");
  });

  it("sees probabilities, and logits that only look alike", async () => {
    const softmax = changed(({ data, shape }) => {
      const out = data.slice();
      for (let i = 0; i < out.length; i += 2) {
        const p = 1 / (1 + Math.exp(data[i + 1] - data[i]));
        out.set([p, 1 - p], i);
      }
      return { data: out, shape };
    });
    expect(await inspect(softmax)).toContain("probabilities");
    const small = changed(({ data, shape }) => ({ data: data.map((v) => 1 / (1 + Math.exp(-v))), shape }));
    expect(await inspect(small)).not.toContain("probabilities");
  });

  it("sees a loss that is constant inside the budget", async () => {
    expect(await inspect(quantisedToy(smooth, 0.5), 0.01)).toContain("constant-loss");
    expect(await inspect(quantisedToy(smooth, 0.01), 0.3)).not.toContain("constant-loss");
  });

  it("sees a cross-entropy whose gradient has vanished", async () => {
    const factor = 1e4;
    const sharp = linearToy(
      smooth.weights.map((row) => row.map((w) => factor * w)),
      [0, 0],
      { lower: 0, upper: 1 },
    );
    expect(await inspect(sharp)).toEqual(["saturated-gradient"]);
  });

  it("looks at black boxes too, and refuses misuse", async () => {
    const { lossGradient: _, ...blackBox } = smooth;
    const budget = { norm: "linf", epsilon: 0.1 } as const;
    expect(await inspectModel(blackBox, batch, { budget, rng: createRng(1) })).toEqual([]);
    await expect(inspectModel(smooth, batch, { budget, rng: createRng(1), samples: 0 })).rejects.toMatchObject({
      code: "setting",
    });
    const wrong = { ...batch, labels: Int32Array.of(1) };
    await expect(inspectModel(smooth, wrong, { budget, rng: createRng(1) })).rejects.toMatchObject({ code: "shape" });
  });
});

describe("withStraightThrough", () => {
  const round = ({ data, shape }: NumericBatch) => ({ data: data.map((v) => 0.1 * Math.round(10 * v)), shape });

  it("breaks a quantised model that its own zero gradients protect", async () => {
    const options = { budget: { norm: "linf", epsilon: 0.3 } as const, rng: createRng(1) };
    const quantised = quantisedToy(smooth, 0.1);
    const own = await evaluateAttack(quantised, batch, pgd({ restarts: 0 }), options);
    const through = withStraightThrough(smooth, "rounded inputs", round);
    const straight = await evaluateAttack(quantised, batch, pgd({ restarts: 0 }), { ...options, surrogate: through });
    const count = (fooled: Uint8Array) => fooled.reduce((sum, flag) => sum + flag, 0);
    expect(own.fooled).toEqual(own.correct.map((flag) => 1 - flag));
    expect(count(straight.fooled)).toBeGreaterThan(25);
    // its logits are those of the quantised model
    expect((await through.logits(inputs)).data).toEqual((await quantised.logits(inputs)).data);
  });

  it("refuses preprocessing that changes the number of values", async () => {
    const broken = withStraightThrough(smooth, "broken", ({ shape }) => ({ data: new Float64Array(3), shape }));
    await expect(async () => broken.logits(inputs)).rejects.toMatchObject({ code: "shape" });
  });
});
