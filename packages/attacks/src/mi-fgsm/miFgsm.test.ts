import { createRng, type DifferentiableClassifier } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { miFgsm } from "./miFgsm.js";

describeAttack({ name: "mi-fgsm", create: () => miFgsm() });

describe("miFgsm", () => {
  it("follows summed unit gradients: the sign turns only when the sum does", async () => {
    // gradients along one coordinate: +1 three times, then -1 twice; without memory the fourth step would turn back
    const model = linearToy([[0], [1]], [9, 0]);
    let call = 0;
    const visited: number[] = [];
    const scripted: DifferentiableClassifier = {
      ...model,
      async lossGradient(inputs, loss) {
        visited.push(inputs.data[0]);
        const result = await model.lossGradient(inputs, loss);
        const g = [1, 1, 1, -1, -1][call++] ?? 0;
        return { ...result, gradient: { data: Float64Array.of(g), shape: inputs.shape } };
      },
    };
    const batch = {
      inputs: { data: Float64Array.of(0), shape: [1, 1] },
      labels: Int32Array.of(0),
      indices: Int32Array.of(0),
    };
    await miFgsm({ steps: 5 }).run(scripted, batch, { budget: { norm: "linf", epsilon: 1 }, rng: createRng(1) });
    expect(visited.map((v) => Number(v.toFixed(6)))).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
    call = 0;
    visited.length = 0;
    const forgetful = miFgsm({ steps: 5, decay: 0 });
    await forgetful.run(scripted, batch, { budget: { norm: "linf", epsilon: 1 }, rng: createRng(1) });
    expect(visited.map((v) => Number(v.toFixed(6)))).toEqual([0, 0.2, 0.4, 0.6, 0.4]);
  });

  it.each([{ loss: "dlr" as never }, { steps: 0 }, { decay: -1 }])("refuses settings %o", (settings) => {
    expect(() => miFgsm(settings)).toThrow(expect.objectContaining({ code: "setting" }));
  });
});
