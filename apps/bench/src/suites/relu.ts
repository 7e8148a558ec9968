// Gated ReLU programs on UCI tables: CPU seconds to a certified gap of 1e-4 for many gates and radii; CPU seconds against
// pilancilab/scnn at equal objective (both in this run); seconds of one proximal step against samples and gates.

import { createRng, type NumericBatch } from "@worstcase/core";
import { type FitGatedReluOptions, fitGatedRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { runScnn, scnnMissing } from "./relu/scnnPeer.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

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

/** Proximal steps on three generated classes of 64 features. */
async function steps(context: SuiteContext): Promise<void> {
  const sizes: [number, number][] = context.quick
    ? [[500, 20]]
    : [
        [2500, 100],
        [5000, 100],
        [10000, 100],
        [2500, 200],
        [2500, 400],
      ]; // prettier-ignore
  const rows: Row[] = [];
  for (const [samples, count] of sizes) {
    const { features, labels } = generated(samples);
    const gates = sampleGates(features, { count, rng: createRng(3) });
    const options: FitGatedReluOptions = {
      norm: "l2",
      radius: 0.1,
      beta: 1e-3,
      gates,
      tolerance: 1e-9,
      method: "first-order",
    };
    const marks: [number, number][] = [];
    const cpu = () => process.cpuUsage().user / 1e6;
    const onEvent = ({ iteration }: { iteration: number }) => marks.push([iteration, cpu()]);
    await fitGatedRelu(features, labels, 3, { ...options, maximumIterations: 30, onEvent });
    const [first, last] = [marks[0], marks[marks.length - 1]];
    rows.push(row(`${samples} samples, ${count} gates`, (last[1] - first[1]) / (last[0] - first[0]), rows[0]?.median));
  }
  const title = "one proximal step, generated, 64 features, 3 classes, l2 ball (CPU seconds)";
  context.report({ title, unit: unit.milliseconds, rows });
}

function generated(samples: number): { features: NumericBatch; labels: Int32Array } {
  const rng = createRng(5);
  const labels = Int32Array.from({ length: samples }, (_, i) => i % 3);
  const data = new Float64Array(samples * 64);
  for (let i = 0; i < samples; i++) {
    for (let k = 0; k < 64; k++) data[i * 64 + k] = (rng.normal() + (k === labels[i] ? 2 : 0)) / 8;
  }
  return { features: { data, shape: [samples, 64] }, labels };
}
