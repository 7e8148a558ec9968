import { describe, expect, it } from "vitest";
import type { IterationEvent, SdpEvent } from "../solver.js";
import { describeBlocks, formatBytes, printTable } from "./printTable.js";

const iteration: IterationEvent = {
  type: "iteration",
  iteration: 0,
  primalObjective: 0,
  dualObjective: -1240,
  primalResidual: 31.25,
  dualResidual: 8e-13,
  gap: 1,
  primalStep: 0,
  dualStep: 0.98765,
};

function lines(events: readonly SdpEvent[]): string[] {
  const found: string[] = [];
  const listen = printTable((line) => found.push(line));
  for (const event of events) listen(event);
  return found;
}

describe("printTable", () => {
  it("prints heading, aligned rows and an end", () => {
    const start = {
      type: "start" as const,
      solver: "interior-point",
      backend: "wasm-simd",
      variables: 174,
      blocks: [
        { kind: "psd" as const, size: 161 },
        { kind: "nonnegative" as const, size: 174 },
      ],
      bytes: 41.2e6,
      notes: ["dense Schur complement"],
    };
    const rows = [
      iteration,
      { ...iteration, iteration: 117, primalObjective: -1.5e-101, dualObjective: 2e300, gap: 1e-100 },
    ];
    const end = { type: "end" as const, status: "optimal", iterations: 117, seconds: 6.2 };
    const [first, note, titles, zero, last, close, ...rest] = lines([start, ...rows, end]);
    expect(first).toBe("interior-point   wasm-simd kernels   174 variables   psd 161, nonnegative 174   memory 41 MB");
    expect(note).toBe("dense Schur complement");
    expect(titles).toMatch(/^iter +primal obj +dual obj +primal res +dual res +gap +step p +step d +seconds$/);
    expect(zero).toMatch(
      /^ {3}0 +\+0\.00000000e\+00 +-1\.24000000e\+03 +3\.13e\+01 +8\.00e-13 +1\.00e\+00 +0\.000 +0\.988 +\d+\.\d\d$/,
    );
    expect(last).toMatch(/^ 117 +-1\.50000000e-101 +\+2\.00000000e\+300 +3\.13e\+01 +8\.00e-13 +1\.00e-100 /);
    expect([titles!.length, zero!.length, last!.length]).toEqual([titles!.length, titles!.length, titles!.length]);
    expect(close).toBe("optimal after 117 iterations, 6.20 s");
    expect(rest).toEqual([]);
  });

  it("describes blocks and bytes", () => {
    expect(describeBlocks([])).toBe("no blocks");
    const many = Array.from({ length: 5 }, (_, i) => ({ kind: "psd" as const, size: i + 2 }));
    expect(describeBlocks([...many, { kind: "nonnegative", size: 7 }])).toBe("5 psd (order 2 to 6), nonnegative 7");
    // more blocks than a call takes arguments
    expect(describeBlocks(Array(200_000).fill({ kind: "psd", size: 3 }))).toBe("200000 psd (order 3)");
    expect([0, 1500, 2.5e6, 3.14e9].map(formatBytes)).toEqual(["0 kB", "2 kB", "3 MB", "3.1 GB"]);
  });
});
