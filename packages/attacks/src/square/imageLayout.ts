// How Square attack sees a sample: height x width x channels. Shapes [h, w, c] and [h, w] are images; anything else is a row of
// features of height 1, so windows are runs of consecutive features.

import type { Rng } from "@worstcase/core";

export interface ImageLayout {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

export function imageLayout(shape: readonly number[]): ImageLayout {
  if (shape.length === 3) return { height: shape[0], width: shape[1], channels: shape[2] };
  if (shape.length === 2) return { height: shape[0], width: shape[1], channels: 1 };
  return { height: 1, width: shape.reduce((product, length) => product * length, 1), channels: 1 };
}

/** Sides of a window that covers about `share` of the positions: a square where the image allows it, at least `least` long. */
export function windowSides(
  layout: ImageLayout,
  share: number,
  least: number,
  odd: boolean,
): { height: number; width: number } {
  const { height, width } = layout;
  const flat = Math.min(height, width) === 1;
  let side = Math.max(least, Math.round(flat ? share * height * width : Math.sqrt(share * height * width)));
  if (odd && side % 2 === 0) side++;
  const shorter = Math.min(side, flat ? Math.max(height, width) : Math.min(height, width));
  return { height: Math.min(height, shorter), width: Math.min(width, shorter) };
}

/** A window of these sides at a uniformly random place. */
export function randomWindow(layout: ImageLayout, sides: { height: number; width: number }, rng: Rng): Window {
  const top = rng.integer(layout.height - sides.height + 1);
  const left = rng.integer(layout.width - sides.width + 1);
  return { top, left, ...sides };
}
