// Conformance suite for attacks within a budget and for minimum-norm attacks: what the harness and the users of every attack rely on.
// Run it with vitest:
//   describeAttack({ name: "my attack", create: () => myAttack() })
// Minimum-norm attacks are tested as they are and, by withinBudget, beside a budget.

import {
  type Budget,
  type Classifier,
  createRng,
  distances,
  dualNorm,
  type LabelledBatch,
  type Norm,
  normOf,
  predictedClasses,
} from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Attack } from "../attack.js";
import { evaluateAttack } from "../evaluateAttack.js";
import { type MinimumNormAttack, withinBudget } from "../minimumNorm.js";
import { linearMargin, linearToy, linearWorstMargin, quadraticToy, quantisedToy } from "./toyClassifiers.js";

export interface AttackConformance {
  /** Title of the suite. */
  readonly name: string;
  /** A new attack with the settings to test. It should not stop at success when `exactOnLinear` is set. */
  readonly create: () => Attack | MinimumNormAttack | Attack<Classifier> | MinimumNormAttack<Classifier>;
  /** Whether the attack reaches the exact worst margin of two-class linear models, in all its norms or in some. Default false. */
  readonly exactOnLinear?: boolean | readonly Norm[];
  /** Minimum-norm attacks: largest ratio of the found to the exact distance on two-class linear models. Default: not tested. */
  readonly nearOnLinear?: number;
  /** Whether the attack is never weaker than no attack, in margin. Default true. */
  readonly neverWorseThanClean?: boolean;
}

const box = { lower: 0, upper: 1 };

/** Declares the suite; call it at the top level of a vitest file. */
export function describeAttack(options: AttackConformance): void {
  const { exactOnLinear = false, nearOnLinear, neverWorseThanClean = true } = options;
  const create = () => asAttack(options.create());
  const { norms } = create().needs;
  describe(`${options.name} is a conforming attack`, () => {
    describe.each(norms)("in %s", (norm) => {
      const budget = { norm, epsilon: norm === "linf" ? 0.05 : 0.2 };
      describeContract(create, budget);
      if (neverWorseThanClean) describeStrength(create, budget);
      const exact = exactOnLinear === true || (exactOnLinear !== false && exactOnLinear.includes(norm));
      if (exact) describeLinear(create, norm);
      const first = options.create();
      if (isMinimumNorm(first)) describeMinimumNorm(options.create as () => MinimumNormAttack, norm, nearOnLinear);
    });
    describeMisuse(create);
  });
}

function isMinimumNorm(attack: object): attack is MinimumNormAttack {
  return "find" in attack;
}

function asAttack(attack: ReturnType<AttackConformance["create"]>): Attack {
  return isMinimumNorm(attack) ? withinBudget(attack) : (attack as Attack);
}

function describeContract(create: () => Attack, budget: Budget): void {
  const classes = Math.max(3, create().needs.minimumClasses ?? 2);
  const centres = Array.from({ length: classes }, (_, c) =>
    [0, 1, 2, 3].map((k) => (k % 3 === c || (c === 3 && k === 3) ? 0.7 : 0.3)),
  );
  const model = quadraticToy(centres, box);
  const batch = randomBatch(23, 4, 3, "float32");

  it("stays in the budget and in the bounds, also where inputs touch them", async () => {
    const edges = {
      ...batch,
      inputs: { ...batch.inputs, data: batch.inputs.data.map((v, i) => (i % 3 ? v : Math.round(v))) },
    };
    for (const epsilon of [budget.epsilon / 1000, budget.epsilon, 0.9]) {
      const result = await create().run(model, edges, { budget: { ...budget, epsilon }, rng: createRng(1) });
      expect(result.shape).toEqual(edges.inputs.shape);
      for (const distance of distances(edges.inputs, result, budget.norm)) {
        expect(distance).toBeLessThanOrEqual(epsilon * (1 + 1e-6));
      }
      expect(Math.min(...result.data)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...result.data)).toBeLessThanOrEqual(1);
    }
  });

  it("does not change its inputs and keeps their number type", async () => {
    const before = batch.inputs.data.slice();
    const result = await create().run(model, batch, { budget, rng: createRng(1) });
    expect(batch.inputs.data).toEqual(before);
    expect(result.data).toBeInstanceOf(Float32Array);
    expect(result.data.buffer).not.toBe(batch.inputs.data.buffer);
  });

  it("repeats exactly with the same seed", async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() => create().run(model, batch, { budget, rng: createRng(7) })),
    );
    expect(second.data).toEqual(first.data);
  });

  // the second model has no gradients: whatever happens on it comes from the random streams
  const coarse = quantisedToy(model, 0.25);
  it.each([model, coarse])(
    "treats every sample alone: batch size, order and neighbours do not matter ($id)",
    async (toy) => {
      const wide = { ...budget, epsilon: 4 * budget.epsilon };
      const together = await create().run(toy, batch, { budget: wide, rng: createRng(3) });
      for (const order of [[...Array(23).keys()].reverse(), [4], [22, 0, 11]]) {
        const result = await create().run(toy, pick(batch, order), { budget: wide, rng: createRng(3) });
        for (const [j, i] of order.entries()) {
          expect(result.data.subarray(4 * j, 4 * j + 4)).toEqual(together.data.subarray(4 * i, 4 * i + 4));
        }
      }
    },
  );

  it("returns the inputs at epsilon 0", async () => {
    const result = await create().run(model, batch, { budget: { ...budget, epsilon: 0 }, rng: createRng(1) });
    expect(result.data).toEqual(batch.inputs.data);
  });

  it("gives numbers when gradients vanish", async () => {
    const masked = quantisedToy(linearToy(identity(classes, 4), new Array(classes).fill(0), box), 0.5);
    const result = await create().run(masked, batch, { budget, rng: createRng(1) });
    expect(result.data.every(Number.isFinite)).toBe(true);
  });

  it("stops when the signal fires", async () => {
    const signal = AbortSignal.abort();
    const run = create().run(model, batch, { budget, rng: createRng(1), signal });
    await expect(run).rejects.toMatchObject({ code: "aborted" });
  });
}

function describeStrength(create: () => Attack, budget: Budget): void {
  it("never lowers the margin of a smooth model below the clean one", async () => {
    const centres = [
      [0.2, 0.4, 0.6],
      [0.8, 0.5, 0.1],
      [0.5, 0.9, 0.4],
      [0.3, 0.1, 0.9],
    ];
    const classes = create().needs.minimumClasses ?? 2;
    const model = quadraticToy(centres.slice(0, classes), box);
    const batch = randomBatch(40, 3, classes, "float64");
    const clean = await evaluateAttack(model, batch, create(), {
      budget: { ...budget, epsilon: 0 },
      rng: createRng(1),
    });
    const result = await evaluateAttack(model, batch, create(), { budget, rng: createRng(1) });
    expect(result.warnings).toEqual([]);
    for (const [i, loss] of result.loss.entries()) {
      expect(loss).toBeGreaterThanOrEqual(clean.loss[i] - 1e-12);
      expect(result.fooled[i]).toBeGreaterThanOrEqual(clean.fooled[i]);
    }
  });
}

/** Two-class linear models, where margin(v) = margin(x) + s . (v - x) and the worst case is a closed form. */
function describeLinear(create: () => Attack, norm: Norm): void {
  const weights = [
    [0.9, -1.2, 0, 0.4, 2],
    [-0.3, 0.8, 0, -1.1, 0.5],
  ];

  it("reaches the exact worst margin of a linear model: margin + epsilon ||s||_dual", async () => {
    const model = linearToy(weights, [0.2, -0.1]);
    const batch = correctBatch(randomBatch(30, 5, 2, "float64"), (x, label) => linearMargin(model, x, label));
    const epsilon = 0.3;
    const result = await create().run(model, batch, { budget: { norm, epsilon }, rng: createRng(5) });
    for (let i = 0; i < batch.labels.length; i++) {
      const label = batch.labels[i];
      const exact = linearWorstMargin(model, batch.inputs.data.subarray(5 * i, 5 * i + 5), label, norm, epsilon);
      expect(linearMargin(model, result.data.subarray(5 * i, 5 * i + 5), label)).toBeCloseTo(exact, 10);
    }
  });

  it("reaches the exact worst margin inside bounds", async () => {
    const model = linearToy(weights, [0.2, -0.1], box);
    const batch = correctBatch(randomBatch(30, 5, 2, "float64"), (x, label) => linearMargin(model, x, label));
    const epsilon = norm === "linf" ? 0.4 : 0.7;
    const result = await create().run(model, batch, { budget: { norm, epsilon }, rng: createRng(5) });
    let clipped = 0;
    for (let i = 0; i < batch.labels.length; i++) {
      const label = batch.labels[i];
      const x = batch.inputs.data.subarray(5 * i, 5 * i + 5);
      const slope = weights[1 - label].map((w, k) => w - weights[label][k]);
      const moves = { linf: clippedSigns, l2: clippedRay, l1: clippedLargest }[norm](slope, x, epsilon);
      const exact = linearMargin(model, x, label) + slope.reduce((sum, s, k) => sum + s * moves[k], 0);
      expect(linearMargin(model, result.data.subarray(5 * i, 5 * i + 5), label)).toBeCloseTo(exact, 8);
      if (exact < linearWorstMargin(model, x, label, norm, epsilon) - 1e-6) clipped++;
    }
    expect(clipped).toBeGreaterThan(10);
  });
}

/** Distances on linear models are |margin| / ||s||_dual without bounds. */
function describeMinimumNorm(create: () => MinimumNormAttack, norm: Norm, nearOnLinear: number | undefined): void {
  const weights = [
    [0.9, -1.2, 0, 0.4, 2],
    [-0.3, 0.8, 0, -1.1, 0.5],
  ];
  const model = linearToy(weights, [0.2, -0.1], { lower: -50, upper: 50 });
  const batch = correctBatch(randomBatch(20, 5, 2, "float64"), (x, label) => linearMargin(model, x, label));

  it("finds misclassified points, none nearer than the boundary of a linear model", async () => {
    const found = await create().find(model, batch, { norm, rng: createRng(5) });
    const classes = predictedClasses(await model.logits(found));
    const slope = weights[1].map((w, k) => w - weights[0][k]);
    let hit = 0;
    for (const [i, distance] of distances(batch.inputs, found, norm).entries()) {
      const margin = linearMargin(model, batch.inputs.data.subarray(5 * i, 5 * i + 5), batch.labels[i]);
      const exact = -margin / normOf(slope, dualNorm(norm));
      if (classes[i] === batch.labels[i]) {
        expect(distance).toBe(0);
        continue;
      }
      hit++;
      expect(distance).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
      if (nearOnLinear !== undefined) expect(distance / exact).toBeLessThanOrEqual(nearOnLinear);
    }
    expect(hit).toBe(nearOnLinear === undefined ? hit : 20);
    expect(hit).toBeGreaterThan(0);
  });

  it("returns misclassified samples and unreachable ones unchanged", async () => {
    const wrong = { ...batch, labels: batch.labels.map((label) => 1 - label) };
    expect(await create().find(model, wrong, { norm, rng: createRng(5) })).toEqual(batch.inputs);
    const constant = linearToy(
      [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
      ],
      [1, 0],
      box,
    );
    const sure = { ...batch, labels: new Int32Array(20) };
    expect(await create().find(constant, sure, { norm, rng: createRng(5) })).toEqual(batch.inputs);
  });

  it("refuses a reach that is no distance", async () => {
    for (const reach of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const run = create().find(model, batch, { norm, rng: createRng(1), reach });
      await expect(run).rejects.toMatchObject({ code: "setting" });
    }
  });
}

/** `[classes][features]` with ones where class and feature agree, modulo the number of features. */
function identity(classes: number, features: number): number[][] {
  return Array.from({ length: classes }, (_, c) =>
    Array.from({ length: features }, (_unused, k) => (k === c % features ? 1 + Math.floor(c / features) / 2 : 0)),
  );
}

/** linf in [0, 1]: each coordinate moves alone to min(epsilon, distance to its bound). */
function clippedSigns(slope: readonly number[], x: ArrayLike<number>, epsilon: number): number[] {
  return slope.map((s, k) => (s > 0 ? Math.min(epsilon, 1 - x[k]) : s < 0 ? -Math.min(epsilon, x[k]) : 0));
}

/** l1 inside [0, 1]: the coordinates with the largest slopes first, each to its bound, until epsilon is spent. */
function clippedLargest(slope: readonly number[], x: ArrayLike<number>, epsilon: number): number[] {
  const moves = slope.map(() => 0);
  let left = epsilon;
  for (const k of [...slope.keys()].sort((a, b) => Math.abs(slope[b]) - Math.abs(slope[a]))) {
    const move = slope[k] === 0 ? 0 : Math.min(left, slope[k] > 0 ? 1 - x[k] : x[k]);
    moves[k] = Math.sign(slope[k]) * move;
    left -= move;
  }
  return moves;
}

/** l2 in [0, 1]: clip(t s) with its length equal to epsilon, or every coordinate at its bound; t by bisection. */
function clippedRay(slope: readonly number[], x: ArrayLike<number>, epsilon: number): number[] {
  const at = (t: number) => slope.map((s, k) => Math.max(-x[k], Math.min(1 - x[k], t * s)));
  let low = 0;
  let high = 1e6;
  for (let pass = 0; pass < 200; pass++) {
    const middle = (low + high) / 2;
    if (normOf(at(middle), "l2") <= epsilon) low = middle;
    else high = middle;
  }
  return at(low);
}

function describeMisuse(create: () => Attack): void {
  const { minimumClasses = 2 } = create().needs;
  const model = linearToy(identity(minimumClasses, 2), new Array(minimumClasses).fill(0), box);
  const budget: Budget = { norm: create().needs.norms[0], epsilon: 0.1 };
  const batch = randomBatch(3, 2, 2, "float32");
  const run = (changes: Partial<LabelledBatch>, changed: Partial<Budget> = {}) =>
    create().run(model, { ...batch, ...changes }, { budget: { ...budget, ...changed }, rng: createRng(1) });

  it("refuses labels out of range, inputs out of bounds, NaN, wrong shapes and bad budgets", async () => {
    await expect(run({ labels: Int32Array.of(0, 1, minimumClasses) })).rejects.toMatchObject({ code: "data" });
    await expect(run({ labels: Int32Array.of(0, 1) })).rejects.toMatchObject({ code: "shape" });
    const outside = { data: Float32Array.of(0, 0.5, 1, 17, 0.5, 0.5), shape: [3, 2] };
    await expect(run({ inputs: outside })).rejects.toMatchObject({
      code: "data",
      message: expect.stringContaining("[1, 1]"),
    });
    await expect(run({ inputs: { ...outside, data: new Float32Array(6).fill(Number.NaN) } })).rejects.toMatchObject({
      code: "data",
    });
    await expect(run({ inputs: { data: new Float32Array(9), shape: [3, 3] } })).rejects.toMatchObject({
      code: "shape",
    });
    await expect(run({}, { epsilon: -1 })).rejects.toMatchObject({ code: "setting" });
    await expect(run({}, { epsilon: Number.NaN })).rejects.toMatchObject({ code: "setting" });
    const unsupported = (["linf", "l2", "l1"] as const).find((norm) => !create().needs.norms.includes(norm));
    if (unsupported) await expect(run({}, { norm: unsupported })).rejects.toMatchObject({ code: "unsupported" });
  });

  if (minimumClasses > 2) {
    it("refuses models with fewer classes than its loss needs", async () => {
      const few = linearToy(identity(minimumClasses - 1, 2), new Array(minimumClasses - 1).fill(0), box);
      const refused = create().run(few, { ...batch, labels: new Int32Array(3) }, { budget, rng: createRng(1) });
      await expect(refused).rejects.toMatchObject({ code: "unsupported" });
    });
  }

  it("accepts one sample and its fewest classes", async () => {
    const result = await create().run(model, pick(batch, [0]), { budget, rng: createRng(1) });
    expect(result.shape).toEqual([1, 2]);
  });
}

function randomBatch(samples: number, features: number, classes: number, type: "float32" | "float64"): LabelledBatch {
  const rng = createRng(11);
  const values = Float64Array.from({ length: samples * features }, () => rng.uniform());
  return {
    inputs: { data: type === "float32" ? Float32Array.from(values) : values, shape: [samples, features] },
    labels: Int32Array.from({ length: samples }, () => rng.integer(classes)),
    indices: Int32Array.from({ length: samples }, (_, i) => 100 + i),
  };
}

/** The batch with every label set to the class a two-class model prefers. */
function correctBatch(batch: LabelledBatch, margin: (x: ArrayLike<number>, label: number) => number): LabelledBatch {
  const size = batch.inputs.data.length / batch.labels.length;
  const labels = batch.labels.map((_, i) =>
    margin(batch.inputs.data.subarray(i * size, (i + 1) * size), 0) <= 0 ? 0 : 1,
  );
  return { ...batch, labels };
}

function pick(batch: LabelledBatch, order: readonly number[]): LabelledBatch {
  const size = batch.inputs.data.length / batch.labels.length;
  const data = new Float32Array(order.length * size);
  for (const [j, i] of order.entries()) data.set(batch.inputs.data.subarray(i * size, (i + 1) * size), j * size);
  return {
    inputs: { data, shape: [order.length, ...batch.inputs.shape.slice(1)] },
    labels: Int32Array.from(order, (i) => batch.labels[i]),
    indices: Int32Array.from(order, (i) => batch.indices[i]),
  };
}
