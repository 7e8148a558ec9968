// Random flip and shifted crop of a batch, and the normalisation of its pixels, in one pass over the images.
//   crop: the image is padded with `shift` black pixels on each side and a window of its size is cut out at a uniformly random place

import type { Rng } from "@worstcase/core";
import { inputShape } from "../architecture.js";
import type { Normalisation } from "../fold.js";

export interface Augmentation {
  /** Mirror each image left to right with probability 1/2. */
  readonly flip: boolean;
  /** Largest shift of the crop in pixels; 0 for none. */
  readonly shift: number;
}

const [height, width, channels] = inputShape;

/** Normalised images `positions` of `images` [n, 32, 32, 3], augmented when `augmentation` is given, [positions, 32, 32, 3]. */
export function gatherImages(
  images: Float32Array | Float64Array,
  positions: ArrayLike<number>,
  { mean, std }: Normalisation,
  augmentation: Augmentation | null,
  rng: Rng,
): Float32Array {
  const size = height * width * channels;
  const result = new Float32Array(positions.length * size);
  for (let i = 0; i < positions.length; i++) {
    const from = positions[i]! * size;
    const mirrored = augmentation?.flip === true && rng.uniform() < 0.5;
    const shift = augmentation?.shift ?? 0;
    const down = shift > 0 ? rng.integer(2 * shift + 1) - shift : 0;
    const right = shift > 0 ? rng.integer(2 * shift + 1) - shift : 0;
    for (let row = 0; row < height; row++) {
      const sourceRow = row + down;
      for (let column = 0; column < width; column++) {
        const place = column + right;
        const sourceColumn = mirrored ? width - 1 - place : place;
        const inside = sourceRow >= 0 && sourceRow < height && place >= 0 && place < width;
        const source = from + (sourceRow * width + sourceColumn) * channels;
        const target = i * size + (row * width + column) * channels;
        for (let c = 0; c < channels; c++) {
          result[target + c] = ((inside ? images[source + c]! : 0) - mean[c]!) / std[c]!;
        }
      }
    }
  }
  return result;
}
