// A classifier over feature vectors whose logits are quadratics, in float64 with analytic gradients.
//   f_c(x) = sum_m h_cm (b_cm'x)^2 + q_c'x + s_c,   gradient of sum_c G_c f_c = sum_cm 2 G_c h_cm (b_cm'x) b_cm + sum_c G_c q_c
// All classes' factors b are stacked, so logits and gradients are two matrix products a block of rows.

import {
  type DifferentiableClassifier,
  evaluateLoss,
  type NumericBatch,
  SettingError,
  ShapeError,
} from "@worstcase/core";
import { chooseKernels, type Kernels, workspaceSize } from "@worstcase/linalg";
import { checkPoints } from "./inputs.js";
import { checkQuadratic, type Quadratic } from "./quadratic.js";
import { eigenRows } from "./worstCase/rotatedForm.js";

export interface PolynomialClassifierOptions {
  /** One score per class; at least two. */
  readonly quadratics: readonly Quadratic[];
  readonly id: string;
  readonly kernels?: Kernels;
}

const block = 256;

/** Logits `[samples, classes]` = the quadratics' values. Throws ShapeError, DataError or SettingError on misuse. */
export function createPolynomialClassifier(options: PolynomialClassifierOptions): DifferentiableClassifier {
  const { quadratics, id } = options;
  const classCount = quadratics?.length ?? 0;
  if (classCount < 2) {
    const hint = "for two classes with one score f pass -f and f";
    throw new ShapeError({ argument: "quadratics", expected: "at least two classes", received: classCount, hint });
  }
  if (typeof id !== "string" || id === "") {
    throw new SettingError({ argument: "id", expected: "a non-empty name", received: id });
  }
  const d = quadratics[0].dimension;
  quadratics.forEach((quadratic, c) => {
    checkQuadratic(quadratic, `quadratics[${c}]`);
    if (quadratic.dimension !== d) {
      const argument = `quadratics[${c}].dimension`;
      throw new ShapeError({ argument, expected: `${d}, as in the first`, received: quadratic.dimension });
    }
  });
  const kernels = options.kernels ?? chooseKernels();
  const { factors, curvatures, owners } = stackFactors(quadratics, d, kernels);
  const rank = curvatures.length;
  const sizes = [rank * d, classCount * d, block * d, block * d, block * rank, block * classCount];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [stacked, slopes, rows, gradient, products, scores] = sizes.map((size) => workspace.float64(size));
  stacked.set(factors);
  quadratics.forEach((quadratic, c) => {
    slopes.set(quadratic.q, c * d);
  });

  /** Logits of a block into `scores`; leaves b'x in `products`. */
  function forward(count: number): void {
    for (let i = 0; i < count; i++) for (let c = 0; c < classCount; c++) scores[i * classCount + c] = quadratics[c].s;
    workspace.gemm(false, true, count, classCount, d, 1, rows, d, slopes, d, 1, scores, classCount);
    if (rank === 0) return;
    workspace.gemm(false, true, count, rank, d, 1, rows, d, stacked, d, 0, products, rank);
    for (let i = 0; i < count; i++) {
      for (let m = 0; m < rank; m++) {
        const t = products[i * rank + m];
        scores[i * classCount + owners[m]] += curvatures[m] * t * t;
      }
    }
  }

  function logitsOf(inputs: NumericBatch): Float64Array {
    const [samples] = checkPoints(inputs, "inputs", d);
    const logits = new Float64Array(samples * classCount);
    for (let from = 0; from < samples; from += block) {
      const count = Math.min(block, samples - from);
      rows.set(inputs.data.subarray(from * d, (from + count) * d));
      forward(count);
      logits.set(scores.subarray(0, count * classCount), from * classCount);
    }
    return logits;
  }

  return {
    id,
    inputShape: [d],
    classCount,
    bounds: "unbounded",
    async logits(inputs) {
      return { data: logitsOf(inputs), shape: [inputs.shape[0], classCount] };
    },
    async lossGradient(inputs, loss) {
      const logits: NumericBatch = { data: logitsOf(inputs), shape: [inputs.shape[0], classCount] };
      const evaluated = evaluateLoss(logits, loss);
      const samples = inputs.shape[0];
      const data = new Float64Array(samples * d);
      for (let from = 0; from < samples; from += block) {
        const count = Math.min(block, samples - from);
        rows.set(inputs.data.subarray(from * d, (from + count) * d));
        forward(count);
        scores.set(evaluated.gradient.subarray(from * classCount, (from + count) * classCount));
        workspace.gemm(false, false, count, d, classCount, 1, scores, classCount, slopes, d, 0, gradient, d);
        if (rank > 0) {
          for (let i = 0; i < count; i++) {
            for (let m = 0; m < rank; m++)
              products[i * rank + m] *= 2 * curvatures[m] * scores[i * classCount + owners[m]];
          }
          workspace.gemm(false, false, count, d, rank, 1, products, rank, stacked, d, 1, gradient, d);
        }
        data.set(gradient.subarray(0, count * d), from * d);
      }
      return { loss: evaluated.loss, logits, gradient: { data, shape: [samples, d] } };
    },
  };
}

/** Q_c = sum over its factors of curvature b b': the neurons when they are fewer than d, else the eigenvectors. */
function stackFactors(quadratics: readonly Quadratic[], d: number, kernels: Kernels) {
  const rows: Float64Array[] = [];
  const curvatures: number[] = [];
  const owners: number[] = [];
  quadratics.forEach(({ Q, neurons }, c) => {
    if (neurons && neurons.weights.length <= d) {
      for (let j = 0; j < neurons.weights.length; j++) {
        rows.push(neurons.directions.subarray(j * d, (j + 1) * d));
        curvatures.push(neurons.activation.a * neurons.weights[j]);
        owners.push(c);
      }
      return;
    }
    const { vectors, values } = eigenRows(Q, d, kernels);
    for (let k = 0; k < d; k++) {
      if (values[k] === 0) continue;
      rows.push(vectors.subarray(k * d, (k + 1) * d));
      curvatures.push(values[k]);
      owners.push(c);
    }
  });
  const factors = new Float64Array(rows.length * d);
  rows.forEach((row, m) => {
    factors.set(row, m * d);
  });
  return { factors, curvatures: Float64Array.from(curvatures), owners: Int32Array.from(owners) };
}
