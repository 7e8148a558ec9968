// Seconds of the factored trainer to a certified relative gap of 1e-2 (math.md 7), on a generated 64-feature problem and on Breast Cancer
// Wisconsin at radius 1.5; then the large problems of `trainer/large.ts`. Both ends of the gap are recomputed by the package outside
// the trainer.

import { readFileSync } from "node:fs";
import { createRng, type NumericBatch } from "@worstcase/core";
import { type FitResult, fitPolynomial } from "@worstcase/polynomial";
import { compare } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { measureLarge } from "./trainer/large.js";

interface Problem {
  readonly title: string;
  readonly points: NumericBatch;
  readonly labels: Float64Array;
  readonly radius: number;
  readonly beta: number;
}

export const trainer: Suite = {
  name: "trainer",
  summary: "seconds to a certified gap of 1e-2",
  async run(context) {
    const problems = [context.quick ? generated(8, 300) : generated(64, 2000)];
    const cancer = breastCancer();
    if (cancer) problems.push(cancer);
    else
      context.skip("Breast Cancer Wisconsin", "uci/breast-cancer-wisconsin.data is in no data folder (WORSTCASE_DATA)");
    for (const problem of problems) await measure(context, problem);
    await measureLarge(context);
  },
};

async function measure(context: SuiteContext, { title, points, labels, radius, beta }: Problem): Promise<void> {
  let last: FitResult | undefined;
  const fit = (kernels: "js" | "wasm") => () => {
    last = fitPolynomial(points, labels, { radius, beta, tolerance: 1e-2, timeLimitSeconds: 120, kernels });
  };
  const rows = await compare(
    [
      { name: "js", units: 1, run: fit("js") },
      { name: "wasm", units: 1, run: fit("wasm") },
    ],
    { repeats: context.quick ? 1 : 3, leastSeconds: 0, budgetSeconds: 40 },
  );
  const { status, gap, objective, lowerBound, evaluations, neurons } = last!;
  const notes = { status, gap, objective: objective.total, lowerBound, evaluations, neurons: neurons.weights.length };
  context.report({ title, unit: unit.seconds, rows, notes });
}

/** Two Gaussian classes whose difference is partly quadratic: means apart in one direction, spreads apart in four others. */
function generated(features: number, samples: number): Problem {
  const rng = createRng(64);
  const data = new Float64Array(samples * features);
  const labels = Float64Array.from({ length: samples }, (_, i) => (i % 2 ? 1 : -1));
  for (let i = 0; i < samples; i++) {
    for (let k = 0; k < features; k++) {
      const spread = k >= 1 && k < 5 && labels[i] > 0 ? 2 : 1;
      data[i * features + k] = (spread * rng.normal() + (k === 0 ? 1.5 * labels[i] : 0)) / Math.sqrt(features);
    }
  }
  const title = `generated, ${features} features, ${samples} samples, radius 0.1, beta 1e-3`;
  return { title, points: { data, shape: [samples, features] }, labels, radius: 0.1, beta: 1e-3 };
}

/** The 683 complete rows, standardised, malignant +1. Parameters of math.md 18.4 (radius 1.5, beta 0.01), all rows instead of its split. */
function breastCancer(): Problem | null {
  const file = dataFile("uci/breast-cancer-wisconsin.data");
  if (!file) return null;
  const rows = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() && !line.includes("?"))
    .map((line) => line.split(",").map(Number));
  const features = 9;
  const data = new Float64Array(rows.length * features);
  for (let k = 0; k < features; k++) {
    const column = rows.map((row) => row[k + 1]);
    const mean = column.reduce((sum, value) => sum + value, 0) / rows.length;
    const spread = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows.length);
    for (const [i, value] of column.entries()) data[i * features + k] = (value - mean) / spread;
  }
  const labels = Float64Array.from(rows, (row) => (row[10] === 4 ? 1 : -1));
  const title = `Breast Cancer Wisconsin, ${rows.length} x ${features}, radius 1.5, beta 0.01`;
  return { title, points: { data, shape: [rows.length, features] }, labels, radius: 1.5, beta: 0.01 };
}
