// The unit directions neurons may have: the whole sphere, or the unit vectors supported on one patch of an image.

import type { Kernels } from "@worstcase/linalg";
import { createSphereSolver, type SphereExtreme, type SphereSolver } from "../sphere.js";
import type { DirectionSet } from "./adversary.js";

export function wholeSphere(d: number, kernels: Kernels): DirectionSet {
  const solver = createSphereSolver(d, kernels);
  return {
    sparse: false,
    extremes(matrix, linear, constant) {
      const { maximum, minimum } = solver.solve(matrix, linear, constant);
      return { maximum, minimum };
    },
  };
}

/** supports: coordinates of each patch. The extremes are the best over the patches, each a problem of the patch's size. */
export function patchSpheres(supports: readonly Int32Array[], d: number, kernels: Kernels): DirectionSet {
  const solvers = new Map<number, SphereSolver>();
  for (const { length } of supports) {
    if (!solvers.has(length)) solvers.set(length, createSphereSolver(length, kernels));
  }
  const largest = Math.max(...supports.map(({ length }) => length));
  const block = new Float64Array(largest * largest);
  const embed = (point: Float64Array, support: Int32Array) => {
    const whole = new Float64Array(d);
    support.forEach((coordinate, k) => {
      whole[coordinate] = point[k];
    });
    return whole;
  };
  return {
    sparse: true,
    extremes(matrix, linear, constant) {
      let maximum: SphereExtreme = { bound: Number.NEGATIVE_INFINITY, point: linear };
      let minimum: SphereExtreme = { bound: Number.POSITIVE_INFINITY, point: linear };
      for (const support of supports) {
        const m = support.length;
        for (let k = 0; k < m; k++) {
          for (let l = 0; l < m; l++) block[k * m + l] = matrix[support[k] * d + support[l]];
        }
        const slope = Float64Array.from(support, (coordinate) => linear[coordinate]);
        const own = (solvers.get(m) as SphereSolver).solve(block.subarray(0, m * m), slope, constant);
        if (own.maximum.bound > maximum.bound) maximum = { ...own.maximum, point: embed(own.maximum.point, support) };
        if (own.minimum.bound < minimum.bound) minimum = { ...own.minimum, point: embed(own.minimum.point, support) };
      }
      return { maximum, minimum };
    },
  };
}
