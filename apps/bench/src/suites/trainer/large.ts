// The large side of the polynomial trainer: ten classes of 50,000 x 512 in two threads, growth with samples and features, streaming,
// and the rows of pilot.md 2 on real features. One run each; CPU seconds beside wall seconds, because machines are shared.

import { chooseKernels } from "@worstcase/linalg";
import { fitInThreads, fitOneVersusAll, type OneVersusAllFit } from "@worstcase/polynomial";
import type { Row } from "../../harness/compare.js";
import { type SuiteContext, unit } from "../../harness/suite.js";
import { measureArgmax } from "./argmaxTable.js";
import { cifarFeatures } from "./cifarFeatures.js";
import { measureRealFeatures } from "./realFeatures.js";
import { reluFeatures } from "./reluFeatures.js";
import { type Measured, measure, row, worstGap } from "./timed.js";

const reluSettings = { radius: 0.05, beta: 1e-3, tolerance: 1e-2, method: "factored" } as const;

/** Rows of pilot.md 2. */
const realSettings = [
  ...[0, 0.1, 0.25, 0.5, 0.75].map((radius) => ({ radius, beta: 1e-3 })),
  ...[0, 0.25].map((radius) => ({ radius, beta: 1e-2 })),
];

export async function measureLarge(context: SuiteContext): Promise<void> {
  await tenClasses(context);
  await growth(context);
  const cifar = await cifarFeatures();
  if (cifar) {
    await measureRealFeatures(context, cifar, realSettings);
    if (!context.quick) measureArgmax(context, cifar);
  } else context.skip("CIFAR-10 through ResNet-20", "its images or weights are in no data folder (WORSTCASE_DATA)");
}

async function tenClasses(context: SuiteContext): Promise<void> {
  const [samples, features] = context.quick ? [2500, 32] : [50_000, 512];
  const { points, labels } = reluFeatures(samples, features);
  const backends = ["wasm", "native"].filter((name) => {
    try {
      chooseKernels(name as "wasm" | "native");
      return true;
    } catch (error) {
      context.skip(`${name} kernels`, (error as Error).message);
      return false;
    }
  });
  const runs: { name: string; found: Measured<OneVersusAllFit> }[] = [];
  for (const name of backends) {
    const settings = { ...reluSettings, kernels: name as "wasm" | "native", workers: 2 };
    runs.push({ name, found: await measure(() => fitInThreads(points, labels, 10, settings)) });
  }
  context.report({
    title: `ten classes, random ReLU features ${samples} x ${features}, radius 0.05, beta 1e-3, gap 1e-2, two threads: wall and CPU seconds`,
    unit: unit.seconds,
    rows: runs.flatMap(({ name, found }) => [row(`${name}, wall`, found.wall), row(`${name}, CPU`, found.cpu)]),
    notes: Object.fromEntries(
      runs.flatMap(({ name, found }) => [
        [`${name}: largest gap`, worstGap(found.result)],
        [`${name}: peak memory in MB`, Math.round(found.peakMegabytes)],
      ]),
    ),
  });
}

/** One class each; CPU seconds, so that a load does not bend the curve. */
async function growth(context: SuiteContext): Promise<void> {
  const tables = context.quick
    ? [{ title: "samples", sizes: [[500, 16]] }]
    : [
        { title: "samples", sizes: [5000, 10_000, 25_000, 50_000, 100_000].map((samples) => [samples, 512]) },
        { title: "features", sizes: [64, 128, 256, 512].map((features) => [20_000, features]) },
      ];
  for (const { title, sizes } of tables) {
    const rows: Row[] = [];
    const notes: Record<string, number> = {};
    for (const [samples, features] of sizes) {
      const { points, labels } = reluFeatures(samples, features);
      const settings = { ...reluSettings, onlyClasses: [0], kernels: "wasm" as const };
      const { result, cpu } = await measure(() => fitOneVersusAll(points, labels, 10, settings));
      const name = `${samples} x ${features}`;
      rows.push(row(name, cpu, rows[0]?.median ?? cpu));
      notes[`${name}: gap`] = worstGap(result);
      notes[`${name}: evaluations`] = result.classes[0].evaluations;
    }
    context.report({ title: `growth with ${title}, one class: CPU seconds (wasm)`, unit: unit.seconds, rows, notes });
  }
}
