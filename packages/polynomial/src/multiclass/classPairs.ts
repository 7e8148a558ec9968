// The unordered pairs of classes with the rows of their samples: row (i, c) is the margin of the label of i over the rival c.

export const none: Float64Array = new Float64Array(0);

export interface Pair {
  readonly first: number;
  readonly second: number;
  /** All rows of the pair, their samples, and +1 for samples of the first class. */
  readonly rows: Int32Array;
  readonly samples: Int32Array;
  readonly signs: Float64Array;
  activeRows: Int32Array;
  activeSamples: Int32Array;
  activeSigns: Float64Array;
  rank: number;
  /** Eigenbasis of the last attack `[rank, d]` and displacements in it `[active, rank]`. */
  readonly basis: Float64Array;
  moves: Float64Array;
  /** Variances of a smoothed attack along the basis `[active, rank]`; empty when it was not. */
  spreads: Float64Array;
}

export function listPairs(labels: Int32Array, classCount: number, basisSize: number): Pair[] {
  const byClass: number[][] = Array.from({ length: classCount }, () => []);
  for (let i = 0; i < labels.length; i++) byClass[labels[i]].push(i);
  const pairs: Pair[] = [];
  for (let first = 0; first < classCount; first++) {
    for (let second = first + 1; second < classCount; second++) {
      const samples = Int32Array.from([...byClass[first], ...byClass[second]]);
      const signs = Float64Array.from(samples, (i) => (labels[i] === first ? 1 : -1));
      // Position of the rival among the other classes of the sample.
      const rows = samples.map((i) => {
        const rival = labels[i] === first ? second : first;
        return i * (classCount - 1) + (rival < labels[i] ? rival : rival - 1);
      });
      const active = {
        activeRows: new Int32Array(0),
        activeSamples: new Int32Array(0),
        activeSigns: new Float64Array(0),
      };
      const memory = { rank: 0, basis: new Float64Array(basisSize), moves: none, spreads: none };
      pairs.push({ first, second, rows, samples, signs, ...active, ...memory });
    }
  }
  return pairs;
}

/** Leaves the rows with a nonzero mask in the attacks of a pair, all for null, with room for moves of `maxRank` coordinates. */
export function activate(pair: Pair, mask: Uint8Array | null, maxRank: number): void {
  const keep: number[] = [];
  for (let t = 0; t < pair.rows.length; t++) if (mask === null || mask[pair.rows[t]]) keep.push(t);
  pair.activeRows = Int32Array.from(keep, (t) => pair.rows[t]);
  pair.activeSamples = Int32Array.from(keep, (t) => pair.samples[t]);
  pair.activeSigns = Float64Array.from(keep, (t) => pair.signs[t]);
  if (pair.moves.length < keep.length * maxRank) pair.moves = new Float64Array(keep.length * maxRank);
}
