// The tile of Square attack (Andriushchenko et al. 2020, arXiv 1912.00049, section 3.3; l1: Croce and Hein 2021, arXiv 2103.01208): two
// halves of opposite sign, each a sum of growing rectangles around its centre with weights 1 / m^2 (l2) or 1 / m^4 (l1), scaled to unit
// length in the norm.
// tile: [height * width], row-major

import { normOf } from "@worstcase/core";

/** Norms whose perturbations are moved between windows. */
export type WindowNorm = "l2" | "l1";

const made = new Map<string, Float64Array>();

/** The tile with its halves one above the other, or side by side when `transposed`. Shared: do not change it. */
export function tile(height: number, width: number, transposed: boolean, norm: WindowNorm): Float64Array {
  const key = `${height} ${width} ${transposed} ${norm}`;
  const known = made.get(key);
  if (known) return known;
  const values = transposed ? transpose(halves(width, height, norm), width, height) : halves(height, width, norm);
  made.set(key, values);
  return values;
}

function halves(height: number, width: number, norm: WindowNorm): Float64Array {
  if (height === 1) return width === 1 ? Float64Array.of(1) : transpose(halves(width, 1, norm), width, 1);
  const out = new Float64Array(height * width);
  const upper = Math.floor(height / 2);
  out.set(peak(upper, width, norm));
  const lower = peak(height - upper, width, norm);
  for (let k = 0; k < lower.length; k++) out[upper * width + k] = -lower[k];
  return scaled(out, norm);
}

/** One half: rectangles of sides 2 m - 1 around the centre, cut at the border. */
function peak(height: number, width: number, norm: WindowNorm): Float64Array {
  const out = new Float64Array(height * width);
  const centre = [Math.floor(height / 2), Math.floor(width / 2)];
  const layers = Math.max(centre[0], centre[1]) + 1;
  for (let m = 1; m <= layers; m++) {
    for (let y = Math.max(0, centre[0] - m + 1); y < Math.min(height, centre[0] + m); y++) {
      for (let x = Math.max(0, centre[1] - m + 1); x < Math.min(width, centre[1] + m); x++)
        out[y * width + x] += 1 / m ** (norm === "l2" ? 2 : 4);
    }
  }
  return scaled(out, norm);
}

function scaled(values: Float64Array, norm: WindowNorm): Float64Array {
  const length = normOf(values, norm);
  return length > 0 ? values.map((value) => value / length) : values;
}

function transpose(values: Float64Array, height: number, width: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = values[y * width + x];
  return out;
}
