import { describe, expect, it } from "vitest";
import { curvePlotSvg } from "./curvePlot.js";

const curve = (name: string, ys: number[]) => ({
  name,
  points: ys.map((y, i) => ({ x: i / 10, y, lower: y - 0.05, upper: y + 0.05 })),
});

/** y coordinates of the vertices of each drawn line, in pixels. */
function drawn(svg: string): number[][] {
  return [...svg.matchAll(/<path[^>]* d="(M[^"Z]*)"/g)].map(([, d]) =>
    d!
      .split(/[ML]/)
      .filter(Boolean)
      .map((pair) => Number(pair.split(",")[1])),
  );
}

describe("curvePlotSvg", () => {
  const plot = {
    title: "accuracy & <radius>",
    subtitle: "bands: 95 % Wilson intervals",
    xLabel: "l2 radius",
    yLabel: "accuracy",
    curves: [curve("exact", [1, 0.5, 0]), { name: "one", points: [{ x: 0.1, y: 0.25 }] }],
    marks: [{ x: 0.1, label: "trained" }],
  };

  it("is standalone SVG that names its curves and escapes text", async () => {
    const svg = await curvePlotSvg(plot);
    expect(svg).toMatch(/^<\?xml[^>]*\?>\n<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg.trimEnd().endsWith("</svg>")).toBe(true);
    for (const text of ["accuracy &amp; &lt;radius&gt;", "exact", "one", "trained", "accuracy (%)"]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toMatch(/<script|NaN|undefined|href=/);
    expect(svg.match(/<circle/g)).toHaveLength(1);
  });

  it("draws values linearly from 0 at the bottom to 100 at the top", async () => {
    const svg = await curvePlotSvg({ ...plot, curves: [curve("exact", [1, 0.5, 0])] });
    const line = drawn(svg).find((ys) => ys.length === 3)!;
    expect(line[1]).toBeCloseTo((line[0]! + line[2]!) / 2, 1);
    expect(line[0]).toBeLessThan(line[2]!);
  });

  it("takes a single x, a logarithmic axis and many curves", async () => {
    const point = { ...plot, curves: [{ name: "a", points: [{ x: 0, y: 1 }] }], marks: [] };
    expect(await curvePlotSvg(point)).toContain("<circle");
    const many = Array.from({ length: 9 }, (_, k) => ({
      name: `a rather long name of curve ${k}`,
      points: [1, 10, 100].map((x) => ({ x, y: k / 10 })),
    }));
    expect(await curvePlotSvg({ ...plot, curves: many, xScale: "log" })).not.toContain("NaN");
  });

  it("refuses nothing to draw and numbers that are not finite", async () => {
    await expect(curvePlotSvg({ ...plot, curves: [] })).rejects.toThrow(/at least one curve/);
    await expect(curvePlotSvg({ ...plot, curves: [{ name: "a", points: [] }] })).rejects.toThrow(/curve a/);
    await expect(curvePlotSvg({ ...plot, curves: [curve("a", [Number.NaN])] })).rejects.toThrow(/finite/);
    await expect(curvePlotSvg({ ...plot, xScale: "log" })).rejects.toThrow(/positive/);
  });
});
