// Shor's relaxation over a box, for any order: the mixing method, which closes most gaps in a few sweeps; where it does not and the order
// allows, the interior point; then as many sweeps as it takes. Each bound is certified, the best one counts.
// 512 features: some 10 ms a row instead of 5 s with the interior point alone (docs/decisions/0005-mixing-method.md).

import type { Kernels } from "@worstcase/linalg";
import { BoxInteriorPoint } from "./boxInteriorPoint.js";
import type { BoxProblem } from "./boxProblem.js";
import type { BoxRelaxation, RelaxationSettings } from "./contracts.js";
import { MixingMethod } from "./mixingMethod.js";

/** Above this order an interior point takes longer than a thousand sweeps. */
const interiorOrder = 120;

/** For problems of up to d coordinates. */
export function createBoxRelaxation(d: number, kernels: Kernels): BoxRelaxation {
  const mixing = new MixingMethod(d, kernels);
  let interior: BoxInteriorPoint | null = null;
  let present: MixingMethod | BoxInteriorPoint = mixing;

  function solve(problem: BoxProblem, settings: RelaxationSettings): number {
    const { size: m } = problem;
    present = mixing;
    mixing.begin(problem);
    mixing.sweep(problem, settings, 8 + 1.75 * m);
    if (mixing.closed) return mixing.bound;
    if (m <= interiorOrder) {
      interior ??= new BoxInteriorPoint(Math.min(d, interiorOrder), kernels);
      const bound = interior.solve(problem, settings);
      if (interior.closed) {
        present = interior;
        return bound;
      }
    }
    mixing.sweep(problem, settings, Math.max(500_000 / m, 2 * m));
    if (mixing.closed || !interior || m > interiorOrder || mixing.bound >= interior.bound) return mixing.bound;
    present = interior;
    return interior.bound;
  }

  return {
    solve,
    get multipliers() {
      return present.multipliers;
    },
    get mean() {
      return present.mean;
    },
    product: (k, l) => present.product(k, l),
    squareAlong: (direction, m) => present.squareAlong(direction, m),
  };
}
