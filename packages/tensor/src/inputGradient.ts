// Input gradient of conv2d on the wasm backend by forward convolutions of dy with the turned filter.
//   dx[n, i, i', c] = sum_{k, k', o} dy[n, h, h', o] f[k, k', c, o]   over s h = i + p - k, s h' = i' + p' - k'
// For stride s the pixels i = s m + r of one phase r meet only the filter rows k with the parity (rest modulo s) of
// r + p, at h = m + (r + p - k) / s. So each of the s * s phases is a stride 1 convolution of dy with a part of the
// filter, no product with a zero is made, and the phases are interleaved at the end. Stride 1 has one phase.
// dy: [samples, outputHeight, outputWidth, o]   f: [filterHeight, filterWidth, c, o]   dx: [samples, height, width, c]

import * as tf from "@tensorflow/tfjs-core";
import type { ConvolutionSizes } from "./convolutionShape.js";

/** What of the wasm backend is used: its tensors are views of one memory. */
export interface HeapBackend {
  makeOutput(shape: number[], dtype: "float32"): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

/** Filter rows (or columns) of one phase in turned order, and the zero pixels of dy before the first. */
interface Phase {
  readonly taps: readonly number[];
  readonly before: number;
}

export function inputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  sizes: ConvolutionSizes,
  backend: HeapBackend,
): tf.Tensor4D {
  const { samples, height, width, inputChannels, strideRows, strideColumns } = sizes;
  const phaseHeight = Math.ceil(height / strideRows);
  const phaseWidth = Math.ceil(width / strideColumns);
  const columnPhases = phasesOf(strideColumns, sizes.filterWidth, sizes.paddingLeft);
  const rows = phasesOf(strideRows, sizes.filterHeight, sizes.paddingTop).map((row) => {
    const parts = columnPhases.map((column) => {
      if (row.taps.length === 0 || column.taps.length === 0) return undefined;
      const turned = turnFilter(filter, row.taps, column.taps, backend);
      const after = [
        phaseHeight - dy.shape[1] + row.taps.length - 1 - row.before,
        phaseWidth - dy.shape[2] + column.taps.length - 1 - column.before,
      ] as const;
      return convolve(dy, turned, [row.before, after[0]], [column.before, after[1]]);
    });
    return interleave(parts, samples * phaseHeight * phaseWidth, inputChannels);
  });
  const all = interleave(rows, samples * phaseHeight, phaseWidth * strideColumns * inputChannels);
  if (!all) return tf.zeros([samples, height, width, inputChannels]);
  const full = tf.reshape(all, [samples, phaseHeight * strideRows, phaseWidth * strideColumns, inputChannels]);
  if (full.shape[1] === height && full.shape[2] === width) return full as tf.Tensor4D;
  return tf.slice(full as tf.Tensor4D, [0, 0, 0, 0], [samples, height, width, inputChannels]);
}

function phasesOf(stride: number, filterLength: number, padding: number): Phase[] {
  return Array.from({ length: stride }, (_, r) => {
    const taps: number[] = [];
    for (let k = (r + padding) % stride; k < filterLength; k += stride) taps.unshift(k);
    return { taps, before: -(r + padding - (taps[0] ?? 0)) / stride };
  });
}

/** f[rows, columns] with its channels exchanged: [rows, columns, o, c]. tf.transpose needs 30 ns per value for this. */
function turnFilter(
  filter: tf.Tensor4D,
  rows: readonly number[],
  columns: readonly number[],
  backend: HeapBackend,
): tf.Tensor4D {
  const [, filterWidth, channels, outputs] = filter.shape;
  const info = backend.makeOutput([rows.length, columns.length, outputs, channels], "float32");
  const source = backend.typedArrayFromHeap(filter);
  const target = backend.typedArrayFromHeap(info);
  const size = channels * outputs;
  rows.forEach((row, i) => {
    columns.forEach((column, j) => {
      const from = (row * filterWidth + column) * size;
      const to = (i * columns.length + j) * size;
      transpose(source.subarray(from, from + size), target.subarray(to, to + size), channels, outputs);
    });
  });
  return tf.engine().makeTensorFromTensorInfo(info) as tf.Tensor4D;
}

/** target[column, row] = source[row, column], in tiles that stay in the cache. */
function transpose(source: Float32Array, target: Float32Array, rows: number, columns: number): void {
  const tile = 16;
  for (let row = 0; row < rows; row += tile) {
    const lastRow = Math.min(rows, row + tile);
    for (let column = 0; column < columns; column += tile) {
      const lastColumn = Math.min(columns, column + tile);
      for (let j = column; j < lastColumn; j++) {
        for (let i = row; i < lastRow; i++) target[j * rows + i] = source[i * columns + j]!;
      }
    }
  }
}

/** Stride 1 convolution with zeros before and after the rows and columns; negative counts crop. */
function convolve(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  rows: readonly [number, number],
  columns: readonly [number, number],
): tf.Tensor4D {
  const crop = ([before, after]: readonly [number, number]) => [Math.max(0, -before), Math.max(0, -after)] as const;
  const pad = ([before, after]: readonly [number, number]): [number, number] => [
    Math.max(0, before),
    Math.max(0, after),
  ];
  const [samples, height, width, channels] = x.shape;
  const [top, bottom] = crop(rows);
  const [left, right] = crop(columns);
  const cropped = top + bottom + left + right > 0;
  const size: [number, number, number, number] = [samples, height - top - bottom, width - left - right, channels];
  const used = cropped ? tf.slice(x, [0, top, left, 0], size) : x;
  return tf.conv2d(used, filter, 1, [[0, 0], pad(rows), pad(columns), [0, 0]]);
}

/** Joins parts of `count` blocks of `length` values block by block, [count, parts, length]; an absent part is zero. */
function interleave(parts: readonly (tf.Tensor | undefined)[], count: number, length: number): tf.Tensor | undefined {
  const present = parts.filter((part) => part !== undefined);
  if (present.length === 0 || parts.length === 1) return parts[0];
  if (present.length === 1) {
    const before = parts.indexOf(present[0]) * length;
    const sides: [[number, number], [number, number]] = [
      [0, 0],
      [before, (parts.length - 1) * length - before],
    ];
    return tf.pad(tf.reshape(present[0]!, [count, length]), sides);
  }
  return tf.concat(
    parts.map((part) => (part ? tf.reshape(part, [count, length]) : tf.zeros([count, length]))),
    1,
  );
}
