// Extremes of h(u) = u'Au + g'u + c over the unit sphere, as estimates from inside: exact in the span of a block Krylov space of A,
// started from g, the extremes of the last call and one fixed vector. Costs steps * 4 d^2 instead of the d^3 of `sphere.ts`; values
// are attained, so they never exceed the true extremes. In few dimensions the whole space is used.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { createSphereSolver, type SphereExtreme, type SphereExtremes, type SphereSolver } from "./sphere.js";

const blockSize = 4;
const blocks = 14;
const spanned = blockSize * blocks;

/** Bounds are values at the points here, and only the spanned eigenpairs are given, `[count]` and `[count, features]`. */
export function createSphereEstimate(dimension: number, kernels: Kernels): SphereSolver {
  return dimension < 2 * spanned ? createSphereSolver(dimension, kernels) : new KrylovSphere(dimension, kernels);
}

/** A class, so that it stays compiled from one fit to the next. */
class KrylovSphere implements SphereSolver {
  private readonly solver: SphereSolver;
  private readonly workspace: Workspace;
  private readonly form: Float64Array;
  private readonly basis: Float64Array;
  private readonly images: Float64Array;
  private readonly small: Float64Array;
  private readonly block: Float64Array;
  private readonly lifted: Float64Array;
  private readonly products: Float64Array;
  private readonly linearSmall = new Float64Array(spanned);
  private readonly points: Float64Array;
  private readonly fixed: Float64Array;

  constructor(
    private readonly dimension: number,
    kernels: Kernels,
  ) {
    const d = dimension;
    this.solver = createSphereSolver(spanned, kernels);
    const sizes = [d * d, spanned * d, spanned * d, spanned * spanned, blockSize * d, spanned * d, blockSize * spanned];
    const workspace = kernels.workspace(workspaceSize(...sizes));
    [this.form, this.basis, this.images, this.small, this.block, this.lifted, this.products] = sizes.map((size) =>
      workspace.float64(size),
    );
    this.workspace = workspace;
    this.points = new Float64Array((blockSize - 1) * d);
    // Any vector does that no data is likely to be orthogonal to.
    this.fixed = Float64Array.from({ length: d }, (_, l) => Math.sin(1 + l * l));
  }

  solve(matrix: Float64Array, linear: Float64Array, constant: number): SphereExtremes {
    const { dimension: d, workspace, form, basis, images, small, block, lifted, linearSmall, points, fixed } = this;
    form.set(matrix.subarray(0, d * d));
    block.set(linear, 0);
    block.set(points.subarray(0, 2 * d), d);
    block.set(fixed, 3 * d);
    for (let t = 0; t < blocks; t++) {
      const held = t * blockSize;
      this.append(held);
      const own = basis.subarray(held * d, (held + blockSize) * d);
      const image = images.subarray(held * d, (held + blockSize) * d);
      workspace.gemm(false, false, blockSize, d, d, 1, own, d, form, d, 0, image, d);
      block.set(image);
    }
    workspace.gemm(false, true, spanned, spanned, d, 1, basis, d, images, d, 0, small, spanned);
    for (let j = 0; j < spanned; j++) linearSmall[j] = dotRow(basis, j * d, linear);
    const { maximum, minimum, eigenvalues, eigenvectors } = this.solver.solve(small, linearSmall, constant);
    small.set(eigenvectors);
    workspace.gemm(false, false, spanned, d, spanned, 1, small, spanned, basis, d, 0, lifted, d);
    return {
      maximum: this.lift(maximum, 0),
      minimum: this.lift(minimum, 1),
      eigenvalues,
      eigenvectors: lifted,
    };
  }

  /** A point of the span in all features; the next call starts from it. */
  private lift({ point, bound }: SphereExtreme, slot: number): SphereExtreme {
    const { dimension: d, basis } = this;
    const whole = new Float64Array(d);
    for (let j = 0; j < spanned; j++) {
      const size = point[j];
      for (let l = 0, p = j * d; l < d; l++) whole[l] += size * basis[p + l];
    }
    this.points.set(whole, slot * d);
    return { bound, point: whole };
  }

  /** Makes the rows of `block` orthonormal to the first `held` rows of the basis and appends them; a row that vanishes is replaced. */
  private append(held: number): void {
    const { workspace, dimension: d, block, basis, products } = this;
    for (let t = 0; t < blockSize; t++) scale(block.subarray(t * d, (t + 1) * d));
    for (let pass = 0; pass < 2 && held > 0; pass++) {
      workspace.gemm(false, true, blockSize, held, d, 1, block, d, basis, d, 0, products, held);
      workspace.gemm(false, false, blockSize, d, held, -1, products, held, basis, d, 1, block, d);
    }
    for (let t = 0; t < blockSize; t++) {
      const row = block.subarray(t * d, (t + 1) * d);
      for (let attempt = 1; !this.separate(row, t, held) && attempt < 4; attempt++) {
        for (let l = 0; l < d; l++) row[l] = Math.sin(1 + (l + 1) * (held + t + 2.5 * attempt));
        scale(row);
        for (let j = 0; j < held; j++) subtractProjection(row, basis, j * d);
      }
      basis.set(row, (held + t) * d);
    }
  }

  /** Makes row t of the block orthonormal to those before it; false when little is left of what had length 1 at first. */
  private separate(row: Float64Array, t: number, held: number): boolean {
    const { dimension: d, basis } = this;
    for (let pass = 0; pass < 2; pass++) {
      for (let j = held; j < held + t; j++) subtractProjection(row, basis, j * d);
    }
    return scale(row) > 1e-9;
  }
}

function dotRow(rows: Float64Array, at: number, vector: Float64Array): number {
  let product = 0;
  for (let l = 0; l < vector.length; l++) product += rows[at + l] * vector[l];
  return product;
}

function subtractProjection(row: Float64Array, basis: Float64Array, at: number): void {
  let product = 0;
  for (let l = 0; l < row.length; l++) product += row[l] * basis[at + l];
  for (let l = 0; l < row.length; l++) row[l] -= product * basis[at + l];
}

/** Scales to length 1; returns the length there was. */
function scale(row: Float64Array): number {
  let square = 0;
  for (let l = 0; l < row.length; l++) square += row[l] * row[l];
  const length = Math.sqrt(square);
  if (length > 0) for (let l = 0; l < row.length; l++) row[l] /= length;
  return length;
}
