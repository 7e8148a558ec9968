import { createRng, type DifferentiableClassifier, evaluateLoss, type LabelledBatch, normOf } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { fgsm } from "../fgsm/fgsm.js";
import { withSurrogateGradients } from "../surrogate.js";
import { describeAttack } from "../testing/describeAttack.js";
import { linearMargin, linearToy, linearWorstMargin, quantisedToy } from "../testing/toyClassifiers.js";
import { pgd } from "./pgd.js";

describeAttack({ name: "pgd margin", create: () => pgd({ stopWhenFooled: false }), exactOnLinear: true });
describeAttack({
  name: "pgd cross-entropy",
  create: () => pgd({ loss: "cross-entropy", steps: 5, restarts: 2, stopWhenFooled: false }),
  exactOnLinear: true,
});
describeAttack({ name: "pgd that stops at success", create: () => pgd({ steps: 7 }) });
describeAttack({ name: "pgd from the FGSM point only", create: () => pgd({ steps: 3, restarts: 0 }) });
describeAttack({
  name: "pgd with constant steps",
  create: () => pgd({ schedule: "constant", stopWhenFooled: false }),
  exactOnLinear: true,
});

/** Two classes with margin for label 0 equal to `margin(x)`, in two dimensions. */
function planar(
  margin: (x: number, y: number) => number,
  gradient: (x: number, y: number) => [number, number],
): DifferentiableClassifier {
  const model: DifferentiableClassifier = {
    id: "planar",
    inputShape: [2],
    classCount: 2,
    bounds: "unbounded",
    async logits({ data }) {
      const logits = new Float64Array(data.length);
      for (let k = 0; k < data.length; k += 2) logits[k + 1] = margin(data[k], data[k + 1]);
      return { data: logits, shape: [data.length / 2, 2] };
    },
    async lossGradient(inputs, loss) {
      const logits = await model.logits(inputs);
      const values = inputs.data.map(() => 0);
      for (let k = 0; k < values.length; k += 2) values.set(gradient(inputs.data[k], inputs.data[k + 1]), k);
      return { loss: evaluateLoss(logits, loss).loss, logits, gradient: { data: values, shape: inputs.shape } };
    },
  };
  return model;
}

function samples(...rows: [number, number][]): LabelledBatch {
  return {
    inputs: { data: Float64Array.from(rows.flat()), shape: [rows.length, 2] },
    labels: new Int32Array(rows.length),
    indices: Int32Array.from(rows.keys()),
  };
}

const at = (norm: "linf" | "l2", epsilon: number) => ({ budget: { norm, epsilon }, rng: createRng(1) });

describe("pgd", () => {
  it("has the FGSM point among its starts: exact on linear models even with negligible steps", async () => {
    const model = linearToy(
      [
        [1, -2],
        [0, 0.5],
      ],
      [3, 0],
    );
    const batch = samples([0.1, 0.2], [0.5, 0.1]);
    for (const norm of ["linf", "l2"] as const) {
      const attack = pgd({ steps: 1, stepSize: 1e-12, restarts: 0, stopWhenFooled: false });
      const { data } = await attack.run(model, batch, at(norm, 0.3));
      for (let i = 0; i < 2; i++) {
        const exact = linearWorstMargin(model, batch.inputs.data.subarray(2 * i, 2 * i + 2), 0, norm, 0.3);
        expect(linearMargin(model, data.subarray(2 * i, 2 * i + 2), 0)).toBeCloseTo(exact, 9);
      }
    }
  });

  it("follows a curve where one step cannot: the margin -(x - 0.3)^2 - (y - 1)^2 + 0.01 has its top inside the budget", async () => {
    const model = planar(
      (x, y) => 0.01 - (x - 0.3) ** 2 - (y - 1) ** 2,
      (x, y) => [-2 * (x - 0.3), -2 * (y - 1)],
    );
    const batch = samples([0, 0]);
    const single = await evaluateAttack(model, batch, fgsm(), at("linf", 1));
    expect(single.fooled[0]).toBe(0);
    const many = await evaluateAttack(model, batch, pgd({ steps: 40, restarts: 0 }), at("linf", 1));
    expect(many.fooled[0]).toBe(1);
    expect(many.loss[0]).toBeGreaterThan(0);
  });

  it("reaches the worst point of a curved margin on an l2 ball, where constant steps of 2.5 epsilon in all stop short", async () => {
    const margin = (x: number, y: number) => x * x - 0.5 * y * y + 0.6 * x * y + 0.3 * x + 2 * y;
    const model = planar(margin, (x, y) => [2 * x + 0.6 * y + 0.3, -y + 0.6 * x + 2]);
    // the margin is convex along x, so its top lies on the circle: the best of a million of its points
    let top = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < 1e6; k++) {
      const angle = (2 * Math.PI * k) / 1e6;
      top = Math.max(top, margin(Math.cos(angle), Math.sin(angle)));
    }
    const reached = async (schedule: "decaying" | "constant") => {
      const attack = pgd({ steps: 100, restarts: 0, schedule, stopWhenFooled: false });
      const { data } = await attack.run(model, samples([0, 0]), at("l2", 1));
      return top - margin(data[0], data[1]);
    };
    expect(Math.abs(await reached("decaying"))).toBeLessThan(1e-9);
    expect(await reached("constant")).toBeGreaterThan(1e-4);
  });

  it("escapes a plateau by its random starts", async () => {
    // flat for y <= 0.1; above it the margin grows with y. The FGSM point of a zero gradient is the sample itself (linf).
    const model = planar(
      (_x, y) => (y <= 0.1 ? -1 : y - 0.5),
      (_x, y) => (y <= 0.1 ? [0, 0] : [0, 1]),
    );
    const batch = samples([0, 0]);
    const stuck = await evaluateAttack(model, batch, pgd({ restarts: 0 }), at("linf", 0.9));
    expect(stuck.fooled[0]).toBe(0);
    const free = await evaluateAttack(model, batch, pgd({ restarts: 10 }), at("linf", 0.9));
    expect(free.fooled[0]).toBe(1);
  });

  it("keeps the best iterate, not the last", async () => {
    // a step of epsilon jumps over the narrow top at 0.5 epsilon; the clean point is the best that is ever visited
    const model = planar(
      (x) => -Math.abs(x) - 0.1,
      (x) => [x === 0 ? 1 : -Math.sign(x), 0],
    );
    const { data } = await pgd({ steps: 3, restarts: 0, stopWhenFooled: false }).run(
      model,
      samples([0, 0]),
      at("linf", 1),
    );
    expect(data[0]).toBe(0);
  });

  it("drops fooled samples from the work", async () => {
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
      ],
      [0, 0],
    );
    const batch = samples([0.5, 0.4], [0.9, 0.1], [0.6, 0.5]);
    const result = await evaluateAttack(model, batch, pgd({ steps: 10, restarts: 2 }), at("linf", 0.2));
    expect(Array.from(result.fooled)).toEqual([1, 0, 1]);
    // one gradient each at the clean points, one each at the FGSM points; then 9 + 2 * 10 for the survivor
    expect(result.calls.gradient).toBe(3 + 3 + 9 + 20);
    const full = await evaluateAttack(
      model,
      batch,
      pgd({ steps: 10, restarts: 2, stopWhenFooled: false }),
      at("linf", 0.2),
    );
    expect(full.calls.gradient).toBe(3 * 31);
  });

  it("gives every sample its own noise, which follows the seed", async () => {
    const masked = quantisedToy(
      linearToy(
        [
          [1, 0],
          [0, 1],
        ],
        [0, 0],
      ),
      10,
    );
    const batch = samples([1, 0.5], [1, 0.5]);
    const directions = async (seed: number) => {
      const options = { ...at("l2", 0.3), rng: createRng(seed) };
      return (await fgsm().run(masked, { ...batch, labels: Int32Array.of(0, 0) }, options)).data;
    };
    const first = await directions(1);
    expect(normOf([first[0] - 1, first[1] - 0.5], "l2")).toBeCloseTo(0.3, 6);
    expect(first.subarray(0, 2)).not.toEqual(first.subarray(2, 4));
    expect(await directions(2)).not.toEqual(first);
  });

  it("reports progress", async () => {
    const seen: number[] = [];
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
      ],
      [0, 0],
    );
    const options = {
      ...at("linf", 0.01),
      onEvent: (event: { type: string; done?: number }) => seen.push(event.done ?? -1),
    };
    await pgd({ steps: 3, restarts: 1 }).run(model, samples([1, 0]), options);
    expect(seen).toEqual([1, 2, 3, 1, 2, 3]);
  });
});

describe("withSurrogateGradients", () => {
  it("takes the gradient from the surrogate, loss and logits from the model", async () => {
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
      ],
      [0, 0],
    );
    const surrogate = linearToy(
      [
        [5, 5],
        [-5, 7],
      ],
      [1, 2],
    );
    const { inputs, labels } = samples([0.3, 0.8], [0.9, 0.2]);
    const loss = { kind: "margin", labels } as const;
    const joined = await withSurrogateGradients(model, surrogate).lossGradient(inputs, loss);
    const own = await model.lossGradient(inputs, loss);
    expect(joined.loss).toEqual(own.loss);
    expect(joined.logits).toEqual(own.logits);
    expect(Array.from(joined.gradient.data)).toEqual([-10, 2, -10, 2]);
  });
});
