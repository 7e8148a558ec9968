import { apgd, attackGap, evaluateAttack, evaluateRobustness, evaluateStandard, fgsm, pgd } from "@worstcase/attacks";
import { createRng, type LabelledBatch, type NumericBatch, predictedClasses } from "@worstcase/core";
import {
  createPolynomialClassifier,
  pairwiseWorstMargins,
  paperActivation,
  quadraticFromNeurons,
} from "@worstcase/polynomial";
import { certifiedMargins, createGatedClassifier, type GatedReluModel, gatedModelFromJson } from "@worstcase/relu";
import { beforeAll, describe, expect, it } from "vitest";
import { fitScaling } from "../featureScaling.js";
import { trainGatedHead } from "../gatedHead.js";
import { whiteningOf } from "../jacobian.js";
import { trainPolynomialHead } from "../polynomialHead.js";
import type { RobustHead } from "../robustHead.js";
import { exactAttackOf } from "./exactAttackOf.js";
import { polynomialAttack, polynomialWorstCase } from "./polynomialWorstCase.js";

/** Random networks of `neurons` neurons for every class. */
function randomScores(classes: number, features: number, seed: number) {
  const rng = createRng(seed);
  return Array.from({ length: classes }, () => {
    const neurons = 2 * features;
    const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
    const weights = Float64Array.from({ length: neurons }, () => rng.normal());
    return quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
  });
}

async function batchOf(
  model: { logits(x: NumericBatch): Promise<NumericBatch> },
  samples: number,
  features: number,
): Promise<LabelledBatch> {
  const rng = createRng(9);
  const inputs = {
    data: Float64Array.from({ length: samples * features }, () => rng.normal()),
    shape: [samples, features],
  };
  const labels = predictedClasses(await model.logits(inputs));
  return { inputs, labels, indices: Int32Array.from(labels.keys()) };
}

describe("polynomialAttack", () => {
  const quadratics = randomScores(4, 5, 2);
  const model = createPolynomialClassifier({ quadratics, id: "random" });

  it("reaches the exact pairwise worst margins in l2, and orders exact <= suite <= APGD <= PGD <= FGSM <= clean", async () => {
    const batch = await batchOf(model, 60, 5);
    const attack = polynomialAttack(quadratics);
    const epsilon = 0.4;
    const options = { budget: { norm: "l2", epsilon }, rng: createRng(1) } as const;
    const result = await evaluateAttack(model, batch, attack, options);
    const { worst } = pairwiseWorstMargins(quadratics, batch.inputs, batch.labels, epsilon);
    for (const [i, loss] of result.loss.entries()) expect(loss).toBeCloseTo(-worst[i], 9);
    expect(result.warnings).toEqual([]);
    await expectOrder(model, batch, attack, "l2", [0.1, 0.2, 0.4]);
  });

  it("is exact on boxes: no corner of a random network whose margin is convex, no point of a net is worse", async () => {
    const batch = await batchOf(model, 12, 5);
    const epsilon = 0.3;
    const options = { budget: { norm: "linf", epsilon }, rng: createRng(1) } as const;
    const result = await evaluateAttack(model, batch, polynomialAttack(quadratics), options);
    const rng = createRng(4);
    // corners, and points of the box with coordinates in {-1, -1/2, 0, 1/2, 1} and at random
    const moves = Array.from({ length: 5 ** 5 }, (_, n) =>
      Array.from({ length: 5 }, (_unused, k) => (Math.floor(n / 5 ** k) % 5) / 2 - 1),
    ).concat(Array.from({ length: 2000 }, () => Array.from({ length: 5 }, () => 2 * rng.uniform() - 1)));
    for (const [i, label] of batch.labels.entries()) {
      const data = Float64Array.from(
        moves.flatMap((move) => move.map((m, k) => batch.inputs.data[5 * i + k] + epsilon * m)),
      );
      const { data: logits } = await model.logits({ data, shape: [moves.length, 5] });
      for (let j = 0; j < moves.length; j++) {
        for (let c = 0; c < 4; c++) {
          if (c !== label) expect(logits[4 * j + c] - logits[4 * j + label]).toBeLessThanOrEqual(result.loss[i] + 1e-8);
        }
      }
    }
    await expectOrder(model, batch, polynomialAttack(quadratics), "linf", [0.05, 0.15]);
    const descent = await evaluateAttack(
      model,
      batch,
      polynomialAttack(quadratics, { boxes: "coordinate-descent" }),
      options,
    );
    const gap = attackGap(result.loss, descent.loss);
    expect([gap.exceeded, gap.solved]).toEqual([0, 1]);
  });

  it("keeps float32 points in their budget without repairs", async () => {
    const whole = await batchOf(model, 20, 5);
    const batch = { ...whole, inputs: { ...whole.inputs, data: Float32Array.from(whole.inputs.data) } };
    for (const norm of ["l2", "linf"] as const) {
      const options = { budget: { norm, epsilon: 0.01 }, rng: createRng(1) } as const;
      expect((await evaluateAttack(model, batch, polynomialAttack(quadratics), options)).warnings).toEqual([]);
    }
  });

  it("cuts boxes to the bounds of the model, and refuses balls there", async () => {
    const bounded = { ...model, bounds: { lower: 0, upper: 1 } };
    const rng = createRng(3);
    const inputs = { data: Float64Array.from({ length: 50 }, () => rng.uniform()), shape: [10, 5] };
    const labels = predictedClasses(await model.logits(inputs));
    const batch = { inputs, labels, indices: Int32Array.from(labels.keys()) };
    const attack = polynomialAttack(quadratics);
    const { adversarials, warnings } = await evaluateAttack(bounded, batch, attack, {
      budget: { norm: "linf", epsilon: 0.4 },
      rng,
    });
    expect(Math.min(...adversarials.data)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...adversarials.data)).toBeLessThanOrEqual(1);
    expect(warnings).toEqual([]);
    const ball = evaluateAttack(bounded, batch, attack, { budget: { norm: "l2", epsilon: 0.4 }, rng });
    await expect(ball).rejects.toMatchObject({ code: "unsupported" });
  });

  it("refuses misuse, and says which sample needs more boxes", async () => {
    expect(() => polynomialWorstCase(quadratics.slice(0, 1))).toThrow(expect.objectContaining({ code: "shape" }));
    expect(() => polynomialWorstCase(quadratics, { boxes: "all" as never })).toThrow(
      expect.objectContaining({ code: "setting" }),
    );
    const hard = randomScores(2, 12, 1);
    const wide = createPolynomialClassifier({ quadratics: hard, id: "wide" });
    const run = evaluateAttack(wide, await batchOf(wide, 20, 12), polynomialAttack(hard, { maxNodes: 1 }), {
      budget: { norm: "linf", epsilon: 1 },
      rng: createRng(1),
    });
    await expect(run).rejects.toMatchObject({ code: "resource", message: expect.stringMatching(/sample \d+/) });
  });
});

async function expectOrder(
  model: Parameters<typeof evaluateStandard>[0],
  batch: LabelledBatch,
  attack: Parameters<typeof evaluateRobustness>[2]["attacks"][number]["attack"],
  norm: "l2" | "linf",
  epsilons: readonly number[],
) {
  const options = { norm, epsilons, rng: createRng(1) } as const;
  const suite = await evaluateStandard(model, batch, options);
  const loss = "cross-entropy";
  const attacks = [
    { name: "exact", attack },
    { name: "apgd", attack: apgd() },
    { name: "pgd", attack: pgd({ loss }) },
    { name: "fgsm", attack: fgsm({ loss }) },
  ];
  const alone = await evaluateRobustness(model, batch, { ...options, attacks });
  for (let e = 0; e < epsilons.length; e++) {
    const of = (name: string) => alone.attacks.find((a) => a.name === name)?.accuracy[e].correct ?? -1;
    const chain = [of("exact"), suite.worst[e].correct, of("apgd"), of("pgd"), of("fgsm"), alone.clean.correct];
    expect(chain, `epsilon ${epsilons[e]}`).toEqual([...chain].sort((a, b) => a - b));
  }
  return { suite, alone };
}

describe("exactAttackOf", () => {
  const rng = createRng(5);
  const labels = Int32Array.from({ length: 90 }, (_, i) => i % 3);
  const data = Float64Array.from(
    { length: 360 },
    (_, i) => (i % 4 === labels[Math.floor(i / 4)] ? 3 : 0) + rng.normal(),
  );
  const features = { data, shape: [90, 4] };
  const batch = { inputs: features, labels, indices: Int32Array.from(labels.keys()) };
  const scaling = fitScaling(features);
  const skewed = fitScaling(
    features,
    whiteningOf(Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 + i : 0.3))),
  );
  const common = { radius: 0.05, beta: 1e-2, classCount: 3, tolerance: 0.05 };
  let polynomial: RobustHead;
  let ellipsoid: RobustHead;
  let gated: RobustHead;

  beforeAll(async () => {
    const options = { ...common, classWeights: "none" as const };
    polynomial = await trainPolynomialHead(features, labels, { ...options, name: "isotropic", scaling });
    ellipsoid = await trainPolynomialHead(features, labels, { ...options, name: "ellipsoid", scaling: skewed });
    gated = await trainGatedHead(features, labels, { ...common, name: "gated", scaling, gates: 12, rng: createRng(2) });
  });

  it("agrees with the exact robustness of polynomial heads, whatever their coordinates", async () => {
    for (const head of [polynomial, ellipsoid]) {
      for (const radius of [0.05, 0.2]) {
        const { kind, robust } = head.robustness(features, labels, radius, scaling);
        expect(kind).toBe("exact");
        const result = await evaluateAttack(head.classifier, batch, exactAttackOf(head), {
          budget: { norm: "l2", epsilon: radius * scaling.scale },
          rng: createRng(1),
        });
        expect(Array.from(result.fooled)).toEqual(Array.from(robust, (flag) => 1 - flag));
        expect(result.warnings).toEqual([]);
      }
    }
  });

  it("orders attacks on polynomial heads, and PGD-100 with 5 restarts reaches the exact margin to 1e-4 on 99 % or more", async () => {
    await expectOrder(ellipsoid.classifier, batch, exactAttackOf(ellipsoid), "l2", [0.2, 0.6]);
    await expectOrder(polynomial.classifier, batch, exactAttackOf(polynomial), "linf", [0.1, 0.3]);
    const options = { budget: { norm: "l2", epsilon: 0.6 }, rng: createRng(1) } as const;
    const exact = await evaluateAttack(ellipsoid.classifier, batch, exactAttackOf(ellipsoid), options);
    const attack = pgd({ steps: 100, restarts: 5, stopWhenFooled: false });
    const attacked = await evaluateAttack(ellipsoid.classifier, batch, attack, options);
    const gap = attackGap(exact.loss, attacked.loss);
    expect(gap.exceeded).toBe(0);
    expect(gap.solved).toBeGreaterThanOrEqual(0.99);
  });

  it("orders certificate <= closed form and suite <= APGD <= PGD <= FGSM <= clean on gated heads; certified samples are solved", async () => {
    const { suite, alone } = await expectOrderGated(gated, batch, [0.05, 0.2]);
    for (const [e, epsilon] of [0.05, 0.2].entries()) {
      const { robust } = gated.robustness(features, labels, epsilon / scaling.scale, scaling);
      const certified = robust.reduce((sum, flag) => sum + flag, 0);
      expect(certified).toBeLessThanOrEqual(Math.min(suite.worst[e].correct, alone.attacks[0].accuracy[e].correct));
    }
    // the certificate bounds the loss from above; where both meet the closed form is the worst case
    const model = gatedModel(gated);
    const points = { data: data.map((v, k) => (v - scaling.centre[k % 4]) / scaling.scale), shape: [90, 4] };
    for (const norm of ["linf", "l2", "l1"] as const) {
      const radius = norm === "linf" ? 0.01 : 0.02;
      const classifier = createGatedClassifier(model, { gradient: "exact" });
      const scaled = { ...batch, inputs: points };
      const closed = await evaluateAttack(classifier, scaled, exactAttackOf(gated), {
        budget: { norm, epsilon: radius },
        rng: createRng(1),
      });
      const bound = certifiedMargins(model, points, labels, { norm, radius }).map((margin) => -margin);
      const kept = Array.from(labels.keys()).filter((i) => closed.correct[i] === 1);
      const gap = attackGap(
        kept.map((i) => bound[i]),
        kept.map((i) => closed.loss[i]),
        1e-9,
      );
      expect(gap.exceeded).toBe(0);
      expect(gap.solved).toBeGreaterThan(0.5);
    }
  });
});

function gatedModel(head: RobustHead): GatedReluModel {
  if (head.trained.kind !== "gated-relu") throw new Error("not gated");
  return gatedModelFromJson(head.trained.training.model);
}

async function expectOrderGated(head: RobustHead, batch: LabelledBatch, epsilons: readonly number[]) {
  // the closed form is a lower bound of the worst case like every attack, so it is not part of the order
  const loss = "cross-entropy";
  const options = { norm: "l2", epsilons, rng: createRng(1) } as const;
  const surrogate = head.surrogate ?? undefined;
  const suite = await evaluateStandard(head.classifier, batch, { ...options, surrogate });
  const alone = await evaluateRobustness(head.classifier, batch, {
    ...options,
    attacks: [
      { name: "closed form", attack: exactAttackOf(head) },
      { name: "apgd", attack: apgd() },
      { name: "pgd", attack: pgd({ loss }) },
      { name: "fgsm", attack: fgsm({ loss }) },
    ],
  });
  for (let e = 0; e < epsilons.length; e++) {
    const [, ...rest] = alone.attacks.map(({ accuracy }) => accuracy[e].correct);
    const chain = [suite.worst[e].correct, ...rest, alone.clean.correct];
    expect(chain, `epsilon ${epsilons[e]}`).toEqual([...chain].sort((a, b) => a - b));
  }
  return { suite, alone };
}
