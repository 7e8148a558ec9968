// Patches of images of any rectangle (math.md 11): the coordinates of every window in a flattened image [height, width, channels].
// Positions are 0, stride, 2 stride, ... as long as the window fits; with padding they start at -padding, and what lies outside the
// image is a constant 0 that no neuron needs a weight for, so windows at the edge are smaller.

import { SettingError } from "@worstcase/core";

export interface PatchLayout {
  readonly height: number;
  readonly width: number;
  /** Default 1. */
  readonly channels?: number;
  readonly patchHeight: number;
  readonly patchWidth: number;
  /** Default 1. */
  readonly strideY?: number;
  readonly strideX?: number;
  /** Rows and columns of zeros around the image. Default 0. */
  readonly padding?: number;
}

export interface ImagePatches {
  /** Coordinates of each patch in row-major order of positions, `[patches][patch size]`. */
  readonly supports: readonly Int32Array[];
  readonly rows: number;
  readonly columns: number;
  /** height x width x channels. */
  readonly size: number;
}

/** Throws SettingError on sizes that are not integers, a patch larger than the padded image, or a stride below 1. */
export function imagePatches(layout: PatchLayout): ImagePatches {
  const { height, width, channels = 1, patchHeight, patchWidth, strideY = 1, strideX = 1, padding = 0 } = layout;
  for (const [name, value] of Object.entries({ height, width, channels, patchHeight, patchWidth, strideY, strideX })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new SettingError({ argument: `layout.${name}`, expected: "an integer >= 1", received: value });
    }
  }
  if (!Number.isSafeInteger(padding) || padding < 0 || padding >= Math.min(patchHeight, patchWidth)) {
    const expected = `an integer in 0 .. ${Math.min(patchHeight, patchWidth) - 1}, so that no patch is outside`;
    throw new SettingError({ argument: "layout.padding", expected, received: padding });
  }
  if (patchHeight > height + 2 * padding || patchWidth > width + 2 * padding) {
    const expected = `at most ${height + 2 * padding} x ${width + 2 * padding}`;
    throw new SettingError({
      argument: "layout.patchHeight, patchWidth",
      expected,
      received: [patchHeight, patchWidth],
    });
  }
  const rows = Math.floor((height + 2 * padding - patchHeight) / strideY) + 1;
  const columns = Math.floor((width + 2 * padding - patchWidth) / strideX) + 1;
  const supports: Int32Array[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const coordinates: number[] = [];
      for (let y = 0; y < patchHeight; y++) {
        for (let x = 0; x < patchWidth; x++) {
          const [imageY, imageX] = [row * strideY - padding + y, column * strideX - padding + x];
          if (imageY < 0 || imageY >= height || imageX < 0 || imageX >= width) continue;
          for (let c = 0; c < channels; c++) coordinates.push((imageY * width + imageX) * channels + c);
        }
      }
      supports.push(Int32Array.from(coordinates));
    }
  }
  return { supports, rows, columns, size: height * width * channels };
}
