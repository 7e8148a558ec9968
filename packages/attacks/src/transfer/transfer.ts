// Transfer attack: adversarial points of another model, tried on this one (Papernot et al. 2016, arXiv 1605.07277). It needs no
// gradient of the attacked model, so masked gradients cannot weaken it.

import { type Classifier, DataError, type NumericBatch, sampleSize } from "@worstcase/core";
import type { Attack } from "../attack.js";
import { checkAttackRun } from "../checks.js";
import { pointsAt, type TransferExamples } from "./examples.js";

/**
 * The stored points of `examples` as an attack. Samples are found by their position in the data set. Its `run` throws DataError for
 * samples, norms or epsilons the examples do not cover.
 */
export function transfer(examples: TransferExamples): Attack<Classifier> {
  const rows = new Map<number, number>();
  for (const [row, index] of examples.indices.entries()) rows.set(index, row);
  const needs = { norms: [examples.norm], gradients: false };
  const name = `transfer from ${examples.source}`;
  return {
    name,
    kind: "gradient-free",
    needs,
    settings: { source: examples.source, madeBy: examples.madeBy },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name, needs }, options);
      const { inputs, indices } = batch;
      const stored = pointsAt(examples, options.budget.norm, options.budget.epsilon);
      const size = sampleSize(inputs);
      const data = inputs.data.slice();
      for (let i = 0; i < indices.length; i++) {
        const row = rows.get(indices[i]);
        if (row === undefined || sampleSize(stored) !== size) {
          const expected = `a sample of the transfer examples of ${examples.source}`;
          throw new DataError({ argument: `batch.indices[${i}]`, expected, received: indices[i] });
        }
        data.set(stored.data.subarray(row * size, (row + 1) * size), i * size);
      }
      return { data, shape: inputs.shape };
    },
  };
}
