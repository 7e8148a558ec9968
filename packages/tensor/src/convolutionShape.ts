// Sizes of a convolution.

/** Everything about one convolution but its values. What lies beyond the last row and column counts as zero. */
export interface ConvolutionSizes {
  readonly samples: number;
  readonly height: number;
  readonly width: number;
  readonly inputChannels: number;
  readonly outputHeight: number;
  readonly outputWidth: number;
  readonly outputChannels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideRows: number;
  readonly strideColumns: number;
  /** Zero rows before the first one. */
  readonly paddingTop: number;
  readonly paddingLeft: number;
}

/** floor((length + 2 padding - filter) / stride) + 1 */
export function outputLength(length: number, filter: number, stride: number, padding: number): number {
  return Math.floor((length + 2 * padding - filter) / stride) + 1;
}
