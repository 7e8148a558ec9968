import { createRng, evaluateLoss, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { apgd } from "./apgd/apgd.js";
import { asFirstClass, towardsClasses } from "./criteria.js";
import { evaluateAttack } from "./evaluateAttack.js";
import { fab } from "./fab/fab.js";
import { pgd } from "./pgd/pgd.js";
import { square } from "./square/square.js";
import { linearToy } from "./testing/toyClassifiers.js";

const weights = [
  [1, 0, 0.3],
  [0, 1, -0.2],
  [-1, -1, 0.1],
  [0.4, -0.7, 0.9],
];
const model = linearToy(weights, [0.1, 0, 0, -0.1], { lower: -2, upper: 2 });
const rng = createRng(4);
const inputs = { data: Float64Array.from({ length: 30 }, () => rng.uniform() - 0.5), shape: [10, 3] };
const batch = { inputs, labels: new Int32Array(10), indices: Int32Array.from({ length: 10 }, (_, i) => i) };

describe("towardsClasses", () => {
  it("has the gradient of its own loss (central differences)", async () => {
    const view = towardsClasses(model, [1, 3]);
    for (const kind of ["margin", "cross-entropy"] as const) {
      for (const label of [0, 1]) {
        const loss = { kind, labels: new Int32Array(10).fill(label) };
        const { gradient, loss: value, logits } = await view.lossGradient(inputs, loss);
        expect(evaluateLoss(logits, loss).loss).toEqual(value);
        for (let k = 0; k < 30; k++) {
          const moved = async (h: number) => {
            const data = inputs.data.with(k, inputs.data[k] + h);
            const sum = evaluateLoss(await view.logits({ data, shape: [10, 3] }), loss).loss;
            return sum[Math.floor(k / 3)];
          };
          expect(gradient.data[k]).toBeCloseTo(((await moved(1e-6)) - (await moved(-1e-6))) / 2e-6, 6);
        }
      }
    }
  });

  it("attacks succeed by the target class only, white box, minimum norm and black box", async () => {
    for (const target of [0, 1, 2, 3]) {
      const view = towardsClasses(model, [target]);
      const first = asFirstClass(batch);
      const options = { budget: { norm: "linf", epsilon: 2.4 } as const, rng: createRng(1) };
      for (const attack of [pgd(), apgd({ loss: "margin" }), square({ queries: 400 })]) {
        const result = await evaluateAttack(view, first, attack, options);
        const classes = predictedClasses(await model.logits(result.adversarials));
        for (let i = 0; i < 10; i++) expect(classes[i] === target).toBe(result.fooled[i] === 1);
        expect(result.fooled.every((fooled) => fooled === 1)).toBe(true);
      }
      const found = await fab().find(view, first, { norm: "l2", rng: createRng(1) });
      const hits = predictedClasses(await model.logits(found)).filter((c, i) => {
        const moved = found.data.subarray(3 * i, 3 * i + 3).some((v, k) => v !== inputs.data[3 * i + k]);
        if (moved) expect(c).toBe(target);
        return c === target;
      });
      expect(hits.length).toBeGreaterThan(5);
    }
  });

  it("is misclassification when all classes but one are given", async () => {
    const { data } = await model.logits(inputs);
    const view = await towardsClasses(model, [1, 2, 3]).logits(inputs);
    for (let i = 0; i < 10; i++) {
      expect(view.data[2 * i]).toBe(data[4 * i]);
      expect(view.data[2 * i + 1]).toBe(Math.max(...data.subarray(4 * i + 1, 4 * i + 4)));
    }
  });

  it("stays a black box without gradients, and refuses empty, full and unknown sets", () => {
    const { lossGradient: _, ...blackBox } = model;
    expect("lossGradient" in towardsClasses(blackBox, [1])).toBe(false);
    for (const classes of [[], [0, 1, 2, 3], [4], [-1], [0.5]]) {
      expect(() => towardsClasses(model, classes)).toThrow(expect.objectContaining({ code: "setting" }));
    }
  });
});
