// Gated ReLU programs on UCI tables: CPU seconds to a certified gap of 1e-4 for many gates and radii; CPU seconds against
// pilancilab/scnn at equal objective (both in this run); seconds of one proximal step against samples and gates.

import { createRng } from "@worstcase/core";
import { fitGatedRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { runScnn, scnnMissing } from "./relu/scnnPeer.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";
import { reluFeatures } from "./trainer/reluFeatures.js";

const radii = [0, 0.1, 0.25, 0.5, 1];
const compared: readonly UciName[] = ["Ionosphere", "Sonar", "wdbc"];
const within = 1e-4;

export const relu: Suite = {
  name: "relu",
  summary: "gated ReLU programs: CPU seconds to a certified gap, against scnn, and per step",
  async run(context) {
    const missing = scnnMissing();
    if (missing) context.skip("scnn", missing);
    else for (const name of context.quick ? compared.slice(0, 1) : compared) await against(context, name);
    await cifar(context);
    await steps(context);
    for (const name of context.quick ? uciNames.slice(0, 1) : uciNames) await gaps(context, name);
  },
};

async function gaps(context: SuiteContext, name: UciName): Promise<void> {
  const table = uciTable(name);
  if (!table) {
    context.skip(name, "no uci folder; set WORSTCASE_DATA");
    return;
  }
  const { features, labels } = table;
  for (const count of context.quick ? [100] : [100, 300, 1000]) {
    const gates = sampleGates(features, { count, rng: createRng(7) });
    const rows: Row[] = [];
    const notes: Record<string, number | string> = {};
    for (const radius of radii) {
      const options = { norm: "l2", radius, beta: 1e-3, gates, tolerance: 1e-4 } as const;
      const { seconds, result } = await timed(() => fitGatedRelu(features, labels, 2, options));
      rows.push(row(`radius ${radius}, ${result.status}`, seconds, rows[0]?.median));
      notes[`gap at ${radius}`] = result.gap.toExponential(1);
      notes[`objective at ${radius}`] = result.objective.total;
    }
    const title = `${name}, ${features.shape.join(" x ")}, ${gates.count} gates, hinge, l2 ball, beta 1e-3, gap 1e-4 (CPU seconds)`;
    context.report({ title, unit: unit.seconds, rows, notes });
  }
}

async function against(context: SuiteContext, name: UciName): Promise<void> {
  const table = uciTable(name);
  if (!table) return;
  const { features, labels } = table;
  const [n, d] = features.shape as [number, number];
  const count = context.quick ? 50 : 500;
  const gates = sampleGates(features, { count, rng: createRng(11) });
  for (const beta of context.quick ? [1e-3] : [1e-2, 1e-3]) {
    const options = { norm: "l2", radius: 0, beta, gates, loss: "squared", tolerance: within } as const;
    await fitGatedRelu(features, labels, 2, { ...options, tolerance: 0.5 }); // both warm up on an easy version
    const { seconds, result } = await timed(() => fitGatedRelu(features, labels, 2, options));
    const x = Array.from({ length: n }, (_, i) => [...features.data.subarray(i * d, (i + 1) * d), 1]);
    const vectors = Array.from({ length: gates.count }, (_, p) => [
      ...gates.gates.subarray(p * (d + 1), (p + 1) * (d + 1)),
    ]);
    const target = result.objective.total;
    const peer = runScnn({ x, y: Array.from(labels, (l) => 2 * l - 1), gates: vectors, beta, target, within });
    context.report({
      title: `${name}, ${n} x ${d}, ${gates.count} gates, squared loss, not robust, beta ${beta} (CPU seconds)`,
      unit: unit.seconds,
      rows: [row("scnn R-FISTA, float64", peer.seconds), row("fitGatedRelu", seconds, peer.seconds)],
      notes: {
        objective: result.objective.total,
        "certified gap": result.gap,
        "scnn objective, relative to ours": peer.objective / result.objective.total - 1,
        "scnn tolerance": peer.tolerance,
        "scnn iterations": peer.iterations,
      },
    });
  }
}

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
