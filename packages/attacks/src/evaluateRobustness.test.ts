import { createRng, type DifferentiableClassifier, type LabelledBatch, normOf } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Attack } from "./attack.js";
import type { AttackUnit } from "./attackUnit.js";
import { evaluateRobustness, type RobustnessOptions, type RobustnessResult } from "./evaluateRobustness.js";
import { fgsm } from "./fgsm/fgsm.js";
import { pgd } from "./pgd/pgd.js";
import { standardAttacks } from "./standardAttacks.js";
import { linearMargin, linearToy, quadraticToy, quantisedToy } from "./testing/toyClassifiers.js";
import { craftTransferExamples } from "./transfer/examples.js";

const weights = [
  [1, -0.5, 0.2, 0.1],
  [-0.4, 0.9, 0, 0.3],
];
const linear = linearToy(weights, [0.05, -0.05]);
const source = linearToy(weights, [0, 0]);
const epsilons = [0.05, 0.1, 0.2];

/** Uniform points with the labels of `linear`, one in ten of them wrong. */
function makeBatch(samples: number, classes = 2): LabelledBatch {
  const rng = createRng(21);
  const data = Float64Array.from({ length: samples * 4 }, () => rng.uniform());
  const labels = Int32Array.from({ length: samples }, (_, i) => {
    const label = linearMargin(linear, data.subarray(4 * i, 4 * i + 4), 0) <= 0 ? 0 : 1;
    return i % 10 === 9 ? (label + 1) % classes : label;
  });
  return { inputs: { data, shape: [samples, 4] }, labels, indices: Int32Array.from({ length: samples }, (_, i) => i) };
}

const batch = makeBatch(200);
const evaluate = (model: DifferentiableClassifier, changes: Partial<RobustnessOptions> = {}, on = batch) =>
  evaluateRobustness(model, on, {
    attacks: standardAttacks({ steps: 5 }),
    norm: "linf",
    epsilons,
    rng: createRng(3),
    ...changes,
  });

/** Everything but the clock. */
function numbers(result: RobustnessResult): unknown {
  const { seconds: _, units, attacks, ...rest } = result;
  const untimed = <T extends { seconds: number }>(list: readonly T[]) =>
    list.map((entry) => ({ ...entry, seconds: 0 }));
  return { ...rest, units: untimed(units), attacks: untimed(attacks) };
}

describe("evaluateRobustness", () => {
  it.each(["linf", "l2"] as const)(
    "counts exactly what the closed form counts on a linear model (%s)",
    async (norm) => {
      const result = await evaluate(linear, { norm });
      const slope = weights[0].map((w, k) => w - weights[1][k]);
      const dual = normOf(slope, norm === "linf" ? "l1" : "l2");
      for (const [e, epsilon] of epsilons.entries()) {
        let robust = 0;
        for (let i = 0; i < 200; i++) {
          const margin = linearMargin(linear, batch.inputs.data.subarray(4 * i, 4 * i + 4), batch.labels[i]);
          if (margin + epsilon * dual < 0) robust++;
        }
        expect(result.worst[e].correct).toBe(robust);
        for (const attack of result.attacks) expect(attack.accuracy[e].correct).toBe(robust);
      }
      expect(result.clean.correct).toBe(180);
      expect(result.clean.interval[0]).toBeLessThan(0.9);
      expect(result.warnings).toEqual([]);
    },
  );

  it("orders PGD <= FGSM <= clean, accuracy falls with epsilon, and worst is below every attack", async () => {
    const centres = [0.2, 0.5, 0.8].map((c, i) => [c, 1 - c, i % 2 ? 0.3 : 0.6, 0.5]);
    const model = quadraticToy(centres, { lower: 0, upper: 1 });
    const { inputs, indices } = makeBatch(150);
    const logits = await model.logits(inputs);
    const labels = Int32Array.from({ length: 150 }, (_, i) => {
      const row = logits.data.subarray(3 * i, 3 * i + 3);
      return i % 12 === 0 ? 0 : row.indexOf(Math.max(...row));
    });
    for (const norm of ["linf", "l2"] as const) {
      const result = await evaluate(model, { norm }, { inputs, indices, labels });
      const accuracy = Object.fromEntries(result.attacks.map((attack) => [attack.name, attack.accuracy]));
      for (let e = 0; e < epsilons.length; e++) {
        for (const loss of ["margin", "cross-entropy"]) {
          const [single, many] = [accuracy[`fgsm ${loss}`][e].correct, accuracy[`pgd ${loss}`][e].correct];
          expect(many).toBeLessThanOrEqual(single);
          expect(single).toBeLessThanOrEqual(result.clean.correct);
          expect(result.worst[e].correct).toBeLessThanOrEqual(many);
          if (e > 0) expect(many).toBeLessThanOrEqual(accuracy[`pgd ${loss}`][e - 1].correct);
        }
      }
      expect(result.worst[2].correct).toBeLessThan(result.clean.correct);
    }
  });

  it("flags a masked model by transfer, by surrogate and by its zero gradients", async () => {
    const masked = quantisedToy(linear, 0.05);
    const attacks = [
      { name: "pgd", attack: pgd({ steps: 5 }) },
      { name: "pgd through", attack: pgd({ steps: 5 }), surrogate: linear },
    ];
    const result = await evaluate(masked, { attacks, sources: [{ name: "original", model: source }] });
    const masking = result.warnings.filter(({ code }) => code === "gradient-masking").map(({ message }) => message);
    expect(masking).toHaveLength(2);
    expect(masking[0]).toMatch(/^pgd through leaves .* % at epsilon .* where pgd leaves/);
    expect(masking[1]).toMatch(/^transfer from original leaves/);
    expect(result.warnings.filter(({ code }) => code === "zero-gradient")).toHaveLength(1);
    const [own, through, transferred] = result.attacks.map(({ accuracy }) => accuracy[2].correct);
    expect(through).toBeLessThan(own);
    expect(transferred).toBeLessThan(own);
    expect(result.worst[2].correct).toBeLessThanOrEqual(Math.min(through, transferred));
  });

  it("flags misleading gradients that are not zero", async () => {
    const misleading: DifferentiableClassifier = {
      ...linear,
      id: "misleading",
      async lossGradient(inputs, loss) {
        const result = await linear.lossGradient(inputs, loss);
        return { ...result, gradient: { ...result.gradient, data: result.gradient.data.map((g) => -g) } };
      },
    };
    const result = await evaluate(misleading, { sources: [{ name: "original", model: source }] });
    expect(result.warnings.map(({ code }) => code)).toEqual(["gradient-masking"]);
  });

  it("does not flag an honest model that is attacked by transfer and surrogate too", async () => {
    const attacks = standardAttacks({ steps: 5, surrogate: linear });
    const result = await evaluate(linear, { attacks, sources: [{ name: "original", model: source }] });
    expect(result.attacks).toHaveLength(7);
    expect(result.warnings).toEqual([]);
  });

  it("resumes exactly from any number of completed units, also through JSON", async () => {
    const model = quadraticToy([
      [0.2, 0.8, 0.4, 0.5],
      [0.8, 0.1, 0.5, 0.5],
    ]);
    const sources = [{ name: "original", model: source }];
    const whole = await evaluate(model, { sources });
    expect(whole.units).toHaveLength(15);
    for (const kept of [1, 4, 8, 13, 15]) {
      const completed = JSON.parse(JSON.stringify(whole.units.slice(0, kept))) as AttackUnit[];
      const fresh: AttackUnit[] = [];
      const onEvent: RobustnessOptions["onEvent"] = (event) => {
        if (event.type === "unit") fresh.push(event.unit);
      };
      const resumed = await evaluate(model, { sources, completed, onEvent });
      expect(fresh).toHaveLength(15 - kept);
      expect({ ...(numbers(resumed) as object), transferExamples: [] }).toEqual({
        ...(numbers(whole) as object),
        transferExamples: [],
      });
    }
  });

  it("resumes after an abort from the units it reported", async () => {
    const model = quadraticToy([
      [0.2, 0.8, 0.4, 0.5],
      [0.8, 0.1, 0.5, 0.5],
    ]);
    const controller = new AbortController();
    const completed: AttackUnit[] = [];
    const interrupted = evaluate(model, {
      signal: controller.signal,
      onEvent(event) {
        if (event.type === "unit" && completed.push(event.unit) === 5) controller.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({ code: "aborted" });
    expect(completed).toHaveLength(5);
    expect(numbers(await evaluate(model, { completed }))).toEqual(numbers(await evaluate(model)));
  });

  it("refuses completed work of other data, seeds or settings", async () => {
    const { units } = await evaluate(linear);
    const other = makeBatch(200);
    other.inputs.data[0] += 1e-3;
    await expect(evaluate(linear, { completed: units }, other)).rejects.toThrow(/completed\[0\].*leave it out/);
    await expect(evaluate(linear, { completed: units, rng: createRng(4) })).rejects.toMatchObject({ code: "data" });
    const changed = standardAttacks({ steps: 6 });
    await expect(evaluate(linear, { completed: units, attacks: changed })).rejects.toThrow(/completed\[3\]/);
    await expect(evaluate(linear, { completed: units, epsilons: [0.1, 0.2] })).rejects.toThrow(/smaller epsilons/);
    const longer = await evaluate(linear, { completed: units, epsilons: [...epsilons, 0.3] });
    expect(longer.units).toHaveLength(16);
  });

  it("does not depend on batch size, order of attacks or earlier use of the generator", async () => {
    const model = quadraticToy([
      [0.2, 0.8, 0.4, 0.5],
      [0.8, 0.1, 0.5, 0.5],
      [0.5, 0.5, 0.9, 0.1],
    ]);
    const sources = [
      {
        name: "original",
        model: quadraticToy([
          [0.3, 0.7, 0.4, 0.5],
          [0.7, 0.2, 0.5, 0.5],
          [0.5, 0.4, 0.8, 0.2],
        ]),
      },
    ];
    const first = await evaluate(model, { sources });
    const used = createRng(3);
    used.uniform();
    for (const batchSize of [1, 7, 1000]) {
      expect(numbers(await evaluate(model, { sources, batchSize, rng: used }))).toEqual(numbers(first));
    }
    const reversed = await evaluate(model, { sources, attacks: [...standardAttacks({ steps: 5 })].reverse() });
    expect(reversed.worst).toEqual(first.worst);
    for (const attack of first.attacks) {
      expect(reversed.attacks).toContainEqual({ ...attack, seconds: expect.any(Number) });
    }
  });

  it("makes transfer examples once and reuses them for other targets", async () => {
    let gradients = 0;
    const counted: DifferentiableClassifier = {
      ...source,
      lossGradient(inputs, loss) {
        gradients++;
        return source.lossGradient(inputs, loss);
      },
    };
    const sources = [{ name: "original", model: counted }];
    const first = await evaluate(linear, { sources });
    expect(gradients).toBeGreaterThan(0);
    expect(first.transferExamples).toHaveLength(1);
    const spent = gradients;
    const second = await evaluate(linear, { sources: first.transferExamples });
    expect(gradients).toBe(spent);
    expect(second.attacks).toEqual(first.attacks.map((attack) => ({ ...attack, seconds: expect.any(Number) })));
    // units made with fresh and with stored examples are interchangeable
    await evaluate(linear, { sources: first.transferExamples, completed: first.units });
    const crafted = await craftTransferExamples({ name: "original", model: source }, batch, {
      norm: "linf",
      epsilons,
      rng: createRng(3),
    });
    expect(crafted).toEqual(first.transferExamples[0]);
    await expect(evaluate(linear, { sources: [crafted] }, makeBatch(100))).rejects.toThrow(/other inputs, labels/);
    await expect(evaluate(linear, { sources: [crafted], epsilons: [0.01] })).rejects.toThrow(/epsilon 0.01/);
  });

  it("keeps a sample broken at a larger epsilon too, and forks the random stream by attack and epsilon", async () => {
    const streams: string[] = [];
    const onlyAtSmall: Attack = {
      name: "only at the smallest epsilon",
      kind: "iterative",
      needs: { norms: ["linf"], gradients: false },
      settings: {},
      async run(model, { inputs, labels, indices }, options) {
        streams.push(options.rng.state().name);
        const still = { data: inputs.data.slice(), shape: inputs.shape };
        return options.budget.epsilon > 0.05 ? still : fgsm().run(model, { inputs, labels, indices }, options);
      },
    };
    const attacks = [
      { name: "first", attack: onlyAtSmall },
      { name: "second", attack: onlyAtSmall },
    ];
    const result = await evaluate(linear, { attacks });
    const [first] = result.attacks;
    expect(first.accuracy[0].correct).toBeLessThan(result.clean.correct);
    expect(first.accuracy.map(({ correct }) => correct)).toEqual([0, 1, 2].map(() => first.accuracy[0].correct));
    expect(new Set(streams).size).toBe(6);
  });

  it("handles epsilon 0, one sample and black-box models", async () => {
    const zero = await evaluate(linear, { epsilons: [0], sources: [{ name: "original", model: source }] });
    expect(zero.worst[0]).toEqual(zero.clean);
    expect(zero.calls.gradient).toBe(0);
    const one = await evaluate(linear, {}, makeBatch(1));
    expect(one.samples).toBe(1);
    const { lossGradient: _, ...blackBox } = linear;
    const options = { norm: "linf", epsilons, rng: createRng(1) } as const;
    const sources = [{ name: "original", model: source }];
    const result = await evaluateRobustness(blackBox, batch, { ...options, attacks: [], sources });
    expect(result.worst[2].correct).toBeLessThan(result.clean.correct);
    const attacks = [{ name: "fgsm", attack: fgsm() }];
    await expect(evaluateRobustness(blackBox, batch, { ...options, attacks })).rejects.toThrow(/without lossGradient/);
  });

  it("refuses misuse before any work", async () => {
    await expect(evaluate(linear, { epsilons: [] })).rejects.toThrow(/strictly increasing/);
    await expect(evaluate(linear, { epsilons: [0.2, 0.1] })).rejects.toThrow(/strictly increasing/);
    await expect(evaluate(linear, { epsilons: [0.1, 0.1] })).rejects.toThrow(/strictly increasing/);
    await expect(evaluate(linear, { epsilons: [Number.NaN] })).rejects.toThrow(/finite/);
    await expect(evaluate(linear, { attacks: [] })).rejects.toThrow(/at least one attack/);
    const twice = [0, 1].map(() => ({ name: "a", attack: fgsm() }));
    await expect(evaluate(linear, { attacks: twice })).rejects.toThrow(/unique names/);
    await expect(evaluate(linear, { norm: "l1" })).rejects.toMatchObject({ code: "unsupported" });
    const inBox = linearToy(weights, [0, 0], { lower: 0, upper: 1 });
    await expect(evaluate(inBox, { epsilons: [0.1, 8] })).rejects.toThrow(/did you mean 8 \/ 255\?/);
    await expect(evaluate(linear, { batchSize: 1.5 })).rejects.toThrow(/batchSize/);
  });
});
