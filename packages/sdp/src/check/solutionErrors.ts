// The six DIMACS errors of a point; formulas and norms are those of `SolutionCheck`.

import type { Block, SdpProblem } from "../problem.js";
import type { Point, SolutionCheck } from "../result.js";
import {
  addCombination,
  addEqualityMultiples,
  addInnerProducts,
  blockLength,
  dot,
  equalityValues,
  largestEntry,
} from "./evaluate.js";
import { allFinite } from "./shapes.js";
import { eigenvalueFinder, smallestInBlock } from "./smallestEigenvalue.js";

/** The errors of a point that fits the problem and has finite entries. */
export function solutionErrors(problem: SdpProblem, { x, slack, dual, multipliers }: Point): SolutionCheck {
  const { objective, blocks } = problem;
  const right = problem.equalities?.right ?? new Float64Array();
  const { largest, squares } = slackResidual(problem, x, slack);
  const equalityResidual = equalityValues(problem, x).map((value, i) => value - right[i]);
  const products = new Float64Array(objective.length + 1);
  let complementarity = 0;
  blocks.forEach((block, b) => {
    addInnerProducts(block, dual[b], products);
    complementarity += dot(slack[b], dual[b]);
  });
  const dualResidual = products.subarray(1).map((value, k) => value - objective[k]);
  addEqualityMultiples(problem, multipliers, dualResidual);
  const finder = eigenvalueFinder(blocks);
  const smallest = (matrices: readonly Float64Array[]) =>
    blocks.reduce((least, block, b) => Math.min(least, smallestInBlock(finder, block, matrices[b])), Infinity);
  const smallestEigenvalues = { slack: smallest(slack), dual: smallest(dual) };
  finder.dispose();

  const primalValue = dot(objective, x);
  const dualValue = products[0] + dot(right, multipliers);
  const dualScale = 1 + largestEntry(objective);
  const primalScale = 1 + Math.max(largest, largestEntry(right));
  const scale = 1 + Math.abs(primalValue) + Math.abs(dualValue);
  const dimacs = [
    Math.sqrt(dot(dualResidual, dualResidual)) / dualScale,
    Math.max(0, -smallestEigenvalues.dual) / dualScale,
    Math.sqrt(squares + dot(equalityResidual, equalityResidual)) / primalScale,
    Math.max(0, -smallestEigenvalues.slack) / primalScale,
    (primalValue - dualValue) / scale,
    complementarity / scale,
  ] as const;
  if (!allFinite(dimacs)) return hopeless;
  return {
    objective: { primal: primalValue, dual: dualValue },
    dimacs,
    worst: largestEntry(dimacs),
    smallestEigenvalues,
  };
}

/** The sum of squares of sum x_k F_k - F_0 - S over all entries, and the largest absolute entry of F_0. */
function slackResidual({ blocks }: SdpProblem, x: Float64Array, slack: readonly Float64Array[]) {
  const constant = new Float64Array(x.length + 1).fill(-1, 0, 1);
  const others = Float64Array.from([0, ...x]);
  const scratch = new Float64Array(blocks.reduce((most, block) => Math.max(most, blockLength(block)), 0));
  let [largest, squares] = [0, 0];
  blocks.forEach((block, b) => {
    const evaluated = scratch.subarray(0, blockLength(block)).fill(0);
    addCombination(block, constant, evaluated);
    largest = Math.max(largest, largestEntry(evaluated));
    addCombination(block, others, evaluated);
    squares += squaredDistance(block, evaluated, slack[b]);
  });
  return { largest, squares };
}

/** |M - S|_F^2 with M given by its upper triangle and S by both. */
function squaredDistance({ kind, size }: Block, m: Float64Array, s: Float64Array): number {
  let sum = 0;
  if (kind === "nonnegative") {
    for (let i = 0; i < size; i++) sum += (m[i] - s[i]) ** 2;
    return sum;
  }
  for (let i = 0; i < size; i++) {
    sum += (m[i * size + i] - s[i * size + i]) ** 2;
    for (let j = i + 1; j < size; j++) {
      const value = m[i * size + j];
      sum += (value - s[i * size + j]) ** 2 + (value - s[j * size + i]) ** 2;
    }
  }
  return sum;
}

/** Of a point with NaN, infinities or an overflow. */
export const hopeless: SolutionCheck = {
  objective: { primal: Number.NaN, dual: Number.NaN },
  dimacs: [Infinity, Infinity, Infinity, Infinity, Infinity, Infinity],
  worst: Infinity,
  smallestEigenvalues: { slack: -Infinity, dual: -Infinity },
};
