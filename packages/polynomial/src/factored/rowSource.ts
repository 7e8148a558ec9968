// Where the trainer gets its points from: blocks of rows, read in order, so that they may lie in memory, in memory shared by
// several threads, or in a file that is larger than memory.

import type { NumericBatch } from "@worstcase/core";

/** Points `[samples, dimension]`, finite. */
export interface RowSource {
  readonly samples: number;
  readonly dimension: number;
  /** Copies the rows `indices[from .. from + count - 1]`, which ascend, to the front of `target`, `[count, dimension]`. */
  gather(indices: Int32Array, from: number, count: number, target: Float64Array): void;
}

/** Rows at a time: a block of points stays in the second-level cache. */
export function blockRowsFor(dimension: number): number {
  return Math.max(32, Math.min(1024, 2 ** Math.floor(Math.log2(65536 / dimension))));
}

export function everyRow(samples: number): Int32Array {
  return Int32Array.from({ length: samples }, (_, i) => i);
}

export function rowsOf({ data, shape }: NumericBatch): RowSource {
  const [samples, dimension] = shape as [number, number];
  return new MemoryRows(data, samples, dimension);
}

class MemoryRows implements RowSource {
  constructor(
    private readonly data: NumericBatch["data"],
    readonly samples: number,
    readonly dimension: number,
  ) {}

  gather(indices: Int32Array, from: number, count: number, target: Float64Array): void {
    const { data, dimension: d } = this;
    // Runs of consecutive rows in one copy each.
    for (let t = 0; t < count; ) {
      const first = indices[from + t];
      let run = 1;
      while (t + run < count && indices[from + t + run] === first + run) run++;
      target.set(data.subarray(first * d, (first + run) * d), t * d);
      t += run;
    }
  }
}

/** `count` of the indices 0 .. n - 1, ascending, one from each of as many equal parts, at places no period of the data meets. */
export function spreadIndices(n: number, count: number): Int32Array {
  const golden = (Math.sqrt(5) - 1) / 2;
  return Int32Array.from({ length: count }, (_, t) => {
    const [from, to] = [Math.floor((t * n) / count), Math.floor(((t + 1) * n) / count)];
    return from + Math.floor(((t * golden) % 1) * (to - from));
  });
}
