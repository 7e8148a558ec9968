import { createRng, distances } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { carliniWagner } from "./carliniWagner.js";

describeAttack({ name: "carlini-wagner", create: () => carliniWagner({ steps: 40, searches: 4, stepSize: 0.05 }) });

describe("carliniWagner", () => {
  const model = linearToy(
    [
      [1, 0],
      [0, 2],
    ],
    [0, 0],
  );
  const batch = {
    inputs: { data: Float64Array.of(0.5, 0.1), shape: [1, 2] },
    labels: Int32Array.of(0),
    indices: Int32Array.of(0),
  };

  it("finds the distance to a plane, 0.3 / sqrt 5", async () => {
    const found = await carliniWagner().find(model, batch, { norm: "l2", rng: createRng(1) });
    const ratio = distances(batch.inputs, found, "l2")[0] / (0.3 / Math.sqrt(5));
    expect(ratio).toBeGreaterThanOrEqual(1);
    expect(ratio).toBeLessThan(1.02);
  });

  it.each([{ steps: 0 }, { searches: 0 }, { stepSize: 0 }, { firstWeight: -1 }, { confidence: -1 }])(
    "refuses settings %o",
    (settings) => {
      expect(() => carliniWagner(settings)).toThrow(expect.objectContaining({ code: "setting" }));
    },
  );
});
