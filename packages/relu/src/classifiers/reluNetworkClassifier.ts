// A two-layer ReLU network as a differentiable classifier over features, in float64, batched through gemm.
//   H = X U' [n, J],  f = max(0, H) V' [n, C];   gradient of a loss with slopes o [n, C]: (1[H > 0] * (o V)) U
// X: [n, d (+1)]   U: [J, d (+1)]   V: [C, J]

import { type DifferentiableClassifier, fingerprint } from "@worstcase/core";
import { chooseKernels, type Kernels, workspaceSize } from "@worstcase/linalg";
import { checkModel } from "../checks.js";
import type { ReluNetwork } from "../network/reluNetwork.js";
import { classifierByRows, ROWS } from "./classifierByRows.js";

/** The methods throw ShapeError or DataError on features of another size or not finite. A network without neurons scores zero everywhere. */
export function createReluNetworkClassifier(
  network: ReluNetwork,
  { kernels = chooseKernels() }: { readonly kernels?: Kernels } = {},
): DifferentiableClassifier {
  checkModel(network, ["relu-network"], "network");
  const { featureCount, classCount, neurons, bias } = network;
  const width = featureCount + (bias ? 1 : 0);
  const workspace = kernels.workspace(
    workspaceSize(
      ROWS * width,
      neurons * width,
      classCount * neurons,
      ROWS * neurons,
      ROWS * classCount,
      ROWS * neurons,
      ROWS * width,
    ),
  );
  const X = workspace.float64(ROWS * width);
  const U = workspace.float64(neurons * width);
  const V = workspace.float64(classCount * neurons);
  const H = workspace.float64(ROWS * neurons);
  const scores = workspace.float64(ROWS * classCount);
  const hidden = workspace.float64(ROWS * neurons);
  const slopes = workspace.float64(ROWS * width);
  U.set(network.first);
  V.set(network.second);

  const forward = (inputs: Float64Array, from: number, count: number, out: Float64Array) => {
    X.set(inputs.subarray(from * width, (from + count) * width));
    workspace.gemm(false, true, count, neurons, width, 1, X, width, U, width, 0, H, neurons);
    for (let k = 0; k < count * neurons; k++) H[k] = Math.max(0, H[k]);
    workspace.gemm(false, true, count, classCount, neurons, 1, H, neurons, V, neurons, 0, scores, classCount);
    out.set(scores.subarray(0, count * classCount), from * classCount);
  };

  const backward = (lossSlopes: Float64Array, from: number, count: number, out: Float64Array) => {
    scores.set(lossSlopes);
    workspace.gemm(false, false, count, neurons, classCount, 1, scores, classCount, V, neurons, 0, hidden, neurons);
    for (let k = 0; k < count * neurons; k++) if (H[k] <= 0) hidden[k] = 0;
    workspace.gemm(false, false, count, width, neurons, 1, hidden, neurons, U, width, 0, slopes, width);
    for (let row = 0; row < count; row++) {
      for (let k = 0; k < featureCount; k++) out[(from + row) * featureCount + k] = slopes[row * width + k];
    }
  };

  const id = `relu-network ${fingerprint(network.first, network.second).slice(0, 12)}`;
  return classifierByRows({ id, featureCount, classCount, constant: bias, forward, backward });
}
