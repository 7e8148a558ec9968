// Gated and ReLU programs without perturbations against pilancilab/scnn (R-FISTA, augmented Lagrangian; Clarabel beside it) on the same gates at equal objective,
// both in this run: CPU seconds, objectives, and violations of the cones (about 5 minutes; --limit is the peer's share of each ReLU table).

import { createRng } from "@worstcase/core";
import { fitGatedRelu, fitRelu, type ReluResult, sampleGates } from "@worstcase/relu";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { clarabelMissing, runClarabelRelu } from "./relu/clarabelReluPeer.js";
import { row, timed } from "./relu/measure.js";
import { runScnn, scnnMissing } from "./relu/scnnPeer.js";
import { runScnnRelu } from "./relu/scnnReluPeer.js";
import { type UciName, uciTable } from "./relu/uciTables.js";

const gatedSets: readonly UciName[] = ["Ionosphere", "Sonar", "wdbc"];
const coneSets: readonly UciName[] = ["Sonar", "Breast Cancer", "Ionosphere"];
const CONE_BETA = 1e-2;
const within = 1e-4;

export const reluScnn: Suite = {
  name: "relu-scnn",
  summary: "gated and ReLU programs without perturbations, against scnn",
  async run(context) {
    const missing = scnnMissing();
    if (missing) {
      context.skip("scnn", missing);
      return;
    }
    for (const name of context.quick ? coneSets.slice(0, 1) : coneSets) await againstCones(context, name);
    for (const name of context.quick ? gatedSets.slice(0, 1) : gatedSets) await againstGated(context, name);
  },
};

async function againstCones(context: SuiteContext, name: UciName): Promise<void> {
  const table = uciTable(name);
  if (!table) return;
  const { features, labels } = table;
  const [n, d] = features.shape as [number, number];
  const gates = sampleGates(features, { count: context.quick ? 30 : 100, rng: createRng(11) });
  const beta = CONE_BETA;
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
  const missing = clarabelMissing();
  if (missing) context.skip(`Clarabel on ${name}`, missing);
  const second = missing ? null : runClarabelRelu({ x, y, gates: vectors, beta, secondsLimit: context.limitSeconds });
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
      ...(second ? [row(`Clarabel, ${second.status}`, second.seconds, peer.seconds)] : []),
      row("fitRelu", seconds, peer.seconds),
    ],
    notes: {
      objective: target,
      "certified gap": result.gap,
      violation: result.constraintViolation.maximum,
      ...(second && { "Clarabel objective, relative to ours": second.objective / target - 1 }),
      "scnn objective, relative to ours": peer.objective === null ? "no run finished" : peer.objective / target - 1,
      "scnn violation, relative": peer.violation ?? "no run finished",
      "scnn tolerance": peer.tolerance ?? "no run finished",
    },
  });
}

async function againstGated(context: SuiteContext, name: UciName): Promise<void> {
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
