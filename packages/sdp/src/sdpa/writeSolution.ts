// A point as text in the layout CSDP writes and reads (its .sol files): the numbers of x on one line, then one line
// `matrix block i j value` per nonzero entry above the diagonal, matrix 1 for the slack S and 2 for Y, indices from 1.

import { checkBlocks, checkVector } from "../check/shapes.js";
import type { SdpProblem } from "../problem.js";
import type { Point, Ray } from "../result.js";

/**
 * The text of a point, or of a ray in its place with zeros for what it lacks (as CSDP does). Multipliers of equalities
 * have no place in the layout and are left out. Throws ShapeError when the point does not fit the problem.
 */
export function writeSdpaSolution(problem: SdpProblem, solution: Point | Ray): string {
  const { blocks, objective } = problem;
  const x = "x" in solution ? solution.x : new Float64Array(objective.length);
  const slack = "slack" in solution ? solution.slack : [];
  const dual = "dual" in solution ? solution.dual : [];
  checkVector(x, objective.length, "solution.x");
  const lines = [Array.from(x, String).join(" ")];
  for (const [matrices, number, name] of [
    [slack, 1, "slack"],
    [dual, 2, "dual"],
  ] as const) {
    if (matrices.length === 0) continue;
    checkBlocks(matrices, blocks, `solution.${name}`);
    blocks.forEach(({ kind, size }, b) => {
      for (let i = 0; i < size; i++) {
        for (let j = i; j < (kind === "psd" ? size : i + 1); j++) {
          const value = matrices[b][kind === "psd" ? i * size + j : i];
          if (value !== 0) lines.push(`${number} ${b + 1} ${i + 1} ${j + 1} ${value}`);
        }
      }
    });
  }
  return `${lines.join("\n")}\n`;
}
