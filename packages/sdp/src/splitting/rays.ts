// Certificates of infeasibility from the iteration: where a problem has none, its iterates grow without bound along one.
//   Y = sigma T is in K; it proves primal infeasibility when <F_k, Y> is small against <F_0, Y> > 0.
//   x proves dual infeasibility when A x and the negative part of sum x_k F_k are small against -c'x > 0.
// The measures are those of CertificateCheck, so that what is claimed here passes there.

import type { Ray } from "../result.js";
import type { Iteration } from "./iteration.js";
import { costSize, directionCost, dualRayResidual } from "./measure.js";
import { combine, type ScaledProblem } from "./scaledProblem.js";

export type FoundRay = Ray["kind"];

/** Whether the present Y or x is a certificate within `tolerance`. Uses the iteration's scratch. */
export function findRay(problem: ScaledProblem, iteration: Iteration, tolerance: number): FoundRay | undefined {
  if (dualRayResidual(problem, iteration.products, iteration.constant) <= tolerance) return "primal-infeasible";
  return provesDualInfeasible(problem, iteration, tolerance) ? "dual-infeasible" : undefined;
}

function provesDualInfeasible(
  problem: ScaledProblem,
  { x, scratch, projection }: Iteration,
  tolerance: number,
): boolean {
  const cost = directionCost(problem, x);
  if (!(cost < 0)) return false;
  const { parts, blockScale } = problem;
  // constantScale is left out on both sides: it scales x
  const bound = (tolerance * -cost) / costSize(problem);
  const [value, above, below] = scratch;
  combine(problem, x, value, true);
  const zero = parts[parts.length - 1];
  let square = 0;
  for (let p = zero.from; p < zero.from + zero.size; p++) square += (value[p] / blockScale[p]) ** 2;
  if (!(Math.sqrt(square) <= bound)) return false;
  // the diagonal first: a negative entry there settles it without eigenvalues
  for (const { kind, size, from } of parts) {
    if (kind === "zero") continue;
    const stride = kind === "psd" ? size + 1 : 1;
    for (let i = 0; i < size; i++) {
      const p = from + i * stride;
      if (!(value[p] / blockScale[p] >= -bound)) return false;
    }
  }
  if (!projection.split(value, above, below)) return false;
  return parts.every(({ kind, size, from }, b) => {
    if (kind === "zero" || size === 0) return true;
    if (kind === "psd") return projection.smallest[b] / blockScale[from] >= -bound;
    return true;
  });
}
