import { createRng, distances, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "./evaluateAttack.js";
import { evaluateStandard, standardSuite } from "./standardSuite.js";
import { successfulPoints } from "./successfulPoints.js";
import { reluToy } from "./testing/toyClassifiers.js";

const rng = createRng(3);
const random = (rows: number, columns: number) =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => rng.normal()));
const model = {
  ...reluToy({ inner: random(6, 4), offsets: random(1, 6)[0], outer: random(3, 6) }),
  bounds: { lower: -9, upper: 9 },
};
const inputs = { data: Float32Array.from({ length: 160 }, () => rng.normal()), shape: [40, 4] };

describe("successfulPoints", () => {
  it("gives the first broken samples with the points of the evaluation, at the smallest epsilon", async () => {
    const labels = predictedClasses(await model.logits(inputs));
    labels[0] = (labels[0] + 1) % 3; // misclassified from the start: not an example
    const batch = { inputs, labels, indices: Int32Array.from(labels.keys()) };
    const settings = { norm: "l2", preset: "quick" } as const;
    const epsilons = [0.1, 0.4];
    const result = await evaluateStandard(model, batch, { ...settings, epsilons, rng: createRng(5) });
    const { attacks } = standardSuite(model, settings);
    const points = await successfulPoints(model, batch, { attacks, result, rng: createRng(5), count: 6 });
    const broken = Array.from(labels.keys()).filter((i) => i > 0 && result.worstFooled[1][i]);
    expect(points.map(({ row }) => row)).toEqual(broken.slice(0, 6));
    for (const { row, epsilon, attack, original, perturbed, predicted, label, distance } of points) {
      expect(epsilon).toBe(result.worstFooled[0][row] ? 0.1 : 0.4);
      expect(Array.from(original)).toEqual(Array.from(inputs.data.subarray(4 * row, 4 * row + 4)));
      const unit = result.units.find((u) => u.attack === attack && u.epsilon === epsilon);
      expect(distance).toBe(unit?.distance[row]);
      const [again] = distances({ data: original, shape: [1, 4] }, { data: perturbed, shape: [1, 4] }, "l2");
      expect(again).toBe(distance);
      expect(predictedClasses(await model.logits({ data: perturbed, shape: [1, 4] }))[0]).toBe(predicted);
      expect(predicted).not.toBe(label);
    }
    // the same points as the whole batch has
    const first = points[0];
    const { attack } = attacks.find(({ name }) => name === first.attack) ?? attacks[0];
    const whole = await evaluateAttack(model, batch, attack, {
      budget: { norm: "l2", epsilon: first.epsilon },
      rng: createRng(5).fork(`${first.attack}/l2/${first.epsilon}`),
    });
    expect(whole.adversarials.data.slice(4 * first.row, 4 * first.row + 4)).toEqual(first.perturbed);
  });

  it("gives none where nothing was broken, and refuses misuse", async () => {
    const labels = predictedClasses(await model.logits(inputs));
    const batch = { inputs, labels, indices: Int32Array.from(labels.keys()) };
    const settings = { norm: "linf", preset: "quick" } as const;
    const options = { ...settings, epsilons: [1e-9], rng: createRng(5) };
    const result = await evaluateStandard(model, batch, options);
    const { attacks } = standardSuite(model, settings);
    expect(await successfulPoints(model, batch, { attacks, result, rng: createRng(5) })).toEqual([]);
    const none = successfulPoints(model, batch, { attacks, result, rng: createRng(5), count: 0 });
    await expect(none).rejects.toMatchObject({ code: "setting" });
  });
});
