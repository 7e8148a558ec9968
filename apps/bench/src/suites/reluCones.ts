// The ReLU program with robust cones on UCI tables: CPU seconds to a certified gap of 1e-4 for many gates and radii, with the violation of the
// returned pieces; the penalty trainer run ten times longer, with its verified objective and accuracy under PGD in feature space; CPU seconds
// against the augmented Lagrangian method of pilancilab/scnn at equal objective (both in this run).

import { evaluateAttack, pgd } from "@worstcase/attacks";
import { createRng, type NumericBatch } from "@worstcase/core";
import {
  createReluNetworkClassifier,
  fitRelu,
  fitReluByPenalty,
  type ReluNetwork,
  type ReluResult,
  sampleGates,
} from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { scnnMissing } from "./relu/scnnPeer.js";
import { runScnnRelu } from "./relu/scnnReluPeer.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

const radii = [0, 0.001, 0.01, 0.1, 0.5, 1];
const within = 1e-4;

export const reluCones: Suite = {
  name: "relu-cones",
  summary: "ReLU programs with robust cones: certified gaps, the penalty trainer, scnn",
  async run(context) {
    const names = context.quick ? uciNames.slice(0, 1) : uciNames;
    for (const name of names) {
      for (const count of context.quick ? [30] : [100, 1000]) await gaps(context, name, count);
    }
    for (const name of names) for (const radius of [0.01, 0.1]) await againstPenalty(context, name, radius);
    const missing = scnnMissing();
    if (missing) context.skip("scnn", missing);
    else for (const name of ["Ionosphere", "Sonar", "wdbc"] as const) await againstScnn(context, name);
  },
};

async function gaps(context: SuiteContext, name: UciName, count: number): Promise<void> {
  const table = uciTable(name);
  if (!table) {
    context.skip(name, "no uci folder; set WORSTCASE_DATA");
    return;
  }
  const { features, labels } = table;
  const gates = sampleGates(features, { count, rng: createRng(7) });
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  for (const radius of radii) {
    const options = { norm: "l2", radius, beta: 1e-3, gates, tolerance: within } as const;
    const { seconds, result } = await timed(() => fitRelu(features, labels, 2, options));
    rows.push(row(`radius ${radius}, ${result.status}`, seconds, rows[0]?.median));
    notes[`objective at ${radius}`] = result.objective.total;
    notes[`gap at ${radius}`] = result.gap.toExponential(1);
    notes[`violation at ${radius}`] = result.constraintViolation.maximum;
    notes[`open cones, neurons at ${radius}`] = `${result.cones.open}, ${result.network.neurons}`;
  }
  const title = `${name}, ${features.shape.join(" x ")}, ${gates.count} gates, hinge, l2 ball, beta 1e-3, gap 1e-4 (CPU seconds)`;
  context.report({ title, unit: unit.seconds, rows, notes });
}

async function againstPenalty(context: SuiteContext, name: UciName, radius: number): Promise<void> {
  const table = uciTable(name);
  if (!table) return;
  const { features, labels } = table;
  const gates = sampleGates(features, { count: context.quick ? 30 : 100, rng: createRng(7) });
  const options = { norm: "l2", radius, beta: 1e-3, gates } as const;
  const { seconds, result } = await timed(() => fitRelu(features, labels, 2, { ...options, tolerance: within }));
  const run = (epochs: number) =>
    timed(() => fitReluByPenalty(features, labels, 2, { ...options, rng: createRng(1), epochs }));
  const perEpoch = ((await run(22)).seconds - (await run(2)).seconds) / 20;
  const epochs = Math.max(100, Math.ceil((10 * seconds) / Math.max(perEpoch, 1e-4)));
  const peer = await run(epochs);
  const notes: Record<string, number | string> = {
    ...(await judged("fitRelu", result.network, result.objective.total, features, labels, radius)),
    "fitRelu gap": result.gap.toExponential(1),
    ...(await judged(
      "penalty, repaired",
      peer.result.repaired.network,
      peer.result.repaired.objective.total,
      features,
      labels,
      radius,
    )),
    ...(await judged("penalty, raw", peer.result.network, peer.result.objective.total, features, labels, radius)),
    "penalty violation, largest": peer.result.constraintViolation.maximum,
    "penalty epochs": epochs,
  };
  const title = `${name}, ${gates.count} gates, hinge, l2 radius ${radius}: against the penalty trainer (CPU seconds)`;
  const rows = [row("penalty trainer", peer.seconds), row("fitRelu", seconds, peer.seconds)];
  context.report({ title, unit: unit.seconds, rows, notes });
}

/** Objective, accuracy, and accuracy under PGD of the network itself (not of the convex model) in feature space. */
async function judged(
  label: string,
  network: ReluNetwork,
  objective: number,
  features: NumericBatch,
  labels: Int32Array,
  radius: number,
): Promise<Record<string, number | string>> {
  if (network.neurons === 0) return { [`${label}: objective`]: objective, [`${label}: accuracy`]: "zero network" };
  const model = createReluNetworkClassifier(network);
  const budget = { norm: "l2", epsilon: radius } as const;
  const batch = { inputs: features, labels, indices: Int32Array.from(labels, (_, i) => i) };
  const attacked = await evaluateAttack(model, batch, pgd(), { budget, rng: createRng(3) });
  const share = (values: Uint8Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
  return {
    [`${label}: objective`]: objective,
    [`${label}: accuracy`]: share(attacked.correct),
    [`${label}: accuracy under PGD`]: 1 - share(attacked.fooled),
  };
}

async function againstScnn(context: SuiteContext, name: UciName): Promise<void> {
  const table = uciTable(name);
  if (!table) return;
  const { features, labels } = table;
  const [n, d] = features.shape as [number, number];
  const gates = sampleGates(features, { count: context.quick ? 30 : 100, rng: createRng(11) });
  const beta = 1e-2;
  const options = { norm: "l2", radius: 0, beta, gates, loss: "squared", tolerance: within / 2 } as const;
  const { seconds, result }: { seconds: number; result: ReluResult } = await timed(() =>
    fitRelu(features, labels, 2, options),
  );
  const x = Array.from({ length: n }, (_, i) => [...features.data.subarray(i * d, (i + 1) * d), 1]);
  const vectors = Array.from({ length: gates.count }, (_, p) => [
    ...gates.gates.subarray(p * (d + 1), (p + 1) * (d + 1)),
  ]);
  const target = result.objective.total;
  const y = Array.from(labels, (l) => 2 * l - 1);
  const peer = runScnnRelu({ x, y, gates: vectors, beta, target, within, secondsLimit: context.quick ? 5 : 60 });
  context.report({
    title: `${name}, ${n} x ${d}, ${gates.count} gates, ReLU, squared loss, not robust, beta ${beta} (CPU seconds)`,
    unit: unit.seconds,
    rows: [row("scnn augmented Lagrangian, float64", peer.seconds), row("fitRelu", seconds, peer.seconds)],
    notes: {
      objective: target,
      "certified gap": result.gap,
      violation: result.constraintViolation.maximum,
      "scnn objective, relative to ours": peer.objective / target - 1,
      "scnn violation, relative": peer.violation,
      "scnn tolerance": peer.tolerance,
    },
  });
}
