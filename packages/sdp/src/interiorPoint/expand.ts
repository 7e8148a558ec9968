// From the reduced problem back to the caller's: points and rays with every block in its original place.

import { type BlockMatrix, blockZeros, type SdpProblem } from "../problem.js";
import type { Point } from "../result.js";
import type { ReducedProblem } from "./reducedProblem.js";

/** A point of the reduced problem; `slackRows`, `dualRows` are the order-one parts. */
export interface ReducedPoint {
  readonly x: Float64Array;
  readonly slack: readonly Float64Array[];
  readonly slackRows: Float64Array;
  readonly dual: readonly Float64Array[];
  readonly dualRows: Float64Array;
  readonly multipliers: Float64Array;
}

export function expandPoint(problem: SdpProblem, reduced: ReducedProblem, point: ReducedPoint): Point {
  const slack = constantSlack(problem);
  place(problem, reduced, point.slack, point.slackRows, slack);
  for (const { row, opposite } of reduced.pairs) {
    setEntry(problem, slack, row, 0);
    setEntry(problem, slack, opposite, 0);
  }
  const { dual, multipliers } = expandDual(problem, reduced, point.dual, point.dualRows, point.multipliers);
  return { x: expandVariables(problem, reduced, point.x), slack, dual, multipliers };
}

export function expandVariables(problem: SdpProblem, { kept }: ReducedProblem, x: Float64Array): Float64Array {
  const full = new Float64Array(problem.objective.length);
  kept.forEach((k, i) => {
    full[k] = x[i];
  });
  return full;
}

export function expandDual(
  problem: SdpProblem,
  reduced: ReducedProblem,
  psd: readonly Float64Array[],
  rows: Float64Array,
  multipliers: Float64Array,
): { dual: BlockMatrix; multipliers: Float64Array } {
  const dual = blockZeros(problem.blocks);
  place(problem, reduced, psd, rows, dual);
  reduced.pairs.forEach(({ row, opposite, ratio }, p) => {
    const multiplier = multipliers[reduced.callerEqualities + p];
    setEntry(problem, dual, row, Math.max(0, multiplier));
    setEntry(problem, dual, opposite, Math.max(0, -multiplier) / ratio);
  });
  return { dual, multipliers: multipliers.slice(0, reduced.callerEqualities) };
}

function place(
  problem: SdpProblem,
  reduced: ReducedProblem,
  psd: readonly Float64Array[],
  rows: Float64Array,
  into: readonly Float64Array[],
): void {
  reduced.psd.forEach(({ order, block, index }, j) => {
    const { size } = problem.blocks[block];
    const [from, to] = [psd[j], into[block]];
    for (let p = 0; p < order; p++) {
      for (let q = 0; q < order; q++) to[index[p] * size + index[q]] = from[p * order + q];
    }
  });
  reduced.rowOrigins.forEach((origin, i) => {
    setEntry(problem, into, origin, rows[i]);
  });
}

function setEntry(
  problem: SdpProblem,
  into: readonly Float64Array[],
  { block, index }: { readonly block: number; readonly index: number },
  value: number,
): void {
  const { kind, size } = problem.blocks[block];
  into[block][kind === "psd" ? index * size + index : index] = value;
}

/** -F_0: the slack where no variable occurs; the rest is overwritten. */
function constantSlack({ blocks }: SdpProblem): Float64Array[] {
  const slack = blockZeros(blocks);
  blocks.forEach(({ kind, size, entries, rankOne = [] }, b) => {
    const { matrix, row, column, value } = entries;
    for (let e = 0; e < value.length; e++) {
      if (matrix[e] !== 0) continue;
      if (kind === "nonnegative") slack[b][row[e]] -= value[e];
      else {
        slack[b][row[e] * size + column[e]] -= value[e];
        if (row[e] !== column[e]) slack[b][column[e] * size + row[e]] -= value[e];
      }
    }
    for (const term of rankOne) {
      if (term.matrix !== 0) continue;
      for (let i = 0; i < size; i++) {
        const left = term.weight * term.vector[i];
        if (left !== 0) for (let j = 0; j < size; j++) slack[b][i * size + j] -= left * term.vector[j];
      }
    }
  });
  return slack;
}
