// Gated robust heads of CIFAR size (`fitGatedLarge`), about 7 minutes: the product that dominates a step against what multiplies in float32
// elsewhere; ResNet-20 features against the float64 path in one run; ten classes of 50,000 x 512 with 500 gates within a time limit,
// interrupted once and resumed from its checkpoint.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRng } from "@worstcase/core";
import {
  type FitGatedLargeOptions,
  fitGatedLarge,
  fitGatedRelu,
  rowsInMemory,
  sampleGates,
  takeRows,
} from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { measureBitProducts } from "./relu/bitProducts.js";
import { row, timed } from "./relu/measure.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";
import { reluFeatures } from "./trainer/reluFeatures.js";

/** Seconds of the large fit, interruption included; it is interrupted after this round over all samples. */
const SECONDS = 320;
const INTERRUPTED = 3;

export const reluLarge: Suite = {
  name: "relu-large",
  summary: "gated robust heads of CIFAR size: seconds to a certified gap, memory, resume",
  async run(context) {
    await measureBitProducts(context);
    await cifar(context);
    await large(context);
  },
};

async function cifar(context: SuiteContext): Promise<void> {
  const found = context.quick ? null : await cifarFeatures();
  if (!found) {
    const reason = context.quick ? "not in a quick run" : "no images or weights; set WORSTCASE_DATA";
    context.skip("ResNet-20 features", reason);
    return;
  }
  const { train, trainLabels } = found;
  const gates = sampleGates(train, { count: 500, rng: createRng(1) });
  const options = { norm: "l2", radius: 0.1, beta: 1e-3, gates, tolerance: 5e-2, threads: 2 } as const;
  const runs = [
    {
      name: "fitGatedRelu, float64",
      run: () => fitGatedRelu(train, trainLabels, 10, { ...options, method: "first-order" as const }),
    },
    { name: "fitGatedLarge", run: () => fitGatedLarge(rowsInMemory(train), trainLabels, 10, options) },
    {
      name: "fitGatedLarge to 1e-2",
      run: () => fitGatedLarge(rowsInMemory(train), trainLabels, 10, { ...options, tolerance: 1e-2 }),
    },
  ];
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  for (const { name, run } of runs) {
    const { seconds, result } = await timed<{
      status: string;
      gap: number;
      objective: { total: number };
      lowerBound: number;
      seconds: number;
    }>(run);
    rows.push(row(`${name}, ${result.status}`, seconds, rows[0]?.median));
    notes[`${name}: gap`] = result.gap;
    notes[`${name}: objective`] = result.objective.total;
    notes[`${name}: lower bound`] = result.lowerBound;
    notes[`${name}: wall seconds`] = result.seconds;
  }
  const title = `ResNet-20 features of CIFAR-10, ${train.shape.join(" x ")}, 500 gates, 10 classes, radius 0.1, two threads (CPU seconds)`;
  context.report({ title, unit: unit.seconds, rows, notes });
}

async function large(context: SuiteContext): Promise<void> {
  const [samples, width, count] = context.quick ? [2000, 32, 40] : [50_000, 512, 500];
  const { points, labels } = reluFeatures(samples, width);
  const source = rowsInMemory(points);
  const some = takeRows(
    source,
    Int32Array.from({ length: Math.min(samples, 4000) }, (_, i) => i),
  );
  const gates = sampleGates(some, { count, rng: createRng(1) });
  const folder = mkdtempSync(path.join(tmpdir(), "worstcase-bench-large-"));
  const checkpoint = { file: path.join(folder, "fit.checkpoint"), everySeconds: 0 };
  const marks = [0.2, 0.1, 0.05];
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  const started = performance.now();
  const cpuStarted = process.cpuUsage();
  let peak = 0;
  const last = { seconds: 0, steps: 0 };
  const controller = new AbortController();
  const settings: FitGatedLargeOptions = {
    ...{ norm: "l2", radius: 0.05, beta: 1e-3, gates, tolerance: 5e-2, threads: 2, checkpoint },
    onEvent: (event) => {
      peak = Math.max(peak, process.memoryUsage.rss() / 2 ** 20);
      const wall = (performance.now() - started) / 1000;
      if (event.samples === samples) {
        if (event.round === INTERRUPTED) controller.abort();
        while (marks.length > 0 && event.gap <= marks[0]) rows.push(row(`gap ${marks.shift()}, wall`, wall));
        if (event.round === 1) notes["wall seconds of the levels before all samples"] = wall;
        const steps = event.steps - last.steps;
        if (steps > 0 && last.seconds > 0)
          notes["wall seconds of a step, passes included, last round"] = (wall - last.seconds) / steps;
        notes["groups in use, last round"] = event.groups;
        notes["samples in steps, last round"] = event.rows;
      }
      Object.assign(last, { seconds: event.samples === samples ? wall : 0, steps: event.steps });
    },
  };
  const limit = context.quick ? 10 : SECONDS;
  try {
    const first = await fitGatedLarge(source, labels, 10, {
      ...{ ...settings, timeLimitSeconds: limit },
      signal: controller.signal,
    }).catch((error: Error) => {
      if (!controller.signal.aborted) throw error;
      return null;
    });
    if (!first) {
      notes["interrupted after, wall seconds"] = (performance.now() - started) / 1000;
      notes["checkpoint, MiB"] = statSync(checkpoint.file).size / 2 ** 20;
    }
    const timeLimitSeconds = Math.max(1, limit - (performance.now() - started) / 1000);
    const result = first ?? (await fitGatedLarge(source, labels, 10, { ...settings, timeLimitSeconds }));
    const { user, system } = process.cpuUsage(cpuStarted);
    const wall = (performance.now() - started) / 1000;
    rows.push(row(`end, ${result.status}, wall`, wall), row("end, CPU", (user + system) / 1e6));
    notes["certified gap"] = result.gap;
    notes.objective = result.objective.total;
    notes["lower bound"] = result.lowerBound;
    notes.resumed = String(result.resumed);
    notes["rounds, steps"] = `${result.rounds}, ${result.steps}`;
    notes["peak memory, MiB"] = peak;
    const title = `random ReLU features ${samples} x ${width}, ${gates.count} gates, 10 classes, l2 radius 0.05, beta 1e-3, two threads (seconds)`;
    context.report({ title, unit: unit.seconds, rows, notes });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
