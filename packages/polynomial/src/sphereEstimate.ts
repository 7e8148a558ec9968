// Extremes of h(u) = u'Au + g'u + c over the unit sphere, as estimates from inside: exact in the span of a block Krylov space of A,
// started from g, the extremes of the last call and one fixed vector. Costs steps * 4 d^2 instead of the d^3 of `sphere.ts`; values
// are attained, so they never exceed the true extremes. In few dimensions the whole space is used.

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { createSphereSolver, type SphereExtremes, type SphereSolver } from "./sphere.js";

const blockSize = 4;
const blocks = 14;
const spanned = blockSize * blocks;

/** Bounds are values at the points here, and only the spanned eigenpairs are given, `[count]` and `[count, features]`. */
export function createSphereEstimate(dimension: number, kernels: Kernels): SphereSolver {
  const d = dimension;
  if (d < 2 * spanned) return createSphereSolver(d, kernels);
  const solver = createSphereSolver(spanned, kernels);
  const sizes = [d * d, spanned * d, spanned * d, spanned * spanned, blockSize * d, spanned * d, blockSize * spanned];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [form, basis, images, small, block, lifted, products] = sizes.map((size) => workspace.float64(size));
  const linearSmall = new Float64Array(spanned);
  const points = new Float64Array((blockSize - 1) * d);
  // Any vector does that no data is likely to be orthogonal to.
  const fixed = Float64Array.from({ length: d }, (_, l) => Math.sin(1 + l * l));

  /** Makes the rows of `block` orthonormal to the first `held` rows of the basis and appends them; a row that vanishes is replaced. */
  function append(held: number): void {
    for (let t = 0; t < blockSize; t++) scale(block.subarray(t * d, (t + 1) * d));
    for (let pass = 0; pass < 2 && held > 0; pass++) {
      workspace.gemm(false, true, blockSize, held, d, 1, block, d, basis, d, 0, products, held);
      workspace.gemm(false, false, blockSize, d, held, -1, products, held, basis, d, 1, block, d);
    }
    for (let t = 0; t < blockSize; t++) {
      const row = block.subarray(t * d, (t + 1) * d);
      for (let attempt = 1; !separate(row, t, held) && attempt < 4; attempt++) {
        for (let l = 0; l < d; l++) row[l] = Math.sin(1 + (l + 1) * (held + t + 2.5 * attempt));
        scale(row);
        for (let j = 0; j < held; j++) subtractProjection(row, basis, j * d);
      }
      basis.set(row, (held + t) * d);
    }
  }

  /** Makes row t of the block orthonormal to those before it; false when little is left of what had length 1 at first. */
  function separate(row: Float64Array, t: number, held: number): boolean {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = held; j < held + t; j++) subtractProjection(row, basis, j * d);
    }
    return scale(row) > 1e-9;
  }

  return {
    solve(matrix, linear, constant): SphereExtremes {
      form.set(matrix.subarray(0, d * d));
      block.set(linear, 0);
      block.set(points.subarray(0, 2 * d), d);
      block.set(fixed, 3 * d);
      for (let t = 0; t < blocks; t++) {
        const held = t * blockSize;
        append(held);
        const own = basis.subarray(held * d, (held + blockSize) * d);
        const image = images.subarray(held * d, (held + blockSize) * d);
        workspace.gemm(false, false, blockSize, d, d, 1, own, d, form, d, 0, image, d);
        block.set(image);
      }
      workspace.gemm(false, true, spanned, spanned, d, 1, basis, d, images, d, 0, small, spanned);
      for (let j = 0; j < spanned; j++) {
        let product = 0;
        for (let l = 0; l < d; l++) product += basis[j * d + l] * linear[l];
        linearSmall[j] = product;
      }
      const { maximum, minimum, eigenvalues, eigenvectors } = solver.solve(small, linearSmall, constant);
      small.set(eigenvectors);
      workspace.gemm(false, false, spanned, d, spanned, 1, small, spanned, basis, d, 0, lifted, d);
      const lift = ({ point, bound }: SphereExtremes["maximum"], slot: number) => {
        const whole = new Float64Array(d);
        for (let j = 0; j < spanned; j++) {
          const size = point[j];
          for (let l = 0, p = j * d; l < d; l++) whole[l] += size * basis[p + l];
        }
        points.set(whole, slot * d);
        return { bound, point: whole };
      };
      return { maximum: lift(maximum, 0), minimum: lift(minimum, 1), eigenvalues, eigenvectors: lifted };
    },
  };
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
