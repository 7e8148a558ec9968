// The ReLU program with robust cones on UCI tables: CPU seconds to a certified gap of 1e-4 with the violation of the returned pieces. The suite
// relu-cones has 100 gates at all radii, 300 at three and 1,000 from radius 0.1 on; relu-cones-large 1,000 gates at radius 0 (minutes a table).

import { createRng } from "@worstcase/core";
import { fitRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

const within = 1e-4;

type Tables = readonly { readonly count: number; readonly radii: readonly number[] }[];

const suite = (name: string, summary: string, tables: Tables): Suite => ({
  name,
  summary,
  async run(context) {
    if (context.quick) return gaps(context, "Breast Cancer", 30, [0, 0.1, 1]);
    for (const { count, radii } of tables) for (const set of uciNames) await gaps(context, set, count, radii);
  },
});

export const reluCones = suite("relu-cones", "ReLU programs with robust cones: CPU seconds to a certified gap", [
  { count: 100, radii: [0, 0.001, 0.01, 0.1, 0.25, 0.5, 1] },
  { count: 300, radii: [0, 0.1, 1] },
  { count: 1000, radii: [0.1, 1] },
]);

export const reluConesLarge = suite("relu-cones-large", "the same with 1,000 gates and no perturbation", [
  { count: 1000, radii: [0] },
]);

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
