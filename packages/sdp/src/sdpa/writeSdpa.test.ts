import { readFileSync } from "node:fs";
import { createRng, SettingError, UnsupportedError } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addCombination, blockLength } from "../check/evaluate.js";
import type { Block, SdpProblem } from "../problem.js";
import { readSdpa } from "./readSdpa.js";
import { writeSdpa } from "./writeSdpa.js";
import { writeSdpaSolution } from "./writeSolution.js";

/** F_0..F_m of every block as dense upper triangles. */
function dense({ objective, blocks }: SdpProblem): Float64Array[][] {
  return blocks.map((block) =>
    Array.from({ length: objective.length + 1 }, (_, k) => {
      const weights = new Float64Array(objective.length + 1);
      weights[k] = 1;
      const out = new Float64Array(blockLength(block));
      addCombination(block, weights, out);
      return out;
    }),
  );
}

function randomProblem(seed: number, variables: number, sizes: readonly number[]): SdpProblem {
  const rng = createRng(seed);
  const number = () => rng.normal() * 10 ** (rng.integer(600) - 300);
  const blocks = sizes.map((signed): Block => {
    const size = Math.abs(signed);
    const count = rng.integer(3 * size + 1);
    const matrix = Int32Array.from({ length: count }, () => rng.integer(variables + 1));
    const row = Int32Array.from({ length: count }, () => rng.integer(size));
    const column = row.map((i) => (signed < 0 ? i : i + rng.integer(size - i)));
    const entries = { matrix, row, column, value: Float64Array.from({ length: count }, number) };
    return { kind: signed < 0 ? "nonnegative" : "psd", size, entries };
  });
  return { objective: Float64Array.from({ length: variables }, number), blocks };
}

describe("writeSdpa", () => {
  it("random problems read back to the same matrices, bit for bit", () => {
    const size = fc.integer({ min: 1, max: 6 }).chain((n) => fc.constantFrom(n, -n));
    const sizes = fc.array(size, { minLength: 0, maxLength: 4 });
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 5 }), sizes, (seed, variables, list) => {
        const problem = randomProblem(seed, variables, list);
        const text = writeSdpa(problem);
        const again = readSdpa(text);
        expect(again.objective.map((value) => value + 0)).toEqual(problem.objective.map((value) => value + 0));
        expect(again.blocks.map(({ kind, size }) => [kind, size])).toEqual(problem.blocks.map((b) => [b.kind, b.size]));
        expect(dense(again)).toEqual(dense(problem));
        expect(writeSdpa(again)).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it("writes each entry once, sorted, above the diagonal", () => {
    const problem = readSdpa(readFileSync(new URL("../../fixtures/tiny.dat-s", import.meta.url)));
    expect(writeSdpa(problem, { comment: "a\nb" })).toBe(
      "* a\n* b\n2\n2\n2 -2\n1 1\n0 1 1 2 -1\n0 2 1 1 -3\n0 2 2 2 -4\n1 1 1 1 1\n1 2 1 1 1\n1 2 2 2 -1\n2 1 2 2 1\n2 2 2 2 -1\n",
    );
  });

  it("sums repeated entries and writes rank-one terms out", () => {
    const entries = {
      matrix: Int32Array.of(1, 1, 0),
      row: Int32Array.of(0, 0, 1),
      column: Int32Array.of(1, 1, 1),
      value: Float64Array.of(2, 3, 8),
    };
    const vector = Float64Array.of(1, -2, 0);
    const rankOne = [
      { matrix: 1, weight: 0.5, vector },
      { matrix: 0, weight: -2, vector },
    ];
    const text = writeSdpa({ objective: Float64Array.of(1), blocks: [{ kind: "psd", size: 3, entries, rankOne }] });
    // F_1 = [0.5 4; 4 2], F_0 = [-2 4; 4 -8 + 8]
    expect(text).toBe("1\n1\n3\n1\n0 1 1 1 -2\n0 1 1 2 4\n1 1 1 1 0.5\n1 1 1 2 4\n1 1 2 2 2\n");
  });

  it("refuses what the format cannot say, or writes equalities as pairs", () => {
    const block: Block = {
      kind: "psd",
      size: 1,
      entries: { matrix: Int32Array.of(1), row: Int32Array.of(0), column: Int32Array.of(0), value: Float64Array.of(1) },
    };
    const equalities = {
      row: Int32Array.of(0, 0),
      variable: Int32Array.of(0, 1),
      value: Float64Array.of(1, 2),
      right: Float64Array.of(3),
    };
    const problem: SdpProblem = { objective: Float64Array.of(1, 0), blocks: [block], equalities };
    expect(() => writeSdpa(problem)).toThrow(UnsupportedError);
    expect(() => writeSdpa(problem, { equalities: "drop" as never })).toThrow(SettingError);
    expect(writeSdpa(problem, { equalities: "pairs" })).toBe(
      "2\n2\n1 -2\n1 0\n0 2 1 1 3\n0 2 2 2 -3\n1 1 1 1 1\n1 2 1 1 1\n1 2 2 2 -1\n2 2 1 1 2\n2 2 2 2 -2\n",
    );
    const empty: Block = { ...block, size: 0, entries: readSdpa("0\n1\n1\n\n").blocks[0]!.entries };
    expect(() => writeSdpa({ objective: new Float64Array(), blocks: [empty] })).toThrow(UnsupportedError);
  });
});

describe("writeSdpaSolution", () => {
  const problem = readSdpa(readFileSync(new URL("../../fixtures/tiny.dat-s", import.meta.url)));
  const dual = [Float64Array.of(1, -1, -1, 1), Float64Array.of(0, 0)];

  it("writes x, then S, then Y, nonzero entries above the diagonal", () => {
    const slack = [Float64Array.of(1, 1, 1, 1), Float64Array.of(4, 2)];
    const point = { x: Float64Array.of(1, 1), slack, dual, multipliers: new Float64Array() };
    const [x, ...entries] = writeSdpaSolution(problem, point).trimEnd().split("\n");
    expect(x).toBe("1 1");
    expect(entries).toEqual([
      ...["1 1 1 1 1", "1 1 1 2 1", "1 1 2 2 1", "1 2 1 1 4", "1 2 2 2 2"],
      ...["2 1 1 1 1", "2 1 1 2 -1", "2 1 2 2 1"],
    ]);
  });

  it("writes rays with zeros for what they lack", () => {
    const ray = { kind: "primal-infeasible" as const, dual, multipliers: new Float64Array() };
    expect(writeSdpaSolution(problem, ray)).toBe("0 0\n2 1 1 1 1\n2 1 1 2 -1\n2 1 2 2 1\n");
    expect(writeSdpaSolution(problem, { kind: "dual-infeasible", x: Float64Array.of(0.5, -3) })).toBe("0.5 -3\n");
    expect(() => writeSdpaSolution(problem, { kind: "dual-infeasible", x: new Float64Array(3) })).toThrow(
      /solution\.x/,
    );
  });
});
