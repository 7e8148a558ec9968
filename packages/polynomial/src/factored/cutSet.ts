// The cuts of the restricted master: attacks of this and earlier rounds held fixed, with the response of every atom,
//   H_ej = s_j y_i (a (E[u_j'z_e]^2 + variance) + b u_j'z_e + c),   z_e = x_i + D_e,
// sorted by sample. Attacks are kept in the span they were found in, one layer a round.

import { workspaceSize } from "@worstcase/linalg";
import type { AttackPart } from "../certificate.js";
import type { AttackState, ObjectiveProblem } from "./objective.js";

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

export interface CutSet {
  readonly count: number;
  /** Samples that have cuts, ascending; those of `samples[g]` are `starts[g] .. starts[g + 1] - 1`. */
  readonly samples: Int32Array;
  readonly starts: Int32Array;
  /** H by columns, one per atom: entry (e, j) at j * stride + e. */
  readonly table: Float64Array;
  readonly stride: number;
  /** Replaces the cuts by the present attack on `samples` and those of at most `keep` earlier rounds that carry weight. */
  renew(state: AttackState, samples: Int32Array, weights: Float64Array, keep: number): void;
  /** Fills the columns `from .. to - 1` of the table. */
  fill(directions: Float64Array, signs: Float64Array, from: number, to: number): void;
  moveColumn(from: number, to: number): void;
  /** The cuts as an attack on the samples, with these weights; shares memory with the cuts. */
  parts(weights: Float64Array): AttackPart[];
}

export function createCutSet({ data, labels, activation }: ObjectiveProblem, capacity: number): CutSet {
  const { dimension: d, kernels, rows, maxNeurons } = data;
  const block = data.buffers.blockRows;
  const maxRank = Math.min(maxNeurons, d);
  const sizes = [block * d, capacity * d, block * capacity, maxRank * d, capacity * maxRank];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [points, atoms, products, basis, projections] = sizes.map((size) => workspace.float64(size));
  let layers: Layer[] = [];
  let samples = new Int32Array(0);
  let starts = new Int32Array(1);
  let table = new Float64Array(0);
  let count = 0;
  let stride = 0;

  function keepBinding(layer: Layer, weights: Float64Array): Omit<Layer, "positions"> {
    const { rank, moves, variances } = layer;
    const kept: number[] = [];
    for (let t = 0; t < layer.samples.length; t++) if (weights[layer.positions[t]] > 0) kept.push(t);
    const pick = (source: Float64Array) => {
      const target = new Float64Array(kept.length * rank);
      kept.forEach((t, to) => {
        for (let k = 0; k < rank; k++) target[to * rank + k] = source[t * rank + k];
      });
      return target;
    };
    return {
      samples: Int32Array.from(kept, (t) => layer.samples[t]),
      rank,
      basis: layer.basis,
      moves: pick(moves),
      variances: variances && pick(variances),
    };
  }

  function freeze({ rank, variances }: AttackState, chosen: Int32Array): Omit<Layer, "positions"> {
    const pick = (source: Float64Array) => {
      const target = new Float64Array(chosen.length * rank);
      for (let t = 0, p = 0; t < chosen.length; t++) {
        for (let k = 0, q = chosen[t] * rank; k < rank; k++) target[p++] = source[q + k];
      }
      return target;
    };
    const { moves, basis } = data.buffers;
    const memory = { moves: pick(moves), variances: variances && pick(variances) };
    return { samples: chosen, rank, basis: basis.slice(0, rank * d), ...memory };
  }

  return {
    get count() {
      return count;
    },
    get samples() {
      return samples;
    },
    get starts() {
      return starts;
    },
    get table() {
      return table;
    },
    get stride() {
      return stride;
    },
    renew(state, chosen, weights, keep) {
      const old = keep > 0 ? layers.slice(-keep).map((layer) => keepBinding(layer, weights)) : [];
      const fresh = [...old.filter((layer) => layer.samples.length > 0), freeze(state, chosen)];
      const held = new Int32Array(data.samples);
      for (const layer of fresh) for (const i of layer.samples) held[i]++;
      count = 0;
      let groups = 0;
      for (let i = 0; i < data.samples; i++) if (held[i] > 0) groups++;
      samples = new Int32Array(groups);
      starts = new Int32Array(groups + 1);
      groups = 0;
      for (let i = 0; i < data.samples; i++) {
        if (held[i] === 0) continue;
        samples[groups++] = i;
        const next = count + held[i];
        starts[groups] = next;
        held[i] = count;
        count = next;
      }
      layers = fresh.map((layer) => {
        const positions = new Int32Array(layer.samples.length);
        for (let t = 0; t < positions.length; t++) positions[t] = held[layer.samples[t]]++;
        return { ...layer, positions };
      });
      if (stride < count) {
        stride = Math.min(2 * count, Math.ceil(1.25 * count));
        table = new Float64Array(stride * capacity);
      }
    },
    fill(directions, signs, from, to) {
      const width = to - from;
      if (width === 0) return;
      const { a, b, c } = activation;
      atoms.set(directions.subarray(from * d, to * d));
      for (const { rank, basis: own, moves, variances, samples: members, positions } of layers) {
        basis.set(own);
        if (rank > 0) workspace.gemm(false, true, width, rank, d, 1, atoms, d, basis, d, 0, projections, rank);
        for (let first = 0; first < members.length; first += block) {
          const size = Math.min(block, members.length - first);
          rows.gather(members, first, size, points);
          if (width === 1) workspace.gemv(false, size, d, 1, points, d, atoms, 0, products);
          else workspace.gemm(false, true, size, width, d, 1, points, d, atoms, d, 0, products, width);
          for (let t = 0; t < size; t++) {
            const label = labels[members[first + t]];
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
      }
    },
    moveColumn(from, to) {
      table.copyWithin(to * stride, from * stride, from * stride + count);
    },
    parts(weights) {
      return layers.map(({ samples: members, positions, basis: own, moves, variances }) => {
        const attack = { coordinates: moves, basis: own, variances };
        return { samples: members, weights: Float64Array.from(positions, (e) => weights[e]), attack };
      });
    },
  };
}
