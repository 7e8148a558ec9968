// Forward error bound of one computed worst-case value (math.md 6, "round-off safe certificates"), with rho = ||x|| + r:
//   model:      |f - model| <= E_Q rho^2 + e_q rho        (residuals of the decomposition, see RotatedForm)
//   rotation:   the rotated ball is at most (1 + defect) larger, the rotated point is off by gamma_d ||x|| sqrt(rank)
//   arithmetic: gamma_rank times the absolute terms of the dual value
// First-order bounds doubled. Subtracting it from the dual value gives a lower bound of the true worst case.

import { type RotatedForm, unitRoundoff } from "./rotatedForm.js";

export interface ErrorBound {
  /** Bound for a point of length `pointLength`, a given radius and the multiplier found. */
  at(pointLength: number, radius: number, multiplier: number): number;
}

export function errorBound(form: RotatedForm): ErrorBound {
  const { rank, dimension, eigenvalues, linear } = form;
  const curvature = rank === 0 ? 0 : Math.max(Math.abs(eigenvalues[0]), Math.abs(eigenvalues[rank - 1]));
  let slope = 0;
  for (let k = 0; k < rank; k++) slope += linear[k] * linear[k];
  slope = Math.sqrt(slope);
  const rotation = form.orthogonalityError + (dimension + 4) * unitRoundoff * Math.sqrt(Math.max(1, rank));
  const arithmetic = (rank + 12) * unitRoundoff;
  const constant = Math.abs(form.constant);
  return {
    at(pointLength, radius, multiplier) {
      const rho = (pointLength + radius) * (1 + 1e-12);
      const model = form.quadraticError * rho * rho + form.linearError * rho;
      const steepness = 2 * curvature * rho + slope;
      // The dual value is at most the largest |f| on the ball in size, and each of its terms is bounded by these.
      const terms = constant + rho * (curvature * rho + slope) + 2 * multiplier * radius * radius + steepness * radius;
      return 2 * (model + steepness * rho * rotation + arithmetic * terms);
    },
  };
}
