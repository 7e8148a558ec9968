// The ReLU program with robust cones on UCI tables: CPU seconds to a certified gap of 1e-4 for many gates and radii, with the violation of the
// returned pieces; the penalty trainer run ten times longer (againstPenalty.ts); CPU seconds against the augmented Lagrangian method of
// pilancilab/scnn at equal objective (both in this run). 300 and 1,000 gates at radii below 0.25 take minutes: with --limit
// above 60 (up to an hour and a half).

import { createRng } from "@worstcase/core";
import { fitRelu, type ReluResult, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { againstPenalty } from "./relu/againstPenalty.js";
import { row, timed } from "./relu/measure.js";
import { scnnMissing } from "./relu/scnnPeer.js";
import { runScnnRelu } from "./relu/scnnReluPeer.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

const radii = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 1];
const penaltyRadii = [0.01, 0.1];
const scnnSets: readonly UciName[] = ["Sonar", "Breast Cancer", "Ionosphere"];
const within = 1e-4;

export const reluCones: Suite = {
  name: "relu-cones",
  summary: "ReLU programs with robust cones: certified gaps, the penalty trainer, scnn",
  async run(context) {
    const names = context.quick ? uciNames.slice(0, 1) : uciNames;
    const full = context.limitSeconds > 60;
    for (const name of names) for (const radius of penaltyRadii) await againstPenalty(context, name, radius);
    const missing = scnnMissing();
    if (missing) context.skip("scnn", missing);
    else for (const name of context.quick ? names : full ? uciNames : scnnSets) await againstScnn(context, name);
    for (const count of context.quick ? [30] : [100, 300, 1000]) {
      const slow = count > 100 && !full;
      for (const name of names)
        await gaps(context, name, count, slow ? radii.filter((radius) => radius >= 0.25) : radii);
    }
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
  const peer = runScnnRelu({
    x,
    y,
    gates: vectors,
    beta,
    target,
    within,
    secondsLimit: context.quick ? 5 : context.limitSeconds,
  });
  context.report({
    title: `${name}, ${n} x ${d}, ${gates.count} gates, ReLU, squared loss, not robust, beta ${beta} (CPU seconds)`,
    unit: unit.seconds,
    rows: [
      row(`scnn augmented Lagrangian, float64${peer.finished ? "" : ", limit reached"}`, peer.seconds),
      row("fitRelu", seconds, peer.seconds),
    ],
    notes: {
      objective: target,
      "certified gap": result.gap,
      violation: result.constraintViolation.maximum,
      "scnn objective, relative to ours": peer.objective === null ? "no run finished" : peer.objective / target - 1,
      "scnn violation, relative": peer.violation ?? "no run finished",
      "scnn tolerance": peer.tolerance ?? "no run finished",
    },
  });
}
