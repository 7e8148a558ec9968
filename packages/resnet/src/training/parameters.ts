// Parameters and running statistics on the device, their random initial values, and their exact way to PyTorch's names and layouts and back.
//   filters [out, in, h, w] <-> [h, w, in, out]      linear.weight [classes, features] <-> [features, classes]

import type { Rng } from "@worstcase/core";
import { tf } from "@worstcase/tensor";
import { type Architecture, parameterShapes } from "../architecture.js";
import type { WeightTensor } from "../weights.js";
import type { Tensor } from "./layers.js";

/** Whether a name belongs to the running statistics of a norm, which are not trained by gradients. */
export function isStatistic(name: string): boolean {
  return name.endsWith(".running_mean") || name.endsWith(".running_var");
}

/**
 * Random initial weights in PyTorch's names and layouts: filters normal with variance 2 / (in * height * width) (He et al. 2015), linear layer
 * uniform in +-1 / sqrt(features), norms 1 and 0, running statistics 0 and 1.
 */
export function initialWeights(architecture: Architecture, rng: Rng): Map<string, WeightTensor> {
  const weights = new Map<string, WeightTensor>();
  for (const [name, shape] of parameterShapes(architecture)) {
    const own = rng.fork(name);
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const fanIn = shape.slice(1).reduce((product, length) => product * length, 1);
    if (shape.length === 4) fill(data, () => own.normal() * Math.sqrt(2 / fanIn));
    else if (shape.length === 2) fill(data, () => (2 * own.uniform() - 1) / Math.sqrt(fanIn));
    else if (name.endsWith("running_var") || (name.endsWith(".weight") && shape.length === 1)) data.fill(1);
    weights.set(name, { shape: [...shape], data });
  }
  return weights;
}

function fill(data: Float32Array, draw: () => number): void {
  for (let i = 0; i < data.length; i++) data[i] = draw();
}

/** Puts one tensor on the device in device layout. */
export function toDevice({ shape, data }: WeightTensor): Tensor {
  const axes = shape.map((_, i) => i);
  const order = shape.length === 4 ? [2, 3, 1, 0] : axes.reverse();
  const deviceShape = order.map((axis) => shape[axis]!);
  return tf.tensor(permute(data, shape, order), deviceShape as [number]) as Tensor;
}

/** Brings one tensor back in PyTorch's layout. */
export async function fromDevice(tensor: Tensor): Promise<WeightTensor> {
  const order = tensor.rank === 4 ? [3, 2, 0, 1] : [...Array(tensor.rank).keys()].reverse();
  const shape = order.map((axis) => tensor.shape[axis]!);
  const data = (await tensor.data()) as Float32Array;
  return { shape, data: permute(data, tensor.shape, order) };
}

/** The values of a row-major array with its axes in another order, as a new array. */
function permute(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, length) => product * length, 1));
  const lengths = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const result = new Float32Array(data.length);
  const index = new Array<number>(lengths.length).fill(0);
  let position = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = data[position]!;
    for (let axis = lengths.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      position += steps[axis]!;
      if (index[axis]! < lengths[axis]!) break;
      position -= index[axis]! * steps[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
