// Gated ReLU programs on UCI tables: CPU seconds to a certified gap of 1e-4 for 100 to 1,000 gates and radii from 0 to 1 (about 7 minutes).

import { createRng } from "@worstcase/core";
import { fitGatedRelu, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { type UciName, uciNames, uciTable } from "./relu/uciTables.js";

const radii = [0, 0.1, 0.25, 0.5, 1];

export const reluGaps: Suite = {
  name: "relu-gaps",
  summary: "gated ReLU programs on UCI tables: CPU seconds to a certified gap",
  async run(context) {
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
