// The two-layer ReLU network f(x) = second * max(0, first * (x; 1)) recovered from cone-constrained pieces (math.md 13.1).
//   v_pc != 0 gives a neuron u = v_pc / sqrt(||v_pc||) with output weight +sqrt(||v_pc||) at class c; w_pc the same with a minus sign.
// On every x with (2 d_p - 1) x'v_pc >= 0 the neuron gives max(0, x'v_pc) = d_p x'v_pc, so network and convex model agree there.
// first: [neurons, d (+1)]   second: [classes, neurons]

import { FormatError, type NumericBatch, ShapeError } from "@worstcase/core";
import { checkFeatures, checkModel } from "../checks.js";
import { flag, type GatedReluModel, numbers, wholeNumber } from "../gatedModel.js";
import { withConstant } from "../program/program.js";

export interface ReluNetwork {
  readonly kind: "relu-network";
  readonly featureCount: number;
  readonly classCount: number;
  readonly neurons: number;
  /** Whether `first` has a last column that multiplies the constant 1. */
  readonly bias: boolean;
  /** `[neurons, featureCount (+1)]` */
  readonly first: Float64Array;
  /** `[classCount, neurons]` */
  readonly second: Float64Array;
}

export interface ReluNetworkJson {
  readonly format: "worstcase/relu-network";
  readonly version: 1;
  readonly featureCount: number;
  readonly classCount: number;
  readonly bias: boolean;
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** The network of pieces `[2, P, C, width]`: all v, then all w. Zero pieces give no neuron. */
export function networkOfPieces(
  pieces: Float64Array,
  { featureCount, classCount, bias }: { featureCount: number; classCount: number; bias: boolean },
): ReluNetwork {
  const width = featureCount + (bias ? 1 : 0);
  const groups = pieces.length / width;
  const found: { from: number; size: number; output: number; sign: number }[] = [];
  for (let g = 0; g < groups; g++) {
    let square = 0;
    for (let k = g * width; k < (g + 1) * width; k++) square += pieces[k] * pieces[k];
    if (square > 0) {
      found.push({ from: g * width, size: Math.sqrt(square), output: g % classCount, sign: g < groups / 2 ? 1 : -1 });
    }
  }
  const first = new Float64Array(found.length * width);
  const second = new Float64Array(classCount * found.length);
  found.forEach(({ from, size, output, sign }, j) => {
    for (let k = 0; k < width; k++) first[j * width + k] = pieces[from + k] / Math.sqrt(size);
    second[output * found.length + j] = sign * Math.sqrt(size);
  });
  return { kind: "relu-network", featureCount, classCount, neurons: found.length, bias, first, second };
}

/** Scores `[n, classCount]`. Throws on features of another size or not finite. */
export function networkScores(network: ReluNetwork, features: NumericBatch): NumericBatch {
  checkModel(network, ["relu-network"], "network");
  checkFeatures(features, network.featureCount);
  const { neurons, classCount, bias, first, second } = network;
  const samples = features.shape[0];
  const width = network.featureCount + (bias ? 1 : 0);
  const inputs = withConstant(features, bias);
  const data = new Float64Array(samples * classCount);
  for (let i = 0; i < samples; i++) {
    for (let j = 0; j < neurons; j++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += first[j * width + k] * inputs[i * width + k];
      if (sum > 0) for (let c = 0; c < classCount; c++) data[i * classCount + c] += second[c * neurons + j] * sum;
    }
  }
  return { data, shape: [samples, classCount] };
}

/** The same function as a gated model: neuron j is a gate u_j with pieces t_jc = second[c, j] u_j. Used by `certifiedMargins`. */
export function gatedModelOfNetwork(network: ReluNetwork): GatedReluModel {
  checkModel(network, ["relu-network"], "network");
  const { neurons, classCount, featureCount, bias, first, second } = network;
  if (neurons < 1) {
    throw new ShapeError({ argument: "network.neurons", expected: "at least one neuron", received: neurons });
  }
  const width = featureCount + (bias ? 1 : 0);
  const weights = new Float64Array(neurons * classCount * width);
  for (let j = 0; j < neurons; j++) {
    for (let c = 0; c < classCount; c++) {
      const factor = second[c * neurons + j];
      for (let k = 0; k < width; k++) weights[(j * classCount + c) * width + k] = factor * first[j * width + k];
    }
  }
  const scales = new Float64Array(neurons).fill(1);
  const gates = { gates: first.slice(), count: neurons, featureCount, bias, scales };
  return { kind: "gated-relu", gates, featureCount, classCount, bias, weights };
}

/** A JSON value that keeps every number exactly. */
export function networkToJson(network: ReluNetwork): ReluNetworkJson {
  checkModel(network, ["relu-network"], "network");
  const { featureCount, classCount, bias, first, second } = network;
  const shape = { format: "worstcase/relu-network", version: 1, featureCount, classCount, bias } as const;
  return { ...shape, first: [...first], second: [...second] };
}

/** The network of a JSON value made by `networkToJson`. Throws FormatError on anything else. */
export function networkFromJson(json: unknown): ReluNetwork {
  const value = (typeof json === "object" && json !== null ? json : {}) as Partial<
    Record<keyof ReluNetworkJson, unknown>
  >;
  if (value.format !== "worstcase/relu-network" || value.version !== 1) {
    const expected = "format worstcase/relu-network, version 1";
    throw new FormatError({ argument: "json", expected, received: `${value.format}, version ${value.version}` });
  }
  const featureCount = wholeNumber(value.featureCount, "json.featureCount", 1);
  const classCount = wholeNumber(value.classCount, "json.classCount", 1);
  const bias = flag(value.bias, "json.bias");
  const second = numbers(value.second, "json.second");
  const neurons = second.length / classCount;
  if (!Number.isInteger(neurons)) {
    throw new FormatError({
      argument: "json.second",
      expected: `rows for ${classCount} classes`,
      received: second.length,
    });
  }
  const first = numbers(value.first, "json.first", neurons * (featureCount + (bias ? 1 : 0)));
  return { kind: "relu-network", featureCount, classCount, neurons, bias, first, second };
}
