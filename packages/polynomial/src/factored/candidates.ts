// New neurons from a certificate: where it is violated, the extreme directions of the sphere oracle and extreme eigenvectors.

import type { DetailedCertificate } from "../certificate.js";
import type { ObjectiveProblem } from "./objective.js";

/** A certificate, or an estimate of one with some of the eigenvectors. */
export type Violations = Pick<DetailedCertificate, "extremes" | "linear" | "constant" | "largest" | "largestNegative">;

/** Directions with s h(u) above the threshold: the extreme of each side, then extreme eigenvectors. */
export function candidates(
  certificate: Violations,
  { b, c }: ObjectiveProblem["activation"],
  perSide: number,
  threshold: number,
): { direction: Float64Array; sign: number }[] {
  const { extremes, linear, constant, largest, largestNegative } = certificate;
  const d = linear.length;
  const count = extremes.eigenvalues.length;
  const found: { direction: Float64Array; sign: number }[] = [];
  if (largest > threshold) found.push({ direction: extremes.maximum.point, sign: 1 });
  if (largestNegative > threshold) found.push({ direction: extremes.minimum.point, sign: -1 });
  for (const sign of [1, -1]) {
    if ((sign > 0 ? largest : largestNegative) <= threshold) continue;
    for (let t = 0; t < Math.min(perSide - 1, count); t++) {
      const k = sign > 0 ? count - 1 - t : t;
      const direction = extremes.eigenvectors.slice(k * d, (k + 1) * d);
      let product = 0;
      for (let l = 0; l < d; l++) product += linear[l] * direction[l];
      const along = sign * b * product;
      if (along < 0) for (let l = 0; l < d; l++) direction[l] = -direction[l];
      const value = sign * extremes.eigenvalues[k] + Math.abs(along) + sign * c * constant;
      if (value > threshold) found.push({ direction, sign });
    }
  }
  return found;
}
