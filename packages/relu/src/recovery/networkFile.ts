// A ReLU network as a safetensors file with the tensor names of two linear layers, which any framework loads:
//   hidden.weight [neurons, d]   hidden.bias [neurons]   output.weight [classes, neurons]       scores = output(relu(hidden(x)))
// float64 by default, so nothing is rounded.

import { FormatError, SettingError } from "@worstcase/core";
import { readSafetensors, toFloat64, writeSafetensors } from "@worstcase/safetensors";
import { checkModel } from "../checks.js";
import type { ReluNetwork } from "../network/reluNetwork.js";

const FORMAT = "worstcase/relu-network 1";

/** The bytes of the file. `F32` rounds to single precision. Throws SettingError on another type. */
export function networkToSafetensors(network: ReluNetwork, type: "F64" | "F32" = "F64"): Uint8Array {
  if (type !== "F64" && type !== "F32") {
    throw new SettingError({ argument: "type", expected: "F64 or F32", received: type });
  }
  checkModel(network, ["relu-network"], "network");
  const { neurons, featureCount, classCount, bias, first, second } = network;
  const width = featureCount + (bias ? 1 : 0);
  const weight = new Float64Array(neurons * featureCount);
  const constant = new Float64Array(neurons);
  for (let j = 0; j < neurons; j++) {
    weight.set(first.subarray(j * width, j * width + featureCount), j * featureCount);
    if (bias) constant[j] = first[j * width + featureCount];
  }
  const tensor = (shape: number[], data: Float64Array) =>
    type === "F64" ? { type, shape, data: data.slice() } : { type, shape, data: Float32Array.from(data) };
  return writeSafetensors(
    {
      "hidden.weight": tensor([neurons, featureCount], weight),
      ...(bias ? { "hidden.bias": tensor([neurons], constant) } : {}),
      "output.weight": tensor([classCount, neurons], second),
    },
    { format: FORMAT },
  );
}

/** The network in such a file, also one written elsewhere under these names. Throws FormatError. */
export function networkFromSafetensors(bytes: Uint8Array): ReluNetwork {
  const { tensors } = readSafetensors(bytes);
  const read = (name: string, dimensions: number) => {
    const tensor = tensors.get(name);
    if (!tensor || tensor.shape.length !== dimensions) {
      const expected = `a tensor ${name} with ${dimensions} dimensions`;
      throw new FormatError({ argument: "bytes", expected, received: tensor ? tensor.shape : "none" });
    }
    const data = toFloat64(tensor);
    if (!data.every(Number.isFinite)) {
      throw new FormatError({ argument: `bytes: ${name}`, expected: "finite numbers", received: "NaN or Infinity" });
    }
    return { shape: tensor.shape, data };
  };
  const weight = read("hidden.weight", 2);
  const second = read("output.weight", 2);
  const bias = tensors.has("hidden.bias");
  const [neurons, featureCount] = weight.shape as [number, number];
  const classCount = second.shape[0] ?? 0;
  const constant = bias ? read("hidden.bias", 1) : { shape: [neurons], data: new Float64Array(neurons) };
  if (second.shape[1] !== neurons || constant.shape[0] !== neurons || featureCount < 1 || classCount < 1) {
    const expected = "hidden.weight [neurons, d >= 1], hidden.bias [neurons], output.weight [classes >= 1, neurons]";
    const received = `[${weight.shape}], [${constant.shape}], [${second.shape}]`;
    throw new FormatError({ argument: "bytes", expected, received });
  }
  const width = featureCount + (bias ? 1 : 0);
  const first = new Float64Array(neurons * width);
  for (let j = 0; j < neurons; j++) {
    first.set(weight.data.subarray(j * featureCount, (j + 1) * featureCount), j * width);
    if (bias) first[j * width + featureCount] = constant.data[j];
  }
  return {
    kind: "relu-network",
    featureCount,
    classCount,
    neurons,
    bias,
    first,
    second: Float64Array.from(second.data),
  };
}
