// Shape arithmetic of one axis of a convolution.

/** floor((length + 2 padding - filter) / stride) + 1 */
export function outputLength(length: number, filter: number, stride: number, padding: number): number {
  return Math.floor((length + 2 * padding - filter) / stride) + 1;
}
