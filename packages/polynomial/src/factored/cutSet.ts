// The cuts of the restricted master: attacks of this and earlier rounds held fixed, with the response of every atom,
//   H_ej = s_j y_i (a (E[u_j'z_e]^2 + variance) + b u_j'z_e + c),   z_e = x_i + D_e,
// sorted by sample. Attacks are kept in the span they were found in, one layer a round.
// A class, so that it stays compiled from one fit to the next.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import type { AttackState, ObjectiveProblem } from "./objective.js";
import type { TrainingData } from "./trainingData.js";

interface Layer {
  /** Ascending, one cut each. */
  readonly samples: Int32Array;
  /** Where the cuts stand in the table. */
  readonly positions: Int32Array;
  readonly rank: number;
  readonly basis: Float64Array;
  readonly moves: Float64Array;
  readonly variances: Float64Array | null;
}

type Loaded = Omit<Layer, "positions">;

function allocate({ dimension: d, kernels, maxNeurons, buffers }: TrainingData, capacity: number) {
  const { blockRows: block } = buffers;
  const maxRank = Math.min(maxNeurons, d);
  const sizes = [block * d, capacity * d, block * capacity, maxRank * d, capacity * maxRank];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [points, atoms, products, basis, projections] = sizes.map((size) => workspace.float64(size));
  return { workspace, block, points, atoms, products, basis, projections };
}

export class CutSet {
  count = 0;
  /** Samples that have cuts, ascending; those of `samples[g]` are `starts[g] .. starts[g + 1] - 1`. */
  samples = new Int32Array(0);
  starts = new Int32Array(1);
  /** H by columns, one per atom: entry (e, j) at j * stride + e. */
  table = new Float64Array(0);
  stride = 0;
  private layers: Layer[] = [];
  private readonly memory: ReturnType<typeof allocate>;

  constructor(
    private readonly problem: Pick<ObjectiveProblem, "data" | "labels" | "activation">,
    private readonly capacity: number,
  ) {
    this.memory = allocate(problem.data, capacity);
  }

  /** Replaces the cuts by the present attack on `chosen` and those of at most `keep` earlier rounds that carry weight. */
  renew(state: AttackState, chosen: Int32Array, weights: Float64Array, keep: number): void {
    const old = keep > 0 ? this.layers.slice(-keep).map((layer) => binding(layer, weights)) : [];
    const fresh = [...old.filter((layer) => layer.samples.length > 0), this.freeze(state, chosen)];
    const n = this.problem.data.samples;
    // Cuts of every sample, then the place of its next one.
    const held = new Int32Array(n);
    let groups = 0;
    for (const { samples } of fresh) for (let t = 0; t < samples.length; t++) if (held[samples[t]]++ === 0) groups++;
    this.samples = new Int32Array(groups);
    this.starts = new Int32Array(groups + 1);
    let count = 0;
    for (let i = 0, g = 0; i < n; i++) {
      if (held[i] === 0) continue;
      this.samples[g++] = i;
      const next = count + held[i];
      this.starts[g] = next;
      held[i] = count;
      count = next;
    }
    this.count = count;
    this.layers = fresh.map((layer) => {
      const positions = new Int32Array(layer.samples.length);
      for (let t = 0; t < positions.length; t++) positions[t] = held[layer.samples[t]]++;
      return { ...layer, positions };
    });
    if (this.stride < count) {
      this.stride = Math.min(2 * count, Math.ceil(1.25 * count));
      this.table = new Float64Array(this.stride * this.capacity);
    }
  }

  /** Fills the columns `from .. to - 1` of the table. */
  fill(directions: Float64Array, signs: Float64Array, from: number, to: number): void {
    const width = to - from;
    if (width === 0) return;
    const { workspace, block, points, atoms, products, basis, projections } = this.memory;
    const { dimension: d, rows } = this.problem.data;
    atoms.set(directions.subarray(from * d, to * d));
    for (const layer of this.layers) {
      const { rank, samples } = layer;
      basis.set(layer.basis);
      if (rank > 0) workspace.gemm(false, true, width, rank, d, 1, atoms, d, basis, d, 0, projections, rank);
      for (let first = 0; first < samples.length; first += block) {
        const size = Math.min(block, samples.length - first);
        rows.gather(samples, first, size, points);
        if (width === 1) workspace.gemv(false, size, d, 1, points, d, atoms, 0, products);
        else workspace.gemm(false, true, size, width, d, 1, points, d, atoms, d, 0, products, width);
        this.fillBlock(layer, first, size, signs, from, width);
      }
    }
  }

  private fillBlock(layer: Layer, first: number, size: number, signs: Float64Array, from: number, width: number): void {
    const { table, stride } = this;
    const { products, projections } = this.memory;
    const { labels, activation } = this.problem;
    const { rank, moves, variances, samples, positions } = layer;
    const { a, b, c } = activation;
    for (let t = 0; t < size; t++) {
      const label = labels[samples[first + t]];
      const cut = from * stride + positions[first + t];
      const at = (first + t) * rank;
      for (let j = 0; j < width; j++) {
        let value = products[t * width + j];
        let spread = 0;
        for (let k = 0, p = j * rank; k < rank; k++) value += moves[at + k] * projections[p + k];
        if (variances) {
          for (let k = 0, p = j * rank; k < rank; k++) spread += variances[at + k] * projections[p + k] ** 2;
        }
        table[cut + j * stride] = signs[from + j] * label * (a * (value * value + spread) + b * value + c);
      }
    }
  }

  moveColumn(from: number, to: number): void {
    const { table, stride, count } = this;
    table.copyWithin(to * stride, from * stride, from * stride + count);
  }

  /** The cuts as an attack on the samples, with these weights; shares memory with the cuts. */
  parts(weights: Float64Array): AttackPart[] {
    return this.layers.map(({ samples, positions, basis, moves, variances }) => {
      const own = new Float64Array(positions.length);
      for (let t = 0; t < own.length; t++) own[t] = weights[positions[t]];
      return { samples, weights: own, attack: { coordinates: moves, basis, variances } };
    });
  }

  /** The present attack on the chosen samples. */
  private freeze({ rank, variances }: AttackState, chosen: Int32Array): Loaded {
    const { dimension: d, buffers } = this.problem.data;
    const moves = pickRows(buffers.moves, rank, chosen);
    const spread = variances && pickRows(variances, rank, chosen);
    return { samples: chosen, rank, basis: buffers.basis.slice(0, rank * d), moves, variances: spread };
  }
}

/** The cuts of a layer that carry weight. */
function binding({ samples, positions, rank, basis, moves, variances }: Layer, weights: Float64Array): Loaded {
  const kept = positions.map((_, t) => t).filter((t) => weights[positions[t]] > 0);
  return {
    samples: kept.map((t) => samples[t]),
    ...{ rank, basis, moves: pickRows(moves, rank, kept) },
    variances: variances && pickRows(variances, rank, kept),
  };
}

/** Some rows of `[n, rank]`, in the order given. */
function pickRows(source: Float64Array, rank: number, rows: Int32Array): Float64Array {
  const target = new Float64Array(rows.length * rank);
  for (let t = 0, p = 0; t < rows.length; t++) {
    for (let k = 0, q = rows[t] * rank; k < rank; k++) target[p++] = source[q + k];
  }
  return target;
}
