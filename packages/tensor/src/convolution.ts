// Two-dimensional convolution with explicit symmetric padding, as PyTorch defines it, and its two gradients.
//   y[n, h, w, o] = sum_{i, j, c} x[n, s h + i - p, s w + j - p, c] f[i, j, c, o]      s = stride, p = padding
// x: [samples, height, width, inputChannels]   f: [filterHeight, filterWidth, inputChannels, outputChannels]
// y: [samples, floor((height + 2p - filterHeight) / s) + 1, ..., outputChannels]
// TensorFlow's "same" pads stride 2 asymmetrically and differs from PyTorch, so it is never used for stride 2.

import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "@worstcase/core";
import { outputLength } from "./convolutionShape.js";

type Shape4D = [number, number, number, number];
type Padding = "same" | "valid" | tf.backend_util.ExplicitPadding;

/**
 * Convolution of `x` [samples, height, width, inputChannels] with `filter` [filterHeight, filterWidth, inputChannels,
 * outputChannels]; zero padding of `padding` pixels on every side, exactly as PyTorch's Conv2d. Differentiable with
 * respect to both arguments on every backend after useBackend; only the gradients asked for are computed.
 * Throws ShapeError on channels that differ, a stride other than 1 or 2, or a filter larger than the padded input.
 */
export function conv2d(x: tf.Tensor4D, filter: tf.Tensor4D, stride: 1 | 2, padding: number): tf.Tensor4D {
  checkConvolution(x.shape, filter.shape, stride, padding);
  return tf.tidy(() => {
    const [padded, pad] = paddedInput(x, filter.shape, stride, padding);
    return tf.conv2d(padded, filter, stride, pad);
  });
}

/**
 * Gradient of sum(outputGradient * conv2d(x, filter)) with respect to x, shape `inputShape`.
 * `outputGradient` is [samples, outputHeight, outputWidth, outputChannels]. Throws ShapeError as conv2d does.
 */
export function conv2dInputGradient(
  outputGradient: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  stride: 1 | 2,
  padding: number,
): tf.Tensor4D {
  checkGradient(outputGradient.shape, inputShape, filter.shape, stride, padding);
  return tf.tidy(() => {
    if (!isNative()) return tf.conv2dTranspose(outputGradient, filter, inputShape, stride, explicit(padding));
    const [samples, height, width, channels] = inputShape;
    if (isSame(filter.shape, stride, padding))
      return tf.conv2dTranspose(outputGradient, filter, inputShape, stride, "same");
    const larger: Shape4D = [samples, height + 2 * padding, width + 2 * padding, channels];
    const gradient = tf.conv2dTranspose(outputGradient, filter, larger, stride, "valid");
    return padding === 0 ? gradient : tf.slice(gradient, [0, padding, padding, 0], inputShape);
  }) as tf.Tensor4D;
}

/**
 * Gradient of sum(outputGradient * conv2d(x, filter)) with respect to the filter, shape `filterShape`.
 * Throws ShapeError as conv2d does.
 */
export function conv2dFilterGradient(
  x: tf.Tensor4D,
  outputGradient: tf.Tensor4D,
  filterShape: Shape4D,
  stride: 1 | 2,
  padding: number,
): tf.Tensor4D {
  checkGradient(outputGradient.shape, x.shape, filterShape, stride, padding);
  return tf.tidy(() => {
    const [padded, pad] = paddedInput(x, filterShape, stride, padding);
    const attributes = { strides: [stride, stride], pad, dataFormat: "NHWC", filterShape };
    return tf.engine().runKernel(tf.Conv2DBackpropFilter, { x: padded, dy: outputGradient }, attributes as never);
  }) as tf.Tensor4D;
}

/** tfjs-node refuses explicit padding in gradients: pad first there, or use "same" where it means the same. */
function paddedInput(x: tf.Tensor4D, filterShape: Shape4D, stride: number, padding: number): [tf.Tensor4D, Padding] {
  if (!isNative() || padding === 0) return [x, explicit(padding)];
  if (isSame(filterShape, stride, padding)) return [x, "same"];
  const side: [number, number] = [padding, padding];
  return [tf.pad(x, [[0, 0], side, side, [0, 0]]), "valid"];
}

/** One pair per axis, because TensorFlow.js takes filters as square where the padding is a number. */
function explicit(padding: number): Exclude<Padding, "same"> {
  const side: [number, number] = [padding, padding];
  return padding === 0 ? "valid" : [[0, 0], side, side, [0, 0]];
}

function isNative(): boolean {
  return tf.getBackend() === "tensorflow";
}

/** Whether TensorFlow's "same" padding is this explicit padding: stride 1 and p = (k - 1) / 2. */
function isSame(filterShape: Shape4D, stride: number, padding: number): boolean {
  return stride === 1 && filterShape[0] === 2 * padding + 1 && filterShape[1] === 2 * padding + 1;
}

function checkConvolution(input: Shape4D, filter: Shape4D, stride: number, padding: number): void {
  if (input.length !== 4) {
    throw new ShapeError({ argument: "x", expected: "shape [samples, height, width, channels]", received: input });
  }
  if (filter.length !== 4) {
    const expected = "shape [height, width, inputChannels, outputChannels]";
    throw new ShapeError({ argument: "filter", expected, received: filter });
  }
  if (input[3] !== filter[2]) {
    const expected = `${input[3]} input channels, those of x [${input.join(", ")}]`;
    const hint = "x is [samples, height, width, channels], filter [height, width, inputChannels, outputChannels]";
    throw new ShapeError({ argument: "filter", expected, received: `[${filter.join(", ")}]`, hint });
  }
  if (stride !== 1 && stride !== 2) throw new ShapeError({ argument: "stride", expected: "1 or 2", received: stride });
  if (!Number.isInteger(padding) || padding < 0) {
    throw new ShapeError({ argument: "padding", expected: "an integer >= 0", received: padding });
  }
  for (const axis of [1, 2] as const) {
    if (outputLength(input[axis], filter[axis - 1]!, stride, padding) < 1) {
      const expected = `a filter no larger than the padded input, ${input[axis] + 2 * padding} pixels`;
      throw new ShapeError({ argument: "filter", expected, received: `[${filter.join(", ")}]` });
    }
  }
}

function checkGradient(output: Shape4D, input: Shape4D, filter: Shape4D, stride: number, padding: number): void {
  checkConvolution(input, filter, stride, padding);
  const height = outputLength(input[1], filter[0], stride, padding);
  const width = outputLength(input[2], filter[1], stride, padding);
  const expected = [input[0], height, width, filter[3]];
  if (output.length !== 4 || output.some((length, axis) => length !== expected[axis])) {
    throw new ShapeError({
      argument: "outputGradient",
      expected: `shape [${expected.join(", ")}]`,
      received: `[${output.join(", ")}]`,
    });
  }
}
