// The methods for ReLU programs beside each other, about 8 minutes: certified gaps and CPU seconds of the interior-point method, ADMM and the
// augmented Lagrangian method on a UCI table, and of what `auto` takes and ADMM on thousands of samples with thin cones: ResNet-20
// features of CIFAR-10, classes 0 to 4 against the rest.

import { createRng, type NumericBatch } from "@worstcase/core";
import { fitRelu, type ReluMethod, sampleGates } from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { uciTable } from "./relu/uciTables.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";
import { reluFeatures } from "./trainer/reluFeatures.js";

interface Run {
  readonly method: ReluMethod | "auto";
  readonly maximumIterations: number;
}

type Halves = { readonly features: NumericBatch; readonly labels: Int32Array };

export const reluMethods: Suite = {
  name: "relu-methods",
  summary: "ReLU programs: interior point, ADMM and augmented Lagrangian",
  async run(context) {
    const table = uciTable("Breast Cancer");
    if (!table) context.skip("Breast Cancer", "no uci folder; set WORSTCASE_DATA");
    const most = context.quick ? 200 : 500;
    const small: readonly Run[] = [
      { method: "interior-point", maximumIterations: 1000 },
      { method: "admm", maximumIterations: most },
      { method: "augmented-lagrangian", maximumIterations: most },
    ];
    for (const radius of [0, 0.01]) {
      if (table) await methods(context, "Breast Cancer", table, radius, context.quick ? 20 : 100, small);
    }
    if (context.quick) {
      await methods(
        context,
        "features like a backbone's",
        halves(reluFeatures(500, 64), 500),
        0,
        50,
        small.slice(0, 2),
      );
      return;
    }
    const cifar = await cifarFeatures();
    if (!cifar) context.skip("ResNet-20 features", "no images or weights; set WORSTCASE_DATA");
    const large: readonly Run[] = [
      { method: "auto", maximumIterations: 55 },
      { method: "admm", maximumIterations: 60 },
    ];
    const part = cifar && halves({ points: cifar.train, labels: cifar.trainLabels }, 5000);
    for (const radius of [0, 0.1]) if (part) await methods(context, "ResNet-20 features", part, radius, 50, large);
  },
};

/** The first rows, classes 0 to 4 against the rest. */
function halves({ points, labels }: { points: NumericBatch; labels: Int32Array }, samples: number): Halves {
  const width = points.shape[1];
  const features = { data: Float64Array.from(points.data.subarray(0, samples * width)), shape: [samples, width] };
  return { features, labels: labels.slice(0, samples).map((label) => (label < 5 ? 0 : 1)) };
}

async function methods(
  context: SuiteContext,
  name: string,
  { features, labels }: Halves,
  radius: number,
  count: number,
  runs: readonly Run[],
): Promise<void> {
  const gates = sampleGates(features, { count, rng: createRng(7) });
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  for (const { method, maximumIterations } of runs) {
    const options = { norm: "l2", radius, beta: 1e-3, gates, method, tolerance: 1e-2, maximumIterations } as const;
    const { seconds, result } = await timed(() => fitRelu(features, labels, 2, options));
    const title = method === "auto" ? `auto: ${result.method}` : method;
    rows.push(row(`${title}, ${result.status}`, seconds, rows[0]?.median));
    notes[`${method}: objective, gap`] = `${result.objective.total.toPrecision(5)}, ${result.gap.toExponential(1)}`;
    notes[`${method}: violation`] = result.constraintViolation.maximum;
    notes[`${method}: iterations, open cones`] = `${result.iterations}, ${result.cones.open}`;
  }
  const size = features.shape.join(" x ");
  const title = `${name}, ${size}, ${gates.count} gates, hinge, radius ${radius}, wanted gap 1e-2 (CPU seconds)`;
  context.report({ title, unit: unit.seconds, rows, notes });
}
