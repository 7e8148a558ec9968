import { createRng, distances, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { hopSkipJump } from "./hopSkipJump.js";

describeAttack({ name: "hop-skip-jump", create: () => hopSkipJump({ steps: 4, firstQueries: 20 }), nearOnLinear: 3 });

describe("hopSkipJump", () => {
  const weights = [
    [1, 0, 0.2, -0.3],
    [0, 2, 0.1, 0.5],
  ];
  const batch = {
    inputs: { data: Float64Array.of(0.9, 0.1, 0.5, 0.5), shape: [1, 4] },
    labels: Int32Array.of(0),
    indices: Int32Array.of(0),
  };

  it("comes near a plane from predicted classes alone", async () => {
    const inner = linearToy(weights, [0.05, 0], { lower: 0, upper: 1 });
    const decisions = {
      ...inner,
      async logits(inputs: NumericBatch) {
        const { data, shape } = await inner.logits(inputs);
        return { data: data.map((v, k) => (v >= data[k ^ 1] && (k % 2 === 0 || v > data[k ^ 1]) ? 1 : 0)), shape };
      },
    };
    const margin = 1 * 0.9 + 0.2 * 0.5 - 0.3 * 0.5 + 0.05 - (2 * 0.1 + 0.1 * 0.5 + 0.5 * 0.5);
    for (const [norm, dual] of [
      ["l2", Math.hypot(1, 2, 0.1, 0.8)],
      ["linf", 1 + 2 + 0.1 + 0.8],
    ] as const) {
      const found = await hopSkipJump({ steps: 30 }).find(decisions, batch, { norm, rng: createRng(1) });
      const ratio = distances(batch.inputs, found, norm)[0] / (margin / dual);
      expect(ratio).toBeGreaterThanOrEqual(1);
      expect(ratio).toBeLessThan(1.1);
    }
  });

  it("gives up where no random point is misclassified", async () => {
    const sure = linearToy(
      [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
      [1, 0],
    );
    const found = await hopSkipJump({ tries: 5 }).find(sure, batch, { norm: "l2", rng: createRng(1) });
    expect(found.data).toEqual(batch.inputs.data);
  });

  it.each([{ steps: 0 }, { firstQueries: 0 }, { mostQueries: 5 }, { precision: 0 }, { tries: 0 }])(
    "refuses settings %o",
    (settings) => {
      expect(() => hopSkipJump(settings)).toThrow(expect.objectContaining({ code: "setting" }));
    },
  );
});
