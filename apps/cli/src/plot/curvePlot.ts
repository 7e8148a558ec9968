// Curves with confidence bands as one standalone SVG file: accuracy against radius or epsilon, cross-validated paths.
// Observable Plot draws, linkedom stands in for the browser's document; both are loaded on first use. No fonts, scripts or
// addresses are embedded beyond the SVG namespace, so the file opens offline in any browser or document.

import { ShapeError } from "@worstcase/core";

interface CurvePoint {
  readonly x: number;
  readonly y: number;
  /** Ends of an interval around y, drawn as a band. */
  readonly lower?: number;
  readonly upper?: number;
}

export interface Curve {
  /** Shown in the legend. */
  readonly name: string;
  /** In ascending x. A single point is drawn as a dot. */
  readonly points: readonly CurvePoint[];
  /** Marks every point with a dot; for curves of few measured points. Default: only curves of one point. */
  readonly dots?: boolean;
}

interface CurveMark {
  readonly x: number;
  readonly label: string;
}

export interface CurvePlot {
  readonly title: string;
  /** One line below the title: data, model, what the bands are. */
  readonly subtitle?: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly curves: readonly Curve[];
  /** Vertical dashed lines, for example at the training radius. */
  readonly marks?: readonly CurveMark[];
  /** Shares in [0, 1] shown as percent on an axis from 0 to 100. Default true. */
  readonly percent?: boolean;
  /** Default linear. */
  readonly xScale?: "linear" | "log";
}

const width = 720;
const height = 440;
const margin = { left: 56, right: 24, bottom: 48 };
/** Okabe-Ito colours, distinguishable with colour-blind eyes; dashes tell curves apart in print. */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#b8a800"];
const dashes = ["none", "6 3", "none", "2 4"];
/** Earlier curves are drawn below and a little wider, so that curves on the same values all show. */
const widthOf = (k: number) => Math.max(2, 4 - 0.5 * k);
const colourOf = (k: number) => colours[k % colours.length]!;
const dashOf = (k: number) => dashes[k % dashes.length]!;

/** The plot as SVG text. Throws ShapeError when there is no curve, an empty one, or a number that is not finite. */
export async function curvePlotSvg(plot: CurvePlot): Promise<string> {
  checkCurves(plot);
  const { title, subtitle, xLabel, yLabel, curves, marks = [], percent = true, xScale = "linear" } = plot;
  const [{ plot: draw, ...Plot }, { parseHTML }] = await Promise.all([
    import("@observablehq/plot"),
    import("linkedom"),
  ]);
  const { document } = parseHTML("<html><body></body></html>");
  const legend = layOutLegend(curves);
  const top = 30 + (subtitle ? 20 : 0);
  const marginTop = top + 22 * legend.rows + 18;
  const scale = percent ? 100 : 1;
  const svg = draw({
    document: document as never,
    width,
    height: height + 22 * legend.rows,
    marginTop,
    marginLeft: margin.left,
    marginRight: margin.right,
    marginBottom: margin.bottom,
    style: { fontFamily: "sans-serif", fontSize: "12px", background: "white" },
    x: { label: xLabel, type: xScale, labelAnchor: "center", labelArrow: "none", ...xDomain(plot) },
    y: {
      label: percent ? `${yLabel} (%)` : yLabel,
      grid: true,
      labelAnchor: "center",
      labelArrow: "none",
      ...(percent ? { domain: [0, 100], ticks: 6 } : { nice: true, zero: true }),
    },
    marks: [
      Plot.ruleY([0]),
      ...curves.map(({ points }, k) =>
        Plot.areaY(
          points.filter(({ lower, upper }) => lower !== undefined && upper !== undefined),
          {
            x: "x",
            y1: (point: CurvePoint) => scale * point.lower!,
            y2: (point: CurvePoint) => scale * point.upper!,
            fill: colourOf(k),
            fillOpacity: 0.12,
          },
        ),
      ),
      ...marks.flatMap(({ x, label }) => [
        Plot.ruleX([x], { stroke: "#777", strokeDasharray: "3 3" }),
        Plot.text([label], { x, frameAnchor: "top", dy: -10, fill: "#555" }),
      ]),
      ...curves.flatMap(({ points, dots }, k) => [
        Plot.line(points, {
          ...{ x: "x", y: (point: CurvePoint) => scale * point.y, stroke: colourOf(k), strokeWidth: widthOf(k) },
          strokeDasharray: dashOf(k),
        }),
        ...(dots || points.length === 1
          ? [
              Plot.dot(points, {
                x: "x",
                y: (point: CurvePoint) => scale * point.y,
                fill: colourOf(k),
                r: widthOf(k) + 1,
              }),
            ]
          : []),
      ]),
    ],
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const element = (name: string, attributes: Record<string, string | number>, text?: string) => {
    const created = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries({ "text-anchor": "start", ...attributes }))
      created.setAttribute(key, String(value));
    if (text !== undefined) created.textContent = text;
    svg.appendChild(created as never);
  };
  element("text", { x: margin.left, y: 22, "font-size": 16, "font-weight": "bold", fill: "#222" }, title);
  if (subtitle) element("text", { x: margin.left, y: 42, "font-size": 12, fill: "#555" }, subtitle);
  curves.forEach(({ name }, k) => {
    const { x, row } = legend.places[k]!;
    const y = top + 16 + 22 * row;
    const stroke = { stroke: colourOf(k), "stroke-width": 2.5, "stroke-dasharray": dashOf(k) };
    element("line", { x1: x, x2: x + 26, y1: y - 4, y2: y - 4, ...stroke });
    element("text", { x: x + 32, y, fill: "#222" }, name);
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n${svg.outerHTML}\n`;
}

/** Legend entries from left to right in rows; widths are estimated, as no font is measured here. */
function layOutLegend(curves: readonly Curve[]): { places: { x: number; row: number }[]; rows: number } {
  let x = margin.left;
  let row = 0;
  const places = curves.map(({ name }) => {
    const wide = 32 + 7 * name.length + 20;
    if (x > margin.left && x + wide > width - margin.right) {
      x = margin.left;
      row++;
    }
    const place = { x, row };
    x += wide;
    return place;
  });
  return { places, rows: row + 1 };
}

/** A single value of x would have an axis of length zero. */
function xDomain({ curves, marks = [], xScale }: CurvePlot): { domain?: [number, number] } {
  const values = [...curves.flatMap(({ points }) => points.map(({ x }) => x)), ...marks.map(({ x }) => x)];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (least < most) return { domain: [least, most] };
  if (xScale === "log") return { domain: [least / 2, 2 * least] };
  return { domain: least === 0 ? [0, 1] : [Math.min(0, 2 * least), Math.max(0, 2 * least)] };
}

function checkCurves({ curves, marks = [], xScale }: CurvePlot): void {
  if (curves.length === 0) throw new ShapeError({ argument: "curves", expected: "at least one curve", received: 0 });
  for (const { name, points } of curves) {
    const numbers = points.flatMap(({ x, y, lower = y, upper = y }) => [x, y, lower, upper]);
    const bad = numbers.find((value) => !Number.isFinite(value));
    if (points.length === 0 || bad !== undefined) {
      throw new ShapeError({ argument: `curve ${name}`, expected: "finite points", received: bad ?? "none" });
    }
  }
  const xs = [...curves.flatMap(({ points }) => points.map(({ x }) => x)), ...marks.map(({ x }) => x)];
  const bad = xs.find((x) => !Number.isFinite(x) || (xScale === "log" && x <= 0));
  if (bad !== undefined) {
    throw new ShapeError({ argument: "x", expected: xScale === "log" ? "positive" : "finite", received: bad });
  }
}
