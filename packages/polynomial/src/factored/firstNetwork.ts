// A first network of a few neurons, and where its moments lead out of a subspace: with p_i and z_i its hinge weights and attacked points,
//   C = sum_i p_i y_i [2 a z_i; b] (x_i - B'B x_i)'  [k + 1, features]
// couples the subspace B [k, features] to the rest of the features in h(u) of the certificate (certificate.ts). Right singular vectors
// of C with singular values that matter beside beta are directions that B lacks.

import { workspaceSize } from "@worstcase/linalg";
import { createCertifier, wholePart } from "../certificate.js";
import { candidates } from "./candidates.js";
import { Lbfgs } from "./lbfgs.js";
import { createObjective, type ObjectiveProblem } from "./objective.js";
import { everyRow } from "./rowSource.js";
import type { TrainingData } from "./trainingData.js";

const steps = 48;
/** Further eigenvectors that become neurons on each side, and their size in that of the extremes. */
const extraDirections = 2;
const extraSize = 0.3;

export interface FirstNetwork {
  /** v_j `[count, features]` and their signs */
  readonly vectors: Float64Array;
  readonly signs: Float64Array;
  readonly evaluations: number;
}

/** A few steps with a hinge of this width, from the directions in which the zero network fails its certificate. */
export function firstNetwork(problem: ObjectiveProblem, width: number, signal: AbortSignal | undefined): FirstNetwork {
  const { data, labels, hingeWeights, radius, beta, activation } = problem;
  const { dimension: d, kernels, rows } = data;
  const none = new Float64Array(0);
  const parts = [wholePart({ weights: hingeWeights, attack: { coordinates: none, basis: none } })];
  const zero = { points: rows, labels, radius, parts, hingeWeights, beta, activation };
  const found = createCertifier(d, kernels).certify(zero);
  const offers = candidates(found, activation, 1 + extraDirections, Number.NEGATIVE_INFINITY);
  const signs = Float64Array.from(offers, ({ sign }) => sign);
  const vectors = new Float64Array(offers.length * d);
  const size = 0.1 / Math.max(found.largest, found.largestNegative);
  for (const [j, { direction }] of offers.entries()) {
    const length = Math.sqrt(j < 2 ? size : extraSize * size);
    for (let l = 0; l < d; l++) vectors[j * d + l] = length * direction[l];
  }
  const objective = createObjective(problem);
  const smoothing = { width, mu: 0, rho: 1 };
  new Lbfgs(vectors.length).minimise(
    (x, gradient) => objective.evaluate(x, signs, signs.length, smoothing, gradient),
    vectors,
    vectors.length,
    { maxSteps: steps, smallDecrease: 0, shouldStop: () => signal?.aborted === true },
  );
  return { vectors, signs, evaluations: objective.evaluations };
}

/**
 * Singular directions of C above `least` beta, at most `most`, `[d]` each, for a network of the problem in the subspace; `whole` is the
 * problem with all its features.
 */
export function directionsOutside(
  { vectors, signs }: FirstNetwork,
  problem: ObjectiveProblem,
  whole: TrainingData,
  basis: Float64Array,
  { width, least, most }: { readonly width: number; readonly least: number; readonly most: number },
): Float64Array[] {
  const { labels, activation, beta } = problem;
  const { samples: n, dimension: k, rows: coordinates, kernels, buffers: own } = problem.data;
  const { dimension: d, rows, buffers } = whole;
  const objective = createObjective(problem);
  objective.evaluate(vectors, signs, signs.length, { width, mu: 0, rho: 1 }, null);
  const { state } = objective;
  const { rank } = state;
  const blockRows = Math.min(buffers.blockRows, own.blockRows);
  const sizes = [
    blockRows * d,
    blockRows * k,
    blockRows * (k + 1),
    (k + 1) * d,
    (k + 1) ** 2,
    k + 1,
    k * d,
    (k + 1) * k,
  ];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [block, inside, factors, cross, square, values, directions, along] = sizes.map((size) =>
    workspace.float64(size),
  );
  cross.fill(0);
  directions.set(basis);
  const weighty = everyRow(n).filter((i) => state.weights[i] > 0);
  for (let from = 0; from < weighty.length; from += blockRows) {
    const count = Math.min(blockRows, weighty.length - from);
    rows.gather(weighty, from, count, block);
    coordinates.gather(weighty, from, count, inside);
    for (let t = 0; t < count; t++) {
      const i = weighty[from + t];
      const py = state.weights[i] * labels[i];
      for (let l = 0; l < k; l++) {
        let z = inside[t * k + l];
        for (let m = 0; m < rank; m++) z += own.moves[i * rank + m] * own.basis[m * k + l];
        factors[t * (k + 1) + l] = 2 * activation.a * py * z;
      }
      factors[t * (k + 1) + k] = activation.b * py;
    }
    workspace.gemm(true, false, k + 1, d, count, 1, factors, k + 1, block, d, 1, cross, d);
  }
  workspace.gemm(false, true, k + 1, k, d, 1, cross, d, directions, d, 0, along, k);
  workspace.gemm(false, false, k + 1, d, k, -1, along, k, directions, d, 1, cross, d);
  workspace.gemm(false, true, k + 1, k + 1, d, 1, cross, d, cross, d, 0, square, k + 1);
  // Rows become left singular vectors, the largest value last.
  if (workspace.syevd(k + 1, square, k + 1, values) !== 0) return [];
  const found: Float64Array[] = [];
  for (let j = k; j >= 0 && found.length < most && Math.sqrt(values[j]) > least * beta; j--) {
    const direction = new Float64Array(d);
    for (let m = 0; m <= k; m++) {
      for (let l = 0; l < d; l++) direction[l] += square[j * (k + 1) + m] * cross[m * d + l];
    }
    found.push(direction);
  }
  return found;
}
