// Margins of an argmax, row by row, from a function that judges the difference of two scores: the least over the label's rivals.

import { gatherBatch, type NumericBatch } from "@worstcase/core";
import { type PolynomialModel, type Quadratic, subtractQuadratics } from "@worstcase/polynomial";
import type { MarginColumns } from "./certifyRows.js";

/** inputs `[rows, features]` in the model's units, labels: class indices. `judge` gets signs +1 for rows of the first class. */
export function pairColumns(
  { quadratics }: PolynomialModel,
  inputs: NumericBatch,
  labels: Int32Array,
  judge: (difference: Quadratic, batch: NumericBatch, signs: Float64Array) => MarginColumns,
): MarginColumns {
  const infinite = () => new Float64Array(labels.length).fill(Number.POSITIVE_INFINITY);
  const columns = { bounds: infinite(), exact: infinite(), attacked: infinite() };
  for (let first = 0; first < quadratics.length; first++) {
    for (let second = first + 1; second < quadratics.length; second++) {
      const places: number[] = [];
      labels.forEach((label, i) => {
        if (label === first || label === second) places.push(i);
      });
      if (places.length === 0) continue;
      const difference = subtractQuadratics(quadratics[first]!, quadratics[second]!);
      const signs = Float64Array.from(places, (i) => (labels[i] === first ? 1 : -1));
      const judged = judge(difference, gatherBatch(inputs, places), signs);
      for (const name of ["bounds", "exact", "attacked"] as const) {
        places.forEach((i, t) => {
          columns[name][i] = Math.min(columns[name][i]!, judged[name][t]!); // NaN stays NaN
        });
      }
    }
  }
  return columns;
}
