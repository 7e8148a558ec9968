// Longest step that keeps many small matrices positive definite: min over i of the largest t with A_i + t D_i >= 0.
// A block is first tried at the best step so far by one Cholesky factorisation; only a block that fails is measured
// exactly by the eigenvalues of L^-1 D L^-T. Blocks that shorten the step are rare after the first ones, so nearly all of
// the cost is one factorisation a block. The scan begins with the block that was shortest last time.

import type { Workspace } from "@worstcase/linalg";

export interface StepSearch {
  /** blocks, changes: `[count, p, p]`, blocks positive definite; at most `cap`. 0 when a block is not positive definite. */
  longest(blocks: Float64Array, changes: Float64Array, cap: number): number;
}

/** Lengths of the arrays that a search takes from the workspace. */
export function stepSearchSizes(order: number): number[] {
  return [order * order, order * order, order];
}

export function createStepSearch(count: number, order: number, workspace: Workspace): StepSearch {
  const p = order;
  const size = p * p;
  const [trial, factor, values] = stepSearchSizes(p).map((length) => workspace.float64(length));
  let shortest = 0;

  /** Exact longest step of one block, or 0 when it is not positive definite. */
  function measure(blocks: Float64Array, changes: Float64Array, at: number): number {
    for (let k = 0; k < size; k++) factor[k] = blocks[at + k];
    if (workspace.potrf(p, factor, p) !== 0) return 0;
    for (let k = 0; k < size; k++) trial[k] = changes[at + k];
    workspace.trsm("left", false, p, p, factor, p, trial, p);
    workspace.trsm("right", true, p, p, factor, p, trial, p);
    if (workspace.syevd(p, trial, p, values) !== 0) return 0;
    return values[0] < 0 ? -1 / values[0] : Number.POSITIVE_INFINITY;
  }

  return {
    longest(blocks, changes, cap) {
      let step = cap;
      const begin = shortest;
      for (let turn = 0; turn < count && step > 0; turn++) {
        const i = (begin + turn) % count;
        const at = i * size;
        for (let a = 0; a < p; a++) {
          for (let k = a * p, end = k + a; k <= end; k++) trial[k] = blocks[at + k] + step * changes[at + k];
        }
        if (workspace.potrf(p, trial, p) === 0) continue;
        const own = measure(blocks, changes, at);
        if (own < step) {
          step = own;
          shortest = i;
        }
      }
      return step;
    },
  };
}
