// The methods for ReLU programs beside each other: certified gaps and CPU seconds of the interior-point method, ADMM and the augmented Lagrangian
// method on a UCI table and on features like a backbone's with samples beyond what the first can hold.

import { createRng, type NumericBatch } from "@worstcase/core";
import { fitRelu, type ReluMethod, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { uciTable } from "./relu/uciTables.js";
import { reluFeatures } from "./trainer/reluFeatures.js";

export const reluMethods: Suite = {
  name: "relu-methods",
  summary: "ReLU programs: interior point, ADMM and augmented Lagrangian",
  async run(context) {
    const table = uciTable("Breast Cancer");
    if (!table) context.skip("Breast Cancer", "no uci folder; set WORSTCASE_DATA");
    for (const radius of [0, 0.01]) {
      if (table) await methods(context, "Breast Cancer", table, radius, context.quick ? 20 : 100, true);
    }
    for (const samples of context.quick ? [500] : [5000, 10_000]) {
      const { points, labels } = reluFeatures(samples, 64);
      const halves = { features: points, labels: labels.map((label) => (label < 5 ? 0 : 1)) };
      await methods(context, "features like a backbone's", halves, 0, 50, false);
    }
  },
};

async function methods(
  context: SuiteContext,
  name: string,
  { features, labels }: { features: NumericBatch; labels: Int32Array },
  radius: number,
  count: number,
  small: boolean,
): Promise<void> {
  const gates = sampleGates(features, { count, rng: createRng(7) });
  const runs: readonly (readonly [ReluMethod, number, number])[] = [
    ...(small ? [["interior-point", 1e-2, 1000] as const] : []),
    ["admm", 1e-2, small ? 1000 : 100],
    ["augmented-lagrangian", 1e-2, small ? 1000 : 300],
  ];
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  for (const [method, tolerance, maximumIterations] of runs) {
    const options = { norm: "l2", radius, beta: 1e-3, gates, method, tolerance, maximumIterations } as const;
    const { seconds, result } = await timed(() => fitRelu(features, labels, 2, options));
    rows.push(row(`${method}, ${result.status}`, seconds, rows[0]?.median));
    notes[`${method}: objective, gap`] = `${result.objective.total.toPrecision(5)}, ${result.gap.toExponential(1)}`;
    notes[`${method}: violation`] = result.constraintViolation.maximum;
    notes[`${method}: iterations`] = result.iterations;
  }
  const size = features.shape.join(" x ");
  const title = `${name}, ${size}, ${gates.count} gates, hinge, radius ${radius}, wanted gap 1e-2 (CPU seconds)`;
  context.report({ title, unit: unit.seconds, rows, notes });
}
