// Outlines of the ten shape classes as approximate signed distances: negative inside, positive outside, in units of the shape's
// radius. Only + - * / sqrt and comparisons are used, which IEEE 754 fixes exactly, so every machine draws the same image.

/** Signed distance of the point (x, y) from an outline. All outlines fit into the circle of radius 1.25. */
export type Outline = (x: number, y: number) => number;

/** Class names in label order, with their outlines. */
export const outlines: Readonly<Record<string, Outline>> = {
  disc: (x, y) => radius(x, y) - 0.78,
  ring: (x, y) => Math.abs(radius(x, y) - 0.68) - 0.2,
  square: (x, y) => box(x, y, 0.68, 0.68),
  frame: (x, y) => Math.abs(box(x, y, 0.6, 0.6)) - 0.16,
  triangle: (x, y) => Math.max(y, 0.8660254 * x - 0.5 * y, -0.8660254 * x - 0.5 * y) - 0.48,
  star,
  cross: (x, y) => Math.min(box(x, y, 0.92, 0.25), box(x, y, 0.25, 0.92)),
  crescent: (x, y) => Math.max(radius(x, y) - 0.88, 0.72 - radius(x - 0.5, y)),
  bars: (x, y) => box(x, Math.abs(y) - 0.46, 0.8, 0.22),
  corner: (x, y) => Math.min(box(x + 0.4, y, 0.25, 0.78), box(x, y - 0.53, 0.65, 0.25)),
};

function radius(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}

function box(x: number, y: number, halfWidth: number, halfHeight: number): number {
  return Math.max(Math.abs(x) - halfWidth, Math.abs(y) - halfHeight);
}

/** A five-pointed star is the set of points beyond at most one side of its inner pentagon: the second largest side distance. */
function star(x: number, y: number): number {
  const a = Math.abs(x);
  let largest = y;
  let second = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < 4; k++) {
    const distance = sideX[k]! * a + sideY[k]! * y;
    if (distance > largest) {
      second = largest;
      largest = distance;
    } else if (distance > second) second = distance;
  }
  return second - 0.38;
}

// Unit normals of the pentagon's sides at 18, -54, 162 and 234 degrees; the one at 90 degrees is y itself.
const sideX = [0.951056516, 0.587785252, -0.951056516, -0.587785252];
const sideY = [0.309016994, -0.809016994, 0.309016994, -0.809016994];
