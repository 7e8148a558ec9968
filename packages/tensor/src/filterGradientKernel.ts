// Drives the WebAssembly kernel of wasm/assembly/filterGradient.ts: cuts the pixels of one convolution into chunks that
// fit the cache, packs them into channel panels in the kernel's own memory and accumulates df there.
// x: [samples, height, width, c]   dy: [samples, outputHeight, outputWidth, o]   df: [filterHeight, filterWidth, c, o]

import type { ConvolutionSizes } from "./convolutionShape.js";
import { fusedBinary, simdBinary } from "./filterGradientKernel.generated.js";

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  pack(source: number, target: number, pixels: number, channels: number, block: number, panelBytes: number): void;
  accumulate(...addressesAndSizes: number[]): void;
}

export interface FilterGradientKernel {
  /** Whether products and sums are fused (relaxed SIMD, Node 22 and later). */
  readonly fused: boolean;
  /** Writes the gradient of sum(dy * convolution(x, filter)) with respect to the filter into `target`. */
  run(x: Float32Array, dy: Float32Array, target: Float32Array, sizes: ConvolutionSizes): void;
}

/** Output pixels per chunk: one panel of x and one of dy stay in the first-level cache. */
const chunkPixels = 256;
const inputBlock = 4;
const outputBlock = 8;
const pageBytes = 65536;

// the part of the WebAssembly interface used here; its types come with the DOM library, which this package does not need
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: unknown } }>;
};

/** Compiles the kernel, fused where possible. Throws an Error where WebAssembly SIMD is missing. */
export async function loadFilterGradientKernel(): Promise<FilterGradientKernel> {
  const bytesOf = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const fused = WebAssembly.validate(bytesOf(fusedBinary));
  const bytes = bytesOf(fused ? fusedBinary : simdBinary);
  if (!WebAssembly.validate(bytes)) throw new Error("this JavaScript engine has no WebAssembly SIMD");
  const { instance } = await WebAssembly.instantiate(bytes, { env: { abort: () => undefined } });
  const exports = instance.exports as Exports;
  return { fused, run: (x, dy, target, sizes) => run(exports, x, dy, target, sizes) };
}

function run(kernel: Exports, x: Float32Array, dy: Float32Array, target: Float32Array, sizes: ConvolutionSizes): void {
  const { samples, height, width, outputHeight, outputWidth, filterHeight, filterWidth } = sizes;
  const { inputChannels, outputChannels, strideRows, strideColumns, paddingTop, paddingLeft } = sizes;
  const inputBlocks = Math.ceil(inputChannels / inputBlock);
  const outputBlocks = Math.ceil(outputChannels / outputBlock);
  const chunkRows = Math.min(outputHeight, Math.max(1, Math.floor(chunkPixels / outputWidth)));
  const chunkImages = Math.min(samples, Math.max(1, Math.floor(chunkPixels / (outputHeight * outputWidth))));
  const rowsFor = (outputRows: number) => strideRows * (outputRows - 1) + filterHeight;
  const columns = strideColumns * (outputWidth - 1) + filterWidth;
  const usedWidth = Math.min(width, columns - paddingLeft);

  // memory: df blocks | x panels | dy panels | rows of one image as they come
  const xAddress = filterHeight * filterWidth * inputBlocks * outputBlocks * inputBlock * outputBlock * 4;
  const dyAddress = xAddress + inputBlocks * chunkImages * rowsFor(chunkRows) * columns * inputBlock * 4;
  const rawAddress = dyAddress + outputBlocks * chunkImages * chunkRows * outputWidth * outputBlock * 4;
  const rawLength = Math.max(rowsFor(chunkRows) * width * inputChannels, chunkRows * outputWidth * outputChannels);
  const missing = rawAddress + rawLength * 4 - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / pageBytes));
  const memory = new Float32Array(kernel.memory.buffer);
  memory.fill(0, 0, xAddress / 4);

  const packInput = (image: number, position: number, images: number, top: number, rows: number): void => {
    const from = Math.max(0, top);
    const to = Math.min(height, top + rows);
    if (to <= from) return;
    const rowLength = width * inputChannels;
    const start = image * height * rowLength;
    memory.set(x.subarray(start + from * rowLength, start + to * rowLength), rawAddress / 4);
    const panelBytes = images * rows * columns * inputBlock * 4;
    for (let row = from; row < to; row++) {
      const pixel = (position * rows + row - top) * columns + paddingLeft;
      const source = rawAddress + (row - from) * rowLength * 4;
      kernel.pack(source, xAddress + pixel * inputBlock * 4, usedWidth, inputChannels, inputBlock, panelBytes);
    }
  };
  const packOutput = (image: number, position: number, images: number, outputRow: number, outputRows: number): void => {
    const pixels = outputRows * outputWidth;
    const start = (image * outputHeight + outputRow) * outputWidth * outputChannels;
    memory.set(dy.subarray(start, start + pixels * outputChannels), rawAddress / 4);
    const panelBytes = images * pixels * outputBlock * 4;
    const to = dyAddress + position * pixels * outputBlock * 4;
    kernel.pack(rawAddress, to, pixels, outputChannels, outputBlock, panelBytes);
  };

  for (let image = 0; image < samples; image += chunkImages) {
    const images = Math.min(chunkImages, samples - image);
    for (let outputRow = 0; outputRow < outputHeight; outputRow += chunkRows) {
      const outputRows = Math.min(chunkRows, outputHeight - outputRow);
      const rows = rowsFor(outputRows);
      const top = outputRow * strideRows - paddingTop;
      memory.fill(0, xAddress / 4, dyAddress / 4); // the padding; pixels are written next
      for (let position = 0; position < images; position++) {
        packInput(image + position, position, images, top, rows);
        packOutput(image + position, position, images, outputRow, outputRows);
      }
      kernel.accumulate(
        ...[xAddress, dyAddress, 0, inputBlocks, outputBlocks, images, rows, columns],
        ...[outputRows, outputWidth, filterHeight, filterWidth, strideRows, strideColumns],
      );
    }
  }

  let block = 0;
  for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
    for (let c = 0; c < inputBlocks * inputBlock; c += inputBlock) {
      for (let o = 0; o < outputBlocks * outputBlock; o += outputBlock) {
        for (let i = 0; i < Math.min(inputBlock, inputChannels - c); i++) {
          const to = (tap * inputChannels + c + i) * outputChannels + o;
          const from = block + i * outputBlock;
          const length = Math.min(outputBlock, outputChannels - o);
          for (let j = 0; j < length; j++) target[to + j] = memory[from + j]!;
        }
        block += inputBlock * outputBlock;
      }
    }
  }
}
