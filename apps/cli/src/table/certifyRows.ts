// Robustness of a model on labelled rows (math.md 6, 9, 10, 12). With scores f_c and label y, over every rival c of y:
//   worstMargin = min over ||D||_2 <= r of f_y - f_c      linfBound <= linfExact = min over ||D||_inf <= epsilon of f_y - f_c
// Two classes are the sign of f = f_1 - f_0. Everything here is in the model's units: points are standardised first.

import type { NumericBatch } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import {
  type FeatureRange,
  linfLowerBounds,
  linfWorstCase,
  type MoveOptions,
  type PolynomialModel,
  preparePairwise,
  standardise,
} from "@worstcase/polynomial";
import { pairColumns } from "./pairColumns.js";
import { rangeColumns } from "./ranges.js";

/** Parts of ball and ranges that branch and bound takes at most: one costs about a millisecond. */
const mostParts = 1000;

export interface CertifyOptions {
  readonly radius: number;
  /** null leaves the l-infinity columns null. */
  readonly epsilonInf: number | null;
  /** Branching up to this many features, and this many boxes for a row and pair of classes; the first box for any number of features. */
  readonly exactFeatures: number;
  readonly maxNodes: number;
  readonly kernels: Kernels;
  /** What may change: immutable features hold for all columns, an ellipsoid for those of l2. */
  readonly moves: MoveOptions;
  /** Valid values in the model's units; null leaves the range columns null. */
  readonly range: Exclude<FeatureRange, "unbounded"> | null;
}

export interface CertifiedRow {
  /** Position in the table, from 0. */
  readonly row: number;
  /** Class indices. */
  readonly label: number;
  readonly predicted: number;
  /** Two classes: f, positive for the second. Several: f_y - the largest other score. */
  readonly score: number;
  /** Rigorous lower bound of the worst margin of the label, exact up to rounding; robust when positive. */
  readonly worstMargin: number;
  /** l2 distance at which the prediction changes; null where it never does. */
  readonly boundaryDistance: number | null;
  readonly linfBound: number | null;
  readonly linfExact: number | null;
  /** Certified lower bound of the margin over the l2 ball cut with the valid ranges, and its minimum where that is known. */
  readonly rangeBound: number | null;
  readonly rangeExact: number | null;
}

export interface MarginColumns {
  /** Certified lower bounds of the worst margin, `[rows]`. */
  readonly bounds: Float64Array;
  /** Exact minima; NaN where branch and bound did not finish or was not run. `[rows]` */
  readonly exact: Float64Array;
  /** Margins that an attack attained, never below the true worst ones. `[rows]` */
  readonly attacked: Float64Array;
}

/** points `[rows, features]` as in the table, labels: class indices `[rows]`. Throws as the functions of the polynomial package. */
export function certifyRows(
  model: PolynomialModel,
  points: NumericBatch,
  labels: Int32Array,
  options: CertifyOptions,
): { rows: CertifiedRow[]; linf: MarginColumns | null; ranged: MarginColumns | null } {
  const { radius, epsilonInf, kernels, moves } = options;
  const [samples, classes] = [labels.length, model.classCount];
  const scores = model.decision(points);
  const predicted = model.predict(points);
  const inputs = standardise(points, model.standardisation);
  const oracle = preparePairwise(model.quadratics, { kernels, ...moves });
  const { worst } = oracle.margins(inputs, labels, radius);
  const distances = oracle.robustRadii(inputs, predicted);
  const linf = epsilonInf === null ? null : linfColumns(model, inputs, labels, epsilonInf, options);
  const held = moves.immutable && { immutable: moves.immutable };
  const most = options.exactFeatures;
  const ranged =
    options.range &&
    rangeColumns(model, inputs, labels, radius, {
      ...{ range: options.range, kernels, maxNodes: Math.min(options.maxNodes, mostParts), ...held },
      exact: model.features <= most ? "always" : "never",
    });
  const finite = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : null);
  const scoreOf = (i: number) => {
    const row = scores.subarray(i * classes, (i + 1) * classes);
    if (classes === 2) return row[1]! - row[0]!;
    return row[labels[i]!]! - row.reduce((best, f, c) => (c === labels[i] ? best : Math.max(best, f)), -Infinity);
  };
  const rows = Array.from({ length: samples }, (_, i) => ({
    row: i,
    label: labels[i]!,
    predicted: predicted[i]!,
    score: scoreOf(i),
    worstMargin: worst[i]!,
    boundaryDistance: finite(distances[i]),
    linfBound: finite(linf?.bounds[i]),
    linfExact: finite(linf?.exact[i]),
    rangeBound: finite(ranged?.bounds[i]),
    rangeExact: finite(ranged?.exact[i]),
  }));
  return { rows, linf, ranged };
}

function linfColumns(
  model: PolynomialModel,
  inputs: NumericBatch,
  labels: Int32Array,
  epsilon: number,
  { exactFeatures, maxNodes, kernels, moves, range }: CertifyOptions,
): MarginColumns {
  const shared = { kernels, ...(moves.immutable && { immutable: moves.immutable }), ...(range && { range }) };
  return pairColumns(model, inputs, labels, (difference, batch, signs) => {
    const { lowerBounds: bounds } = linfLowerBounds(difference, batch, signs, epsilon, shared);
    const limits = { maxNodes: model.features <= exactFeatures ? maxNodes : 1 };
    const minima = linfWorstCase(difference, batch, signs, epsilon, { ...shared, ...limits });
    const attacked = minima.values;
    const exact = attacked.map((value, t) => (minima.statuses[t] === "optimal" ? value : Number.NaN));
    return { bounds, exact, attacked };
  });
}
