// The files a finished run leaves: evaluation.json (everything), metrics.json (the numbers that a resumed run must repeat), the heads.

import { saveHead } from "@worstcase/head";
import { fileName, type RunFolder } from "../run/runFolder.js";
import type { Evaluation } from "./evaluation.js";
import type { ChosenHead } from "./trainHeads.js";

export async function writeResults(
  folder: RunFolder,
  evaluation: Evaluation,
  heads: readonly ChosenHead[],
): Promise<void> {
  for (const { head } of heads) await folder.writeBytes(`head-${fileName(head.name)}.safetensors`, saveHead(head));
  await folder.write("metrics.json", metricsOf(evaluation));
  await folder.write("evaluation.json", evaluation);
}

/** Every number of an evaluation that does not depend on time or machine load. */
function metricsOf({ epsilons, heads }: Evaluation): object {
  return {
    epsilons,
    heads: heads.map(({ name, clean, attacked, worst, featureSpace, training }) => ({
      name,
      clean: clean.value,
      attacked: Object.fromEntries(
        Object.entries(attacked).map(([attack, row]) => [attack, row.map((accuracy) => accuracy.value)]),
      ),
      worst: worst.map((accuracy) => accuracy.value),
      featureSpace: { kind: featureSpace.kind, radius: featureSpace.radius, accuracy: featureSpace.accuracy.value },
      ...(training && {
        training: {
          radius: training.radius,
          beta: training.beta,
          objective: training.objective,
          lowerBound: training.lowerBound,
          gap: training.gap,
          validation: training.validation,
        },
      }),
    })),
  };
}
