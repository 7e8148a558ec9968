// The two gradients of conv2d on the wasm backend, written with its fast forward convolution. The stock input gradient
// is a naive loop (about 2 GF/s) and the stock filter gradient is missing. Both are registered as kernels, so tf.grad of
// any tf.conv2d in the process uses them.
//   input gradient, stride 1:  dx = conv2d(dy, f turned by 180 degrees with channels exchanged), padding k - 1 - p
//   input gradient, stride 2:  pixel i = 2m + r of dx needs only taps k with k = r + p - 2d, at dy[m + d]; the four
//                              phases (r, r') are output channels of one stride 1 convolution, put in place by depthToSpace
//   filter gradient, stride s: df[i, j, c, o] = sum x[n, s h + i - p, s w + j - p, c] dy[n, h, w, o]: a convolution whose
//                              samples are c, channels n, filter dy, dilation s
// x: [n, height, width, c]   f: [k, k, c, o]   dy: [n, outputHeight, outputWidth, o]

import * as tf from "@tensorflow/tfjs-core";

type Shape4D = [number, number, number, number];
type Pair = [number, number];

/** Padding before and after, one pair per image axis; negative entries crop. */
interface Padding {
  readonly rows: Pair;
  readonly columns: Pair;
}

/** Replaces the slow wasm kernel and adds the missing one. Call after the wasm backend package is loaded. Idempotent. */
export function registerWasmConvolutionGradients(): void {
  if (tf.getKernel(tf.Conv2DBackpropInput, "wasm")) tf.unregisterKernel(tf.Conv2DBackpropInput, "wasm");
  if (tf.getKernel(tf.Conv2DBackpropFilter, "wasm")) tf.unregisterKernel(tf.Conv2DBackpropFilter, "wasm");
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropInput,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs }) => {
      const { inputShape } = attrs as unknown as { inputShape: Shape4D };
      const { dy, filter } = inputs as unknown as { dy: tf.Tensor4D; filter: tf.Tensor4D };
      const { strides, padding } = geometry(attrs as never, inputShape, filter.shape as Shape4D);
      return tf.tidy(() => inputGradient(asTensor(dy), asTensor(filter), inputShape, strides, padding));
    },
  });
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropFilter,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs }) => {
      const { filterShape } = attrs as unknown as { filterShape: Shape4D };
      const { x, dy } = inputs as unknown as { x: tf.Tensor4D; dy: tf.Tensor4D };
      const { strides, padding } = geometry(attrs as never, x.shape as Shape4D, filterShape);
      return tf.tidy(() => filterGradient(asTensor(x), asTensor(dy), filterShape, strides, padding));
    },
  });
}

function asTensor(info: tf.Tensor4D): tf.Tensor4D {
  return info instanceof tf.Tensor ? info : (tf.engine().makeTensorFromTensorInfo(info) as tf.Tensor4D);
}

function geometry(
  attributes: { strides: number | Pair; pad: "valid" | "same" | number; dataFormat: "NHWC" },
  inputShape: Shape4D,
  filterShape: Shape4D,
): { strides: Pair; padding: Padding } {
  const { strides, pad, dataFormat } = attributes;
  if (dataFormat && dataFormat !== "NHWC") throw new Error(`wasm convolutions need NHWC data, got ${dataFormat}`);
  const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad);
  const { top, bottom, left, right } = info.padInfo;
  return {
    strides: [info.strideHeight, info.strideWidth],
    padding: { rows: [top, bottom], columns: [left, right] },
  };
}

function inputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4D,
  strides: Pair,
  padding: Padding,
): tf.Tensor4D {
  if (strides[0] === 1 && strides[1] === 1) return unitStrideInputGradient(dy, filter, inputShape, padding);
  if (strides[0] === 2 && strides[1] === 2) return phasedInputGradient(dy, filter, inputShape, padding);
  return unitStrideInputGradient(spread(dy, strides), filter, inputShape, padding);
}

function unitStrideInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  [, height, width]: Shape4D,
  padding: Padding,
): tf.Tensor4D {
  const [filterHeight, filterWidth] = filter.shape;
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
  const top = filterHeight - 1 - padding.rows[0];
  const left = filterWidth - 1 - padding.columns[0];
  return convolve(dy, turned, {
    rows: [top, height + filterHeight - 1 - dy.shape[1] - top],
    columns: [left, width + filterWidth - 1 - dy.shape[2] - left],
  });
}

/** Puts strides - 1 zero rows and columns between the pixels. */
function spread(dy: tf.Tensor4D, [rows, columns]: Pair): tf.Tensor4D {
  const [samples, height, width, channels] = dy.shape;
  const pixels = tf.reshape(dy, [samples * height, 1, width, 1, channels]);
  const zeros: Pair = [0, 0];
  const padded = tf.pad(pixels, [zeros, [0, rows - 1], zeros, [0, columns - 1], zeros]);
  return tf.reshape(padded, [samples, height * rows, width * columns, channels]);
}

/** Phases of one axis for stride 2: offsets d run over first .. first + taps - 1. */
function phases(filterLength: number, before: number): { first: number; taps: number } {
  const first = Math.ceil((before - filterLength + 1) / 2);
  return { first, taps: Math.floor((1 + before) / 2) - first + 1 };
}

function phasedInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  [samples, height, width, channels]: Shape4D,
  padding: Padding,
): tf.Tensor4D {
  const rows = phases(filter.shape[0], padding.rows[0]);
  const columns = phases(filter.shape[1], padding.columns[0]);
  const small = convolve(dy, phasedFilter(filter, rows, columns, padding), {
    rows: [-rows.first, Math.ceil(height / 2) - dy.shape[1] + rows.taps - 1 + rows.first],
    columns: [-columns.first, Math.ceil(width / 2) - dy.shape[2] + columns.taps - 1 + columns.first],
  });
  const full = tf.depthToSpace(small, 2, "NHWC");
  if (height % 2 === 0 && width % 2 === 0) return full;
  return tf.slice(full, [0, 0, 0, 0], [samples, height, width, channels]);
}

/** f [k, k', c, o] as [taps, taps', o, (r, r', c)] with tap d of phase r holding f[r + p - 2d], zero where there is none. */
function phasedFilter(
  filter: tf.Tensor4D,
  rows: { first: number; taps: number },
  columns: { first: number; taps: number },
  padding: Padding,
): tf.Tensor4D {
  const [filterHeight, filterWidth, channels, outputs] = filter.shape;
  // u = 2t + (1 - r) counts d = first + t and the phase r together: k = p - 2 first + 1 - u
  const top = padding.rows[0] - 2 * rows.first + 2 - filterHeight;
  const left = padding.columns[0] - 2 * columns.first + 2 - filterWidth;
  const sides: [Pair, Pair, Pair, Pair] = [
    [top, 2 * rows.taps - filterHeight - top],
    [left, 2 * columns.taps - filterWidth - left],
    [0, 0],
    [0, 0],
  ];
  const padded = tf.pad(tf.reverse(filter, [0, 1]), sides);
  const split = tf.reshape(padded, [rows.taps, 2, columns.taps, 2, channels * outputs]);
  const phased = tf.reshape(tf.reverse(split, [1, 3]), [rows.taps, 2, columns.taps, 2, channels, outputs]);
  const ordered = tf.transpose(phased, [0, 2, 5, 1, 3, 4]);
  return tf.reshape(ordered, [rows.taps, columns.taps, outputs, 4 * channels]);
}

function filterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  [filterHeight, filterWidth]: Shape4D,
  strides: Pair,
  padding: Padding,
): tf.Tensor4D {
  const [, height, width] = x.shape;
  const [, outputHeight, outputWidth] = dy.shape;
  const rows = strides[0] * (outputHeight - 1) + filterHeight;
  const columns = strides[1] * (outputWidth - 1) + filterWidth;
  const top = padding.rows[0];
  const left = padding.columns[0];
  const swapped = tf.transpose(x, [3, 1, 2, 0]);
  const weights = tf.transpose(dy, [1, 2, 0, 3]) as tf.Tensor4D;
  const sides = { rows: [top, rows - height - top] as Pair, columns: [left, columns - width - left] as Pair };
  return tf.transpose(convolve(swapped, weights, sides, strides), [1, 2, 0, 3]);
}

/** Stride 1 convolution whose paddings may be negative. */
function convolve(x: tf.Tensor4D, filter: tf.Tensor4D, { rows, columns }: Padding, dilations?: Pair): tf.Tensor4D {
  const crop = [rows[0], rows[1], columns[0], columns[1]].some((side) => side < 0);
  const input = crop
    ? tf.slice(
        x,
        [0, Math.max(0, -rows[0]), Math.max(0, -columns[0]), 0],
        [
          x.shape[0],
          x.shape[1] + Math.min(0, rows[0]) + Math.min(0, rows[1]),
          x.shape[2] + Math.min(0, columns[0]) + Math.min(0, columns[1]),
          x.shape[3],
        ],
      )
    : x;
  const keep = ([before, after]: Pair): Pair => [Math.max(0, before), Math.max(0, after)];
  return tf.conv2d(input, filter, 1, [[0, 0], keep(rows), keep(columns), [0, 0]], "NHWC", dilations ?? 1);
}
