// The ReLU program with robust cones on UCI tables: CPU seconds to a certified gap of 1e-4 for many gates and radii, with the violation of the
// returned pieces; the penalty trainer run ten times longer; CPU seconds against the augmented Lagrangian method of pilancilab/scnn at equal
// objective (both in this run). Networks are judged as what they are, ReLU networks whose units switch: the true robust objective is
//   1/n sum max(0, 1 - worst margin) + beta R,   worst margins certified from below and attacked from above (an interval where they differ),
// beside accuracies on the training rows: clean, certified and under PGD. 1,000 gates at radii below 0.1 take minutes: with --limit above 60.

import { evaluateAttack, pgd } from "@worstcase/attacks";
import { createRng, type NumericBatch } from "@worstcase/core";
import {
  createReluNetworkClassifier,
  fitRelu,
  fitReluByPenalty,
  type Objective,
  type ReluNetwork,
  type ReluResult,
  sampleGates,
  worstMargins,
} from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { scnnMissing } from "./relu/scnnPeer.js";
import { runScnnRelu } from "./relu/scnnReluPeer.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

const radii = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 1];
const within = 1e-4;
/** Convex problems for each sample whose worst margin is sought. */
const nodes = 40;

export const reluCones: Suite = {
  name: "relu-cones",
  summary: "ReLU programs with robust cones: certified gaps, the penalty trainer, scnn",
  async run(context) {
    const names = context.quick ? uciNames.slice(0, 1) : uciNames;
    for (const name of names) {
      for (const count of context.quick ? [30] : [100, 300, 1000]) {
        const slow = count > 100 && context.limitSeconds <= 60;
        await gaps(context, name, count, slow ? radii.filter((radius) => radius >= 0.1) : radii);
      }
    }
    for (const name of names) for (const radius of [0.01, 0.1]) await againstPenalty(context, name, radius);
    const missing = scnnMissing();
    if (missing) context.skip("scnn", missing);
    else for (const name of ["Ionosphere", "Sonar", "wdbc"] as const) await againstScnn(context, name);
  },
};

async function gaps(context: SuiteContext, name: UciName, count: number, radii: readonly number[]): Promise<void> {
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
  const judge = (label: string, network: ReluNetwork, objective: Objective) =>
    judged(label, network, objective, features, labels, radius);
  const notes: Record<string, number | string> = {
    ...(await judge("fitRelu", result.network, result.objective)),
    "fitRelu: certified gap": result.gap.toExponential(1),
    ...(await judge("penalty, repaired", peer.result.repaired.network, peer.result.repaired.objective)),
    ...(await judge("penalty, raw", peer.result.network, peer.result.objective)),
    "penalty: largest violation": peer.result.constraintViolation.maximum,
    "penalty: epochs": epochs,
  };
  const title = `${name}, ${gates.count} gates, hinge, l2 radius ${radius}: against the penalty trainer (CPU seconds)`;
  const rows = [row("penalty trainer", peer.seconds), row("fitRelu", seconds, peer.seconds)];
  context.report({ title, unit: unit.seconds, rows, notes });
}

async function judged(
  label: string,
  network: ReluNetwork,
  { total, regulariser }: Objective,
  features: NumericBatch,
  labels: Int32Array,
  radius: number,
): Promise<Record<string, number | string>> {
  const program = { [`${label}: objective of the program`]: total };
  if (network.neurons === 0) return { ...program, [`${label}: accuracy`]: "zero network" };
  const model = createReluNetworkClassifier(network);
  const budget = { norm: "l2", epsilon: radius } as const;
  const batch = { inputs: features, labels, indices: Int32Array.from(labels, (_, i) => i) };
  const attacked = await evaluateAttack(model, batch, pgd(), { budget, rng: createRng(3) });
  const worst = await worstMargins(network, features, labels, { norm: "l2", radius, maximumNodes: nodes });
  const mean = (values: ArrayLike<number>, of: (value: number) => number) =>
    Array.from(values, of).reduce((sum, value) => sum + value, 0) / values.length;
  const hinge = (margin: number) => Math.max(0, 1 - margin);
  const positive = (margin: number) => (margin > 0 ? 1 : 0);
  const low = mean(worst.upper, hinge) + regulariser;
  const high = mean(worst.lower, hinge) + regulariser;
  return {
    ...program,
    [`${label}: true robust objective`]: `${low.toPrecision(5)} to ${high.toPrecision(5)}`,
    [`${label}: accuracy`]: mean(attacked.correct, Number),
    [`${label}: accuracy under PGD`]: 1 - mean(attacked.fooled, Number),
    [`${label}: certified accuracy`]: mean(worst.lower, positive),
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
