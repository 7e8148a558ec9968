import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { fgsm } from "./fgsm.js";

describeAttack({ name: "fgsm margin", create: () => fgsm(), exactOnLinear: true });
describeAttack({ name: "fgsm cross-entropy", create: () => fgsm({ loss: "cross-entropy" }), exactOnLinear: true });

describe("fgsm", () => {
  it("leaves misclassified samples where they are", async () => {
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
      ],
      [0, 0],
    );
    const batch = {
      inputs: { data: Float64Array.of(0, 1, 1, 0), shape: [2, 2] },
      labels: Int32Array.of(0, 0),
      indices: Int32Array.of(0, 1),
    };
    const { data } = await fgsm().run(model, batch, { budget: { norm: "linf", epsilon: 0.25 }, rng: createRng(1) });
    expect(Array.from(data)).toEqual([0, 1, 0.75, 0.25]);
  });
});
