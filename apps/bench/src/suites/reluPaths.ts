// Paths of radii and weights of the regulariser: CPU seconds of every point started from the one before, against a fit from zero in the same run.

import { createRng } from "@worstcase/core";
import {
  fitGatedLarge,
  fitGatedLargePath,
  fitGatedPath,
  fitGatedRelu,
  fitRelu,
  fitReluPath,
  rowsInMemory,
  sampleGates,
} from "@worstcase/relu";
import type { Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { row, timed } from "./relu/measure.js";
import { type UciName, uciTable } from "./relu/uciTables.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";

interface Point {
  readonly radius: number;
  readonly beta: number;
}

/** What a point of any trainer ends with. */
interface Outcome {
  readonly status: string;
  readonly gap: number;
  readonly objective: { readonly total: number };
}

interface Trainer {
  readonly single: (point: Point) => Promise<Outcome>;
  readonly path: (points: readonly Point[]) => Promise<readonly { readonly result: Outcome }[]>;
}

const overRadii = (radii: readonly number[], beta = 1e-3): Point[] => radii.map((radius) => ({ radius, beta }));
const overBetas = (betas: readonly number[], radius: number): Point[] => betas.map((beta) => ({ radius, beta }));

const radii = overRadii([0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]);
const betas = [0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001];

export const reluPaths: Suite = {
  name: "relu-paths",
  summary: "paths of radii and betas: CPU seconds with each point started from the one before, and from zero",
  async run(context) {
    for (const name of context.quick ? (["Breast Cancer"] as const) : (["Sonar", "wdbc"] as const)) {
      await table(context, name);
    }
    await cifar(context);
  },
};

async function table(context: SuiteContext, name: UciName): Promise<void> {
  const found = uciTable(name);
  if (!found) return context.skip(name, "no uci folder; set WORSTCASE_DATA");
  const { features, labels } = found;
  const gates = sampleGates(features, { count: context.quick ? 20 : 100, rng: createRng(7) });
  const answers = { labels, classCount: 2 };
  const common = { norm: "l2", gates, tolerance: 1e-4 } as const;
  const relu: Trainer = {
    single: (point) => fitRelu(features, labels, 2, { ...common, ...point }),
    path: (points) => fitReluPath(features, answers, points, common),
  };
  const gated: Trainer = {
    single: (point) => fitGatedRelu(features, labels, 2, { ...common, ...point }),
    path: (points) => fitGatedPath(features, answers, points, common),
  };
  const size = `${name}, ${features.shape.join(" x ")}, ${gates.count} gates`;
  for (const [trainer, run] of [
    ["fitRelu", relu],
    ["fitGatedRelu", gated],
  ] as const) {
    await compare(context, `${trainer}, ${size}, radii`, run, radii);
    await compare(context, `${trainer}, ${size}, betas, radius 0.01`, run, overBetas(betas, 0.01));
  }
}

async function cifar(context: SuiteContext): Promise<void> {
  const found = context.quick ? null : await cifarFeatures();
  if (!found) {
    const reason = context.quick ? "not in a quick run" : "no images or weights; set WORSTCASE_DATA";
    return context.skip("ResNet-20 features", reason);
  }
  const { train, trainLabels } = found;
  const rows = rowsInMemory(train);
  const gates = sampleGates(train, { count: 200, rng: createRng(1) });
  const common = { norm: "l2", gates, tolerance: 2e-2 } as const;
  const large: Trainer = {
    single: (point) => fitGatedLarge(rows, trainLabels, 10, { ...common, ...point }),
    path: (points) => fitGatedLargePath(rows, trainLabels, 10, points, common),
  };
  const size = `ResNet-20 features, ${train.shape.join(" x ")}, 10 classes, ${gates.count} gates`;
  await compare(context, `fitGatedLarge, ${size}, radii`, large, overRadii([0, 0.02, 0.05, 0.1, 0.15, 0.2]));
  await compare(
    context,
    `fitGatedLarge, ${size}, betas, radius 0.1`,
    large,
    overBetas([0.01, 0.005, 0.003, 0.002, 0.001], 0.1),
  );
}

async function compare(
  context: SuiteContext,
  title: string,
  { single, path }: Trainer,
  points: readonly Point[],
): Promise<void> {
  const rows: Row[] = [];
  const notes: Record<string, number | string> = {};
  let sum = 0;
  for (const point of points) {
    const { seconds, result } = await timed(() => single(point));
    sum += seconds;
    note(`from zero, ${label(point)}`, seconds, result);
  }
  rows.push(row("every point from zero", sum));
  const { seconds, result } = await timed(() => path(points));
  rows.push(row("path", seconds, sum));
  points.forEach((point, k) => {
    note(`path, ${label(point)}`, 0, result[k].result);
  });
  context.report({ title: `${title} (CPU seconds)`, unit: unit.seconds, rows, notes });

  function note(name: string, cpu: number, { status, gap, objective }: Outcome): void {
    notes[name] =
      `${cpu ? `${cpu.toPrecision(3)} s, ` : ""}${status}, ${objective.total.toPrecision(7)}, gap ${gap.toExponential(1)}`;
  }
}

const label = ({ radius, beta }: Point) => `radius ${radius}, beta ${beta}`;
