// Entries of all matrices and blocks in the order of the file, in arrays that grow; then sorted into one part per block.

import type { Entries } from "../problem.js";
import type { Scanner } from "./scanner.js";

export class EntryList {
  length = 0;
  private block = new Int32Array(1024);
  private matrix = new Int32Array(1024);
  private row = new Int32Array(1024);
  private column = new Int32Array(1024);
  private value = new Float64Array(1024);
  /** Where the entry begins in the file. */
  private offset = new Float64Array(1024);

  /** Indices of blocks, rows and columns from 0; row > column is below the diagonal. */
  add(matrix: number, block: number, row: number, column: number, value: number, offset: number): void {
    const at = this.length++;
    if (at === this.block.length) this.grow();
    this.matrix[at] = matrix;
    this.block[at] = block;
    this.row[at] = row;
    this.column[at] = column;
    this.value[at] = value;
    this.offset[at] = offset;
  }

  private grow(): void {
    const longer = <A extends Int32Array | Float64Array>(array: A): A => {
      const copy = new (array.constructor as new (length: number) => A)(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.block = longer(this.block);
    this.matrix = longer(this.matrix);
    this.row = longer(this.row);
    this.column = longer(this.column);
    this.value = longer(this.value);
    this.offset = longer(this.offset);
  }

  /**
   * Entries per block in the order of the file, above the diagonal, without zeros. An entry written above and below the
   * diagonal with one value counts once. Throws FormatError when the two differ or when a position is written twice.
   */
  byBlock(blockCount: number, scanner: Scanner): Entries[] {
    const starts = new Float64Array(blockCount + 1);
    for (let e = 0; e < this.length; e++) starts[this.block[e] + 1]++;
    for (let b = 0; b < blockCount; b++) starts[b + 1] += starts[b];
    const next = starts.slice();
    const order = new Uint32Array(this.length);
    for (let e = 0; e < this.length; e++) order[next[this.block[e]]++] = e;
    const kept = {
      matrix: new Int32Array(this.length),
      row: new Int32Array(this.length),
      column: new Int32Array(this.length),
      value: new Float64Array(this.length),
    };
    let filled = 0;
    return Array.from({ length: blockCount }, (_, b) => {
      const members = order.subarray(starts[b], starts[b + 1]);
      const dropped = this.ascends(members) ? undefined : this.mirrored(members, scanner);
      const from = filled;
      for (const e of members) {
        if (this.value[e] === 0 || dropped?.has(e)) continue;
        kept.matrix[filled] = this.matrix[e];
        kept.row[filled] = Math.min(this.row[e], this.column[e]);
        kept.column[filled] = Math.max(this.row[e], this.column[e]);
        kept.value[filled++] = this.value[e];
      }
      return {
        matrix: kept.matrix.subarray(from, filled),
        row: kept.row.subarray(from, filled),
        column: kept.column.subarray(from, filled),
        value: kept.value.subarray(from, filled),
      };
    });
  }

  /** Whether the members stand in one triangle and strictly in order, row by row or column by column: then none is repeated. */
  private ascends(members: Uint32Array): boolean {
    const { matrix, row, column } = this;
    const inOrder = (first: Int32Array, second: Int32Array) => {
      for (let k = 1; k < members.length; k++) {
        const [a, b] = [members[k - 1], members[k]];
        const step = matrix[b] - matrix[a] || first[b] - first[a] || second[b] - second[a];
        if (step <= 0) return false;
      }
      return true;
    };
    const above = members.every((e) => row[e] <= column[e]) || members.every((e) => row[e] >= column[e]);
    return above && (inOrder(row, column) || inOrder(column, row));
  }

  /** Members that only repeat an earlier one from the other side of the diagonal. */
  private mirrored(members: Uint32Array, scanner: Scanner): Set<number> {
    const { matrix, row, column, value } = this;
    const seen = new Map<number, Map<number, number>>();
    const dropped = new Set<number>();
    for (const e of members) {
      const [i, j] = [Math.min(row[e], column[e]), Math.max(row[e], column[e])];
      let positions = seen.get(matrix[e]);
      if (!positions) {
        positions = new Map();
        seen.set(matrix[e], positions);
      }
      // rows and columns are below 2^26, so the key is exact
      const key = i * 0x4000000 + j;
      const earlier = positions.get(key);
      if (earlier === undefined) {
        positions.set(key, e);
        continue;
      }
      const place = `(${row[e] + 1}, ${column[e] + 1}) of matrix ${matrix[e]}, block ${this.block[e] + 1}`;
      if (earlier < 0 || row[earlier] === row[e]) scanner.fail(this.offset[e], `no second entry at ${place}`);
      if (value[earlier] !== value[e]) {
        scanner.fail(
          this.offset[e],
          `${value[earlier]} at ${place}, as in the other triangle`,
          "matrices are symmetric",
        );
      }
      dropped.add(e);
      positions.set(key, -1);
    }
    return dropped;
  }
}
