// The two sides of a gate in parallel: S = B_v^-1 + B_w^-1 = F F' for every gate and output, from the Cholesky factors of the blocks:
//   [L_v^-1; L_w^-1] = Q F'
// Nothing is subtracted or squared, and S^-1 is never formed: thin cones make blocks of condition 1e12 and more.
// factors: [2, P outputs, D, D] lower triangles, zeros above   roots: F, [P outputs, D, D], the same

import type { Workspace } from "@worstcase/linalg";

export class ParallelBlocks {
  readonly roots: Float64Array;
  /** [L_v^-1; L_w^-1] */
  private readonly stacked: Float64Array;

  static sizes(count: number, width: number): number[] {
    const size = width * width;
    return [count * size, 2 * size];
  }

  constructor(
    private readonly count: number,
    private readonly width: number,
    private readonly workspace: Workspace,
  ) {
    const arrays = ParallelBlocks.sizes(count, width).map((size) => workspace.float64(size));
    [this.roots, this.stacked] = arrays;
  }

  form(factors: Float64Array): void {
    const { count, width, workspace, roots, stacked } = this;
    const size = width * width;
    for (let b = 0; b < count; b++) {
      for (let side = 0; side < 2; side++) {
        const half = stacked.subarray(side * size, (side + 1) * size);
        half.set(factors.subarray((side * count + b) * size, (side * count + b + 1) * size));
        workspace.trtri(width, half, width);
      }
      triangulate(stacked, 2 * width, width);
      for (let k = 0; k < width; k++) stacked.fill(0, k * width + k + 1, (k + 1) * width);
      roots.set(stacked.subarray(0, size), b * size);
    }
  }

  /** u <- F^-1 u, or F^-T u when `transpose`; `[P outputs, D]`, a workspace array. */
  solve(transpose: boolean, u: Float64Array): void {
    const { count, width, workspace, roots } = this;
    for (let b = 0; b < count; b++) {
      const [from, to] = [b * width, (b + 1) * width];
      workspace.trsv(transpose, width, roots.subarray(from * width, to * width), width, u.subarray(from, to));
    }
  }
}

// Householder reflections of the [rows, width] matrix a: leaves R' (lower triangle) in its first `width` rows.
function triangulate(a: Float64Array, rows: number, width: number): void {
  for (let k = 0; k < width; k++) {
    let size = 0;
    for (let i = k; i < rows; i++) size += a[i * width + k] ** 2;
    size = Math.sqrt(size);
    const head = a[k * width + k];
    const corner = head > 0 ? -size : size;
    const scale = size * (size + Math.abs(head));
    a[k * width + k] = head - corner;
    for (let j = k + 1; j < width && scale > 0; j++) {
      let along = 0;
      for (let i = k; i < rows; i++) along += a[i * width + k] * a[i * width + j];
      along /= scale;
      for (let i = k; i < rows; i++) a[i * width + j] -= along * a[i * width + k];
    }
    a[k * width + k] = corner;
  }
  for (let k = 0; k < width; k++) {
    for (let j = k + 1; j < width; j++) {
      a[j * width + k] = a[k * width + j];
    }
  }
}
