// The training points of one or more two-class problems, with the buffers that one evaluation of the objective needs, shared
// by all classes of a one-versus-all fit. n samples, d features, K neurons at most. Points are read a block at a time.

import type { NumericBatch } from "@worstcase/core";
import { chooseKernels, type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { checkInteger, checkPoints } from "../inputs.js";
import { type BallRows, ballRowsSizes, createBallRows } from "../worstCase/ballRows.js";
import { principalDirections } from "./principalDirections.js";
import { blockRowsFor, type RowSource, rowsOf, spreadIndices } from "./rowSource.js";

export interface TrainingData {
  readonly samples: number;
  readonly dimension: number;
  readonly kernels: Kernels;
  /** The points, block by block. */
  readonly rows: RowSource;
  /** The points as given; null when they do not lie in memory. */
  readonly points: NumericBatch | null;
  /** Most neurons a fit on this data may hold. */
  readonly maxNeurons: number;
  /** An even choice of samples with their own buffers, made once, and its indices. @internal */
  sample(count: number): { readonly data: TrainingData; readonly indices: Int32Array };
  /** Leading directions of a sample, made once, and their share of its variance. @internal */
  principal(count: number): ReturnType<typeof principalDirections>;
  /** @internal */
  readonly buffers: TrainingBuffers;
}

interface TrainingBuffers {
  readonly workspace: Workspace;
  /** Rows handled at a time. */
  readonly blockRows: number;
  /** Points of a block, `[block, d]` */
  readonly points: Float64Array;
  /** Rotated points, then rotated attacked points, of a block, `[block, rank]` */
  readonly rotated: Float64Array;
  /** Attack displacements of a block in the span, `[block, rank]` */
  readonly blockMoves: Float64Array;
  /** p_i y_i v_j'z_i, with p_i y_i in a last column, `[block, K + 1]` */
  readonly products: Float64Array;
  /** Attack displacements in the span, `[n, rank]` */
  readonly moves: Float64Array;
  /** Eigenbasis of the present form, `[rank, d]` */
  readonly basis: Float64Array;
  /** sum_i products_ij x_i, `[K + 1, d]` */
  readonly gradient: Float64Array;
  /** sum_i products_ij moves_ik, `[K + 1, rank]` */
  readonly smallGradient: Float64Array;
  /** Neurons in span coordinates, `[K, rank]` */
  readonly coordinates: Float64Array;
  /** Worst cases of the rotated rows of a block. */
  readonly ballRows: BallRows;
  /** Small eigenproblem, `[rank, rank]` and `[rank]`. */
  readonly small: Float64Array;
  readonly smallValues: Float64Array;
}

/** Samples that decide on principal directions. */
const principalSample = 2048;

interface DataOptions {
  readonly kernels?: Kernels | undefined;
  readonly maxNeurons?: number | undefined;
}

/**
 * Makes the buffers for points `[samples, features]`, finite; the points stay where they are and must not change.
 * `maxNeurons` defaults to min(2 features + 2, 128). Throws ShapeError, DataError or SettingError on misuse.
 */
export function prepareTrainingData(points: NumericBatch, options: DataOptions = {}): TrainingData {
  checkPoints(points, "points");
  return prepareRows(rowsOf(points), points, options);
}

/** As `prepareTrainingData`, for rows that were checked already. */
export function prepareRows(rows: RowSource, points: NumericBatch | null, options: DataOptions): TrainingData {
  const { samples: n, dimension: d } = rows;
  const maxNeurons = options.maxNeurons ?? Math.min(2 * d + 2, 128);
  checkInteger(maxNeurons, "options.maxNeurons", 2);
  const kernels = options.kernels ?? chooseKernels();
  const k = maxNeurons;
  const rank = Math.min(k, d);
  const blockRows = Math.min(blockRowsFor(d), n);
  const sizes = [
    blockRows * d,
    blockRows * rank,
    blockRows * rank,
    blockRows * (k + 1),
    rank * d,
    (k + 1) * d,
    (k + 1) * rank,
    k * rank,
    rank * rank,
    rank,
  ];
  const workspace = kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(blockRows, rank)));
  const [block, rotated, blockMoves, products, basis, gradient, smallGradient, coordinates, small, smallValues] =
    sizes.map((size) => workspace.float64(size));
  const moves = new Float64Array(n * rank);
  const forBlock = { blockRows, points: block, rotated, blockMoves, products };
  const forForm = { moves, basis, gradient, smallGradient, coordinates, small, smallValues };
  const buffers = { workspace, ...forBlock, ...forForm, ballRows: createBallRows(workspace, blockRows, rank) };
  let sampled: ReturnType<TrainingData["sample"]> | null = null;
  let principal: ReturnType<TrainingData["principal"]> | null = null;
  const data: TrainingData = {
    samples: n,
    dimension: d,
    kernels,
    rows,
    points,
    maxNeurons,
    buffers,
    sample(count) {
      if (sampled?.data.samples === count) return sampled;
      const indices = spreadIndices(n, count);
      const subset = new Float64Array(count * d);
      for (let from = 0; from < count; from += blockRows) {
        const size = Math.min(blockRows, count - from);
        rows.gather(indices, from, size, subset.subarray(from * d));
      }
      const batch = { data: subset, shape: [count, d] };
      sampled = { data: prepareRows(rowsOf(batch), batch, { kernels, maxNeurons }), indices };
      return sampled;
    },
    principal(count) {
      if (principal?.directions.length !== count * d) {
        const few = n > principalSample ? data.sample(principalSample).data : data;
        principal = principalDirections(few, count);
      }
      return principal;
    },
  };
  return data;
}
