// How well a ray proves infeasibility. Ray and data may be scaled freely, so everything is measured in the data's own sizes:
//   primal-infeasible (Y, u):  r = (<F_k, Y> + (A'u)_k)_k should vanish and Y lie in K, improvement = <F_0, Y> + b'u
//     residual |(r_k s / size_k)_k|_2 / improvement,  cone violation s max(0, -eigenvalue of Y) / improvement,
//     s = max(|F_0|, |b|),  size_k = largest term of F_k and of column k of A
//   dual-infeasible x:  A x should vanish and sum x_k F_k lie in K, improvement = -c'x
//     residual t |A x|_2 / improvement,  cone violation t max(0, -eigenvalue of sum x_k F_k) / improvement,
//     t = max_k |c_k| / size_k
// A residual of 1e-8 says that a feasible point would have to be about 1e8 times larger than the data suggest.

import type { SdpProblem } from "../problem.js";
import type { CertificateCheck, Ray } from "../result.js";
import {
  addCombination,
  addEqualityMultiples,
  addInnerProducts,
  blockLength,
  dot,
  equalityValues,
  largestConstant,
  largestEntry,
  variableSizes,
} from "./evaluate.js";
import { explainDualRay, explainVariableRay } from "./explain.js";
import { allFinite } from "./shapes.js";
import { eigenvalueFinder, smallestInBlock } from "./smallestEigenvalue.js";

/** The errors of a ray (Y, u) that fits the problem and has finite entries. */
export function dualRayErrors(problem: SdpProblem, ray: Ray & { kind: "primal-infeasible" }): CertificateCheck {
  const { objective, blocks } = problem;
  const right = problem.equalities?.right ?? new Float64Array();
  const products = new Float64Array(objective.length + 1);
  for (const [b, block] of blocks.entries()) addInnerProducts(block, ray.dual[b], products);
  const improvement = products[0] + dot(right, ray.multipliers);
  if (!(improvement > 0)) return worthless(ray, improvement);
  const sizes = variableSizes(problem);
  const scale = Math.max(largestConstant(problem), largestEntry(right)) / improvement;
  const remainder = products.slice(1);
  addEqualityMultiples(problem, ray.multipliers, remainder);
  const relative = remainder.map((value, k) => (sizes[k] > 0 ? (value / sizes[k]) * scale : 0));
  const finder = eigenvalueFinder(blocks);
  let smallest = 0;
  for (const [b, block] of blocks.entries()) smallest = Math.min(smallest, smallestInBlock(finder, block, ray.dual[b]));
  finder.dispose();
  const explains = explainDualRay(
    problem,
    ray,
    sizes.map((size) => (size > 0 ? scale / size : 0)),
    1 / improvement,
  );
  return conclude(ray, improvement, Math.sqrt(dot(relative, relative)), Math.abs(smallest) * scale, explains);
}

/** The errors of a ray x that fits the problem and has finite entries. */
export function variableRayErrors(problem: SdpProblem, ray: Ray & { kind: "dual-infeasible" }): CertificateCheck {
  const { objective, blocks } = problem;
  const improvement = -dot(objective, ray.x);
  if (!(improvement > 0)) return worthless(ray, improvement);
  const sizes = variableSizes(problem);
  const scale = largestEntry(objective.map((value, k) => (sizes[k] > 0 ? value / sizes[k] : 0))) / improvement;
  const weights = Float64Array.from([0, ...ray.x]);
  const finder = eigenvalueFinder(blocks);
  let smallest = 0;
  for (const block of blocks) {
    const evaluated = new Float64Array(blockLength(block));
    addCombination(block, weights, evaluated);
    if (block.kind === "psd") mirror(block.size, evaluated);
    smallest = Math.min(smallest, smallestInBlock(finder, block, evaluated));
  }
  finder.dispose();
  const values = equalityValues(problem, ray.x);
  return conclude(
    ray,
    improvement,
    Math.sqrt(dot(values, values)) * scale,
    Math.abs(smallest) * scale,
    explainVariableRay(problem, ray, sizes),
  );
}

function conclude(
  { kind }: Ray,
  improvement: number,
  residual: number,
  coneViolation: number,
  explains: readonly string[],
): CertificateCheck {
  if (!allFinite([residual, coneViolation])) return worthless({ kind }, improvement);
  return { kind, improvement, residual, coneViolation, worst: Math.max(residual, coneViolation), explains };
}

/** Of a ray that improves nothing or has no finite errors. */
export function worthless({ kind }: Pick<Ray, "kind">, improvement: number): CertificateCheck {
  return { kind, improvement, residual: Infinity, coneViolation: Infinity, worst: Infinity, explains: [] };
}

/** Copies the upper triangle below the diagonal. */
function mirror(size: number, matrix: Float64Array): void {
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[i * size + j] = matrix[j * size + i];
}
