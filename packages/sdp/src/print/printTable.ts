// The classical table of iterations as a listener: events in, aligned lines out. Printing them is up to the caller.

import type { IterationEvent, SdpEvent, StartEvent } from "../solver.js";

/**
 * A listener for `onEvent` that turns events into lines without line ends: three lines of heading, one line per iteration,
 * one line at the end. Columns: both objectives, relative residuals of the x-problem and of its dual (DIMACS errors 3 and
 * 1), relative gap, step lengths, seconds since the start.
 *
 *     solve(problem, { onEvent: printTable(console.log) });
 */
export function printTable(onLine: (line: string) => void): (event: SdpEvent) => void {
  let began = 0;
  return (event) => {
    if (event.type === "start") {
      began = performance.now();
      for (const line of heading(event)) onLine(line);
    } else if (event.type === "iteration") {
      onLine(row(event, (performance.now() - began) / 1000));
    } else {
      onLine(`${event.status} after ${event.iterations} iterations, ${event.seconds.toFixed(2)} s`);
    }
  };
}

function heading({ solver, backend, variables, blocks, bytes, notes }: StartEvent): string[] {
  const sizes = `${solver}   ${backend} kernels   ${variables} variables   ${describeBlocks(blocks)}   memory ${formatBytes(bytes)}`;
  const titles = ["iter", "primal obj", "dual obj", "primal res", "dual res", "gap", "step p", "step d", "seconds"];
  const widths = [4, 16, 16, 10, 10, 10, 6, 6, 8];
  return [sizes, ...notes, titles.map((title, column) => title.padStart(widths[column])).join("  ")];
}

function row(event: IterationEvent, seconds: number): string {
  return [
    String(event.iteration).padStart(4),
    signed(event.primalObjective).padStart(16),
    signed(event.dualObjective).padStart(16),
    short(event.primalResidual).padStart(10),
    short(event.dualResidual).padStart(10),
    short(event.gap).padStart(10),
    event.primalStep.toFixed(3).padStart(6),
    event.dualStep.toFixed(3).padStart(6),
    seconds.toFixed(2).padStart(8),
  ].join("  ");
}

/** `psd 161, nonnegative 174` or, for many, `402 psd (orders 2 to 31)`. */
export function describeBlocks(blocks: StartEvent["blocks"]): string {
  const part = (kind: "psd" | "nonnegative", unit: string) => {
    const sizes = blocks.filter((block) => block.kind === kind).map(({ size }) => size);
    if (sizes.length === 0) return [];
    if (sizes.length <= 3) return [`${kind} ${sizes.join(", ")}`];
    const least = sizes.reduce((a, b) => Math.min(a, b));
    const most = sizes.reduce((a, b) => Math.max(a, b));
    return [`${sizes.length} ${kind} (${unit} ${least === most ? most : `${least} to ${most}`})`];
  };
  return [...part("psd", "order"), ...part("nonnegative", "length")].join(", ") || "no blocks";
}

/** `812 kB`, `41 MB`, `3.1 GB` (powers of 1000). */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

const signed = (value: number) => exponent(value.toExponential(8), value >= 0 ? "+" : "");
const short = (value: number) => exponent(value.toExponential(2), "");

/** Two digits in every exponent, so that columns stay aligned. */
function exponent(text: string, sign: string): string {
  return `${sign}${text.replace(/e([+-])(\d)$/, "e$10$2")}`;
}
