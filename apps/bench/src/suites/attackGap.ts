// How near attacks come to the worst case in feature space, sample by sample (attackGap of @worstcase/attacks).
//   polynomial heads: against the exact l2 worst margin of every pair of classes (math.md 6, 10), on Breast Cancer Wisconsin
//   (diagnostic) with a robustly trained head, on networks with random neurons, and on a random head of ten classes
//   gated ReLU heads: against the certificate of @worstcase/relu (math.md 13.5), which no attack can exceed; a sample within the tolerance
//   is solved for certain, of the others the certificate or the attack falls short

import { readFileSync } from "node:fs";
import { type Attack, apgd, attackGap, evaluateAttack, fgsm, fixedPattern, pgd } from "@worstcase/attacks";
import {
  type Budget,
  createRng,
  type DifferentiableClassifier,
  type LabelledBatch,
  type NumericBatch,
  predictedClasses,
} from "@worstcase/core";
import { polynomialAttack } from "@worstcase/head";
import {
  createPolynomialClassifier,
  fitPolynomial,
  paperActivation,
  type Quadratic,
  quadraticFromNeurons,
} from "@worstcase/polynomial";
import { certifiedMargins, createGatedClassifier, fitGatedRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const thorough = { stopWhenFooled: false } as const;
const attacks: Record<string, Attack> = {
  fgsm: fgsm(),
  "pgd, 20 steps": pgd({ restarts: 0, ...thorough }),
  "pgd, 100 steps, 5 restarts": pgd({ steps: 100, restarts: 5, ...thorough }),
  // 2.5 epsilon in all: the angle to the worst direction shrinks by exp(-2.5), whatever the number of steps
  "pgd, 100 constant steps, 5 restarts": pgd({ steps: 100, schedule: "constant", restarts: 5, ...thorough }),
  "apgd margin, 100 steps": apgd({ loss: "margin", ...thorough }),
};

export const attackGaps: Suite = {
  name: "attack-gap",
  summary:
    "gap of attacks to the exact worst margin of polynomial heads and to the certificate of gated heads, share of samples within 1e-4",
  async run(context) {
    const table = breastCancer();
    if (!table) context.skip("Breast Cancer Wisconsin", "uci/wdbc.data is not in the data folder");
    else {
      const radius = 0.5;
      const { quadratic } = fitPolynomial(table.points, table.signs, { radius, beta: 1e-2 });
      for (const epsilon of [0.5, 1.5]) {
        const title = `Breast Cancer Wisconsin, 30 features, head trained at radius ${radius}, epsilon ${epsilon}`;
        await polynomial(context, title, twoClasses(quadratic), table.points, table.signs, epsilon);
      }
    }
    for (const [features, classes] of [
      [10, 2],
      [64, 2],
      [30, 10],
    ] as const) {
      const rng = createRng(3);
      const neurons = 2 * features;
      const score = () => {
        const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
        const weights = Float64Array.from({ length: neurons }, () => rng.normal());
        return quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
      };
      const quadratics = classes === 2 ? twoClasses(score()) : Array.from({ length: classes }, score);
      const samples = context.quick ? 50 : 500;
      const data = Float64Array.from({ length: samples * features }, () => rng.normal());
      const points = { data, shape: [samples, features] };
      for (const factor of [0.1, 0.5]) {
        const epsilon = factor * Math.sqrt(features);
        const title = `random head, ${features} features, ${classes} classes, ${neurons} neurons, ${samples} samples, epsilon ${epsilon.toFixed(3)}`;
        await polynomial(context, title, quadratics, points, null, epsilon);
      }
    }
    if (table) await gated(context, table);
  },
};

/** Logits (-f / 2, f / 2): the margin of a sample with sign y is -y f. */
function twoClasses(quadratic: Quadratic): Quadratic[] {
  return [-0.5, 0.5].map((factor) => ({
    dimension: quadratic.dimension,
    Q: quadratic.Q.map((v) => factor * v),
    q: quadratic.q.map((v) => factor * v),
    s: factor * quadratic.s,
  }));
}

/** `signs` are the labels +1 and -1; null takes the predicted classes. */
async function polynomial(
  context: SuiteContext,
  title: string,
  quadratics: readonly Quadratic[],
  points: NumericBatch,
  signs: Float64Array | null,
  epsilon: number,
): Promise<void> {
  const model = createPolynomialClassifier({ quadratics, id: "polynomial head" });
  const labels = signs ? signs.map((sign) => Number(sign > 0)) : predictedClasses(await model.logits(points));
  const batch = batchOf(points, labels);
  const budget = { norm: "l2", epsilon } as const;
  const options = { budget, rng: createRng(1), batchSize: 500 };
  const worst = await evaluateAttack(model, batch, polynomialAttack(quadratics), options);
  const exact = { name: "exact", losses: worst.loss, seconds: worst.seconds };
  await report(context, title, model, batch, budget, exact, attacks);
}

/** A gated head on Breast Cancer, robust at radius 0.5, in the norms of its certificate. */
async function gated(context: SuiteContext, { points, signs }: { points: NumericBatch; signs: Float64Array }) {
  const labels = Int32Array.from(signs, (sign) => Number(sign > 0));
  const gates = sampleGates(points, { count: 20, rng: createRng(1), bias: true });
  const { model } = await fitGatedRelu(points, labels, 2, { radius: 0.5, norm: "l2", beta: 1e-2, gates });
  const classifier = createGatedClassifier(model, { gradient: "exact" });
  const batch = batchOf(points, labels);
  for (const budget of [
    { norm: "l2", epsilon: 0.05 },
    { norm: "l2", epsilon: 0.5 },
    { norm: "linf", epsilon: 0.01 },
    { norm: "linf", epsilon: 0.1 },
  ] as const) {
    const { norm, epsilon } = budget;
    const started = performance.now();
    const losses = certifiedMargins(model, points, labels, { norm, radius: epsilon }).map((margin) => -margin);
    const certificate = { name: "certificate", losses, seconds: (performance.now() - started) / 1000 };
    const title = `Breast Cancer Wisconsin, gated ReLU head of 20 gates trained at radius 0.5, ${norm} ${epsilon}`;
    await report(context, title, classifier, batch, budget, certificate, {
      "fixed pattern": fixedPattern(),
      ...attacks,
    });
  }
}

function batchOf(inputs: NumericBatch, classes: ArrayLike<number>): LabelledBatch {
  const labels = Int32Array.from(classes);
  return { inputs, labels, indices: Int32Array.from(labels.keys()) };
}

/** Largest margins `[samples]` that are attained, or that cannot be exceeded. */
interface Yardstick {
  readonly name: string;
  readonly losses: Float64Array;
  readonly seconds: number;
}

async function report(
  context: SuiteContext,
  title: string,
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  budget: Budget,
  yardstick: Yardstick,
  compared: Readonly<Record<string, Attack>>,
): Promise<void> {
  const rows: Row[] = [row(yardstick.name, yardstick.seconds, yardstick.seconds)];
  const notes: Record<string, string> = {};
  for (const [name, attack] of Object.entries(compared)) {
    const result = await evaluateAttack(model, batch, attack, { budget, rng: createRng(1), batchSize: 500 });
    // samples that are misclassified from the start are not attacked
    const kept = Array.from(result.correct.keys()).filter((i) => result.correct[i]);
    const pick = (values: Float64Array) => kept.map((i) => values[i] ?? Number.NaN);
    const gap = attackGap(pick(yardstick.losses), pick(result.loss));
    const failing = gap.unsolved.map((k) => kept[k]);
    const shown =
      failing.length > 12 ? `${failing.slice(0, 12).join(" ")} and ${failing.length - 12} more` : failing.join(" ");
    rows.push(row(name, result.seconds, yardstick.seconds));
    notes[name] =
      `${(100 * gap.solved).toFixed(1)} % of ${gap.samples} within 1e-4, mean gap ${gap.mean.toExponential(2)}, ` +
      `largest ${gap.max.toExponential(2)}, exceeded ${gap.exceeded}${shown ? `, failing: ${shown}` : ""}`;
  }
  context.report({ title, unit: unit.seconds, rows, notes });
}

function row(name: string, seconds: number, first: number): Row {
  return { name, median: seconds, minimum: seconds, ratio: first / seconds, repeats: 1 };
}

/** Standardised features with +1 for malignant. */
function breastCancer(): { points: NumericBatch; signs: Float64Array } | null {
  const file = dataFile("uci/wdbc.data");
  if (!file) return null;
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const columns = 30;
  const data = new Float64Array(lines.length * columns);
  const signs = new Float64Array(lines.length);
  for (const [i, line] of lines.entries()) {
    const cells = line.split(",");
    signs[i] = cells[1] === "M" ? 1 : -1;
    for (let k = 0; k < columns; k++) data[i * columns + k] = Number(cells[k + 2]);
  }
  for (let k = 0; k < columns; k++) {
    const column = Array.from(lines, (_, i) => data[i * columns + k] ?? 0);
    const mean = column.reduce((sum, v) => sum + v, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / column.length);
    for (const [i, v] of column.entries()) data[i * columns + k] = (v - mean) / deviation;
  }
  return { points: { data, shape: [lines.length, columns] }, signs };
}
