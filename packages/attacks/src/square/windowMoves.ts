// The moves of Square attack in l2 (Andriushchenko et al. 2020, arXiv 1912.00049, algorithm 3) and l1 (Croce and Hein 2021, arXiv 2103.01208), on one
// displacement d. With windows W1, W2 of equal sides, for every one of C channels:
//   u = sign * tile + d_W1 / |d_W1|,   d_(W1 u W2) <- 0 on W2, then d_W1 = u / |u| * share
//   l2: share = sqrt(|d_(W1 u W2)|^2 + max(0, epsilon^2 - |d|^2) / C)     l1: share = C |d_(W1 u W2)| + max(0, epsilon - |d|)
// In l1 the move is longer than the budget allows with several channels; the projection that follows makes it sparse.
// displacement: [height * width * channels]

import { normOf, type Rng } from "@worstcase/core";
import { type ImageLayout, randomWindow, type Window } from "./imageLayout.js";
import { tile, type WindowNorm } from "./tile.js";

/** Fills the image with tiles of random signs, five along each side. */
export function startWithTiles(displacement: Float64Array, layout: ImageLayout, rng: Rng, norm: WindowNorm): void {
  const { height, width, channels } = layout;
  displacement.fill(0);
  const tall = Math.max(1, Math.floor(height / 5));
  const wide = Math.max(1, Math.floor(width / 5));
  for (let top = 0; top < height; top += tall) {
    for (let left = 0; left < width; left += wide) {
      const window = { top, left, height: Math.min(tall, height - top), width: Math.min(wide, width - left) };
      const shape = tile(window.height, window.width, rng.uniform() > 0.5, norm);
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
  norm: WindowNorm,
): void {
  const power = norm === "l2" ? 2 : 1;
  const to = randomWindow(layout, sides, rng);
  const from = randomWindow(layout, sides, rng);
  const shape = tile(sides.height, sides.width, rng.uniform() > 0.5, norm);
  const unspent = Math.max(0, epsilon ** power - normOf(displacement, norm) ** power);
  const fresh = new Float64Array(shape.length);
  for (let c = 0; c < layout.channels; c++) {
    const sign = rng.uniform() < 0.5 ? -1 : 1;
    let there = 0;
    let both = 0;
    forWindow(layout, to, c, (k) => {
      there += Math.abs(displacement[k]) ** power;
    });
    forWindow(layout, from, c, (k, _place, y, x) => {
      // what lies in both windows is counted once, and overwritten below
      if (inside(to, y, x)) return;
      both += Math.abs(displacement[k]) ** power;
      displacement[k] = 0;
    });
    both += there;
    const old = there ** (1 / power) + 1e-12;
    forWindow(layout, to, c, (k, place) => {
      fresh[place] = sign * shape[place] + displacement[k] / old;
    });
    const share = norm === "l2" ? Math.sqrt(both + unspent / layout.channels) : layout.channels * both + unspent;
    const scale = share / (normOf(fresh, norm) + 1e-12);
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
