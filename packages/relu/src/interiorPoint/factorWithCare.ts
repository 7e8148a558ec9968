// Cholesky factors of blocks that rounding may have made slightly indefinite.

import type { Workspace } from "@worstcase/linalg";

/**
 * Cholesky in place, with a growing multiple of the largest diagonal entry added where rounding made the matrix indefinite;
 * `spare` holds as many numbers as the matrix. Returns false when even that fails.
 */
export function factorWithCare(
  workspace: Workspace,
  matrix: Float64Array,
  width: number,
  spare: Float64Array,
): boolean {
  spare.set(matrix);
  let largest = 0;
  for (let k = 0; k < width; k++) largest = Math.max(largest, spare[k * width + k]);
  for (let shift = 0; shift < 1e-6; shift = shift === 0 ? 1e-16 : 10 * shift) {
    if (shift > 0) {
      matrix.set(spare);
      for (let k = 0; k < width; k++) matrix[k * width + k] += shift * largest;
    }
    if (workspace.potrf(width, matrix, width) === 0) return true;
  }
  return false;
}
