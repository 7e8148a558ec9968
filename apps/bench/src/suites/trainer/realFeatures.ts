// One class against the rest on features of CIFAR-10 (pilot.md 2): CPU seconds a class, mean and largest, and certified gaps.

import { fitOneVersusAll, type Quadratic } from "@worstcase/polynomial";
import { type SuiteContext, unit } from "../../harness/suite.js";
import type { CifarFeatures } from "./cifarFeatures.js";
import { measure, row, worstGap } from "./timed.js";

export interface RealSetting {
  readonly radius: number;
  readonly beta: number;
}

/** The ten scores of every setting. */
export async function measureRealFeatures(
  context: SuiteContext,
  { title, train, trainLabels }: CifarFeatures,
  all: readonly RealSetting[],
): Promise<{ name: string; scores: Quadratic[] }[]> {
  const settings = context.quick ? all.slice(0, 1) : all;
  const classes = context.quick ? [0] : Array.from({ length: 10 }, (_, c) => c);
  const rows = [];
  const notes: Record<string, number> = {};
  const found: { name: string; scores: Quadratic[] }[] = [];
  for (const { radius, beta } of settings) {
    const name = `radius ${radius}, beta ${beta}`;
    const seconds: number[] = [];
    const scores: Quadratic[] = [];
    let gap = 0;
    let objective = 0;
    for (const c of classes) {
      const { result, cpu } = await measure(() =>
        fitOneVersusAll(train, trainLabels, 10, {
          ...{ radius, beta, tolerance: 1e-2, method: "factored", timeLimitSeconds: 30 },
          onlyClasses: [c],
        }),
      );
      seconds.push(cpu);
      scores.push(result.quadratics[0]);
      gap = Math.max(gap, worstGap(result));
      objective += result.objective / classes.length;
    }
    rows.push(row(`${name}, mean of classes`, seconds.reduce((sum, value) => sum + value, 0) / seconds.length));
    rows.push(row(`${name}, slowest class`, Math.max(...seconds)));
    notes[`${name}: largest gap`] = gap;
    notes[`${name}: mean objective`] = objective;
    found.push({ name, scores });
  }
  const size = train.shape.join(" x ");
  const heading = `CIFAR-10 through ${title}, ${size}, one against the rest, gap 1e-2, 30 s limit: CPU seconds a class`;
  context.report({ title: heading, unit: unit.seconds, rows, notes });
  return found;
}
