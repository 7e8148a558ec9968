// The large side of the polynomial trainer: ten classes of 50,000 x 512 in two threads, growth with samples and features, streaming,
// and the rows of pilot.md 2 on real features. One run each; CPU seconds beside wall seconds, because machines are shared.

import { chooseKernels } from "@worstcase/linalg";
import { fitInThreads, fitOneVersusAll, type OneVersusAllFit } from "@worstcase/polynomial";
import type { Row } from "../../harness/compare.js";
import { type SuiteContext, unit } from "../../harness/suite.js";
import { measureArgmax } from "./argmaxTable.js";
import { type CifarFeatures, cifarFeatures } from "./cifarFeatures.js";
import { reluFeatures } from "./reluFeatures.js";

const reluSettings = { radius: 0.05, beta: 1e-3, tolerance: 1e-2, method: "factored" } as const;

interface Measured<T> {
  readonly result: T;
  readonly wall: number;
  readonly cpu: number;
  readonly peakMegabytes: number;
}

async function measure<T>(work: () => T | Promise<T>): Promise<Measured<T>> {
  const [started, cpuStarted] = [performance.now(), process.cpuUsage()];
  let peak = process.memoryUsage.rss();
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 100);
  const result = await work();
  clearInterval(timer);
  const { user, system } = process.cpuUsage(cpuStarted);
  peak = Math.max(peak, process.memoryUsage.rss());
  return {
    result,
    wall: (performance.now() - started) / 1000,
    cpu: (user + system) / 1e6,
    peakMegabytes: peak / 2 ** 20,
  };
}

const row = (name: string, seconds: number, first = seconds) => ({
  name,
  median: seconds,
  minimum: seconds,
  repeats: 1,
  ratio: first / seconds,
});

const worstGap = (fit: OneVersusAllFit) => Math.max(...fit.classes.map(({ gap }) => gap));

export async function measureLarge(context: SuiteContext): Promise<void> {
  await tenClasses(context);
  await growth(context);
  const cifar = await cifarFeatures();
  if (cifar) realFeatures(context, cifar);
  else context.skip("CIFAR-10 through ResNet-20", "its images or weights are in no data folder (WORSTCASE_DATA)");
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

/** The rows of pilot.md 2: CPU seconds a class, mean and largest, and certified gaps. Then accuracies of the argmax. */
function realFeatures(context: SuiteContext, cifar: CifarFeatures): void {
  const { train, trainLabels } = cifar;
  const settings = context.quick
    ? [{ radius: 0, beta: 1e-3 }]
    : [
        ...[0, 0.1, 0.25, 0.5, 0.75].map((radius) => ({ radius, beta: 1e-3 })),
        ...[0, 0.25].map((radius) => ({ radius, beta: 1e-2 })),
      ];
  const classes = context.quick ? [0] : Array.from({ length: 10 }, (_, c) => c);
  const rows = [];
  const notes: Record<string, number> = {};
  for (const { radius, beta } of settings) {
    const seconds: number[] = [];
    let gap = 0;
    let objective = 0;
    for (const c of classes) {
      const started = process.cpuUsage();
      const fit = fitOneVersusAll(train, trainLabels, 10, {
        ...{ radius, beta, tolerance: 1e-2, method: "factored", timeLimitSeconds: 30 },
        onlyClasses: [c],
      });
      const { user, system } = process.cpuUsage(started);
      seconds.push((user + system) / 1e6);
      gap = Math.max(gap, worstGap(fit));
      objective += fit.objective / classes.length;
    }
    const name = `radius ${radius}, beta ${beta}`;
    rows.push(row(`${name}, mean of classes`, seconds.reduce((sum, value) => sum + value, 0) / seconds.length));
    rows.push(row(`${name}, slowest class`, Math.max(...seconds)));
    notes[`${name}: largest gap`] = gap;
    notes[`${name}: mean objective`] = objective;
  }
  const title =
    "CIFAR-10 through ResNet-20, 10,000 x 64, one against the rest, gap 1e-2, 30 s limit: CPU seconds a class";
  context.report({ title, unit: unit.seconds, rows, notes });
  if (!context.quick) measureArgmax(context, cifar);
}
