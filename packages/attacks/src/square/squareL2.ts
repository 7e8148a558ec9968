// The l2 moves of Square attack (Andriushchenko et al. 2020, arXiv 1912.00049, algorithm 3), on one displacement d.
// With windows W1, W2 of equal sides and b^2 = max(0, epsilon^2 - ||d||^2) unspent, for every channel:
//   u = sign * tile + d_W1 / ||d_W1||,   d_W1 u W2 <- 0 on W2, then d_W1 = u / ||u|| * sqrt(||d_(W1 u W2)||^2 + b^2 / channels)
// displacement: [height * width * channels]

import { normOf, type Rng } from "@worstcase/core";
import { type ImageLayout, randomWindow, type Window } from "./imageLayout.js";
import { tile } from "./tile.js";

/** Fills the image with tiles of random signs, five along each side. */
export function startWithTiles(displacement: Float64Array, layout: ImageLayout, rng: Rng): void {
  const { height, width, channels } = layout;
  displacement.fill(0);
  const tall = Math.max(1, Math.floor(height / 5));
  const wide = Math.max(1, Math.floor(width / 5));
  for (let top = 0; top < height; top += tall) {
    for (let left = 0; left < width; left += wide) {
      const window = { top, left, height: Math.min(tall, height - top), width: Math.min(wide, width - left) };
      const shape = tile(window.height, window.width, rng.uniform() > 0.5);
      for (let c = 0; c < channels; c++) {
        const sign = rng.uniform() < 0.5 ? -1 : 1;
        forWindow(layout, window, c, (k, place) => {
          displacement[k] = sign * shape[place];
        });
      }
    }
  }
}

export function moveWindow(
  displacement: Float64Array,
  layout: ImageLayout,
  sides: { height: number; width: number },
  epsilon: number,
  rng: Rng,
): void {
  const to = randomWindow(layout, sides, rng);
  const from = randomWindow(layout, sides, rng);
  const shape = tile(sides.height, sides.width, rng.uniform() > 0.5);
  const unspent = Math.max(0, epsilon ** 2 - normOf(displacement, "l2") ** 2) / layout.channels;
  const fresh = new Float64Array(shape.length);
  for (let c = 0; c < layout.channels; c++) {
    const sign = rng.uniform() < 0.5 ? -1 : 1;
    let there = 0;
    let both = 0;
    forWindow(layout, to, c, (k) => {
      there += displacement[k] ** 2;
    });
    forWindow(layout, from, c, (k, _place, y, x) => {
      if (!inside(to, y, x)) both += displacement[k] ** 2;
      // what lies in both windows is counted once, and overwritten below
      if (!inside(to, y, x)) displacement[k] = 0;
    });
    both += there;
    const old = Math.sqrt(there) + 1e-12;
    forWindow(layout, to, c, (k, place) => {
      fresh[place] = sign * shape[place] + displacement[k] / old;
    });
    const scale = Math.sqrt(both + unspent) / (normOf(fresh, "l2") + 1e-12);
    forWindow(layout, to, c, (k, place) => {
      displacement[k] = fresh[place] * scale;
    });
  }
}

/** Calls `visit` with the position in the sample and in the window for every place of one channel. */
function forWindow(
  layout: ImageLayout,
  window: Window,
  channel: number,
  visit: (k: number, place: number, y: number, x: number) => void,
): void {
  let place = 0;
  for (let y = window.top; y < window.top + window.height; y++) {
    for (let x = window.left; x < window.left + window.width; x++) {
      visit((y * layout.width + x) * layout.channels + channel, place++, y, x);
    }
  }
}

function inside(window: Window, y: number, x: number): boolean {
  return y >= window.top && y < window.top + window.height && x >= window.left && x < window.left + window.width;
}
