import { createRng, dualNorm, type LabelledBatch, normOf, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { describeAttack } from "../testing/describeAttack.js";
import { reluToy } from "../testing/toyClassifiers.js";
import { fixedPattern } from "./fixedPattern.js";

describeAttack({ name: "fixed pattern", create: () => fixedPattern(), exactOnLinear: true });
describeAttack({
  name: "fixed pattern of the sample alone",
  create: () => fixedPattern({ patterns: 1 }),
  exactOnLinear: true,
});

const rng = createRng(8);
const random = (rows: number, columns: number) =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => rng.normal()));
const weights = { inner: random(6, 2), offsets: [0.1, -0.2, 0.3, 0, 0.2, -0.1], outer: random(3, 6) };
const model = reluToy(weights);

async function makeBatch(samples: number): Promise<LabelledBatch> {
  const inputs = { data: Float64Array.from({ length: 2 * samples }, () => rng.normal()), shape: [samples, 2] };
  const labels = predictedClasses(await model.logits(inputs));
  return { inputs, labels, indices: Int32Array.from(labels.keys()) };
}

/** Largest margin over a fine net of the ball, its edge included; below the true one by at most the net's width times the slope. */
async function searched(batch: LabelledBatch, norm: "linf" | "l2" | "l1", epsilon: number): Promise<number[]> {
  const net: [number, number][] = [];
  for (let ring = 1; ring <= 40; ring++) {
    for (let k = 0; k < 720; k++) {
      const direction: [number, number] = [Math.cos((Math.PI * k) / 360), Math.sin((Math.PI * k) / 360)];
      const scale = (epsilon * ring) / 40 / normOf(direction, norm);
      net.push([scale * direction[0], scale * direction[1]]);
    }
  }
  const best: number[] = [];
  for (const [i, label] of batch.labels.entries()) {
    const data = Float64Array.from(
      net.flatMap(([a, b]) => [batch.inputs.data[2 * i] + a, batch.inputs.data[2 * i + 1] + b]),
    );
    const { data: logits } = await model.logits({ data, shape: [net.length, 2] });
    let worst = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < net.length; j++) {
      for (let c = 0; c < 3; c++) if (c !== label) worst = Math.max(worst, logits[3 * j + c] - logits[3 * j + label]);
    }
    best.push(worst);
  }
  return best;
}

describe("fixedPattern", () => {
  it.each(["linf", "l2", "l1"] as const)("is exact in %s where no unit switches on the ball", async (norm) => {
    const batch = await makeBatch(200);
    const epsilon = 0.05;
    const result = await evaluateAttack(model, batch, fixedPattern(), { budget: { norm, epsilon }, rng: createRng(1) });
    let settled = 0;
    for (const [i, label] of batch.labels.entries()) {
      const x = batch.inputs.data.subarray(2 * i, 2 * i + 2);
      const units = weights.inner.map((row, h) => row[0] * x[0] + row[1] * x[1] + weights.offsets[h]);
      const reach = weights.inner.map((row) => epsilon * normOf(row, dualNorm(norm)));
      if (units.some((value, h) => Math.abs(value) <= reach[h])) continue;
      settled++;
      // the affine piece: margin at x + epsilon times the dual norm of its slope, for the worst rival
      const exact = [0, 1, 2]
        .filter((c) => c !== label)
        .map((c) => {
          const outer = weights.outer[c].map((v, h) => (units[h] > 0 ? v - weights.outer[label][h] : 0));
          const slope = [0, 1].map((k) => outer.reduce((sum, v, h) => sum + v * weights.inner[h][k], 0));
          return outer.reduce((sum, v, h) => sum + v * units[h], 0) + epsilon * normOf(slope, dualNorm(norm));
        });
      expect(result.loss[i]).toBeCloseTo(Math.max(...exact), 10);
    }
    expect(settled).toBeGreaterThan(100);
  });

  it("follows the pattern where it changes: nearer to the worst case than the sample's own pattern", async () => {
    const batch = await makeBatch(60); // 2-dimensional, so that a net of the ball is a fair reference
    const budget = { norm: "l2", epsilon: 0.6 } as const;
    const best = await searched(batch, "l2", 0.6);
    const reached = async (patterns: number) => {
      const { loss } = await evaluateAttack(model, batch, fixedPattern({ patterns }), { budget, rng: createRng(1) });
      return best.filter((margin, i) => loss[i] >= margin - 1e-3).length;
    };
    const [own, followed] = [await reached(1), await reached(10)];
    expect(followed).toBeGreaterThan(own);
  });

  it("stops where the pattern repeats", async () => {
    const batch = await makeBatch(10);
    const { calls } = await evaluateAttack(model, batch, fixedPattern({ patterns: 100 }), {
      budget: { norm: "l2", epsilon: 1e-6 },
      rng: createRng(1),
    });
    // two rivals, the pattern of the sample and the same again
    expect(calls.gradient).toBe(10 * 2 * 2);
  });

  it("refuses settings out of range", () => {
    expect(() => fixedPattern({ patterns: 0 })).toThrow(expect.objectContaining({ code: "setting" }));
  });
});
