// The implementation for each p (normCones.ts).

import { GeneralCones } from "./generalCones.js";
import type { NormCones } from "./normCones.js";
import { LargestEntryCones, SumCones } from "./polyhedralCones.js";
import { SecondOrderCones } from "./secondOrderCones.js";

/** `count` cones tau >= factor ||a||_p with a in R^length. */
export function createNormCones(count: number, length: number, p: number, factor: number): NormCones {
  if (p === 2) return new SecondOrderCones(count, length, factor);
  if (p === 1) return new SumCones(count, length, factor);
  if (p === Number.POSITIVE_INFINITY) return new LargestEntryCones(count, length, factor);
  return new GeneralCones(count, length, factor, p);
}
