// Registers what the wasm backend lacks for training: the stock input gradient of conv2d is a naive loop (about 2 GF/s),
// its filter gradient and the gradient of tf.gather are missing. tf.grad of any tf.conv2d in the process uses these.

import * as tf from "@tensorflow/tfjs-core";
import type { ConvolutionSizes } from "./convolutionShape.js";
import { type FilterGradientKernel, loadFilterGradientKernel } from "./filterGradientKernel.js";
import { type HeapBackend, inputGradient } from "./inputGradient.js";
import { segmentSum } from "./segmentSum.js";

type Shape4D = [number, number, number, number];

/**
 * Replaces the slow kernel and adds the missing one; call after the wasm backend package is loaded. Returns whether
 * multiply-add is fused. Throws an Error where WebAssembly SIMD is missing.
 */
export async function registerWasmKernels(): Promise<{ fused: boolean }> {
  const kernel = await loadFilterGradientKernel();
  replaceKernel(tf.Conv2DBackpropInput, ({ inputs, attrs, backend }) => {
    const { dy, filter } = inputs as unknown as { dy: tf.Tensor4D; filter: tf.Tensor4D };
    const { inputShape } = attrs as unknown as { inputShape: Shape4D };
    const sizes = sizesOf(attrs, inputShape, filter.shape, dy.shape);
    return tf.tidy(() => inputGradient(asTensor(dy), asTensor(filter), sizes, backend as HeapBackend));
  });
  replaceKernel(tf.Conv2DBackpropFilter, ({ inputs, attrs, backend }) => {
    const { x, dy } = inputs as unknown as { x: tf.Tensor4D; dy: tf.Tensor4D };
    const { filterShape } = attrs as unknown as { filterShape: Shape4D };
    const sizes = sizesOf(attrs, x.shape, filterShape, dy.shape);
    return filterGradient(kernel, x, dy, filterShape, sizes, backend as HeapBackend);
  });
  if (!tf.getKernel(tf.UnsortedSegmentSum, "wasm")) {
    replaceKernel(tf.UnsortedSegmentSum, ({ inputs, attrs, backend }) => {
      const { numSegments } = attrs as unknown as { numSegments: number };
      return segmentSum(inputs.x!, inputs.segmentIds!, numSegments, backend as HeapBackend);
    });
  }
  return { fused: kernel.fused };
}

function replaceKernel(kernelName: string, kernelFunc: tf.KernelFunc): void {
  if (tf.getKernel(kernelName, "wasm")) tf.unregisterKernel(kernelName, "wasm");
  tf.registerKernel({ kernelName, backendName: "wasm", kernelFunc });
}

function filterGradient(
  kernel: FilterGradientKernel,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: Shape4D,
  sizes: ConvolutionSizes,
  backend: HeapBackend,
): tf.TensorInfo {
  const output = backend.makeOutput(filterShape, "float32");
  const valuesOf = (info: tf.TensorInfo) => backend.typedArrayFromHeap(info); // after the allocation: the heap may move
  kernel.run(valuesOf(x), valuesOf(dy), valuesOf(output), sizes);
  return output;
}

function asTensor(info: tf.Tensor4D): tf.Tensor4D {
  return info instanceof tf.Tensor ? info : (tf.engine().makeTensorFromTensorInfo(info) as tf.Tensor4D);
}

function sizesOf(attributes: unknown, input: Shape4D, filter: Shape4D, output: Shape4D): ConvolutionSizes {
  const { strides, pad, dataFormat, dimRoundingMode } = attributes as tf.Conv2DBackpropInputAttrs;
  if (dataFormat === "NCHW") throw new Error("convolution gradients on wasm need NHWC data");
  const info = tf.backend_util.computeConv2DInfo(input, filter, strides, 1, pad as number, dimRoundingMode);
  return {
    samples: input[0],
    height: input[1],
    width: input[2],
    inputChannels: input[3],
    outputHeight: output[1],
    outputWidth: output[2],
    outputChannels: output[3],
    filterHeight: filter[0],
    filterWidth: filter[1],
    strideRows: info.strideHeight,
    strideColumns: info.strideWidth,
    paddingTop: info.padInfo.top,
    paddingLeft: info.padInfo.left,
  };
}
