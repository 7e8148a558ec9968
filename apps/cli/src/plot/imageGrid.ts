// Rows of small images with captions as one standalone SVG: pixels embedded as PNG, shown enlarged without smoothing.
// Pixels: [height, width, channels] in [0, 1], 1 or 3 channels.

import { ShapeError } from "@worstcase/core";
import { PNG } from "pngjs";

interface GridRow {
  /** Lines beside the images. */
  readonly caption: readonly string[];
  /** One image for each column. */
  readonly images: readonly ArrayLike<number>[];
}

export interface ImageGrid {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly GridRow[];
  /** [height, width, channels] of every image. */
  readonly shape: readonly number[];
}

/** Side of a shown image, and the space between them, in pixels of the drawing. */
const side = 112;
const gap = 12;
const top = 64;
const captionWidth = 330;

/** Throws ShapeError when an image has not the stated shape or the shape not 1 or 3 channels. */
export function imageGridSvg({ title, columns, rows, shape }: ImageGrid): string {
  const [height, width, channels] = shape as [number, number, number];
  if (shape.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new ShapeError({ argument: "shape", expected: "[height, width, 1 or 3]", received: [...shape] });
  }
  const total = { width: gap + columns.length * (side + gap) + captionWidth, height: top + rows.length * (side + gap) };
  const text = (x: number, y: number, size: number, content: string, more = "") =>
    `<text x="${x}" y="${y}" font-size="${size}" fill="#222"${more}>${escaped(content)}</text>`;
  const parts = [
    `<rect width="${total.width}" height="${total.height}" fill="white"/>`,
    text(gap, 24, 16, title, ' font-weight="bold"'),
    ...columns.map((name, c) => text(gap + c * (side + gap), top - 10, 13, name)),
  ];
  for (const [r, { images, caption }] of rows.entries()) {
    const y = top + r * (side + gap);
    for (const [c, pixels] of images.entries()) {
      if (pixels.length !== height * width * channels) {
        const expected = `${height * width * channels} values`;
        throw new ShapeError({ argument: `rows[${r}].images[${c}]`, expected, received: pixels.length });
      }
      const png = encodePng(pixels, height, width, channels).toString("base64");
      const place = `x="${gap + c * (side + gap)}" y="${y}" width="${side}" height="${side}"`;
      parts.push(`<image ${place} style="image-rendering:pixelated" href="data:image/png;base64,${png}"/>`);
    }
    caption.forEach((line, l) => {
      parts.push(text(gap + columns.length * (side + gap) + 4, y + 22 + 20 * l, 13, line));
    });
  }
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${total.width}" height="${total.height}" viewBox="0 0 ${total.width} ${total.height}" font-family="sans-serif">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}\n${parts.join("\n")}\n</svg>\n`;
}

/** Values are clipped to [0, 1] and rounded to 8 bits. */
function encodePng(pixels: ArrayLike<number>, height: number, width: number, channels: number): Buffer {
  const png = new PNG({ width, height });
  for (let p = 0; p < height * width; p++) {
    for (let c = 0; c < 3; c++) {
      const value = pixels[p * channels + (channels === 1 ? 0 : c)]!;
      png.data[4 * p + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
    png.data[4 * p + 3] = 255;
  }
  return PNG.sync.write(png);
}

function escaped(content: string): string {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
