// How near attacks come to the exact l2 worst margin of degree-two networks, which the trust-region oracle of @worstcase/polynomial gives
// (math.md 6): on Breast Cancer Wisconsin (diagnostic) with a robustly trained head, and on networks with random neurons.

import { readFileSync } from "node:fs";
import { type Attack, apgd, attackGap, evaluateAttack, exactAttack, fgsm, pgd } from "@worstcase/attacks";
import { createRng, type LabelledBatch, type NumericBatch } from "@worstcase/core";
import {
  createPolynomialClassifier,
  fitPolynomial,
  paperActivation,
  prepareWorstCase,
  type Quadratic,
  quadraticFromNeurons,
} from "@worstcase/polynomial";
import type { Row } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const attacks: Record<string, Attack> = {
  fgsm: fgsm(),
  "pgd, 20 steps": pgd({ restarts: 0, stopWhenFooled: false }),
  "pgd, 100 steps, 5 restarts": pgd({ steps: 100, restarts: 5, stopWhenFooled: false }),
  // with the default step, 2.5 epsilon / steps, the angle to the worst direction shrinks by exp(-2.5) in all, whatever the number of steps
  "pgd, 100 steps of epsilon / 4, 5 restarts": pgd({ steps: 100, stepSize: 25, restarts: 5, stopWhenFooled: false }),
  "apgd margin, 100 steps": apgd({ loss: "margin", stopWhenFooled: false }),
};

export const attackGaps: Suite = {
  name: "attack-gap",
  summary:
    "gap of l2 attacks to the exact worst margin of polynomial networks, and the share of samples within 1e-4 of it",
  async run(context) {
    const table = breastCancer();
    if (!table) context.skip("Breast Cancer Wisconsin", "uci/wdbc.data is not in the data folder");
    else {
      const radius = 0.5;
      const { quadratic } = fitPolynomial(table.points, table.signs, { radius, beta: 1e-2 });
      for (const epsilon of [0.5, 1.5]) {
        const title = `Breast Cancer Wisconsin, 30 features, head trained at radius ${radius}, epsilon ${epsilon}`;
        await measure(context, title, quadratic, table.points, table.signs, epsilon);
      }
    }
    for (const features of [10, 64]) {
      const rng = createRng(3);
      const neurons = 2 * features;
      const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
      const weights = Float64Array.from({ length: neurons }, () => rng.normal());
      const quadratic = quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
      const samples = context.quick ? 50 : 500;
      const data = Float64Array.from({ length: samples * features }, () => rng.normal());
      const points = { data, shape: [samples, features] };
      for (const factor of [0.1, 0.5]) {
        const epsilon = factor * Math.sqrt(features);
        const title = `random network, ${features} features, ${neurons} neurons, ${samples} samples, epsilon ${epsilon.toFixed(3)}`;
        await measure(context, title, quadratic, points, null, epsilon);
      }
    }
  },
};

/** `signs` are the labels +1 and -1; null takes the predicted ones. */
async function measure(
  context: SuiteContext,
  title: string,
  quadratic: Quadratic,
  points: NumericBatch,
  signs: Float64Array | null,
  epsilon: number,
): Promise<void> {
  const scaled = (factor: number): Quadratic => ({
    dimension: quadratic.dimension,
    Q: quadratic.Q.map((v) => factor * v),
    q: quadratic.q.map((v) => factor * v),
    s: factor * quadratic.s,
  });
  // logits (-f / 2, f / 2): the margin of a sample with sign y is -y f
  const model = createPolynomialClassifier({ quadratics: [scaled(-0.5), scaled(0.5)], id: "polynomial head" });
  const { data: logits } = await model.logits(points);
  const samples = points.shape[0] ?? 0;
  const labels = Int32Array.from({ length: samples }, (_, i) =>
    signs ? Number((signs[i] ?? 0) > 0) : Number((logits[2 * i + 1] ?? 0) > (logits[2 * i] ?? 0)),
  );
  const batch: LabelledBatch = { inputs: points, labels, indices: Int32Array.from({ length: samples }, (_, i) => i) };
  const oracle = prepareWorstCase(quadratic);
  const exact = exactAttack({
    name: "exact quadratic",
    norms: ["l2"],
    worstPoints({ inputs, labels: classes }, { epsilon: radius }) {
      const y = Float64Array.from(classes, (c) => 2 * c - 1);
      const { perturbations } = oracle.solve(inputs, y, radius);
      return { data: inputs.data.map((x, k) => x + (perturbations?.[k] ?? 0)), shape: inputs.shape };
    },
  });
  const options = { budget: { norm: "l2", epsilon }, rng: createRng(1), batchSize: 500 } as const;
  const worst = await evaluateAttack(model, batch, exact, options);
  const rows: Row[] = [row("exact", worst.seconds, worst.seconds)];
  const notes: Record<string, string> = {};
  for (const [name, attack] of Object.entries(attacks)) {
    const result = await evaluateAttack(model, batch, attack, options);
    // samples that are misclassified from the start are attacked by neither
    const kept = Array.from(result.correct.keys()).filter((i) => result.correct[i]);
    const pick = (values: Float64Array) => kept.map((i) => values[i] ?? Number.NaN);
    const gap = attackGap(pick(worst.loss), pick(result.loss));
    rows.push(row(name, result.seconds, worst.seconds));
    notes[name] =
      `${(100 * gap.solved).toFixed(1)} % of ${gap.samples} within 1e-4, mean gap ${gap.mean.toExponential(2)}, ` +
      `largest ${gap.max.toExponential(2)}, exceeded ${gap.exceeded}`;
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
