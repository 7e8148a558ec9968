import { PNG } from "pngjs";
import { expect, it } from "vitest";
import { imageGridSvg } from "./imageGrid.js";

const shape = [2, 3, 3];

it("embeds each image as a PNG with its pixels, beside escaped captions", () => {
  const pixels = Float32Array.from({ length: 18 }, (_, k) => k / 17);
  const svg = imageGridSvg({
    title: "a < b & c",
    columns: ["left", "right"],
    rows: [{ images: [pixels, pixels.map((v) => 2 * v - 0.5)], caption: ['"cat" → dog'] }],
    shape,
  });
  expect(svg).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(svg).toContain("a &lt; b &amp; c");
  expect(svg).toContain("&quot;cat&quot; → dog");
  const images = [...svg.matchAll(/base64,([^"]+)"/g)].map(([, text]) => PNG.sync.read(Buffer.from(text!, "base64")));
  expect(images.map(({ width, height }) => [width, height])).toEqual([
    [3, 2],
    [3, 2],
  ]);
  const values = (png: PNG) => Array.from(png.data).filter((_, k) => k % 4 !== 3);
  expect(values(images[0]!)).toEqual(Array.from(pixels, (v) => Math.round(255 * v)));
  // clipped to [0, 1]
  expect(values(images[1]!)).toEqual(
    Array.from(pixels, (v) => Math.round(255 * Math.min(1, Math.max(0, 2 * v - 0.5)))),
  );
});

it("shows one channel as grey, and refuses other shapes", () => {
  const row = { images: [[0, 0.5, 1, 0.2]], caption: [] };
  const svg = imageGridSvg({ title: "", columns: ["grey"], rows: [row], shape: [2, 2, 1] });
  const png = PNG.sync.read(Buffer.from(/base64,([^"]+)"/.exec(svg)![1]!, "base64"));
  expect([...png.data.subarray(4, 8)]).toEqual([128, 128, 128, 255]);
  const two = { title: "", columns: ["x"], rows: [row], shape: [2, 1, 2] };
  expect(() => imageGridSvg(two)).toThrow(expect.objectContaining({ code: "shape" }));
  const short = { title: "", columns: ["x"], rows: [row], shape: [3, 3, 1] };
  expect(() => imageGridSvg(short)).toThrow(expect.objectContaining({ code: "shape" }));
});
