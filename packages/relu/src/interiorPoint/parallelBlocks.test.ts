import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { ParallelBlocks } from "./parallelBlocks.js";

it("the blocks are those of two sides in parallel, also where one side is 1e16 times as stiff in some directions", () => {
  const rng = createRng(4);
  const [count, width] = [3, 4];
  const size = width * width;
  const workspace = chooseKernels().workspace(
    workspaceSize(2 * count * size, ...ParallelBlocks.sizes(count, width), 12, 12, size),
  );
  const factors = workspace.float64(2 * count * size);
  const parallel = new ParallelBlocks(count, width, workspace);
  // Diagonal blocks have the closed form v w / (v + w).
  const diagonal = Array.from({ length: 2 * count * width }, () => 10 ** (8 - 16 * rng.uniform()));
  diagonal.forEach((value, row) => {
    factors[row * width + (row % width)] = Math.sqrt(value);
  });
  parallel.form(factors);
  for (let row = 0; row < count * width; row++) {
    const [v, w] = [diagonal[row], diagonal[count * width + row]];
    for (let k = 0; k < width; k++) {
      const expected = k === row % width ? 1 / (1 / v + 1 / w) : 0;
      expect(Math.abs(parallel.blocks[row * width + k] - expected)).toBeLessThanOrEqual(1e-10 * expected);
    }
  }
  // Full blocks: (B_v^-1 + B_w^-1) S^-1 u = u, with the inverses from potri.
  for (let k = 0; k < factors.length; k++) {
    const [i, j] = [Math.floor(k / width) % width, k % width];
    factors[k] = j > i ? 0 : i === j ? 0.5 + rng.uniform() : rng.normal();
  }
  parallel.form(factors);
  const u = workspace.float64(count * width);
  const out = workspace.float64(count * width);
  const inverse = workspace.float64(size);
  for (let k = 0; k < u.length; k++) u[k] = rng.normal();
  parallel.apply(u, out);
  const total = new Float64Array(u.length);
  for (let g = 0; g < 2 * count; g++) {
    inverse.set(factors.subarray(g * size, (g + 1) * size));
    workspace.potri(width, inverse, width);
    const from = (g % count) * width;
    for (let k = 0; k < size; k++) total[from + Math.floor(k / width)] += inverse[k] * out[from + (k % width)];
  }
  for (let k = 0; k < u.length; k++) expect(total[k]).toBeCloseTo(u[k], 9);
});
