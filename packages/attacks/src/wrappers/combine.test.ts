import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Attack } from "../attack.js";
import { evaluateAttack } from "../evaluateAttack.js";
import { fgsm } from "../fgsm/fgsm.js";
import { pgd } from "../pgd/pgd.js";
import { randomCorners } from "../random-corners/randomCorners.js";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { bestOf, inOrder, repeat } from "./combine.js";

describeAttack({ name: "repeat", create: () => repeat(pgd({ steps: 3, restarts: 0 }), 2) });
describeAttack({ name: "in order", create: () => inOrder(fgsm(), pgd({ steps: 3 }), randomCorners({ tries: 5 })) });
describeAttack({
  name: "best of",
  create: () => bestOf(fgsm(), pgd({ steps: 3, stopWhenFooled: false })),
  exactOnLinear: true,
});

const model = linearToy(
  [
    [1, 0],
    [0, 1],
  ],
  [0, 0],
);
const batch = {
  inputs: { data: Float64Array.of(0.5, 0.45, 0.5, 0.35, 0.9, 0.1), shape: [3, 2] },
  labels: Int32Array.of(0, 0, 0),
  indices: Int32Array.of(5, 6, 7),
};
const options = { budget: { norm: "linf", epsilon: 0.1 } as const, rng: createRng(1) };

/** Moves samples by a fixed amount and writes down whom it met, and with which stream. */
function moving(by: number, met: number[][], streams: string[] = []): Attack {
  return {
    name: "moving",
    kind: "gradient-free",
    needs: { norms: ["linf"], gradients: false },
    settings: { by },
    async run(_model, { inputs, indices }, { rng }) {
      met.push(Array.from(indices));
      streams.push(rng.state().name);
      return { data: inputs.data.map((x, k) => (k % 2 === 0 ? x - by : x + by)), shape: inputs.shape };
    },
  };
}

describe("combined attacks", () => {
  it("inOrder and repeat pass on survivors only, bestOf everyone", async () => {
    const met: number[][] = [];
    // 0.05 breaks the first sample (margin -0.05 + 0.1), 0.1 the second (-0.15 + 0.2), nothing the third
    await inOrder(moving(0.05, met), moving(0.1, met), moving(0.1, met)).run(model, batch, options);
    expect(met).toEqual([[5, 6, 7], [6, 7], [7]]);
    met.length = 0;
    const streams: string[] = [];
    await repeat(moving(0.05, met, streams), 3).run(model, batch, options);
    expect(met).toEqual([
      [5, 6, 7],
      [6, 7],
      [6, 7],
    ]);
    expect(new Set(streams).size).toBe(3);
    met.length = 0;
    const best = await bestOf(moving(0.05, met), moving(0.1, met), moving(0.02, met)).run(model, batch, options);
    expect(met).toEqual([
      [5, 6, 7],
      [5, 6, 7],
      [5, 6, 7],
    ]);
    expect(best.data).toEqual(batch.inputs.data.map((x, k) => (k % 2 ? x + 0.1 : x - 0.1)));
  });

  it("take over norms, gradients, classes and settings of their parts", () => {
    const joined = inOrder(fgsm(), randomCorners() as unknown as Attack);
    expect(joined.needs).toEqual({ norms: ["linf", "l2"], gradients: true, minimumClasses: 2 });
    expect(joined.kind).toBe("single-step");
    expect(joined.name).toBe("in-order fgsm, random-corners");
    expect(joined.settings).toMatchObject({
      parts: [{ name: "fgsm", settings: { loss: "margin" } }, { name: "random-corners" }],
    });
  });

  it("refuse nothing, no repeats and norms without overlap", () => {
    expect(() => inOrder()).toThrow(/at least one attack/);
    expect(() => bestOf()).toThrow(/at least one attack/);
    expect(() => repeat(fgsm(), 0)).toThrow(/times/);
    const onlyL1 = { ...moving(0.1, []), needs: { norms: ["l1"] as const, gradients: false } };
    expect(() => bestOf(fgsm(), onlyL1)).toThrow(/a norm in common/);
  });

  it("work in the harness", async () => {
    const result = await evaluateAttack(model, batch, inOrder(fgsm(), pgd()), options);
    expect(Array.from(result.fooled)).toEqual([1, 1, 0]);
  });
});
