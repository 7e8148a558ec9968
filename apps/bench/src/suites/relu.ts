// Gated ReLU programs by proximal steps: ten classes of ResNet-20 features with 500 gates; seconds of one step against samples and gates.

import { createRng } from "@worstcase/core";
import { fitGatedRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";
import { reluFeatures } from "./trainer/reluFeatures.js";

export const relu: Suite = {
  name: "relu",
  summary: "gated ReLU programs by proximal steps: CIFAR size, and cost per step",
  async run(context) {
    await cifar(context);
    await steps(context);
  },
};

/** Cost of a proximal step with ten classes against samples, gates and features; features like a backbone's. */
async function steps(context: SuiteContext): Promise<void> {
  const base = { samples: 5000, count: 100, width: 64 };
  const series: readonly [string, readonly Step[]][] = context.quick
    ? [["samples", [{ ...base, samples: 500, count: 20 }]]]
    : [
        ["samples", [2500, 5000, 10_000, 20_000, 40_000].map((samples) => ({ ...base, samples }))],
        ["gates", [50, 100, 250, 500, 1000].map((count) => ({ ...base, count }))],
        ["features", [64, 128, 256, 512].map((width) => ({ ...base, width, samples: 2500 }))],
      ];
  for (const [what, sizes] of series) {
    const rows: Row[] = [];
    const notes: Record<string, number | string> = {};
    for (const size of sizes) {
      const seconds = await secondsPerStep(size, 1);
      const label = `${size.samples} samples, ${size.count} gates, ${size.width} features`;
      rows.push(row(label, seconds, rows[0]?.median));
      notes[`ns per sample, gate and feature: ${label}`] = (1e9 * seconds) / (size.samples * size.count * size.width);
    }
    const title = `one proximal step against ${what}, 10 classes, l2 ball, all hinges evaluated at first (CPU seconds, one thread)`;
    context.report({ title, unit: unit.milliseconds, rows, notes });
  }
}

interface Step {
  readonly samples: number;
  readonly count: number;
  readonly width: number;
}

/** Mean CPU seconds of the steps from the first event to the last. */
async function secondsPerStep({ samples, count, width }: Step, threads: number): Promise<number> {
  const { points: features, labels } = reluFeatures(samples, width);
  const gates = sampleGates(features, { count, rng: createRng(3) });
  // The zero model, so that large sets do not start from a part of the samples either.
  const weights = new Float64Array(gates.count * 10 * (width + 1));
  const start = { kind: "gated-relu", gates, featureCount: width, classCount: 10, bias: true, weights } as const;
  const marks: [number, number][] = [];
  await fitGatedRelu(features, labels, 10, {
    ...{ norm: "l2", radius: 0.1, beta: 1e-3, gates, tolerance: 1e-9, method: "first-order" },
    ...{ maximumIterations: 20, threads, start },
    onEvent: ({ iteration }) => void marks.push([iteration, process.cpuUsage().user / 1e6]),
  });
  const [first, last] = [marks[0], marks[marks.length - 1]];
  return (last[1] - first[1]) / (last[0] - first[0]);
}

/** The bar of CIFAR size: a certified gap of 5e-2 with 500 gates and ten classes on real features, in two threads. */
async function cifar(context: SuiteContext): Promise<void> {
  const found = context.quick ? null : await cifarFeatures();
  if (!found) {
    context.skip(
      "ResNet-20 features",
      context.quick ? "not in a quick run" : "no images or weights; set WORSTCASE_DATA",
    );
    return;
  }
  const { train, trainLabels } = found;
  const gates = sampleGates(train, { count: 500, rng: createRng(1) });
  const started = performance.now();
  const { seconds, result } = await timed(() =>
    fitGatedRelu(train, trainLabels, 10, {
      ...{ norm: "l2", radius: 0.1, beta: 1e-3, gates, tolerance: 5e-2, method: "first-order", threads: 2 },
    }),
  );
  context.report({
    title: `ResNet-20 features of CIFAR-10, ${train.shape.join(" x ")}, 500 gates, 10 classes, radius 0.1, two threads (CPU seconds)`,
    unit: unit.seconds,
    rows: [row(`fitGatedRelu, ${result.status}`, seconds)],
    notes: {
      gap: result.gap,
      objective: result.objective.total,
      iterations: result.iterations,
      "wall seconds": (performance.now() - started) / 1000,
    },
  });
}
