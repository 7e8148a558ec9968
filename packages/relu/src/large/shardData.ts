// What the shards of one large fit share: the task, arrays in shared memory, and the words that pass between threads.
// patterns: [n, words] bits, sample by sample   centres, excess: [n, C]   groups of pieces: class by class, [C, P, D]

import type { PerturbationNorm } from "../ballSupport.js";
import type { GateSet } from "../patterns/gateSet.js";
import type { FeatureRows } from "./featureRows.js";

export interface ShardTask {
  readonly rows: FeatureRows;
  readonly labels: Int32Array;
  readonly classCount: number;
  readonly gates: GateSet;
  readonly bias: boolean;
  readonly norm: PerturbationNorm;
  readonly radius: number;
  readonly kernels: string;
  /** Packed patterns `[n, patternWords]`, 32 gates to a word; rows are multiples of 64 bits. */
  readonly patterns: Uint32Array;
  /** Multipliers the smoothed hinges are centred at, `[n, C]`. */
  readonly centres: Float32Array;
  /** Hinge arguments 1 - margin at the last pass, `[n, C]`. */
  readonly excess: Float32Array;
  readonly mail: Mail;
}

/** Written by the trainer before a command; every shard reads it. */
export interface Mail {
  readonly control: Int32Array;
  readonly settings: Float64Array;
  /** Pieces of the groups in use, in the order of `lists`, or of the step being evaluated. */
  readonly weights: Float64Array;
  /** Numbers of gates in use by class `[C]`, then their indices. */
  readonly lists: Int32Array;
}

/** Of one shard: its samples and where it answers. */
export interface ShardRange {
  readonly from: number;
  readonly to: number;
  readonly gradient: Float64Array;
  readonly answers: Float64Array;
}

export const slot = { round: 0, done: 1, failed: 2, command: 3, length: 4 } as const;
export const command = { patterns: 0, pass: 1, select: 2, evaluate: 3 } as const;
export const setting = { smoothing: 0, normSmoothing: 1, recentre: 2, depth: 3, length: 4 } as const;
export const answer = { smooth: 0, loss: 1, dualSum: 2, rows: 3, length: 4 } as const;

export const patternWords = (gateCount: number) => 2 * Math.ceil(gateCount / 64);

export const widthOf = (task: ShardTask) => task.rows.featureCount + (task.bias ? 1 : 0);

/** The lists in a mail, one array per class. */
export function listsOf({ lists }: Mail, classCount: number): Int32Array[] {
  let from = classCount;
  return Array.from({ length: classCount }, (_, c) => {
    const list = lists.subarray(from, from + lists[c]);
    from += lists[c];
    return list;
  });
}

/** Copies the bits of the listed gates of one pattern row to `out`, packed from the lowest bit of byte `to` on, 8 bytes' multiples. */
export function packListed(
  patterns: Uint32Array,
  row: number,
  list: Int32Array,
  out: Uint8Array,
  to: number,
  bytes: number,
): void {
  out.fill(0, to, to + bytes);
  for (let t = 0; t < list.length; t++) {
    const p = list[t];
    out[to + (t >> 3)] |= ((patterns[row + (p >> 5)] >>> (p & 31)) & 1) << (t & 7);
  }
}

/** Bytes of a packed row of `count` bits, a multiple of 8. */
export const bitBytes = (count: number) => 8 * Math.ceil(count / 64);
