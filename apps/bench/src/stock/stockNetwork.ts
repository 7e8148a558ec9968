// CIFAR ResNet-20 as anybody would write it with TensorFlow.js: tf.conv2d, tf.add, tf.relu, gradients by tf.grad. Norms are folded into
// the filters, as in the package it is compared with. Images [n, 32, 32, 3] in [0, 1], features [n, 64].

import type { Normalisation, WeightTensor } from "@worstcase/resnet";
import { tf } from "@worstcase/tensor";

export interface StockNetwork {
  features(images: Float32Array, count: number): Float32Array;
  /** Gradient of sum(features) with respect to the images. */
  gradient(images: Float32Array, count: number): Float32Array;
}

type Weights = ReadonlyMap<string, WeightTensor>;

export function createStockNetwork(weights: Weights, { mean, std }: Normalisation): StockNetwork {
  const variables = new Map<string, { filter: tf.Tensor4D; bias: tf.Tensor1D }>();
  for (const [name, { data, shape }] of weights) {
    if (!name.includes("conv")) continue;
    const norm = name.replace("conv", "bn").replace(".weight", "");
    const values = (part: string) => weights.get(`${norm}.${part}`)!.data;
    const [scale, shift, running, variance] = ["weight", "bias", "running_mean", "running_var"].map(values);
    const factor = scale.map((value, o) => value / Math.sqrt(variance[o] + 1e-5));
    const filter = tf.tidy(() =>
      tf.transpose(tf.mul(tf.tensor(data, [...shape]), tf.tensor(factor, [shape[0], 1, 1, 1])), [2, 3, 1, 0]),
    );
    const bias = shift.map((value, o) => value - running[o] * factor[o]);
    variables.set(name, { filter: filter as tf.Tensor4D, bias: tf.tensor1d(bias) });
  }
  const convolve = (x: tf.Tensor4D, name: string, stride: 1 | 2) => {
    const { filter, bias } = variables.get(name)!;
    // PyTorch pads one pixel on every side; "same" of TensorFlow does so only for stride 1
    const y = stride === 1 ? tf.conv2d(x, filter, 1, "same") : tf.conv2d(tf.pad(x, onePixel), filter, 2, "valid");
    return tf.add(y, bias) as tf.Tensor4D;
  };
  const forward = (images: tf.Tensor4D): tf.Tensor2D => {
    let x = tf.relu(convolve(tf.div(tf.sub(images, [...mean]), [...std]), "conv1.weight", 1)) as tf.Tensor4D;
    for (let stage = 1; stage <= 3; stage++) {
      for (let block = 0; block < 3; block++) {
        const stride = stage > 1 && block === 0 ? 2 : 1;
        const name = `layer${stage}.${block}`;
        const inner = tf.relu(convolve(x, `${name}.conv1.weight`, stride)) as tf.Tensor4D;
        const side = stride === 2 ? tf.conv2d(x, zeroPadding(x.shape[3]), 2, "valid") : x;
        x = tf.relu(tf.add(convolve(inner, `${name}.conv2.weight`, 1), side)) as tf.Tensor4D;
      }
    }
    return tf.mean(x, [1, 2]);
  };
  const run = (images: Float32Array, count: number, work: (x: tf.Tensor4D) => tf.Tensor) => {
    const result = tf.tidy(() => work(tf.tensor4d(images, [count, 32, 32, 3])));
    const values = result.dataSync() as Float32Array;
    result.dispose();
    return values;
  };
  const pullback = tf.grad((x) => tf.sum(forward(x as tf.Tensor4D)));
  return {
    features: (images, count) => run(images, count, forward),
    gradient: (images, count) => run(images, count, (x) => pullback(x)),
  };
}

const onePixel: [number, number][] = [
  [0, 0],
  [1, 1],
  [1, 1],
  [0, 0],
];

/** Every second pixel, channels padded with zeros on both sides: a 1 x 1 convolution [1, 1, channels, 2 channels]. */
function zeroPadding(channels: number): tf.Tensor4D {
  const data = new Float32Array(channels * 2 * channels);
  for (let c = 0; c < channels; c++) data[c * 2 * channels + c + channels / 2] = 1;
  return tf.tensor4d(data, [1, 1, channels, 2 * channels]);
}
