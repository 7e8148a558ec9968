import { createRng, type DifferentiableClassifier, type LabelledBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Attack } from "./attack.js";
import { evaluateAttack } from "./evaluateAttack.js";
import { fgsm } from "./fgsm/fgsm.js";
import { pgd } from "./pgd/pgd.js";
import { randomCorners } from "./random-corners/randomCorners.js";
import { withBounds } from "./surrogate.js";
import { linearToy, quantisedToy } from "./testing/toyClassifiers.js";
import { transfer } from "./transfer/transfer.js";

const box = { lower: 0, upper: 1 };
const model = linearToy(
  [
    [1, 0],
    [0, 1],
  ],
  [0, 0],
  box,
);
// margins for label 0: x1 - x0 = -0.5, -0.1, +0.2 (misclassified)
const batch: LabelledBatch = {
  inputs: { data: Float32Array.of(0.75, 0.25, 0.5, 0.4, 0.3, 0.5), shape: [3, 2] },
  labels: Int32Array.of(0, 0, 0),
  indices: Int32Array.of(10, 11, 12),
};
const budget = { norm: "linf", epsilon: 0.1 } as const;
const options = () => ({ budget, rng: createRng(1) });

function moveBy(...delta: number[]): Attack {
  return {
    name: "move",
    kind: "gradient-free",
    needs: { norms: ["linf", "l2", "l1"], gradients: false },
    settings: {},
    run: async (_model, { inputs }) => ({ data: inputs.data.map((v, k) => v + delta[k % 2]), shape: inputs.shape }),
  };
}

describe("evaluateAttack", () => {
  it("measures success, distance and loss of every sample", async () => {
    const result = await evaluateAttack(model, batch, fgsm(), options());
    expect(Array.from(result.correct)).toEqual([1, 1, 0]);
    expect(Array.from(result.fooled)).toEqual([0, 1, 1]);
    expect(result.distance[0]).toBeCloseTo(0.1, 6);
    expect(result.distance[2]).toBe(0);
    expect(result.loss[0]).toBeCloseTo(-0.3, 6);
    expect(result.loss[1]).toBeCloseTo(0.1, 6);
    expect(result.loss[2]).toBeCloseTo(0.2, 6);
    // three clean and two final points forward; one gradient for each correct sample
    expect(result.calls).toEqual({ forward: 5, gradient: 2 });
    expect(result.warnings).toEqual([]);
  });

  it.each([1, 2, 3, 100])("does not depend on the batch size (%i)", async (batchSize) => {
    const whole = await evaluateAttack(model, batch, pgd(), options());
    const parts = await evaluateAttack(model, batch, pgd(), { ...options(), batchSize });
    expect(parts.adversarials).toEqual(whole.adversarials);
    expect(parts.fooled).toEqual(whole.fooled);
  });

  it.each(["linf", "l2", "l1"] as const)("moves points that left the budget back and warns (%s)", async (norm) => {
    const result = await evaluateAttack(model, batch, moveBy(-0.2, 0.2), {
      ...options(),
      budget: { norm, epsilon: 0.15 },
    });
    expect(Math.max(...result.distance)).toBeLessThanOrEqual(0.15 * (1 + 1e-6));
    expect(Math.max(...result.distance)).toBeGreaterThan(0.149);
    expect(result.warnings).toEqual([{ code: "over-budget", message: expect.stringContaining("2 points") }]);
  });

  it("moves points that left the bounds back and warns", async () => {
    const edge = { ...batch, inputs: { data: Float32Array.of(1, 0, 1, 0.5, 1, 0.9), shape: [3, 2] } };
    const result = await evaluateAttack(model, edge, moveBy(0.1, 0), options());
    expect(Math.max(...result.adversarials.data)).toBe(1);
    expect(result.warnings).toEqual([{ code: "out-of-bounds", message: expect.stringContaining("3 points") }]);
  });

  it("believes no claim: an attack that does nothing fools nobody", async () => {
    const result = await evaluateAttack(model, batch, moveBy(0, 0), options());
    expect(Array.from(result.fooled)).toEqual([0, 0, 1]);
  });

  it("warns when gradients vanish", async () => {
    const result = await evaluateAttack(quantisedToy(model, 0.25), batch, pgd(), options());
    expect(result.warnings.map(({ code }) => code)).toEqual(["zero-gradient"]);
    expect(result.warnings[0].message).toContain(`${result.zeroGradients.zero} of ${result.zeroGradients.samples}`);
  });

  it("attacks through a surrogate but measures on the model", async () => {
    const masked = quantisedToy(model, 0.25);
    const own = await evaluateAttack(masked, batch, fgsm(), { ...options(), budget: { norm: "linf", epsilon: 0.25 } });
    const through = await evaluateAttack(masked, batch, fgsm(), {
      ...options(),
      budget: { norm: "linf", epsilon: 0.25 },
      surrogate: model,
    });
    expect(through.fooled.reduce((a, b) => a + b)).toBeGreaterThan(own.fooled.reduce((a, b) => a + b));
    // quantised logits are multiples of 0.25: the loss was measured on the masked model
    for (const loss of through.loss) expect(loss * 4).toBeCloseTo(Math.round(loss * 4), 12);
  });

  it("leaves the bounds when asked to", async () => {
    const edge = { ...batch, inputs: { data: Float32Array.of(1, 0.9, 1, 0.95, 0.9, 0.05), shape: [3, 2] } };
    const result = await evaluateAttack(withBounds(model, "unbounded"), edge, fgsm(), options());
    expect(Math.max(...result.adversarials.data)).toBeCloseTo(1.05, 6);
    expect(result.warnings).toEqual([]);
  });

  it("says what is wrong", async () => {
    const run = (changes: object, changed: Partial<LabelledBatch> = {}, on: DifferentiableClassifier = model) =>
      evaluateAttack(on, { ...batch, ...changed }, fgsm(), { ...options(), ...changes });
    await expect(run({ budget: { norm: "linf", epsilon: 8 } })).rejects.toThrow(/did you mean 8 \/ 255\?/);
    await expect(run({ budget: { norm: "l1", epsilon: 0.1 } })).rejects.toThrow(/linf, l2 for the attack fgsm/);
    await expect(run({ batchSize: 0 })).rejects.toThrow(/batchSize/);
    await expect(run({}, { labels: Int32Array.of(0, 0, 2) })).rejects.toThrow(/labels\[2\]/);
    await expect(run({}, { indices: Int32Array.of(1) })).rejects.toThrow(/indices/);
    const pixels = { data: Float32Array.of(0, 1, 0, 128, 0, 1), shape: [3, 2] };
    await expect(run({}, { inputs: pixels })).rejects.toThrow(/divide 8-bit pixels by 255/);
    await expect(run({}, { inputs: { data: new Float32Array(0), shape: [0, 2] } })).rejects.toMatchObject({
      code: "data",
    });
    await expect(run({}, { inputs: { data: new Float32Array(6), shape: [2, 3] } })).rejects.toMatchObject({
      code: "shape",
    });
    const oneClass = { ...model, classCount: 1 };
    await expect(run({}, {}, oneClass)).rejects.toThrow(/at least 2 classes/);
    await expect(run({ surrogate: linearToy([[1], [2]], [0, 0]) })).rejects.toThrow(/surrogate/);
  });

  it("names the sample whose logits or gradients are not numbers", async () => {
    const broken: DifferentiableClassifier = {
      ...model,
      async logits(inputs) {
        const { data, shape } = await model.logits(inputs);
        return { data: data.map((v, k) => (k === 2 ? Number.NaN : v)), shape };
      },
    };
    await expect(evaluateAttack(broken, batch, fgsm(), options())).rejects.toThrow(/sample 11, class 0/);
    const brokenGradient: DifferentiableClassifier = {
      ...model,
      async lossGradient(inputs, loss) {
        const result = await model.lossGradient(inputs, loss);
        return { ...result, gradient: { ...result.gradient, data: result.gradient.data.map(() => Number.NaN) } };
      },
    };
    for (const attack of [fgsm(), pgd()]) {
      await expect(evaluateAttack(brokenGradient, batch, attack, options())).rejects.toThrow(/gradient .* sample 10/);
    }
    const wrongShape = { ...model, logits: async () => ({ data: new Float64Array(3), shape: [3, 1] }) };
    await expect(evaluateAttack(wrongShape, batch, fgsm(), options())).rejects.toMatchObject({ code: "shape" });
  });

  it("refuses budgets in other units: no two inputs in bounds are that far apart", async () => {
    for (const [norm, epsilon] of [
      ["linf", 8],
      ["l2", 128],
      ["l1", 128],
    ] as const) {
      const run = evaluateAttack({ ...model, bounds: { lower: 0, upper: 1 } }, batch, randomCorners(), {
        ...options(),
        budget: { norm, epsilon },
      });
      await expect(run).rejects.toMatchObject({
        code: "setting",
        message: expect.stringContaining(`did you mean ${epsilon} / 255?`),
      });
    }
  });

  it("asks for gradients before any work", async () => {
    const { lossGradient: _, ...blackBox } = model;
    await expect(evaluateAttack(blackBox, batch, fgsm(), options())).rejects.toThrow(/without lossGradient/);
    const result = await evaluateAttack(blackBox, batch, fgsm(), { ...options(), surrogate: model });
    expect(Array.from(result.fooled)).toEqual([0, 1, 1]);
  });

  it("stops at the signal, also in the middle", async () => {
    const controller = new AbortController();
    const run = evaluateAttack(model, batch, pgd(), {
      ...options(),
      batchSize: 1,
      signal: controller.signal,
      onEvent: () => controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: "aborted" });
  });

  it("works when no sample is classified correctly", async () => {
    const wrong = { ...batch, labels: Int32Array.of(1, 1, 0) };
    const result = await evaluateAttack(model, wrong, pgd(), options());
    expect(Array.from(result.fooled)).toEqual([1, 1, 1]);
    expect(Array.from(result.distance)).toEqual([0, 0, 0]);
  });
});

describe("settings", () => {
  it("are checked when the attack is made", () => {
    expect(() => pgd({ steps: 0 })).toThrow(/settings.steps/);
    expect(() => pgd({ steps: 2.5 })).toThrow(/settings.steps/);
    expect(() => pgd({ restarts: -1 })).toThrow(/settings.restarts/);
    expect(() => pgd({ stepSize: 0 })).toThrow(/settings.stepSize/);
    expect(() => pgd({ schedule: "linear" as never })).toThrow(/settings.schedule/);
    expect(() => fgsm({ loss: "dlr" as never })).toThrow(/margin or cross-entropy/);
    expect(() => pgd({ loss: "dlr" as never })).toThrow(/margin or cross-entropy/);
  });

  it("transfer names what its examples lack", async () => {
    const madeBy = { name: "fgsm", kind: "single-step", settings: {}, model: "m", stream: "s" } as const;
    const points = [{ epsilon: 0.1, adversarials: batch.inputs }];
    const attack = transfer({ source: "old", norm: "linf", madeBy, indices: batch.indices, samples: "", points });
    const run = (epsilon: number, indices = batch.indices) =>
      evaluateAttack(model, { ...batch, indices }, attack as Attack, {
        ...options(),
        budget: { norm: "linf", epsilon },
      });
    await expect(run(0.2)).rejects.toThrow(/points for linf at epsilon 0.2, got linf at 0.1/);
    await expect(run(0.1, Int32Array.of(10, 99, 12))).rejects.toThrow(/batch.indices/);
    expect(Array.from((await run(0.1)).fooled)).toEqual([0, 0, 1]);
  });
});

describe("pgd starts", () => {
  it("uses given starts, and moves those outside the budget into it", async () => {
    // a needle: only the corner (0.6, 0.4) of the budget around (0.5, 0.5) is misclassified, and no gradient points there
    const needle: DifferentiableClassifier = {
      ...linearToy(
        [
          [0, 0],
          [0, 0],
        ],
        [0, 0],
        box,
      ),
      async logits(inputs) {
        const data = new Float64Array(inputs.data.length);
        for (let i = 0; i < data.length / 2; i++) {
          const hit = Math.abs(inputs.data[2 * i] - 0.6) < 1e-3 && Math.abs(inputs.data[2 * i + 1] - 0.4) < 1e-3;
          data[2 * i + (hit ? 1 : 0)] = 1;
        }
        return { data, shape: [data.length / 2, 2] };
      },
      async lossGradient(inputs) {
        const logits = await needle.logits(inputs);
        const loss = Float64Array.from(
          { length: logits.shape[0] },
          (_, i) => logits.data[2 * i + 1] - logits.data[2 * i],
        );
        return { loss, logits, gradient: { data: new Float64Array(inputs.data.length), shape: inputs.shape } };
      },
    };
    const one = {
      inputs: { data: Float32Array.of(0.5, 0.5), shape: [1, 2] },
      labels: Int32Array.of(0),
      indices: Int32Array.of(0),
    };
    const without = await pgd().run(needle, one, options());
    expect(Array.from(without.data)).toEqual([0.5, 0.5]);
    const starts = [{ data: Float32Array.of(0.9, 0), shape: [1, 2] }];
    const found = await pgd().run(needle, one, { ...options(), starts });
    expect(found.data[0]).toBeCloseTo(0.6, 6);
    expect(found.data[1]).toBeCloseTo(0.4, 6);
    const tooMany = [{ data: new Float32Array(4), shape: [2, 2] }];
    await expect(pgd().run(needle, one, { ...options(), starts: tooMany })).rejects.toThrow(/starts\[0\]/);
  });
});
