import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { ParallelBlocks } from "./parallelBlocks.js";

it("the roots are those of two sides in parallel, also where one side is 1e16 times as stiff in some directions", () => {
  const rng = createRng(4);
  const [count, width] = [3, 4];
  const size = width * width;
  const workspace = chooseKernels().workspace(
    workspaceSize(2 * count * size, ...ParallelBlocks.sizes(count, width), size, 12),
  );
  const factors = workspace.float64(2 * count * size);
  const parallel = new ParallelBlocks(count, width, workspace);
  // Diagonal blocks have the closed form S = 1 / v + 1 / w.
  const diagonal = Array.from({ length: 2 * count * width }, () => 10 ** (8 - 16 * rng.uniform()));
  diagonal.forEach((value, row) => {
    factors[row * width + (row % width)] = Math.sqrt(value);
  });
  parallel.form(factors);
  for (let row = 0; row < count * width; row++) {
    const expected = 1 / diagonal[row] + 1 / diagonal[count * width + row];
    for (let k = 0; k < width; k++) {
      const root = parallel.roots[row * width + k];
      if (k === row % width) expect(Math.abs(root * root - expected)).toBeLessThanOrEqual(1e-12 * expected);
      else expect(root).toBeCloseTo(0, 12);
    }
  }
  // Full blocks: F F' = B_v^-1 + B_w^-1, with the inverses from potri, and `solve` undoes F.
  for (let k = 0; k < factors.length; k++) {
    const [i, j] = [Math.floor(k / width) % width, k % width];
    factors[k] = j > i ? 0 : i === j ? 0.5 + rng.uniform() : rng.normal();
  }
  parallel.form(factors);
  const inverse = workspace.float64(size);
  const u = workspace.float64(count * width);
  for (let b = 0; b < count; b++) {
    const total = new Float64Array(size);
    for (const g of [b, count + b]) {
      inverse.set(factors.subarray(g * size, (g + 1) * size));
      workspace.potri(width, inverse, width);
      for (let k = 0; k < size; k++) total[k] += inverse[k];
    }
    const root = parallel.roots.slice(b * size, (b + 1) * size);
    for (let k = 0; k < size; k++) {
      const [i, j] = [Math.floor(k / width), k % width];
      let product = 0;
      for (let l = 0; l < width; l++) product += root[i * width + l] * root[j * width + l];
      expect(product).toBeCloseTo(total[k], 9);
    }
    // F times (1, ..., 1)
    for (let i = 0; i < width; i++) {
      u[b * width + i] = root.slice(i * width, (i + 1) * width).reduce((sum, value) => sum + value, 0);
    }
  }
  parallel.solve(false, u);
  for (const value of u) expect(value).toBeCloseTo(1, 9);
});
