// What a sceptic computes from the caller's own data: the errors of a point and the worth of a certificate. No code is shared
// with the solvers. Formulas and norms are those of `SolutionCheck` and `CertificateCheck`.

import { checkProblem, type SdpProblem } from "../problem.js";
import type { CertificateCheck, Point, Ray, SolutionCheck } from "../result.js";
import { dualRayErrors, variableRayErrors, worthless } from "./certificateErrors.js";
import { allFinite, checkBlocks, checkVector } from "./shapes.js";
import { hopeless, solutionErrors } from "./solutionErrors.js";

/**
 * The six DIMACS errors of a point (x `[variables]`, slack and dual in the shape of the blocks, multipliers `[equalities]`).
 * Both triangles of slack and dual are read. A point with NaN or infinite entries has infinite errors; the smallest
 * eigenvalue over no blocks is Infinity. Throws ShapeError when the point does not fit the problem, and what
 * `checkProblem` throws.
 */
export function checkSolution(problem: SdpProblem, point: Point): SolutionCheck {
  checkProblem(problem);
  const { x, slack, dual, multipliers } = point;
  checkVector(x, problem.objective.length, "point.x");
  checkBlocks(slack, problem.blocks, "point.slack");
  checkBlocks(dual, problem.blocks, "point.dual");
  checkVector(multipliers, problem.equalities?.right.length ?? 0, "point.multipliers");
  return [x, multipliers, ...slack, ...dual].every(allFinite) ? solutionErrors(problem, point) : hopeless;
}

/**
 * Residual and cone violation of a ray relative to its improvement. A ray that improves nothing, or has NaN or infinite
 * entries, is no certificate: its residual and violation are infinite. Throws ShapeError when the ray does not fit the
 * problem, and what `checkProblem` throws.
 */
export function checkCertificate(problem: SdpProblem, ray: Ray): CertificateCheck {
  checkProblem(problem);
  if (ray.kind === "primal-infeasible") {
    checkBlocks(ray.dual, problem.blocks, "ray.dual");
    checkVector(ray.multipliers, problem.equalities?.right.length ?? 0, "ray.multipliers");
    return [ray.multipliers, ...ray.dual].every(allFinite) ? dualRayErrors(problem, ray) : worthless(ray, Number.NaN);
  }
  checkVector(ray.x, problem.objective.length, "ray.x");
  return allFinite(ray.x) ? variableRayErrors(problem, ray) : worthless(ray, Number.NaN);
}
