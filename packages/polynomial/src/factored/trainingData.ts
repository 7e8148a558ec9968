// The training points, stored once in kernel memory and shared by all classes of a one-versus-all fit,
// with the buffers that one evaluation of the objective needs. n samples, d features, K neurons at most.

import type { NumericBatch } from "@worstcase/core";
import { chooseKernels, type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { checkInteger, checkPoints } from "../inputs.js";

export interface TrainingData {
  readonly samples: number;
  readonly dimension: number;
  readonly kernels: Kernels;
  /** The points as given, for the independent checks at the end. */
  readonly points: NumericBatch;
  /** Most neurons a fit on this data may hold. */
  readonly maxNeurons: number;
  /** @internal */
  readonly buffers: TrainingBuffers;
}

interface TrainingBuffers {
  readonly workspace: Workspace;
  /** X, `[n, d]` */
  readonly points: Float64Array;
  /** Rotated points, then rotated attacked points, `[n, rank]` */
  readonly rotated: Float64Array;
  /** Attack displacements in the span, `[n, rank]` */
  readonly moves: Float64Array;
  /** v_j'z_i, then p_i y_i v_j'z_i, with p_i y_i in a last column, `[n, K + 1]` */
  readonly products: Float64Array;
  /** Eigenbasis of the present form, `[rank, d]` */
  readonly basis: Float64Array;
  /** sum_i products_ij x_i, `[K + 1, d]` */
  readonly gradient: Float64Array;
  /** sum_i products_ij moves_ik, `[K + 1, rank]` */
  readonly smallGradient: Float64Array;
  /** Neurons in span coordinates, `[K, rank]` */
  readonly coordinates: Float64Array;
  /** Small eigenproblem, `[rank, rank]` and `[rank]`. */
  readonly small: Float64Array;
  readonly smallValues: Float64Array;
}

/**
 * Copies the points into kernel memory. points: `[samples, features]`, finite.
 * `maxNeurons` defaults to min(2 features + 2, 64). Throws ShapeError, DataError or SettingError on misuse.
 */
export function prepareTrainingData(
  points: NumericBatch,
  options: { readonly kernels?: Kernels | undefined; readonly maxNeurons?: number | undefined } = {},
): TrainingData {
  const [n, d] = checkPoints(points, "points");
  const maxNeurons = options.maxNeurons ?? Math.min(2 * d + 2, 64);
  checkInteger(maxNeurons, "options.maxNeurons", 2);
  const kernels = options.kernels ?? chooseKernels();
  const k = maxNeurons;
  const rank = Math.min(k, d);
  const sizes = [
    n * d,
    n * rank,
    n * rank,
    n * (k + 1),
    rank * d,
    (k + 1) * d,
    (k + 1) * rank,
    k * rank,
    rank * rank,
    rank,
  ];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [stored, rotated, moves, products, basis, gradient, smallGradient, coordinates, small, smallValues] = sizes.map(
    (size) => workspace.float64(size),
  );
  stored.set(points.data);
  return {
    samples: n,
    dimension: d,
    kernels,
    points,
    maxNeurons,
    buffers: {
      workspace,
      points: stored,
      rotated,
      moves,
      products,
      basis,
      gradient,
      smallGradient,
      coordinates,
      small,
      smallValues,
    },
  };
}
