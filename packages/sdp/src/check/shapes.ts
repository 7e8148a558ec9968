// Shapes of points and rays against the problem they belong to.

import { ShapeError } from "@worstcase/core";
import type { Block, BlockMatrix } from "../problem.js";
import { blockLength } from "./evaluate.js";

export function checkVector(vector: Float64Array, length: number, argument: string): void {
  if (vector?.length === length) return;
  throw new ShapeError({ argument, expected: `${length} numbers`, received: vector?.length });
}

export function checkBlocks(matrix: BlockMatrix, blocks: readonly Block[], argument: string): void {
  if (matrix?.length !== blocks.length) {
    const expected = `${blocks.length} arrays, one per block`;
    throw new ShapeError({ argument, expected, received: matrix?.length });
  }
  for (const [b, block] of blocks.entries()) checkVector(matrix[b], blockLength(block), `${argument}[${b}]`);
}

export function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
