import { createRng, type DifferentiableClassifier, evaluateLoss, type LabelledBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { pgd } from "../pgd/pgd.js";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy, quadraticToy } from "../testing/toyClassifiers.js";
import { apgd } from "./apgd.js";
import { StepSchedule } from "./stepSchedule.js";

describeAttack({
  name: "apgd cross-entropy",
  create: () => apgd({ stopWhenFooled: false }),
  exactOnLinear: ["linf", "l2"],
});
describeAttack({
  name: "apgd margin",
  create: () => apgd({ loss: "margin", stopWhenFooled: false }),
  exactOnLinear: ["linf", "l2"],
});
describeAttack({ name: "apgd dlr", create: () => apgd({ loss: "dlr", steps: 20, restarts: 2 }) });
describeAttack({ name: "apgd dlr with targets", create: () => apgd({ loss: "dlr", targets: 9, steps: 20 }) });
describeAttack({ name: "apgd margin with targets", create: () => apgd({ loss: "margin", targets: 2, steps: 10 }) });
describeAttack({ name: "apgd with averaged gradients", create: () => apgd({ steps: 5, gradientSamples: 3 }) });

const at = (norm: "linf" | "l2", epsilon: number) => ({ budget: { norm, epsilon }, rng: createRng(1) });

function samples(...rows: number[][]): LabelledBatch {
  return {
    inputs: { data: Float64Array.from(rows.flat()), shape: [rows.length, rows[0].length] },
    labels: new Int32Array(rows.length),
    indices: Int32Array.from(rows.keys()),
  };
}

describe("apgd", () => {
  it("spends targets * restarts * (steps + 1) gradients on a sample it cannot fool", async () => {
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
        [-1, -1],
        [0, -1],
      ],
      [9, 0, 0, 0],
    );
    for (const [settings, expected] of [
      [{ steps: 12 }, 13],
      [{ steps: 12, restarts: 3 }, 39],
      [{ steps: 12, loss: "dlr", targets: 2, restarts: 2 } as const, 52],
      [{ steps: 12, loss: "dlr", targets: 9 } as const, 39],
      [{ steps: 12, gradientSamples: 4 }, 52],
    ] as const) {
      const result = await evaluateAttack(model, samples([0.5, 0.4]), apgd(settings), at("linf", 0.1));
      expect(result.calls.gradient).toBe(expected);
    }
  });

  it("finds with targets what the strongest rival hides", async () => {
    // the class nearest in logits cannot be reached, because its logit is constant; the third class can
    const model = linearToy(
      [
        [0, 0],
        [0, 0],
        [10, 0],
      ],
      [1, 0.9, -3],
    );
    const batch = samples([0, 0]);
    const narrow = await evaluateAttack(model, batch, apgd({ loss: "margin", targets: 1 }), at("linf", 0.5));
    expect(narrow.fooled[0]).toBe(0);
    const wide = await evaluateAttack(model, batch, apgd({ loss: "margin", targets: 2 }), at("linf", 0.5));
    expect(wide.fooled[0]).toBe(1);
  });

  it("halves its steps into a narrow top that fixed steps jump over", async () => {
    // margin 1e-4 - (x - 0.31)^2: positive only within 0.01 of 0.31
    const model: DifferentiableClassifier = {
      id: "narrow",
      inputShape: [1],
      classCount: 2,
      bounds: "unbounded",
      async logits({ data }) {
        const logits = new Float64Array(2 * data.length);
        for (let i = 0; i < data.length; i++) logits[2 * i + 1] = 1e-4 - (data[i] - 0.31) ** 2;
        return { data: logits, shape: [data.length, 2] };
      },
      async lossGradient(inputs, loss) {
        const logits = await model.logits(inputs);
        const data = Float64Array.from(inputs.data, (x) => -2 * (x - 0.31));
        return { loss: evaluateLoss(logits, loss).loss, logits, gradient: { data, shape: inputs.shape } };
      },
    };
    const fixed = await evaluateAttack(model, samples([0]), pgd({ schedule: "constant", restarts: 0 }), at("linf", 1));
    expect(fixed.fooled[0]).toBe(0);
    const halved = await evaluateAttack(model, samples([0]), apgd({ loss: "margin" }), at("linf", 1));
    expect(halved.fooled[0]).toBe(1);
  });

  it("begins at given starts", async () => {
    const model = quadraticToy([
      [0, 0],
      [1, 1],
    ]);
    const start = { data: Float64Array.of(0.5, 0.5), shape: [1, 2] };
    const seen: number[] = [];
    const watched: DifferentiableClassifier = {
      ...model,
      lossGradient(inputs, loss) {
        seen.push(inputs.data[0], inputs.data[1]);
        return model.lossGradient(inputs, loss);
      },
    };
    await apgd({ steps: 1 }).run(watched, samples([0.1, 0.2]), { ...at("linf", 0.3), starts: [start] });
    expect(seen[0]).toBeCloseTo(0.4, 12);
    expect(seen[1]).toBeCloseTo(0.5, 12);
  });

  it.each([
    { loss: "hinge" as never },
    { targets: -1 },
    { targets: 2 },
    { steps: 0 },
    { restarts: 0 },
    { halving: 0 },
    { gradientSamples: 0 },
  ])("refuses settings %o", (settings) => {
    expect(() => apgd(settings)).toThrow(expect.objectContaining({ code: "setting" }));
  });
});

describe("StepSchedule", () => {
  it("has the checkpoints of the paper for 100 steps: 22, 41, 57, 70, 80, 87, 93, 99", () => {
    const schedule = new StepSchedule(Float64Array.of(0), 1, 100, 0.75);
    const found: number[] = [];
    for (let step = 1; step <= 100; step++) if (schedule.atCheckpoint()) found.push(step);
    expect(found).toEqual([22, 41, 57, 70, 80, 87, 93, 99]);
  });

  it("halves when the loss rose in at most three quarters of the steps, or when the best loss stands still", () => {
    const schedule = new StepSchedule(Float64Array.of(0, 0), 0.5, 100, 0.75);
    const period = (rises: number, best: number) => {
      for (let step = 0; step < 22; step++) schedule.record(0, step < rises);
      while (!schedule.atCheckpoint());
      return schedule.check(0, best);
    };
    expect(schedule.stepSize[0]).toBe(1);
    // 17 > 0.75 * 22 = 16.5; the first checkpoint never halves for a still best loss alone
    expect(period(17, 0)).toBe(false);
    // all rose, but the best loss is what it was at the last checkpoint
    expect(period(22, 0)).toBe(true);
    // just halved: a still best loss is forgiven once
    expect(period(22, 0)).toBe(false);
    expect(period(3, 5)).toBe(true);
    expect(Array.from(schedule.stepSize)).toEqual([0.25, 1]);
  });
});
