// Layers in training mode, forward and backward by hand, in the operations that every TensorFlow.js backend computes fast.
//   batch norm:  c = x - mean,  r = 1 / sqrt(variance + 1e-5),  y = weight r c + bias   (mean and variance over samples and pixels)
//   backward:    dbias = sum dy,  dweight = r sum(dy c),  dx = weight r (dy - mean(dy) - c r^2 mean(dy c))
// Maps [n, height, width, channels], filters [height, width, in, out], vectors [channels].

import { conv2dFilterGradient, tf } from "@worstcase/tensor";
import { normEpsilon } from "../fold.js";

export type Tensor4D = ReturnType<typeof tf.tensor4d>;
export type Tensor1D = ReturnType<typeof tf.tensor1d>;
export type Tensor = Tensor4D | Tensor1D | ReturnType<typeof tf.tensor2d>;

const onePixel: [[number, number], [number, number], [number, number], [number, number]] = [
  [0, 0],
  [1, 1],
  [1, 1],
  [0, 0],
];

/** Convolution with PyTorch's padding: one pixel on each side for 3 x 3 filters, none for 1 x 1. */
export function convolve(x: Tensor4D, filter: Tensor4D, stride: 1 | 2): Tensor4D {
  if (filter.shape[0] === 1) return tf.conv2d(x, filter, stride, "valid");
  if (stride === 1) return tf.conv2d(x, filter, 1, "same");
  if (tf.getBackend() !== "tensorflow") return tf.conv2d(x, filter, 2, onePixel);
  return tf.tidy(() => tf.conv2d(tf.pad(x, onePixel), filter, 2, "valid"));
}

/** Gradient with respect to the filter. */
export function filterGradient(x: Tensor4D, dy: Tensor4D, filter: Tensor4D, stride: 1 | 2): Tensor4D {
  return conv2dFilterGradient(x, dy, filter.shape, stride, filter.shape[0] === 1 ? 0 : 1);
}

// Taps of a filter, row by row, that reach an input pixel of each parity (even/odd row, even/odd column) from the output pixel at the same
// place and from its neighbours; the entry one past the last tap stands for zero. Order [row offset, column offset, row parity, column parity].
const rowOf = {
  1: [[0, -1]],
  3: [
    [1, 2],
    [-1, 0],
  ],
} as const; // prettier-ignore
function phaseTaps(size: 1 | 3): number[] {
  const rows: readonly (readonly number[])[] = rowOf[size];
  const tap = (row: number, column: number) => (row < 0 || column < 0 ? size * size : row * size + column);
  return rows.flatMap((row) => rows.flatMap((column) => row.flatMap((i) => column.map((j) => tap(i, j)))));
}

/** Gradient with respect to the input, whose height and width are `stride` times those of `dy`. */
export function inputGradient(dy: Tensor4D, filter: Tensor4D, stride: 1 | 2): Tensor4D {
  return tf.tidy(() => {
    const [size, , ins, outs] = filter.shape as [1 | 3, number, number, number];
    if (stride === 1) {
      const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
      return tf.conv2d(dy, turned, 1, "same");
    }
    // A convolution at the resolution of dy gives the four input pixels of each output pixel as channels.
    const taps = tf.concat([tf.reshape(filter, [size * size, ins * outs]), tf.zeros([1, ins * outs])]);
    const reach = size === 1 ? 1 : 2;
    const chosen = tf.gather(taps, tf.tensor1d(phaseTaps(size), "int32"));
    const phased = tf.transpose(tf.reshape(chosen, [reach * reach, 4, ins, outs]), [0, 3, 1, 2]);
    return spreadPixels(tf.conv2d(dy, tf.reshape(phased, [reach, reach, outs, 4 * ins]) as Tensor4D, 1, "same"));
  });
}

/** [n, h, w, (row parity, column parity, c)] to [n, 2 h, 2 w, c]. */
function spreadPixels(x: Tensor4D): Tensor4D {
  const [count, height, width, channels] = x.shape;
  const rows = tf.reshape(x, [count * height, width, 2, channels / 2]);
  return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [count, 2 * height, 2 * width, channels / 4]);
}

/** What the backward pass of a norm needs. */
export interface NormCache {
  /** x - mean. */
  readonly centred: Tensor4D;
  /** The layer's output, after the ReLU if it has one. */
  readonly output: Tensor4D;
  readonly relu: boolean;
  readonly mean: Tensor1D;
  /** Biased. */
  readonly variance: Tensor1D;
  /** 1 / sqrt(variance + epsilon). */
  readonly inverse: Tensor1D;
}

/** Batch norm with the statistics of this batch, and ReLU if asked. */
export function normForward(x: Tensor4D, weight: Tensor1D, bias: Tensor1D, relu: boolean): NormCache {
  return tf.tidy(() => {
    const mean = channelMean(x);
    const centred = affine(x, tf.onesLike(mean), tf.neg(mean));
    const variance = channelMean(tf.square(centred));
    const inverse = tf.rsqrt(tf.add(variance, normEpsilon)) as Tensor1D;
    const output = affine(centred, tf.mul(weight, inverse), tf.add(bias, 0) as Tensor1D, relu);
    return { centred, output, relu, mean, variance, inverse };
  });
}

/** Gradients of a norm (and its ReLU) from the gradient of its output. */
export function normBackward(
  dy: Tensor4D,
  cache: NormCache,
  weight: Tensor1D,
): { dx: Tensor4D; weight: Tensor1D; bias: Tensor1D } {
  return tf.tidy(() => {
    const { centred, inverse } = cache;
    const count = centred.size / inverse.size;
    const g = cache.relu ? maskBy(dy, cache.output) : dy;
    const meanG = channelMean(g);
    const meanGC = channelMean(tf.mul(g, centred));
    const scale: Tensor1D = tf.mul(weight, inverse);
    const slope = tf.neg(tf.mul(tf.mul(scale, tf.square(inverse)), meanGC)) as Tensor1D;
    const shift = tf.neg(tf.mul(scale, meanG)) as Tensor1D;
    const dx = tf.add(affine(g, scale, shift), affine(centred, slope, tf.zerosLike(slope))) as Tensor4D;
    return { dx, weight: tf.mul(tf.mul(meanGC, inverse), count), bias: tf.mul(meanG, count) };
  });
}

/** gradient * [output > 0]: ReLU backward, with relu'(0) = 0 as in PyTorch. */
export function maskBy(gradient: Tensor4D, output: Tensor4D): Tensor4D {
  return tf.tidy(() => tf.mul(gradient, tf.step(output)));
}

/** Mean over samples and pixels, [channels]: first per sample, which also keeps float32 sums short. */
function channelMean(x: Tensor4D): Tensor1D {
  return tf.tidy(() => {
    const [count, height, width, channels] = x.shape;
    const perSample = tf.avgPool(x, [height, width], 1, "valid");
    const rows = tf.reshape(perSample, [1, count, 1, channels]) as Tensor4D;
    return tf.reshape(tf.avgPool(rows, [count, 1], 1, "valid"), [channels]);
  });
}

// scale * x + shift per channel, and ReLU if asked: a depthwise 1 x 1 convolution, one pass over the map. Both vectors must be fresh tensors: the wasm backend
// keeps an operator per pair until the first is freed.
function affine(x: Tensor4D, scale: Tensor1D, shift: Tensor1D, relu = false): Tensor4D {
  const filter = tf.reshape(scale, [1, 1, x.shape[3], 1]) as Tensor4D;
  const activation = relu ? "relu" : "linear";
  return tf.fused.depthwiseConv2d({ x, filter, strides: 1, pad: "valid", bias: shift, activation });
}
