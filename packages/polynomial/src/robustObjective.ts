// The robust objective of a given network, evaluated from the data alone (math.md 4):
//   sum_i kappa_i loss(1 - w_i) + beta sum_j |alpha_j|,  w_i = rigorous lower bound of the exact worst margin.
// Used to report every trained network, whatever trained it; an upper bound of the optimum.

import type { NumericBatch, Radius } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { everyRow, type RowSource } from "./factored/rowSource.js";
import type { SignLabels } from "./inputs.js";
import { lossShape, type MarginLoss } from "./marginLoss.js";
import { type MoveOptions, type MoveSet, moveSetOf } from "./moveSet.js";
import { checkQuadratic, type Quadratic } from "./quadratic.js";
import { prepareOver, type WorstCaseOracle } from "./worstCase/worstCase.js";

/** Rows at a time when they are read from a source. */
const chunk = 4096;

export interface ObjectiveParts {
  /** loss + regulariser; Infinity when a required margin is missed. */
  readonly total: number;
  /** Weighted sum of the losses at the exact worst margins. */
  readonly loss: number;
  readonly regulariser: number;
}

export interface ObjectiveVariant extends MoveOptions {
  /** Default `hinge`. */
  readonly loss?: MarginLoss;
  /** Nonzero marks samples whose worst margin must be at least 1 and that carry no loss, `[samples]`. */
  readonly required?: Uint8Array | null;
  /** What the adversary may do. @internal */
  readonly set?: MoveSet | null;
}

/** Throws on the same misuse as `worstCase`. hingeWeights: `[samples]`; the quadratic must carry its neurons. */
export function robustObjective(
  quadratic: Quadratic,
  points: NumericBatch | RowSource,
  labels: SignLabels,
  radius: number | Radius,
  hingeWeights: Float64Array,
  beta: number,
  kernels?: Kernels,
  { loss: name = "hinge", required = null, set = null, ...options }: ObjectiveVariant = {},
): ObjectiveParts {
  const shape = lossShape(name);
  checkQuadratic(quadratic);
  const moves = set ?? moveSetOf(options, quadratic.dimension);
  const oracle = prepareOver(quadratic, moves, kernels ?? chooseKernels());
  const values =
    "gather" in points
      ? streamedMargins(oracle, points, labels, radius)
      : oracle.solve(points, labels, radius, { points: false }).values;
  let loss = 0;
  for (let i = 0; i < values.length; i++) {
    if (required?.[i]) loss += values[i] >= 1 ? 0 : Number.POSITIVE_INFINITY;
    else loss += hingeWeights[i] * shape.value(1 - values[i]);
  }
  let mass = 0;
  for (const alpha of quadratic.neurons?.weights ?? []) mass += Math.abs(alpha);
  const regulariser = beta * mass;
  return { total: loss + regulariser, loss, regulariser };
}

function streamedMargins(oracle: WorstCaseOracle, rows: RowSource, labels: SignLabels, radius: number | Radius) {
  const { samples: n, dimension: d } = rows;
  const values = new Float64Array(n);
  const indices = everyRow(n);
  const memory = new Float64Array(Math.min(chunk, n) * d);
  const signs = Float64Array.from(labels);
  for (let from = 0; from < n; from += chunk) {
    const count = Math.min(chunk, n - from);
    rows.gather(indices, from, count, memory);
    const batch = { data: memory.subarray(0, count * d), shape: [count, d] };
    values.set(oracle.solve(batch, signs.subarray(from, from + count), radius, { points: false }).values, from);
  }
  return values;
}
