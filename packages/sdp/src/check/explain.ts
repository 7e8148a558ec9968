// Which parts of a problem carry a proof of infeasibility: the total size of the terms each part contributes.

import type { Block, SdpProblem } from "../problem.js";
import type { Ray } from "../result.js";

const most = 10;
/** Parts below this share of the heaviest one are rounding of an interior-point method, not part of the proof. */
const negligible = 1e-6;

interface Part {
  readonly name: string;
  readonly weight: number;
}

/**
 * Blocks and equalities with the sizes of their terms in the equations, heaviest first. `variableScales[k]` and
 * `constantScale` bring the equation of variable k and the improvement to one scale.
 */
export function explainDualRay(
  problem: SdpProblem,
  ray: Ray & { kind: "primal-infeasible" },
  variableScales: Float64Array,
  constantScale: number,
): string[] {
  const { blocks, equalities, names } = problem;
  const scales = Float64Array.from([constantScale, ...variableScales]);
  const parts = blocks.map((block, b) => ({
    name: names?.blocks?.[b] ?? `block ${b + 1}`,
    weight: termSize(block, ray.dual[b], scales),
  }));
  if (equalities) {
    const weights = new Float64Array(equalities.right.length);
    for (let i = 0; i < weights.length; i++) weights[i] = Math.abs(equalities.right[i]) * constantScale;
    for (let e = 0; e < equalities.value.length; e++) {
      weights[equalities.row[e]] += Math.abs(equalities.value[e]) * variableScales[equalities.variable[e]];
    }
    weights.forEach((weight, i) => {
      parts.push({ name: `equality ${i + 1}`, weight: weight * Math.abs(ray.multipliers[i]) });
    });
  }
  return heaviest(parts);
}

/** Variables by |x_k| times the size of their column. */
export function explainVariableRay(
  problem: SdpProblem,
  ray: Ray & { kind: "dual-infeasible" },
  sizes: Float64Array,
): string[] {
  const parts = Array.from(ray.x, (value, k) => ({
    name: problem.names?.variables?.[k] ?? `variable ${k + 1}`,
    // a variable that appears in no constraint still carries the objective
    weight: Math.abs(value) * (sizes[k] || Math.abs(problem.objective[k])),
  }));
  return heaviest(parts);
}

function heaviest(parts: readonly Part[]): string[] {
  const sorted = parts.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight);
  const bar = (sorted[0]?.weight ?? 0) * negligible;
  return sorted
    .filter(({ weight }) => weight >= bar)
    .slice(0, most)
    .map(({ name }) => name);
}

/** sum over terms of |scale_k value Y_ij|. */
function termSize({ kind, size, entries, rankOne = [] }: Block, y: Float64Array, scales: Float64Array): number {
  const { matrix, row, column, value } = entries;
  let total = 0;
  for (let e = 0; e < value.length; e++) {
    const [i, j] = [row[e], column[e]];
    const paired = kind === "nonnegative" ? y[i] : i === j ? y[i * size + i] : y[i * size + j] + y[j * size + i];
    total += Math.abs(scales[matrix[e]] * value[e] * paired);
  }
  for (const { matrix: k, weight, vector } of rankOne) {
    let sum = 0;
    for (let i = 0; i < size; i++) {
      if (vector[i] === 0) continue;
      for (let j = 0; j < size; j++) sum += vector[i] * y[i * size + j] * vector[j];
    }
    total += Math.abs(scales[k] * weight * sum);
  }
  return total;
}
