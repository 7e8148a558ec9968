import { createRng, normOf } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { randomCorners } from "./randomCorners.js";

describeAttack({ name: "random-corners", create: () => randomCorners({ tries: 30 }) });

describe("randomCorners", () => {
  it("finds the worst corner of few coordinates, and lies on the edge of the budget", async () => {
    const model = linearToy(
      [
        [1, -1, 0.5],
        [0, 0, 0],
      ],
      [9, 0],
    );
    const batch = {
      inputs: { data: Float64Array.of(0, 0, 0), shape: [1, 3] },
      labels: Int32Array.of(0),
      indices: Int32Array.of(0),
    };
    const at = (norm: "linf" | "l2" | "l1") => ({ budget: { norm, epsilon: 0.2 }, rng: createRng(1) });
    const { data } = await randomCorners({ tries: 200 }).run(model, batch, at("linf"));
    expect(Array.from(data)).toEqual([-0.2, 0.2, -0.2]);
    const sparse = await randomCorners({ tries: 200 }).run(model, batch, at("l1"));
    expect([
      [-0.2, 0, 0],
      [0, 0.2, 0],
    ]).toContainEqual(Array.from(sparse.data));
    const round = await randomCorners({ tries: 200 }).run(model, batch, at("l2"));
    expect(normOf(round.data, "l2")).toBeCloseTo(0.2, 6);
  });

  it("refuses no tries", () => {
    expect(() => randomCorners({ tries: 0 })).toThrow(expect.objectContaining({ code: "setting" }));
  });
});
