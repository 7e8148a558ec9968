import { createRng, type LabelledBatch, predictedClasses } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { evaluateRobustness } from "../evaluateRobustness.js";
import { fgsm } from "../fgsm/fgsm.js";
import { pgd } from "../pgd/pgd.js";
import { standardSuite } from "../standardSuite.js";
import { type LinearToy, linearToy } from "../testing/toyClassifiers.js";
import { attackGap } from "./attackGap.js";
import { exactAttack } from "./exactAttack.js";

/** linf, several classes: for each rival the corner of the box along w_rival - w_label, the best of them. */
function linearWorstPoints(model: LinearToy, { inputs, labels }: LabelledBatch, epsilon: number) {
  const features = inputs.shape[1];
  const data = inputs.data.slice();
  const score = (x: ArrayLike<number>, c: number) =>
    model.weights[c].reduce((sum, w, k) => sum + w * x[k], model.bias[c]);
  for (let i = 0; i < labels.length; i++) {
    const x = inputs.data.subarray(i * features, (i + 1) * features);
    let best = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < model.classCount; c++) {
      if (c === labels[i]) continue;
      const corner = x.map((v, k) => {
        const moved = v + epsilon * Math.sign(model.weights[c][k] - model.weights[labels[i]][k]);
        return Math.max(0, Math.min(1, moved));
      });
      const margin = score(corner, c) - score(corner, labels[i]);
      if (margin <= best) continue;
      best = margin;
      data.set(corner, i * features);
    }
  }
  return { data, shape: inputs.shape };
}

const rng = createRng(6);
const model = linearToy(
  Array.from({ length: 4 }, () => Array.from({ length: 5 }, () => rng.normal())),
  [0, 0.1, -0.1, 0],
  { lower: 0, upper: 1 },
);
const exact = exactAttack({
  name: "exact linear",
  norms: ["linf"],
  worstPoints: (samples, { epsilon }) => linearWorstPoints(model, samples, epsilon),
});

async function makeBatch(samples: number): Promise<LabelledBatch> {
  const inputs = { data: Float64Array.from({ length: 5 * samples }, () => rng.uniform()), shape: [samples, 5] };
  const labels = predictedClasses(await model.logits(inputs));
  return { inputs, labels, indices: Int32Array.from({ length: samples }, (_, i) => i) };
}

describe("exactAttack", () => {
  it("orders exact <= standard suite <= PGD <= FGSM <= clean, and is not taken for masking", async () => {
    const batch = await makeBatch(80);
    const suite = standardSuite(model, { norm: "linf", preset: "quick" }).attacks;
    const attacks = [
      { name: "fgsm", attack: fgsm() },
      { name: "pgd", attack: pgd() },
      ...suite,
      { name: "exact", attack: exact },
    ];
    const epsilons = [0.05, 0.15];
    const result = await evaluateRobustness(model, batch, { norm: "linf", epsilons, attacks, rng: createRng(1) });
    const of = (name: string, e: number) => result.attacks.find((a) => a.name === name)?.accuracy[e].correct ?? -1;
    for (const e of [0, 1]) {
      const best = Math.min(...suite.map(({ name }) => of(name, e)));
      const chain = [of("exact", e), best, of("fgsm", e), result.clean.correct];
      expect(chain).toEqual([...chain].sort((a, b) => a - b));
      expect(of("pgd", e)).toBeLessThanOrEqual(of("fgsm", e));
      expect(of("exact", e)).toBeLessThanOrEqual(of("pgd", e));
      expect(result.worst[e].correct).toBe(of("exact", e));
    }
    expect(of("exact", 1)).toBeLessThan(of("fgsm", 1));
    expect(result.masking.suspected).toBe(false);
  });

  it("refuses points of another shape", async () => {
    const broken = exactAttack({
      name: "broken",
      norms: ["l2"],
      worstPoints: ({ inputs }) => ({ ...inputs, data: new Float64Array(1) }),
    });
    const run = broken.run(model, await makeBatch(2), { budget: { norm: "l2", epsilon: 1 }, rng: createRng(1) });
    await expect(run).rejects.toMatchObject({ code: "shape" });
  });

  it("shows by attackGap that PGD on a linear model of several classes falls short on few samples", async () => {
    const batch = await makeBatch(60);
    const options = { budget: { norm: "linf", epsilon: 0.1 } as const, rng: createRng(1) };
    const worst = await evaluateAttack(model, batch, exact, options);
    const attacked = await evaluateAttack(
      model,
      batch,
      pgd({ steps: 100, restarts: 5, stopWhenFooled: false }),
      options,
    );
    const gap = attackGap(worst.loss, attacked.loss);
    expect(gap.exceeded).toBe(0);
    expect(gap.solved).toBeGreaterThan(0.9);
    expect(gap.mean).toBeGreaterThanOrEqual(-1e-12);
  });
});

describe("attackGap", () => {
  it("counts", () => {
    const gap = attackGap([1, 2, 3, 4], [1, 1.5, 3.00005, 4.5]);
    expect({ ...gap, mean: Number(gap.mean.toFixed(9)) }).toEqual({
      samples: 4,
      mean: -0.0000125,
      max: 0.5,
      solved: 0.75,
      unsolved: [1],
      exceeded: 1,
    });
  });

  it("refuses misuse", () => {
    expect(() => attackGap([], [])).toThrow(expect.objectContaining({ code: "shape" }));
    expect(() => attackGap([1], [1, 2])).toThrow(expect.objectContaining({ code: "shape" }));
    expect(() => attackGap([Number.NaN], [1])).toThrow(expect.objectContaining({ code: "data" }));
    expect(() => attackGap([1], [1], -1)).toThrow(expect.objectContaining({ code: "setting" }));
  });
});
