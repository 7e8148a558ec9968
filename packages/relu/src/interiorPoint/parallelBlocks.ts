// The two sides of a gate in parallel: S^-1 = (B_v^-1 + B_w^-1)^-1 for every gate and output, from the Cholesky factors of the blocks:
//   L_w' S L_w = X'X + I,  X = L_v^-1 L_w,  [X; I] = Q R   hence   S^-1 = Y Y',  Y = L_w R^-1
// Nothing is subtracted and nothing squared before the end: thin cones make blocks of condition 1e12 and more, which B_v (B_v + B_w)^-1 B_w
// does not survive.
// factors: [2, P outputs, D, D] lower triangles, zeros above   blocks: [P outputs, D, D] symmetric

import type { Workspace } from "@worstcase/linalg";

export class ParallelBlocks {
  readonly blocks: Float64Array;
  /** [X; I], `[2 D, D]`. */
  private readonly stacked: Float64Array;
  /** L_w, then Y. */
  private readonly root: Float64Array;

  static sizes(count: number, width: number): number[] {
    const size = width * width;
    return [count * size, 2 * size, size];
  }

  constructor(
    private readonly count: number,
    private readonly width: number,
    private readonly workspace: Workspace,
  ) {
    const arrays = ParallelBlocks.sizes(count, width).map((size) => workspace.float64(size));
    [this.blocks, this.stacked, this.root] = arrays;
  }

  form(factors: Float64Array): void {
    const { count, width, workspace, blocks, stacked, root } = this;
    const size = width * width;
    for (let b = 0; b < count; b++) {
      root.set(factors.subarray((count + b) * size, (count + b + 1) * size));
      stacked.fill(0);
      stacked.set(root);
      for (let k = 0; k < width; k++) stacked[size + k * width + k] = 1;
      workspace.trsm("left", false, width, width, factors.subarray(b * size, (b + 1) * size), width, stacked, width);
      triangulate(stacked, 2 * width, width);
      workspace.trsm("right", true, width, width, stacked, width, root, width);
      workspace.syrk(false, width, width, 1, root, width, 0, blocks.subarray(b * size, (b + 1) * size), width);
    }
  }

  /** out = S^-1 u, `[P outputs, D]`, workspace arrays. */
  apply(u: Float64Array, out: Float64Array): void {
    const { count, width, workspace, blocks } = this;
    for (let b = 0; b < count; b++) {
      const [from, to] = [b * width, (b + 1) * width];
      const block = blocks.subarray(from * width, to * width);
      workspace.symv(width, 1, block, width, u.subarray(from, to), 0, out.subarray(from, to));
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
