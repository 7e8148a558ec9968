// Paints one 32 x 32 x 3 image: a cloudy background, bars as distraction, one shape, bars that may cover it, and noise.
// canvas: [32, 32, 3], values near [0, 1] until they are quantised to k / 255. Only + - * / sqrt, floor and comparisons are used.

import type { Rng } from "@worstcase/core";
import { type Outline, outlines } from "./outlines.js";

export const side = 32;
export const imageBytes = side * side * 3;

// Ranges of the drawing. Changing any number changes every image, and makes trained backbones useless.
const contrastRange = [0.08, 0.4] as const;
const brighterShare = 0.9;
const tint = 0.12;
const hueShare = 0.4;
const backgroundClouds = [0.05, 0.22] as const;
const shapeClouds = [0.02, 0.12] as const;
const turnRange = 0.6;
const jitter = 3.5;
const sizeRange = [7, 10.5] as const;
const stretchRange = [0.8, 1.25] as const;
const noiseRange = [0.01, 0.07] as const;

const outlineOfLabel = Object.values(outlines);
// Scratch memory, reused by every image; painting is synchronous.
const canvas = new Float64Array(imageBytes);
const clouds = new Float64Array(imageBytes);

type Colour = readonly [number, number, number];

/** Paints the image of class `label` into `target` at `offset`, as 3072 bytes in height, width, channel order. */
export function paintImage(rng: Rng, label: number, target: Uint8Array, offset: number): void {
  const brightness = between(rng, 0.35, 0.65);
  const background: Colour = [
    brightness + between(rng, -tint, tint),
    brightness + between(rng, -tint, tint),
    brightness + between(rng, -tint, tint),
  ];
  paintClouds(rng, canvas, background, 4, between(rng, ...backgroundClouds));
  paintBars(rng, background, 1 + rng.integer(3));
  paintShape(rng, background, outlineOfLabel[label]!);
  paintBars(rng, background, rng.integer(3));
  writeWithNoise(rng, target, offset);
}

function paintShape(rng: Rng, background: Colour, outline: Outline): void {
  const colour = contrastColour(rng, background, brighterShare);
  paintClouds(rng, clouds, colour, 6, between(rng, ...shapeClouds));
  const tangent = between(rng, -turnRange, turnRange);
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const x = side / 2 + between(rng, -jitter, jitter);
  const y = side / 2 + between(rng, -jitter, jitter);
  const size = between(rng, ...sizeRange);
  cover(outline, x, y, size, cosine, cosine * tangent, between(rng, ...stretchRange), (i) => clouds[i]!);
}

/** Small bars of other colours at random places, in any direction. */
function paintBars(rng: Rng, background: Colour, count: number): void {
  for (let k = 0; k < count; k++) {
    const colour = contrastColour(rng, background, 0.5);
    const [cosine, sine] = direction(rng);
    const length = between(rng, 0.2, 1);
    const width = between(rng, 0.2, 0.45);
    const bar: Outline = (x, y) => Math.max(Math.abs(x) - length, Math.abs(y) - width);
    const x = between(rng, 0, side);
    const y = between(rng, 0, side);
    cover(bar, x, y, between(rng, 2, 5), cosine, sine, 1, (i) => colour[i % 3]!);
  }
}

/** A colour apart from `colour`: brighter with the given probability, otherwise darker, and of a somewhat different hue. */
function contrastColour(rng: Rng, colour: Colour, brighter: number): Colour {
  const contrast = between(rng, ...contrastRange);
  const brightness = (1 - hueShare) * (rng.uniform() < brighter ? contrast : -contrast);
  const hue = hueShare * contrast;
  return [
    colour[0] + brightness + between(rng, -hue, hue),
    colour[1] + brightness + between(rng, -hue, hue),
    colour[2] + brightness + between(rng, -hue, hue),
  ];
}

function between(rng: Rng, lower: number, upper: number): number {
  return lower + (upper - lower) * rng.uniform();
}

/** A random unit vector without sine or cosine: a uniform point of the disc, scaled to length 1. */
function direction(rng: Rng): [number, number] {
  for (;;) {
    const x = between(rng, -1, 1);
    const y = between(rng, -1, 1);
    const square = x * x + y * y;
    if (square > 1 || square < 1e-4) continue;
    const length = Math.sqrt(square);
    return [x / length, y / length];
  }
}

/** Fills `field` with `colour` plus smooth noise: random values at the knots of a grid, joined by smooth steps. */
function paintClouds(rng: Rng, field: Float64Array, colour: Colour, cells: number, strength: number): void {
  const row = (cells + 1) * 3;
  const knots = new Float64Array(row * (cells + 1));
  for (let k = 0; k < knots.length; k += 3) {
    const brightness = 0.7 * between(rng, -strength, strength);
    for (let c = 0; c < 3; c++) knots[k + c] = colour[c]! + brightness + 0.3 * between(rng, -strength, strength);
  }
  for (let y = 0; y < side; y++) {
    const v = (y * cells) / side;
    const top = Math.floor(v);
    const down = smoothStep(v - top);
    for (let x = 0; x < side; x++) {
      const u = (x * cells) / side;
      const left = Math.floor(u);
      const right = smoothStep(u - left);
      const knot = top * row + left * 3;
      const pixel = (y * side + x) * 3;
      for (let c = 0; c < 3; c++) {
        const k = knot + c;
        const upper = knots[k]! + right * (knots[k + 3]! - knots[k]!);
        const lower = knots[k + row]! + right * (knots[k + row + 3]! - knots[k + row]!);
        field[pixel + c] = upper + down * (lower - upper);
      }
    }
  }
}

function smoothStep(t: number): number {
  return t * t * (3 - 2 * t);
}

/** Draws an outline of `size` pixels radius at (centreX, centreY), turned and stretched, with edges one pixel soft. */
function cover(
  outline: Outline,
  centreX: number,
  centreY: number,
  size: number,
  cosine: number,
  sine: number,
  stretch: number,
  colour: (index: number) => number,
): void {
  const reach = 1.2 * size * Math.max(stretch, 1 / stretch) + 1;
  const [fromX, toX] = [Math.max(0, Math.floor(centreX - reach)), Math.min(side - 1, Math.ceil(centreX + reach))];
  const [fromY, toY] = [Math.max(0, Math.floor(centreY - reach)), Math.min(side - 1, Math.ceil(centreY + reach))];
  for (let y = fromY; y <= toY; y++) {
    for (let x = fromX; x <= toX; x++) {
      const right = x + 0.5 - centreX;
      const down = y + 0.5 - centreY;
      const along = (cosine * right + sine * down) / (size * stretch);
      const across = ((cosine * down - sine * right) * stretch) / size;
      const share = 0.5 - size * outline(along, across);
      if (share <= 0) continue;
      const alpha = Math.min(share, 1);
      const pixel = (y * side + x) * 3;
      for (let i = pixel; i < pixel + 3; i++) canvas[i]! += alpha * (colour(i) - canvas[i]!);
    }
  }
}

/** Adds uniform noise and quantises. One draw of 53 bits gives three noise values of 17 bits, one for each channel. */
function writeWithNoise(rng: Rng, target: Uint8Array, offset: number): void {
  const noise = between(rng, ...noiseRange);
  for (let i = 0; i < imageBytes; i += 3) {
    const first = rng.uniform() * 131072;
    const second = (first - Math.floor(first)) * 131072;
    const third = (second - Math.floor(second)) * 131072;
    target[offset + i] = quantise(canvas[i]! + noise * (Math.floor(first) / 65536 - 1));
    target[offset + i + 1] = quantise(canvas[i + 1]! + noise * (Math.floor(second) / 65536 - 1));
    target[offset + i + 2] = quantise(canvas[i + 2]! + noise * (Math.floor(third) / 65536 - 1));
  }
}

function quantise(value: number): number {
  return value <= 0 ? 0 : value >= 1 ? 255 : Math.floor(value * 255 + 0.5);
}
