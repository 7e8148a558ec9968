// A gated ReLU model as a differentiable classifier over features, in float64, batched through gemm.
//   scores S = X T' [n, P C], gate inputs R = X G' [n, P],  f_c = sum_p 1[R_p >= 0] S_pc
// "exact": the gradient of the piecewise linear function, which is blind to gates: attacks that follow it look weak (gradient masking).
// "straight-through": the same scores, but the gradient of the soft model sum_p sigma(slope R_p / scale_p) S_pc, scale_p the root mean
// square of R_p on the training features (pilot.md 4). Use it, and transfer attacks, before believing any robustness of a gated model.
// X: [n, d+1] with a constant 1 last   T: [P C, d+1]   G: [P, d+1]

import { type DifferentiableClassifier, fingerprint, SettingError } from "@worstcase/core";
import { chooseKernels, type Kernels, workspaceSize } from "@worstcase/linalg";
import { checkModel, checkOptions } from "../checks.js";
import type { GatedReluModel } from "../gatedModel.js";
import { classifierByRows, ROWS } from "./classifierByRows.js";

export interface GatedClassifierOptions {
  readonly gradient: "exact" | "straight-through";
  /** Steepness of the soft gates of "straight-through", relative to the scale of each gate's input (default 4). */
  readonly slope?: number;
  readonly kernels?: Kernels;
}

/** Throws SettingError on an unknown gradient or a slope that is not positive. The methods throw on features of another size or not finite. */
export function createGatedClassifier(
  model: GatedReluModel,
  options: GatedClassifierOptions,
): DifferentiableClassifier {
  checkModel(model, ["gated-relu"]);
  checkOptions(options);
  const { gradient, slope = 4, kernels = chooseKernels() } = options;
  if (gradient !== "exact" && gradient !== "straight-through") {
    throw new SettingError({ argument: "options.gradient", expected: "exact or straight-through", received: gradient });
  }
  if (!Number.isFinite(slope) || slope <= 0) {
    throw new SettingError({ argument: "options.slope", expected: "a finite number > 0", received: slope });
  }
  const { featureCount, classCount, gates } = model;
  const width = featureCount + 1;
  const P = gates.count;
  const pieces = P * classCount;
  const workspace = kernels.workspace(
    workspaceSize(ROWS * width, P * width, pieces * width, ROWS * P, ROWS * pieces, ROWS * pieces, ROWS * width),
  );
  const X = workspace.float64(ROWS * width);
  const G = padded(gates.gates, P, featureCount, gates.bias, workspace.float64(P * width));
  const T = padded(model.weights, pieces, featureCount, model.bias, workspace.float64(pieces * width));
  const R = workspace.float64(ROWS * P);
  const S = workspace.float64(ROWS * pieces);
  const outer = workspace.float64(ROWS * pieces);
  const slopes = workspace.float64(ROWS * width);

  const forward = (inputs: Float64Array, from: number, count: number, scores: Float64Array) => {
    X.set(inputs.subarray(from * width, (from + count) * width));
    workspace.gemm(false, true, count, P, width, 1, X, width, G, width, 0, R, P);
    workspace.gemm(false, true, count, pieces, width, 1, X, width, T, width, 0, S, pieces);
    for (let row = 0; row < count; row++) {
      for (let p = 0; p < P; p++) {
        if (R[row * P + p] < 0) continue;
        for (let c = 0; c < classCount; c++) {
          scores[(from + row) * classCount + c] += S[row * pieces + p * classCount + c];
        }
      }
    }
  };

  // Gradient of the chunk last passed to `forward`; lossSlopes [count, C].
  const backward = (lossSlopes: Float64Array, from: number, count: number, out: Float64Array) => {
    for (let row = 0; row < count; row++) {
      for (let p = 0; p < P; p++) {
        const r = R[row * P + p];
        const soft = 1 / (1 + Math.exp((-slope * r) / gates.scales[p]));
        const open = gradient === "exact" ? (r >= 0 ? 1 : 0) : soft;
        let pull = 0;
        for (let c = 0; c < classCount; c++) {
          const o = lossSlopes[row * classCount + c];
          const at = row * pieces + p * classCount + c;
          pull += o * S[at];
          outer[at] = open * o;
        }
        R[row * P + p] = gradient === "exact" ? 0 : (pull * soft * (1 - soft) * slope) / gates.scales[p];
      }
    }
    workspace.gemm(false, false, count, width, pieces, 1, outer, pieces, T, width, 0, slopes, width);
    if (gradient === "straight-through") {
      workspace.gemm(false, false, count, width, P, 1, R, P, G, width, 1, slopes, width);
    }
    for (let row = 0; row < count; row++) {
      for (let k = 0; k < featureCount; k++) out[(from + row) * featureCount + k] = slopes[row * width + k];
    }
  };

  const id = `gated-relu ${gradient} ${fingerprint(gates.gates, model.weights).slice(0, 12)}`;
  return classifierByRows({ id, featureCount, classCount, constant: true, forward, backward });
}

// Rows of d or d+1 entries as rows of d+1, the missing constant being 0.
function padded(values: Float64Array, rows: number, featureCount: number, bias: boolean, out: Float64Array) {
  const from = featureCount + (bias ? 1 : 0);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * from, (row + 1) * from), row * (featureCount + 1));
  }
  return out;
}
