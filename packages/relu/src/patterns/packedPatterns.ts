// Patterns of many gates at once, packed 32 samples to a word, and a table that keeps distinct ones.
//   bit i of pattern p = 1[g_p'x_i >= 0]
// features: [n, d]   gates: [P, d (+1)]   patterns: [P, ceil(n / 32)]

import { type NumericBatch, sampleCount, sampleSize } from "@worstcase/core";
import { chooseKernels, type Workspace, workspaceSize } from "@worstcase/linalg";

/** Samples per product. */
const ROWS = 512;
/** Gates per product. */
export const GATE_BLOCK = 64;

/** Evaluates gates on one set of features, in blocks that stay in cache. */
export class GateEvaluator {
  readonly samples: number;
  readonly featureCount: number;
  readonly words: number;
  readonly width: number;
  private readonly rows: number;
  private readonly workspace: Workspace;
  private readonly featureChunk: Float64Array;
  private readonly gateChunk: Float64Array;
  private readonly openings: Float64Array;

  constructor(
    private readonly features: NumericBatch,
    private readonly bias: boolean,
  ) {
    this.samples = sampleCount(features);
    this.featureCount = sampleSize(features);
    this.words = Math.ceil(this.samples / 32);
    this.width = this.featureCount + (bias ? 1 : 0);
    this.rows = Math.min(ROWS, this.samples);
    const sizes = [this.rows * this.featureCount, GATE_BLOCK * this.featureCount, this.rows * GATE_BLOCK];
    this.workspace = chooseKernels().workspace(workspaceSize(...sizes));
    this.featureChunk = this.workspace.float64(sizes[0]);
    this.gateChunk = this.workspace.float64(sizes[1]);
    this.openings = this.workspace.float64(sizes[2]);
  }

  /** Calls `visit(p, i, g_p'x_i)` for every gate `[count, width]` and sample; samples ascend for each gate. */
  forEach(gates: Float64Array, count: number, visit: (p: number, i: number, opening: number) => void): void {
    const { featureCount, width, bias, featureChunk, gateChunk, openings } = this;
    for (let first = 0; first < count; first += GATE_BLOCK) {
      const block = Math.min(GATE_BLOCK, count - first);
      for (let p = 0; p < block; p++) {
        const from = (first + p) * width;
        gateChunk.set(gates.subarray(from, from + featureCount), p * featureCount);
      }
      for (let row = 0; row < this.samples; row += this.rows) {
        const rows = Math.min(this.rows, this.samples - row);
        featureChunk.set(this.features.data.subarray(row * featureCount, (row + rows) * featureCount));
        this.workspace.gemm(
          false,
          true,
          rows,
          block,
          featureCount,
          1,
          featureChunk,
          featureCount,
          gateChunk,
          featureCount,
          0,
          openings,
          block,
        );
        for (let p = 0; p < block; p++) {
          const constant = bias ? gates[(first + p) * width + featureCount] : 0;
          for (let i = 0; i < rows; i++) visit(first + p, row + i, openings[i * block + p] + constant);
        }
      }
    }
  }

  /** Packed patterns `[count, words]` of gates `[count, width]`. */
  patterns(gates: Float64Array, count: number): Uint32Array {
    const { words } = this;
    const packed = new Uint32Array(count * words);
    this.forEach(gates, count, (p, i, opening) => {
      if (opening >= 0) packed[p * words + (i >>> 5)] |= 1 << (i & 31);
    });
    return packed;
  }

  /** Root mean square of g_p'x over the samples, `[count]`; 1 where that is zero. */
  scales(gates: Float64Array, count: number): Float64Array {
    const squares = new Float64Array(count);
    this.forEach(gates, count, (p, _, opening) => {
      squares[p] += opening * opening;
    });
    return squares.map((square) => Math.sqrt(square / this.samples) || 1);
  }
}

/** Distinct packed patterns in the order of arrival, compared bit by bit, with the number of times each came. */
export class PatternTable {
  readonly patterns: Uint32Array[] = [];
  readonly seen: number[] = [];
  private readonly byHash = new Map<number, number[]>();

  /** Adds `pattern`; returns its place, and whether it is new. The pattern is copied. */
  add(pattern: Uint32Array): { place: number; isNew: boolean } {
    const hash = hashOf(pattern);
    const same = this.byHash.get(hash);
    if (same) {
      for (const place of same) {
        if (equal(this.patterns[place], pattern)) {
          this.seen[place]++;
          return { place, isNew: false };
        }
      }
    }
    const place = this.patterns.length;
    this.patterns.push(pattern.slice());
    this.seen.push(1);
    if (same) same.push(place);
    else this.byHash.set(hash, [place]);
    return { place, isNew: true };
  }
}

/** Bits `[n, P]`, one byte each, of packed patterns `[P, ceil(n / 32)]`. */
export function unpackPatterns(packed: Uint32Array, samples: number, count: number): Uint8Array {
  const words = Math.ceil(samples / 32);
  const bits = new Uint8Array(samples * count);
  for (let p = 0; p < count; p++) {
    for (let i = 0; i < samples; i++) bits[i * count + p] = (packed[p * words + (i >>> 5)] >>> (i & 31)) & 1;
  }
  return bits;
}

export function isSilent(pattern: Uint32Array): boolean {
  for (const word of pattern) if (word !== 0) return false;
  return true;
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return false;
  return true;
}

function hashOf(pattern: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of pattern) hash = Math.imul(hash ^ word ^ (word >>> 15), 0x01000193);
  return hash;
}
